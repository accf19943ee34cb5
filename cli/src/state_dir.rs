//! Where everything that outlives a command is kept: one directory per user, or per `--state-dir`.
//!
//! ```text
//! STATE/session/             the session cluster of this user
//! STATE/clusters/<id>/       a cluster for one job, or for one attached client
//! STATE/history/<job>.json   how jobs of ended clusters ended
//! STATE/staging/             what a client prepares before it hands it over
//! ```
//! A cluster directory holds `config.yaml`, `jobmanager.address` while a JobManager answers, its pid, store, blobs,
//! logs, and one directory per TaskManager.

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use flott_worker::lock;

/// The state directory.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `given`, else `XDG_STATE_HOME/flott`, else `~/.local/state/flott`. Made if it is not there, for this user alone.
    pub fn open(given: Option<&Path>) -> anyhow::Result<Self> {
        let path = match given {
            Some(path) => std::path::absolute(path)?,
            None => default_path()?,
        };
        private_dir(&path).context("there is no state directory (--state-dir and FLOTT_STATE_DIR give another one)")?;
        Ok(Self(path))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The session cluster.
    pub fn session(&self) -> ClusterDir {
        ClusterDir(self.0.join("session"))
    }

    /// A cluster by id.
    pub fn cluster(&self, id: &str) -> ClusterDir {
        ClusterDir(self.0.join("clusters").join(id))
    }

    /// Where a client prepares things, made if it is not there.
    pub fn staging(&self) -> anyhow::Result<PathBuf> {
        let staging = self.0.join("staging");
        private_dir(&staging)?;
        Ok(staging)
    }

    /// How jobs ended.
    pub fn history(&self) -> PathBuf {
        self.0.join("history")
    }

    /// The session and every other cluster there is a directory of, by name.
    pub fn clusters(&self) -> Vec<ClusterDir> {
        let mut found = vec![self.session()];
        if let Ok(entries) = std::fs::read_dir(self.0.join("clusters")) {
            let mut others: Vec<_> = entries.flatten().map(|entry| ClusterDir(entry.path())).collect();
            others.sort_by(|a, b| a.0.cmp(&b.0));
            found.extend(others);
        }
        found
    }
}

fn default_path() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let base = base.context("there is no home directory for the state directory: give one with --state-dir")?;
    Ok(base.join("flott"))
}

/// Makes a directory that only this user can read.
pub fn private_dir(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

/// The directory of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDir(PathBuf);

impl ClusterDir {
    /// A directory given by path.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Holds HOST:PORT while a JobManager answers there.
    pub fn address_file(&self) -> PathBuf {
        self.0.join("jobmanager.address")
    }

    /// The effective configuration of the cluster.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.yaml")
    }

    /// Held locked by the JobManager of this directory; its content is the pid.
    pub fn pid_file(&self) -> PathBuf {
        self.0.join("jobmanager.pid")
    }

    /// Logs of the JobManager.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The address that was written, if any. That something answers there is not said.
    pub fn address(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.address_file()).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Takes the directory for a JobManager of this process; the lock goes with the value. Fails if another has it.
    pub fn lock(&self) -> anyhow::Result<File> {
        private_dir(&self.0)?;
        let lock =
            lock::exclusive(&self.pid_file()).with_context(|| format!("cannot lock {}", self.pid_file().display()))?;
        let mut lock = lock.with_context(|| format!("a JobManager is running already in {}", self.0.display()))?;
        lock.set_len(0)?;
        lock.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(lock)
    }

    /// Whether a JobManager has the directory.
    pub fn is_locked(&self) -> anyhow::Result<bool> {
        let file = match File::open(self.pid_file()) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Removes the directory of a cluster that has not come to be, but for logs that say why.
    pub fn abandon(&self) {
        self.clean_up();
        for file in [self.config_file(), self.pid_file(), self.address_file()] {
            remove(file);
        }
        for log in std::fs::read_dir(self.logs()).into_iter().flatten().flatten() {
            if log.metadata().is_ok_and(|metadata| metadata.len() == 0) {
                remove(log.path());
            }
        }
        // Those that are not empty stay.
        for directory in [self.logs(), self.0.join("workers"), self.0.clone()] {
            let _ = std::fs::remove_dir(directory);
        }
    }

    /// Removes what the cluster worked with; its logs stay, to be read. For a cluster of one job or one client that has
    /// ended, or has not come to be.
    pub fn clean_up(&self) {
        for name in ["staging", "blobs", "jobs", "planning", "processes", "config.yaml", "jobmanager.pid"] {
            remove(self.0.join(name));
        }
        // Checkpoints that a job has left behind stay, for who takes it up again.
        let _ = std::fs::remove_dir(self.0.join("checkpoints"));
        let Ok(workers) = std::fs::read_dir(self.0.join("workers")) else { return };
        for worker in workers.flatten() {
            for entry in std::fs::read_dir(worker.path()).into_iter().flatten().flatten() {
                if entry.file_name() != "logs" {
                    remove(entry.path());
                }
            }
        }
    }
}

fn remove(path: PathBuf) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not be removed");
        }
        Ok(()) | Err(_) => {}
    }
}
