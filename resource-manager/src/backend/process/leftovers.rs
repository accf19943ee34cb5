//! What workers that are gone have left in their work directories.
//!
//! Logs stay, those of the most recent workers; copies of programs, sockets of job processes and the lock go with the
//! worker. A directory whose lock somebody holds is left alone, whatever the records say.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    time::SystemTime,
};

use flott_core::id::WorkerId;

/// What stays of a worker.
const LOGS: &str = "logs";
/// What a worker holds a lock on while it lives.
const LOCK: &str = "lock";

/// Removes from `work_dir`, in which every worker has a directory of its name, what workers that are gone have worked
/// with, and all of the oldest but `kept` of those workers.
pub(super) fn sweep(work_dir: &Path, kept: usize, runs: impl Fn(&WorkerId) -> bool) {
    let mut gone = Vec::new();
    for entry in fs::read_dir(work_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(worker) = path.file_name().and_then(|name| name.to_str()).map(|name| WorkerId(name.to_owned())) else {
            continue;
        };
        if path.is_dir() && !runs(&worker) && !is_locked(&path) {
            clean(&path);
            gone.push((last_written(&path), path));
        }
    }
    gone.sort();
    let surplus = gone.len().saturating_sub(kept);
    for (_, path) in gone.drain(..surplus) {
        told(&path, fs::remove_dir_all(&path));
    }
}

fn clean(worker: &Path) {
    for entry in fs::read_dir(worker).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name() != LOGS {
            // The type of the entry itself: a link is removed, not what it leads to.
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            told(&path, if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
        }
    }
}

fn is_locked(worker: &Path) -> bool {
    File::open(worker.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn last_written(worker: &Path) -> SystemTime {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    modified(&worker.join(LOGS)).or_else(|| modified(worker)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn told(path: &Path, removed: io::Result<()>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "what a worker has left cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(dir: &Path, name: &str) {
        fs::create_dir_all(dir.join(name).join("blobs")).unwrap();
        fs::create_dir_all(dir.join(name).join("processes/job")).unwrap();
        fs::create_dir_all(dir.join(name).join(LOGS)).unwrap();
        fs::write(dir.join(name).join("blobs/program"), "elf").unwrap();
        fs::write(dir.join(name).join("logs/taskmanager.log"), "INFO").unwrap();
        fs::write(dir.join(name).join(LOCK), "").unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn workers_that_are_gone_leave_their_logs_and_those_that_run_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        ["gone", "runs", "locked"].iter().for_each(|name| worker(dir.path(), name));
        let lock = File::open(dir.path().join("locked/lock")).unwrap();
        lock.try_lock().unwrap();
        sweep(dir.path(), 9, |worker| worker.0 == "runs");
        assert_eq!(names(&dir.path().join("gone")), ["logs"]);
        assert_eq!(names(&dir.path().join("gone/logs")), ["taskmanager.log"]);
        assert_eq!(names(&dir.path().join("runs")), ["blobs", "lock", "logs", "processes"]);
        assert_eq!(names(&dir.path().join("locked")), ["blobs", "lock", "logs", "processes"]);
    }

    #[test]
    fn the_logs_of_the_oldest_go_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [("a", 10), ("b", 30), ("c", 20)] {
            worker(dir.path(), name);
            let written = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(dir.path().join(name).join(LOGS)).unwrap().set_modified(written).unwrap();
        }
        sweep(dir.path(), 2, |_| false);
        assert_eq!(names(dir.path()), ["a", "c"]);
    }
}
