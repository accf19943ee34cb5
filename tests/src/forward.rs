//! A port of a pod, at this machine's loopback, as `kubectl port-forward` gives it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long it may take until something is forwarded.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// It ends with this.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    address: String,
    /// kubectl ends when nobody reads what it prints.
    _out: BufReader<ChildStdout>,
}

impl Forward {
    /// To a port of a pod; `kubectl` knows the namespace.
    ///
    /// # Errors
    /// What kubectl has said, when it forwards nothing.
    pub fn start(mut kubectl: Command, pod: &str, port: u16) -> Result<Self, String> {
        kubectl.args(["port-forward", &format!("pod/{pod}"), &format!(":{port}")]);
        kubectl.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = kubectl.spawn().map_err(|error| format!("kubectl cannot be run: {error}"))?;
        let (told, first) = mpsc::channel();
        let out = child.stdout.take().map(BufReader::new);
        thread::spawn(move || {
            let mut line = String::new();
            let read = out.and_then(|mut out| out.read_line(&mut line).ok().map(|_| out));
            let _ = told.send((read, line)); // nobody waits for what comes too late
        });
        // The node of a pod may be one that does not answer.
        let (read, first) = first.recv_timeout(ANSWER_MAX).unwrap_or_default();
        let address = first.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
        match (read, address) {
            (Some(out), Some(address)) => Ok(Self { address: address.to_owned(), child, _out: out }),
            (Some(_) | None, Some(_) | None) => {
                let _ = child.kill(); // it has ended, or is of no use
                let _ = child.wait();
                Err(format!("nothing is forwarded to {pod}: {first:?}"))
            }
        }
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
