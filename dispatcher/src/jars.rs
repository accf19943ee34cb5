//! Uploaded programs, which Flink calls jars: files in a directory, `<id>_<name>`, until somebody deletes them.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use flott_core::id::ProcessId;

/// Uploaded programs that are kept at a time.
const JARS_MAX: usize = 1000;

/// Why an uploaded program cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    /// There is no such program.
    #[error("File {name} does not exist in {}.", directory.display())]
    Missing {
        /// What was asked for.
        name: String,
        /// Where it would be.
        directory: PathBuf,
    },
    /// There are too many.
    #[error("{JARS_MAX} programs are uploaded already; delete some of them")]
    Full,
    /// The disk failed.
    #[error("cannot {action} uploaded programs in {}: {cause}", directory.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        directory: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

/// An uploaded program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jar {
    /// File name in the directory.
    pub id: String,
    /// Name it was uploaded under.
    pub name: String,
    /// Milliseconds since the epoch.
    pub uploaded_at: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The uploaded programs of one directory. Methods block on the disk.
#[derive(Debug, Clone)]
pub struct JarStore {
    directory: PathBuf,
}

impl JarStore {
    /// Programs in `directory`, which is made when the first one comes.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    fn io_error(&self, action: &'static str) -> impl Fn(io::Error) -> JarError {
        move |cause| JarError::Io { action, directory: self.directory.clone(), cause }
    }

    /// Keeps a copy of `content` under `name`.
    ///
    /// # Errors
    /// [`JarError::Full`], [`JarError::Io`].
    pub fn add(&self, content: &Path, name: &str) -> Result<Jar, JarError> {
        if self.list()?.len() >= JARS_MAX {
            return Err(JarError::Full);
        }
        fs::create_dir_all(&self.directory).map_err(self.io_error("write"))?;
        let id = format!("{}_{name}", ProcessId::random());
        let path = self.directory.join(&id);
        // Under a hidden name first, so that no half program is ever listed.
        let partial = self.directory.join(format!(".{id}"));
        let copied = fs::copy(content, &partial).and_then(|_| {
            fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            fs::rename(&partial, &path)
        });
        if let Err(cause) = copied {
            // What cannot be removed is hidden and harmless.
            let _ = fs::remove_file(&partial);
            return Err(self.io_error("write")(cause));
        }
        self.find(&id)
    }

    /// All programs, newest first.
    ///
    /// # Errors
    /// [`JarError::Io`].
    pub fn list(&self) -> Result<Vec<Jar>, JarError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.io_error("list")(cause)),
        };
        let mut jars = Vec::new();
        for entry in entries {
            let id = entry.map_err(self.io_error("list"))?.file_name().to_string_lossy().into_owned();
            // One that was deleted meanwhile is not an error.
            jars.extend(self.find(&id).ok());
        }
        jars.sort_by(|a, b| (b.uploaded_at, &b.id).cmp(&(a.uploaded_at, &a.id)));
        Ok(jars)
    }

    /// A program by id.
    ///
    /// # Errors
    /// [`JarError::Missing`], also for ids that are no plain file names; [`JarError::Io`].
    pub fn find(&self, id: &str) -> Result<Jar, JarError> {
        let missing = || JarError::Missing { name: id.chars().take(300).collect(), directory: self.directory.clone() };
        let mut components = Path::new(id).components();
        let plain =
            matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == id);
        let (_, name) = id.split_once('_').filter(|_| plain && !id.starts_with('.')).ok_or_else(missing)?;
        let path = self.directory.join(id);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io_error("read")(error)),
            _ => return Err(missing()),
        };
        let modified = metadata.modified().map_err(self.io_error("read"))?;
        let uploaded_at = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Ok(Jar {
            id: id.to_owned(),
            name: name.to_owned(),
            uploaded_at: u64::try_from(uploaded_at).unwrap_or(u64::MAX),
            path,
        })
    }

    /// Deletes a program. Jobs that were run from it are not concerned.
    ///
    /// # Errors
    /// As [`JarStore::find`].
    pub fn delete(&self, id: &str) -> Result<(), JarError> {
        fs::remove_file(self.find(id)?.path).map_err(self.io_error("delete"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_kept_until_it_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let store = JarStore::new(directory.path().join("jars"));
        assert_eq!(store.list().unwrap(), []);
        let content = directory.path().join("content");
        fs::write(&content, "program").unwrap();
        let jar = store.add(&content, "word_count").unwrap();
        assert_eq!(jar.name, "word_count");
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&jar));
        assert_eq!(fs::read(&jar.path).unwrap(), b"program");
        store.delete(&jar.id).unwrap();
        assert!(matches!(store.delete(&jar.id), Err(JarError::Missing { .. })));
    }

    #[test]
    fn ids_lead_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret_file"), "x").unwrap();
        let store = JarStore::new(directory.path().join("jars"));
        fs::create_dir_all(directory.path().join("jars")).unwrap();
        for id in ["../secret_file", "/etc/passwd_", "..", "", "a/b_c", "nosuch.jar", "._x"] {
            assert!(matches!(store.find(id), Err(JarError::Missing { .. })), "{id}");
        }
    }
}
