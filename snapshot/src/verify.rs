//! Whether the files that a manifest names are there, and whether they are whole.

use std::collections::{BTreeMap, HashMap};

use crc32fast::Hasher;
use flott_core::id::CheckpointId;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;

use crate::{
    directory::Directory,
    error::Error,
    manifest::{Checksum, DataPath, Manifest, StateFile},
};

/// Files that are read at a time.
const READS_MAX: usize = 4;

/// Something that is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which checkpoint.
    pub checkpoint: CheckpointId,
    /// Which document or state file, and what is wrong with it.
    pub problem: String,
}

/// The files that there are, from one listing rather than a request for each.
pub(crate) struct Present(HashMap<String, u64>);

impl Present {
    pub async fn list(directory: &Directory, name: &str) -> Result<Self, Error> {
        let listed = directory.list(name).await?;
        Ok(Self(listed.into_iter().map(|object| (object.path, object.bytes)).collect()))
    }

    /// Files of a manifest that are not there, or not as long as they should be.
    pub fn missing(&self, directory: &Directory, manifest: &Manifest) -> Vec<Damage> {
        let problem = |file: &StateFile| match self.0.get(file.path.as_str()) {
            None => Some("is not there".to_owned()),
            Some(bytes) if *bytes != file.bytes => Some(format!("has {bytes} bytes, expected {}", file.bytes)),
            Some(_) => None,
        };
        distinct(manifest)
            .values()
            .filter_map(|file| problem(file).map(|problem| damage(directory, manifest, file, &problem)))
            .collect()
    }
}

/// Reads all files of a manifest, and says what is wrong with them: nothing, if the manifest restores.
///
/// # Errors
/// When the store fails.
pub async fn deep(directory: &Directory, manifest: &Manifest) -> Result<Vec<Damage>, Error> {
    // Futures first, because one that is made by a closure within a stream is not seen to be `Send`.
    let checks: Vec<_> = distinct(manifest).into_values().map(|file| check(directory, manifest, file)).collect();
    let checked: Vec<Option<Damage>> = stream::iter(checks).buffered(READS_MAX).try_collect().await?;
    Ok(checked.into_iter().flatten().collect())
}

async fn check(directory: &Directory, manifest: &Manifest, file: &StateFile) -> Result<Option<Damage>, Error> {
    let problem = problem(directory, file).await?;
    Ok(problem.map(|problem| damage(directory, manifest, file, &problem)))
}

/// What is wrong with the content of a file.
async fn problem(directory: &Directory, file: &StateFile) -> Result<Option<String>, Error> {
    let failed = |error: &_| Error::store("reading", directory.shown(file.path.as_str()), error);
    let got = match directory.answered(directory.store().get(&directory.object(file.path.as_str()))).await {
        Ok(got) => got,
        Err(object_store::Error::NotFound { .. }) => return Ok(Some("is not there".to_owned())),
        Err(error) => return Err(failed(&error)),
    };
    if got.meta.size != file.bytes {
        return Ok(Some(format!("has {} bytes, expected {}", got.meta.size, file.bytes)));
    }
    let mut sum = Hasher::new();
    let mut content = got.into_stream();
    while let Some(piece) = directory.next_of(&mut content).await.map_err(|error| failed(&error))? {
        sum.update(&piece);
    }
    let actual = Checksum(sum.finalize());
    Ok((actual != file.checksum).then(|| format!("has checksum {actual}, expected {}", file.checksum)))
}

fn distinct(manifest: &Manifest) -> BTreeMap<&DataPath, &StateFile> {
    manifest.files().map(|file| (&file.path, file)).collect()
}

fn damage(directory: &Directory, manifest: &Manifest, file: &StateFile, problem: &str) -> Damage {
    let problem = format!("{}: {problem}", directory.shown(file.path.as_str()));
    Damage { checkpoint: manifest.checkpoint, problem }
}
