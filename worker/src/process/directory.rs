//! The directory of one job process: its program under its own name, its set-up, its socket. Gone when the process is.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
};

use flott_core::{
    id::ProcessId,
    message::{HostSetup, JobSetup},
};

/// Longest path of a Unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 107;
const PROGRAM_NAME_DEFAULT: &str = "program";

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Open for as long as the directory is there, so that the system has a short name for it.
    handle: File,
}

impl Directory {
    /// Makes a directory for `process` under `parent`, for this user alone.
    pub(super) fn create(parent: &Path, process: ProcessId) -> io::Result<Self> {
        let path = parent.join(process.to_string());
        fs::create_dir_all(parent)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        let handle = File::open(&path)?;
        Ok(Self { path, handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the socket, for this process and for the job process, wherever that goes. A path that is too long for
    /// a socket leads through our handle on the directory instead: processes of the same user may look it up.
    pub(super) fn socket(&self) -> PathBuf {
        let name = "host.sock";
        let path = self.path.join(name);
        if path.as_os_str().as_bytes().len() <= SOCKET_PATH_MAX {
            return path;
        }
        PathBuf::from(format!("/proc/{}/fd/{}/{name}", std::process::id(), self.handle.as_raw_fd()))
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

/// Removes what a TaskManager that was killed has left in `parent`.
pub(crate) fn sweep(parent: &Path) -> io::Result<()> {
    match fs::remove_dir_all(parent) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(directory = %self.path.display(), %error, "directory of a job process was not removed");
        }
    }
}
