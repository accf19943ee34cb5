//! The directory of one job process: its program under its own name, its set-up, its socket. Gone when the process is.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use flott_core::{
    id::ProcessId,
    message::{HostSetup, JobSetup},
};

/// Longest path of a Unix socket that every system takes, with room for its end.
const SOCKET_PATH_MAX: usize = 100;
const PROGRAM_NAME_DEFAULT: &str = "program";

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Where the socket is, if its path would be too long otherwise.
    short: Option<PathBuf>,
}

impl Directory {
    /// Makes a directory for `process` under `parent`, for this user alone.
    pub(super) fn create(parent: &Path, process: ProcessId) -> io::Result<Self> {
        let path = parent.join(process.to_string());
        fs::create_dir_all(parent)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        let mut directory = Self { path, short: None };
        if directory.socket().as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
            let short = short_path(&process.to_string());
            // Fails if it is there: no one else can have put something into it.
            DirBuilder::new().mode(0o700).create(&short)?;
            directory.short = Some(short);
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.short.as_ref().unwrap_or(&self.path).join("host.sock")
    }

    pub(super) fn setup_file(&self) -> PathBuf {
        self.path.join("setup.json")
    }

    /// Writes what the process is told. It holds the job's secret: only this user may read it.
    pub(super) fn write_setup(&self, setup: &HostSetup) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.setup_file())?;
        file.write_all(&serde_json::to_vec(setup)?)
    }

    /// Gives the program its own name, so that process listings show it.
    pub(super) fn link_program(&self, blob: &Path, setup: &JobSetup) -> io::Result<(PathBuf, OsString)> {
        let name = Path::new(&setup.program_name).file_name().unwrap_or(PROGRAM_NAME_DEFAULT.as_ref());
        let bin = self.path.join("bin");
        DirBuilder::new().mode(0o700).create(&bin)?;
        let link = bin.join(name);
        fs::hard_link(blob, &link)?;
        Ok((link, name.to_owned()))
    }
}

/// Removes what a TaskManager that was killed has left in `parent`, and what belonged to it elsewhere.
pub(crate) fn sweep(parent: &Path) -> io::Result<()> {
    if !parent.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        if let Some(process) = name.to_str().filter(|name| name.parse::<ProcessId>().is_ok()) {
            let short = short_path(process);
            if short.is_dir() {
                fs::remove_dir_all(short)?;
            }
        }
    }
    fs::remove_dir_all(parent)
}

fn short_path(process: &str) -> PathBuf {
    Path::new("/tmp").join(format!("flott-{process}"))
}

impl Drop for Directory {
    fn drop(&mut self) {
        for path in [Some(&self.path), self.short.as_ref()].into_iter().flatten() {
            if let Err(error) = fs::remove_dir_all(path) {
                tracing::warn!(directory = %path.display(), %error, "directory of a job process was not removed");
            }
        }
    }
}
