//! Uploaded programs, which Flink calls jars: files in a directory, `<id>_<name>`, until somebody deletes them.
//!
//! Where several JobManagers share a directory, they are in that one, and whoever plans or runs one makes a copy of it here.

mod shared;

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use flott_core::id::ProcessId;
use flott_snapshot::Directory;
use shared::{Listed, SharedJars};
use tokio::runtime::Handle;

/// Most bytes of a program that is read from where JobManagers share it: as many as `rest.server.max-content-length` may let in.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 16 << 30;

/// How long something half written may be there before it is taken for what a JobManager has left that was killed.
const HALF_WRITTEN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Uploaded programs that are kept at a time.
const JARS_MAX: usize = 1000;

/// Most bytes of a file's name as it is written: file systems take 255, and stores add some of their own.
const NAME_MAX: usize = 240;

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
    /// Its name is too long.
    #[error("the name of the program is too long for a file: {name:?}")]
    Name {
        /// The name.
        name: String,
    },
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
    /// The directory failed that JobManagers share.
    #[error("cannot {action} uploaded programs that JobManagers share: {cause}")]
    Shared {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        cause: flott_snapshot::Error,
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
    /// Where it is, or, of a shared one, where it is once it was [found](JarStore::find).
    pub path: PathBuf,
}

/// The uploaded programs of one directory. Methods block on the disk, and on the shared directory.
#[derive(Debug, Clone)]
pub struct JarStore {
    directory: PathBuf,
    shared: Option<SharedJars>,
}

