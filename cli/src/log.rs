//! Where daemons log: standard error, or a file of bounded size with one older part beside it.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use flott_core::config::environment;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Sets up logging, to `file` if given. What is logged is said by `FLOTT_LOG`, else from INFO up.
pub fn start(file: Option<(&Path, u64)>) -> anyhow::Result<()> {
    let filter = match std::env::var(environment::LOG) {
        Ok(text) => EnvFilter::try_new(&text).with_context(|| format!("{}={text:?}", environment::LOG))?,
        // What kube says there is said again, with what it was about, by whoever asked.
        Err(_) => EnvFilter::new("info,kube_client::client::builder=off"),
    };
    // What cannot be written (a disk is full) is lost, and no reason to end: to say so on standard error would panic if that fails as well.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    match file {
        Some((path, bytes_max)) => builder.with_ansi(false).with_writer(LogFile::open(path, bytes_max)?).init(),
        None => builder.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init(),
    }
    Ok(())
}

/// A log file that is begun anew when it is full; the full one is kept as `<name>.1`.
#[derive(Clone)]
struct LogFile(Arc<Mutex<Open>>);

struct Open {
    file: File,
    path: PathBuf,
    size: u64,
    size_max: u64,
}

impl LogFile {
    fn open(path: &Path, bytes_max: u64) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write the log file {}", path.display()))?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Open { file, path: path.to_owned(), size, size_max: bytes_max / 2 }))))
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.size > 0 && open.size + bytes.len() as u64 > open.size_max {
            let mut older = open.path.clone().into_os_string();
            older.push(".1");
            std::fs::rename(&open.path, older)?;
            open.file = OpenOptions::new().create(true).append(true).open(&open.path)?;
            open.size = 0;
        }
        let written = open.file.write(bytes)?;
        open.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobmanager.log");
        let mut log = LogFile::open(&path, 200).unwrap();
        for line in 0..30 {
            log.write_all(format!("line {line:03}\n").as_bytes()).unwrap();
        }
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (now, older) = (read(&path), read(&dir.path().join("jobmanager.log.1")));
        assert!(now.len() <= 100 && older.len() <= 100);
        assert!((older + &now).ends_with("line 028\nline 029\n"));
    }
}
