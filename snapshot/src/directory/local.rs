//! What is done to local directories besides what a store offers: directories themselves are made durable, and what
//! writers left behind when they died is removed.
//!
//! The store writes a file under its name with `#` and a number behind, which no listing shows, and renames it when it is
//! complete.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::Directory;
use crate::error::Error;

impl Directory {
    /// Makes this directory and those around it, durably; elsewhere than on local disks there are none to make.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make(&self) -> Result<(), Error> {
        self.with_local("making directory", |path| {
            let missing: Vec<PathBuf> =
                path.ancestors().take_while(|ancestor| !ancestor.exists()).map(Path::to_owned).collect();
            fs::create_dir_all(path)?;
            // If it was there, another process may have made it a moment ago, and not have synced it yet.
            missing.iter().map(PathBuf::as_path).chain([path]).filter_map(Path::parent).try_for_each(sync)
        })
        .await
    }

    /// Makes durable that a file is in a directory in this one.
    pub(crate) async fn settle(&self, path: &str) -> Result<(), Error> {
        let path = path.to_owned();
        self.with_local("syncing", move |root| root.join(path).parent().map_or(Ok(()), sync)).await
    }

    /// Removes what writers that died left in a directory in this one, of files whose names are `unwanted`.
    ///
    /// # Errors
    /// When a local directory cannot be read, or a file in it not be removed.
    pub async fn remove_leftovers(
        &self,
        name: &str,
        unwanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.with_local("cleaning", move |root| {
            let left = leftovers(&root.join(name))?;
            left.iter().filter(|left| unwanted(&left.file)).try_for_each(|left| remove(&left.path))
        })
        .await
    }

    /// Removes directories in this one that hold nothing but what writers left, durably: also what was deleted from them
    /// before does not come back.
    pub(crate) async fn remove_empty(&self, names: Vec<String>) -> Result<(), Error> {
        self.with_local("cleaning", move |root| {
            for path in names.iter().map(|name| root.join(name)) {
                leftovers(&path)?.iter().try_for_each(|left| remove(&left.path))?;
                match fs::remove_dir(&path) {
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => sync(&path)?,
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            match sync(root) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    async fn with_local(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let Some(path) = self.local.clone() else {
            return Ok(());
        };
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        let failed = |cause: String| Error::Store { operation, path: self.location.to_string(), cause };
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

/// Makes durable what names a directory has.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file that a store began to write.
struct Leftover {
    path: PathBuf,
    /// The name that it was to get.
    file: String,
}

fn leftovers(directory: &Path) -> io::Result<Vec<Leftover>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some((file, number)) = name.to_str().and_then(|name| name.rsplit_once('#')) else {
            continue;
        };
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            found.push(Leftover { path: entry.path(), file: file.to_owned() });
        }
    }
    Ok(found)
}
