//! A command that a test runs: its output is kept in files, its end is waited for within bounds.

use std::{
    fs::{self, File},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::eventually::{PATIENCE, eventually};

/// A command that has been started. It is killed when it is dropped before its end.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// Starts `command`, with output to `<prefix>.out` and `<prefix>.err`.
    #[track_caller]
    pub fn start(mut command: Command, prefix: &str) -> Self {
        let (out, err) = (PathBuf::from(format!("{prefix}.out")), PathBuf::from(format!("{prefix}.err")));
        let file = |path: &PathBuf| Stdio::from(File::create(path).expect("the sandbox can be written to"));
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
        // A group of its own, so that a signal to the tests does not end clients in their own way.
        command.process_group(0);
        let line = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("{line} cannot be started: {error}"));
        Self { line, child, out, err }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn out(&self) -> String {
        read(&self.out)
    }

    /// Standard error so far.
    pub fn err(&self) -> String {
        read(&self.err)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a child that was not waited for is there");
    }

    /// Its exit status, if it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// SIGKILL; waits until it is gone.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Waits until `text` is printed, on either stream.
    #[track_caller]
    pub fn until_printed(&mut self, text: &str) {
        eventually(&format!("{text:?} from {}", self.line), PATIENCE, || {
            let (out, err) = (self.out(), self.err());
            if out.contains(text) || err.contains(text) { Ok(()) } else { Err(format!("\n{out}\n{err}")) }
        });
    }

    /// Waits for the end.
    #[track_caller]
    pub fn end(self) -> Outcome {
        self.end_within(PATIENCE)
    }

    /// Waits for the end for as long as `bound`.
    #[track_caller]
    pub fn end_within(mut self, bound: Duration) -> Outcome {
        let status = eventually(&format!("the end of {}", self.line), bound, || {
            let status = self.child.try_wait().expect("a child can be waited for");
            status.ok_or_else(|| format!("it runs, and has printed:\n{}\n{}", read(&self.out), read(&self.err)))
        });
        Outcome { line: self.line.clone(), status, out: self.out(), err: self.err() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// How a command has ended.
#[derive(Debug)]
pub struct Outcome {
    /// The command.
    pub line: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed on standard output.
    pub out: String,
    /// What it printed on standard error.
    pub err: String,
}

impl Outcome {
    /// Wants this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(given), _) if given == code => return self,
            (Some(given), _) => format!("exit code {given}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        panic!("{how} instead of {code} from {}\n-- out\n{}\n-- err\n{}", self.line, self.out, self.err);
    }

    /// Wants success.
    #[track_caller]
    pub fn success(self) -> Self {
        self.expect(0)
    }

    /// Wants this exit code and one clear line about it on standard error, which has `parts` in it.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Self {
        let outcome = self.expect(code);
        let lines: Vec<_> = outcome.err.lines().filter(|line| line.starts_with("flott: ")).collect();
        let errors: Vec<_> = lines.iter().filter(|line| !line.starts_with("flott: warning: ")).collect();
        assert_eq!(errors.len(), 1, "one line of error is wanted:\n{}", outcome.err);
        outcome.says(parts)
    }

    /// Wants all of `parts` on standard error.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in:\n{}", self.err);
        }
        self
    }

    /// Wants all of `parts` on standard output.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is missing in:\n{}\n-- err\n{}", self.out, self.err);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}) from {}:\n{}", self.line, self.out))
    }

    /// The job that was submitted.
    #[track_caller]
    pub fn job(&self) -> String {
        submitted(&self.out)
            .unwrap_or_else(|| panic!("no job was submitted by {}:\n{}\n{}", self.line, self.out, self.err))
    }

    /// The web address, HOST:PORT, that was printed on either stream.
    #[track_caller]
    pub fn address(&self) -> String {
        let text = format!("{}{}", self.out, self.err);
        let address = text.split("://").nth(1).unwrap_or_else(|| panic!("there is no web address in:\n{text}"));
        address.chars().take_while(|c| c.is_ascii_alphanumeric() || ".:".contains(*c)).collect()
    }
}

/// The id in `Job has been submitted with JobID <32 hex>`.
pub fn submitted(out: &str) -> Option<String> {
    let id = out.split("Job has been submitted with JobID ").nth(1)?.lines().next()?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}
