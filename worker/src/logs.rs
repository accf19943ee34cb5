//! The log directory, read by the piece for people far away, and kept from growing without end.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use flott_core::{
    id::JobId,
    message::{LogAnswer, LogChunk, LogFile, LogRequest},
};

use crate::process::bounded_log::rotated;

/// The most that one answer carries.
const PIECE_BYTES_MAX: u64 = 1 << 20;
/// The most files that a list names, newest first.
const LISTED_MAX: usize = 2_000;

/// Answers `request` from the files in `dir`. Blocks on the disk.
pub(crate) fn answer(dir: &Path, request: &LogRequest) -> LogChunk {
    let result = match &request.file {
        None => list(dir).map(LogAnswer::Files).map_err(|error| format!("log directory is not readable: {error}")),
        Some(name) => piece(dir, name, request).map_err(|error| format!("log {name:?} is not readable: {error}")),
    };
    LogChunk { request: request.request, result }
}

/// Removes the oldest logs of jobs until at most `files_max` are left. Logs of jobs in `live` stay.
pub(crate) fn prune(dir: &Path, files_max: usize, live: &[JobId]) -> io::Result<()> {
    let mut logs: Vec<LogFile> =
        scan(dir)?.into_iter().filter(|log| job_of(&log.name).is_some_and(|job| !live.contains(&job))).collect();
    logs.sort_by_key(|log| log.modified_at);
    let excess = logs.len().saturating_sub(files_max);
    for log in logs.into_iter().take(excess) {
        fs::remove_file(dir.join(log.name))?;
    }
    Ok(())
}

/// The job of `<job id>.log`, `<job id>.out`, and of what was rotated out of them.
fn job_of(name: &str) -> Option<JobId> {
    let (job, suffix) = name.split_once('.')?;
    matches!(suffix, "log" | "out" | "log.1" | "out.1").then(|| job.parse().ok())?
}

fn list(dir: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = scan(dir)?;
    files.sort_by(|a, b| b.modified_at.cmp(&a.modified_at).then_with(|| a.name.cmp(&b.name)));
    files.truncate(LISTED_MAX);
    Ok(files)
}

fn scan(dir: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // Of the entry itself, never of what a link points at.
        let Ok(metadata) = entry.metadata() else { continue };
        if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
            files.push(LogFile { name, size: metadata.len(), modified_at: metadata.modified().map_or(0, millis) });
        }
    }
    Ok(files)
}

fn piece(dir: &Path, name: &str, request: &LogRequest) -> io::Result<LogAnswer> {
    fn refused<T>(what: &str) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        return refused("it must be the name of a file in the log directory");
    }
    let path = dir.join(name);
    let opened = fs::symlink_metadata(&path).and_then(|metadata| match metadata.is_file() {
        true => File::open(&path),
        false => refused("it is no plain file"),
    });
    let mut file = match opened {
        // For a moment there is nothing under the name of a log that is rotated: the part before it has just been moved away.
        Err(error) if error.kind() == io::ErrorKind::NotFound && rotated(&path).is_file() => {
            return Ok(LogAnswer::Piece { offset: 0, size: 0, bytes: Bytes::new() });
        }
        opened => opened?,
    };
    let size = file.metadata()?.len();
    let offset = match request.offset {
        from_end @ ..0 => size.saturating_sub(from_end.unsigned_abs()),
        from_start => from_start.unsigned_abs().min(size),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(request.length_max.min(PIECE_BYTES_MAX)).read_to_end(&mut bytes)?;
    Ok(LogAnswer::Piece { offset, size, bytes: Bytes::from(bytes) })
}

/// Milliseconds since the epoch.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("taskmanager.log"), "0123456789").unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join("link")).unwrap();
        directory
    }

    #[track_caller]
    fn check(file: &str, offset: i64, length_max: u64, expected: Result<(u64, &str), &str>) {
        let directory = directory();
        let request = LogRequest { request: 7, file: Some(file.to_owned()), offset, length_max };
        let answer = answer(directory.path(), &request);
        assert_eq!(answer.request, 7);
        match (answer.result, expected) {
            (Ok(LogAnswer::Piece { offset, size, bytes }), Ok(expected)) => {
                assert_eq!(((offset, &bytes[..]), size), ((expected.0, expected.1.as_bytes()), 10));
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (answer, _) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn pieces_are_cut_to_what_is_there() {
        check("taskmanager.log", 0, 4, Ok((0, "0123")));
        check("taskmanager.log", 8, 100, Ok((8, "89")));
        check("taskmanager.log", 100, 100, Ok((10, "")));
        check("taskmanager.log", -3, 100, Ok((7, "789")));
        check("taskmanager.log", -300, 2, Ok((0, "01")));
        check("taskmanager.log", i64::MIN, u64::MAX, Ok((0, "0123456789")));
    }

    #[test]
    fn only_plain_files_of_the_directory_are_read() {
        for name in ["", ".", "..", "../x", "/etc/passwd", "folder/x", "a\0b"] {
            check(name, 0, 1, Err("it must be the name of a file in the log directory"));
        }
        check("folder", 0, 1, Err("it is no plain file"));
        check("link", 0, 1, Err("it is no plain file"));
        check("absent.log", 0, 1, Err("log \"absent.log\" is not readable"));
    }

    #[test]
    fn a_log_that_is_being_rotated_is_empty() {
        let directory = directory();
        fs::write(directory.path().join("moved.out.1"), "before").unwrap();
        let request = LogRequest { request: 7, file: Some("moved.out".to_owned()), offset: 0, length_max: 100 };
        let answer = answer(directory.path(), &request).result;
        assert!(
            matches!(&answer, Ok(LogAnswer::Piece { offset: 0, size: 0, bytes }) if bytes.is_empty()),
            "{answer:?}"
        );
    }

    #[test]
    fn list_names_plain_files() {
        let directory = directory();
        let request = LogRequest { request: 1, file: None, offset: 0, length_max: 0 };
        let Ok(LogAnswer::Files(files)) = answer(directory.path(), &request).result else { panic!() };
        assert_eq!(files.iter().map(|file| (&file.name[..], file.size)).collect::<Vec<_>>(), [("taskmanager.log", 10)]);
    }

    #[test]
    fn oldest_job_logs_are_pruned() {
        let directory = directory();
        let jobs: Vec<JobId> = (0..5).map(|n| JobId::from_bytes([n; 16])).collect();
        for (age, job) in jobs.iter().rev().enumerate() {
            let file = File::create(directory.path().join(format!("{job}.out"))).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age as u64 * 60);
            file.set_modified(time).unwrap();
        }
        prune(directory.path(), 2, &jobs[..1]).unwrap();
        let mut left: Vec<_> = scan(directory.path()).unwrap().into_iter().map(|file| file.name).collect();
        left.sort();
        let kept = [0, 3, 4].map(|index: usize| format!("{}.out", jobs[index]));
        assert_eq!(left, [kept.to_vec(), vec!["taskmanager.log".to_owned()]].concat());
    }
}
