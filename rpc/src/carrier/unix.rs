//! Unix sockets: a TaskManager and its job processes.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// A Unix socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}")]
pub struct UnixError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl UnixError {
    fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// Connects to the socket at `path`.
///
/// # Errors
/// When nobody listens there, or this user may not connect.
pub async fn connect(path: &Path) -> Result<UnixStream, UnixError> {
    UnixStream::connect(path).await.map_err(UnixError::of("connect to Unix socket", path))
}

/// A listening socket whose file goes away with it.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

/// Listens at `path`, which only this user may connect to; the folder should be this user's alone. A socket that a dead
/// process left there is replaced; a live one, or another file, is not.
///
/// # Errors
/// When the path is taken, longer than the system allows for sockets (about 100 bytes), or not writable.
pub async fn listen(path: &Path) -> Result<Listener, UnixError> {
    let is_socket = tokio::fs::symlink_metadata(path).await.is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if UnixStream::connect(path).await.is_err_and(|error| refused(&error)) {
            tokio::fs::remove_file(path).await.map_err(UnixError::of("remove stale Unix socket", path))?;
        }
    }
    let listener = UnixListener::bind(path).map_err(UnixError::of("listen on Unix socket", path))?;
    let listener = Listener { listener, path: path.to_owned() };
    let private = std::fs::Permissions::from_mode(0o600);
    tokio::fs::set_permissions(path, private).await.map_err(UnixError::of("restrict Unix socket", path))?;
    Ok(listener)
}

impl Listener {
    /// The next connection. Cancel-safe.
    ///
    /// # Errors
    /// When the system has no room for one more, for instance too many open files; trying again later may succeed.
    pub async fn accept(&self) -> Result<UnixStream, UnixError> {
        match self.listener.accept().await {
            Ok((stream, _)) => Ok(stream),
            Err(error) => Err(UnixError::of("accept on Unix socket", &self.path)(error)),
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Whoever listens here next replaces what could not be removed.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "socket file was not removed");
        }
    }
}
