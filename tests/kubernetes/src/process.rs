//! Processes of a cluster: each is recorded in the cluster's directory, so that whoever has the directory can end it, and
//! nobody takes another process for it that has got its number.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use anyhow::{Context, anyhow};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// How long processes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// No longer than this process, however it ends.
    WithUs,
    /// Until they are ended by their records.
    Detached,
}

/// A recorded process.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    /// When it began, in ticks since the machine did: with the number, this is an identity.
    began: u64,
    record: PathBuf,
    log: PathBuf,
    /// Set for one that we have started: we have to ask for its end, or it stays as a zombie.
    child: Option<Child>,
}

impl Process {
    /// Starts a command below `directory`, where its record and its log are kept by `name`.
    pub fn start(directory: &Path, name: &str, command: Command, life: Life) -> anyhow::Result<Self> {
        let log = directory.join("log").join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut wrapped = wrapped(&command, life);
        wrapped.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(wrapped, life).with_context(|| format!("{name} cannot be started"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        // One that has ended at once is there until it is asked.
        let (began, _) = seen(pid).ok_or_else(|| anyhow!("{name} ({pid}) is not in /proc"))?;
        let record = directory.join(format!("{name}.pid"));
        fs::write(&record, format!("{pid} {began}\n")).with_context(|| format!("cannot write {}", record.display()))?;
        Ok(Self { name: name.to_owned(), pid, began, record, log, child: Some(child) })
    }

    /// The one that is recorded by this name, whether it runs or not.
    pub fn recorded(directory: &Path, name: &str) -> Option<Self> {
        let record = directory.join(format!("{name}.pid"));
        let text = fs::read_to_string(&record).ok()?;
        let (pid, began) = text.trim().split_once(' ')?;
        let (pid, began) = (Pid::from_raw(pid.parse().ok()?), began.parse().ok()?);
        let log = directory.join("log").join(format!("{name}.log"));
        Some(Self { name: name.to_owned(), pid, began, record, log, child: None })
    }

    /// Names of all that are recorded.
    pub fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".pid")?.to_owned()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            return matches!(child.try_wait(), Ok(None));
        }
        began(self.pid) == Some(self.began)
    }

    /// Fails with the end of its log when it has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        if self.runs() {
            return Ok(());
        }
        Err(anyhow!("{} has ended:\n{}", self.name, self.last_words()))
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        const BYTES: u64 = 2000;
        let read = || {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }

    /// Sends a signal; one that has ended gets none.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if !self.runs() {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(anyhow!("{signal} to {} ({}): {error}", self.name, self.pid)),
        }
    }

    /// Ends it: asks by `signal`, kills it after `grace`, and waits until it is gone. The record goes with it.
    pub fn end(mut self, signal: Signal, grace: Duration) -> anyhow::Result<()> {
        self.signal(signal)?;
        self.signal(Signal::SIGCONT)?; // one that is stopped hears nothing else
        if wait::until("the end of a process", grace, || Ok(!self.runs())).is_err() {
            self.signal(Signal::SIGKILL)?;
            wait::until(&format!("the end of {}, which was killed", self.name), wait::PATIENCE, || Ok(!self.runs()))?;
        }
        match fs::remove_file(&self.record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("a record cannot be removed")
            }
            _ => Ok(()),
        }
    }
}

/// The command in a session of its own, so that signals of a terminal do not reach it, and for [`Life::WithUs`] marked to
/// be killed with the thread that starts it. Both programs become the command, whose process number is the one that was started.
fn wrapped(command: &Command, life: Life) -> Command {
    let mut outer = match life {
        Life::WithUs => {
            let mut outer = Command::new("setpriv");
            outer.args(["--pdeathsig", "SIGKILL", "--", "setsid", "--"]);
            outer
        }
        Life::Detached => {
            let mut outer = Command::new("setsid");
            outer.arg("--");
            outer
        }
    };
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

/// A request to the thread of [`spawn`].
type Spawn = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a command. What is to live with us is started from a thread that lives as long as this process: the kernel kills
/// such children with the *thread* that has started them, and threads of tests end with their test.
fn spawn(mut command: Command, life: Life) -> anyhow::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Spawn>> = OnceLock::new();
    if life == Life::Detached {
        return Ok(command.spawn()?);
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Spawn>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, spawned) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the thread that starts processes has ended"))?;
    Ok(spawned.recv().context("the thread that starts processes has ended")??)
}

/// When a process began; `None` for one that is gone, or only waits for its parent to ask.
fn began(pid: Pid) -> Option<u64> {
    seen(pid).and_then(|(began, has_ended)| (!has_ended).then_some(began))
}

/// When a process began, and whether it has ended; `None` for one that is gone.
fn seen(pid: Pid) -> Option<(u64, bool)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have anything in it. What follows begins with field 3, the state; field 22 is wanted.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    Some((fields.nth(18)?.parse().ok()?, has_ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path, life: Life) -> Process {
        fs::create_dir_all(directory.join("log")).unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        Process::start(directory, "sleeper", command, life).unwrap()
    }

    #[test]
    fn a_process_is_found_by_its_record_and_ended() {
        for life in [Life::WithUs, Life::Detached] {
            let directory = tempfile::tempdir().unwrap();
            let mut started = sleeper(directory.path(), life);
            assert_eq!(Process::names(directory.path()), ["sleeper"]);
            let mut found = Process::recorded(directory.path(), "sleeper").unwrap();
            assert!(found.runs() && found.pid() == started.pid());
            started.signal(Signal::SIGSTOP).unwrap();
            started.end(Signal::SIGTERM, wait::PATIENCE).unwrap();
            assert!(!found.runs());
            assert!(Process::names(directory.path()).is_empty());
        }
    }

    #[test]
    fn another_process_of_the_same_number_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut started = sleeper(directory.path(), Life::WithUs);
        let pid = started.pid();
        fs::write(directory.path().join("other.pid"), format!("{pid} 1\n")).unwrap();
        Process::recorded(directory.path(), "other").unwrap().end(Signal::SIGKILL, wait::PATIENCE).unwrap();
        assert!(started.runs());
        started.end(Signal::SIGKILL, wait::PATIENCE).unwrap();
    }

    #[test]
    fn one_that_has_ended_leaves_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("log")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such luck; read wait"]);
        let mut process = Process::start(directory.path(), "unlucky", command, Life::WithUs).unwrap();
        wait::until("the end", wait::PATIENCE, || Ok(!process.runs())).unwrap();
        let error = process.must_run().unwrap_err().to_string();
        assert_eq!(error, "unlucky has ended:\nno such luck\n");
    }
}