impl JarStore {
    /// Programs in `directory`, which is made when the first one comes.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), shared: None }
    }

    /// Programs in the directory that JobManagers `share`, with copies in `directory`, where nothing else is. Methods are called on
    /// threads that may block, of `runtime` or outside of it.
    pub(crate) fn shared(directory: impl Into<PathBuf>, share: Directory, runtime: Handle) -> Self {
        Self { directory: directory.into(), shared: Some(SharedJars { directory: share, runtime }) }
    }

    fn io_error(&self, action: &'static str) -> impl Fn(io::Error) -> JarError {
        move |cause| JarError::Io { action, directory: self.directory.clone(), cause }
    }

    /// Keeps a copy of `content` under `name`.
    ///
    /// # Errors
    /// [`JarError::Full`], [`JarError::Name`], [`JarError::Io`], [`JarError::Shared`].
    pub fn add(&self, content: &Path, name: &str) -> Result<Jar, JarError> {
        if self.list()?.len() >= JARS_MAX {
            return Err(JarError::Full);
        }
        let id = format!("{}_{name}", ProcessId::random());
        let written = if self.shared.is_some() { shared::object(&id).len() } else { id.len() };
        if written > NAME_MAX {
            return Err(JarError::Name { name: name.to_owned() });
        }
        if let Some(shared) = &self.shared {
            let content = fs::read(content).map_err(self.io_error("read"))?;
            shared.create(&id, content.into())?;
        } else {
            self.write(&id, |partial| fs::copy(content, partial).map(drop))?;
        }
        self.get(&id)
    }

    /// All programs, newest first. What is left half written of long ago is removed on the way.
    ///
    /// # Errors
    /// [`JarError::Io`], [`JarError::Shared`].
    pub fn list(&self) -> Result<Vec<Jar>, JarError> {
        self.remove_half_written();
        let mut jars = match &self.shared {
            Some(shared) => {
                // Looked at first: a copy that comes later may be of a program that is not listed yet.
                let copies = self.files()?;
                let listed = shared.list()?;
                self.remove_copies(&copies, &listed);
                listed.iter().filter_map(|listed| self.jar(&listed.id, listed.uploaded_at)).collect()
            }
            // One that was deleted meanwhile is not an error.
            None => self.files()?.iter().filter_map(|id| self.local(id).ok()).collect::<Vec<_>>(),
        };
        jars.sort_by(|a, b| (b.uploaded_at, &b.id).cmp(&(a.uploaded_at, &a.id)));
        Ok(jars)
    }

    /// A program by id, which is then where it says.
    ///
    /// # Errors
    /// [`JarError::Missing`], also for ids that are no plain file names; [`JarError::Io`], [`JarError::Shared`].
    pub fn find(&self, id: &str) -> Result<Jar, JarError> {
        let Some(shared) = &self.shared else { return self.local(id) };
        let listed = self.listed(shared, id)?;
        let jar = self.jar(id, listed.uploaded_at).ok_or_else(|| self.missing(id))?;
        // Copies appear whole.
        let is_here = fs::metadata(&jar.path).is_ok_and(|copy| copy.len() == listed.bytes);
        if !is_here {
            let content = shared.read(id)?.ok_or_else(|| self.missing(id))?;
            self.write(id, |partial| fs::write(partial, &content))?;
        }
        Ok(jar)
    }

    /// Deletes a program. Jobs that were run from it are not concerned.
    ///
    /// # Errors
    /// As [`JarStore::find`].
    pub fn delete(&self, id: &str) -> Result<(), JarError> {
        let Some(shared) = &self.shared else {
            return fs::remove_file(self.local(id)?.path).map_err(self.io_error("delete"));
        };
        self.listed(shared, id)?;
        shared.delete(id)?;
        self.remove_copies(&[id.to_owned()], &[]);
        Ok(())
    }

    fn get(&self, id: &str) -> Result<Jar, JarError> {
        match &self.shared {
            Some(shared) => {
                let listed = self.listed(shared, id)?;
                self.jar(id, listed.uploaded_at).ok_or_else(|| self.missing(id))
            }
            None => self.local(id),
        }
    }

    fn listed(&self, shared: &SharedJars, id: &str) -> Result<Listed, JarError> {
        shared.list()?.into_iter().find(|listed| listed.id == id).ok_or_else(|| self.missing(id))
    }

    /// One of this directory.
    fn local(&self, id: &str) -> Result<Jar, JarError> {
        let jar = self.jar(id, 0).ok_or_else(|| self.missing(id))?;
        let metadata = match fs::symlink_metadata(&jar.path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io_error("read")(error)),
            _ => return Err(self.missing(id)),
        };
        let modified = metadata.modified().map_err(self.io_error("read"))?;
        let uploaded_at = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Ok(Jar { uploaded_at: u64::try_from(uploaded_at).unwrap_or(u64::MAX), ..jar })
    }

    /// None for an id that cannot be one.
    fn jar(&self, id: &str, uploaded_at: u64) -> Option<Jar> {
        let (_, name) = id.split_once('_').filter(|_| is_id(id))?;
        Some(Jar { id: id.to_owned(), name: name.to_owned(), uploaded_at, path: self.directory.join(id) })
    }

    fn missing(&self, id: &str) -> JarError {
        let directory = self.shared.as_ref().map(|shared| PathBuf::from(shared.directory.location()));
        JarError::Missing {
            name: id.chars().take(300).collect(),
            directory: directory.unwrap_or_else(|| self.directory.clone()),
        }
    }

    /// Makes a file of the directory: under a hidden name first, so that no half program is ever found.
    fn write(&self, id: &str, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), JarError> {
        fs::create_dir_all(&self.directory).map_err(self.io_error("write"))?;
        // Of two that make the same one each has its own.
        let partial = self.directory.join(format!(".{}", ProcessId::random()));
        let written = fill(&partial).and_then(|()| {
            fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            fs::rename(&partial, self.directory.join(id))
        });
        written.map_err(|cause| {
            // What cannot be removed is hidden and harmless.
            let _ = fs::remove_file(&partial);
            self.io_error("write")(cause)
        })
    }

    /// Names of files.
    fn files(&self) -> Result<Vec<String>, JarError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.io_error("list")(cause)),
        };
        entries
            .map(|entry| Ok(entry.map_err(self.io_error("list"))?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// What cannot be removed stays until the next time.
    fn remove_half_written(&self) {
        let is_half = |name: &str| name.strip_prefix('.').is_some_and(|id| id.parse::<ProcessId>().is_ok());
        for name in self.files().into_iter().flatten().filter(|name| is_half(name)) {
            let path = self.directory.join(name);
            let age = fs::metadata(&path).and_then(|metadata| metadata.modified()).map(|modified| modified.elapsed());
            if age.is_ok_and(|age| age.is_ok_and(|age| age > HALF_WRITTEN_MAX)) {
                match fs::remove_file(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "an upload that was never finished is removed"),
                    Err(error) => tracing::debug!(path = %path.display(), %error, "a half upload cannot be removed"),
                }
            }
        }
    }

    /// Removes those of `copies` whose programs were deleted, by this JobManager or another. What cannot be removed stays until the
    /// next time.
    fn remove_copies(&self, copies: &[String], listed: &[Listed]) {
        let is_wanted = |id: &str| listed.iter().any(|listed| listed.id == id);
        for id in copies.iter().filter(|id| is_id(id) && !is_wanted(id)) {
            match fs::remove_file(self.directory.join(id)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(copy = id, %error, "the copy of a program that was deleted cannot be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// Whether it is `<id>_<name>`, and a plain name of a file.
fn is_id(id: &str) -> bool {
    let mut components = Path::new(id).components();
    let plain = matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == id);
    plain && !id.starts_with('.') && id.contains('_')
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
    fn what_is_shared_is_found_by_others_until_one_of_them_deletes_it() {
        // Of a current thread, nobody would look after its clock.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().join("share").to_string_lossy().into_owned();
        let store = |name: &str| {
            let share = Directory::open(&location, &flott_snapshot::S3Options::default()).unwrap();
            JarStore::shared(directory.path().join(name), share, runtime.handle().clone())
        };
        let (first, second) = (store("first"), store("second"));
        assert_eq!(first.list().unwrap(), []);
        let content = directory.path().join("content");
        fs::write(&content, "program").unwrap();
        let uploaded = first.add(&content, "wörd count").unwrap();
        assert!(uploaded.uploaded_at > 0);

        let listed = second.list().unwrap();
        assert_eq!((listed.len(), listed[0].name.as_str(), &listed[0].id), (1, "wörd count", &uploaded.id));
        let found = second.find(&uploaded.id).unwrap();
        assert_eq!(fs::read(&found.path).unwrap(), b"program");
        assert_eq!(second.find(&uploaded.id).unwrap(), found);
        // What is damaged here is fetched again.
        fs::write(&found.path, "pro").unwrap();
        assert_eq!(fs::read(second.find(&uploaded.id).unwrap().path).unwrap(), b"program");

        first.delete(&uploaded.id).unwrap();
        assert!(matches!(second.find(&uploaded.id), Err(JarError::Missing { .. })));
        assert_eq!(second.list().unwrap(), []);
        assert!(!found.path.exists());
        assert!(matches!(second.delete(&uploaded.id), Err(JarError::Missing { .. })));
        assert!(matches!(second.find("../share"), Err(JarError::Missing { .. })));
    }

    #[test]
    fn a_copy_that_comes_while_programs_are_listed_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = JarStore::new(directory.path());
        for id in ["0a_old", "0a_new"] {
            fs::write(directory.path().join(id), "x").unwrap();
        }
        store.remove_copies(&["0a_old".to_owned()], &[]);
        assert_eq!(store.files().unwrap(), ["0a_new"]);
    }

    #[test]
    fn uploads_that_were_never_finished_go_after_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let store = JarStore::new(directory.path());
        let half = |name: String, age: Duration| {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        };
        let (now, long_ago) = (format!(".{}", ProcessId::random()), format!(".{}", ProcessId::random()));
        half(now.clone(), Duration::from_secs(60));
        half(long_ago, HALF_WRITTEN_MAX * 2);
        half(".mine".to_owned(), HALF_WRITTEN_MAX * 2);
        assert_eq!(store.list().unwrap(), []);
        let mut left = store.files().unwrap();
        left.sort();
        let mut expected = vec![now, ".mine".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn long_names_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = JarStore::new(directory.path().join("jars"));
        let content = directory.path().join("content");
        fs::write(&content, "program").unwrap();
        assert!(store.add(&content, &"n".repeat(200)).is_ok());
        assert!(matches!(store.add(&content, &"ü".repeat(200)), Err(JarError::Name { .. })));
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
