//! A log of records in a shared directory, that many may read and one may write.
//!
//! ```text
//! <n>            record n, from 1 on
//! <n>.snapshot   what the records up to n amount to
//! ```
//!
//! A record is written by a create that fails if there is one of its number, so a writer that another has overtaken finds its place
//! taken. Records that a snapshot holds are deleted, and their places are free again; so whoever has created a record looks whether
//! anything of a higher number is there, and if so, has written nothing that counts. What is asked of the store is that a listing
//! shows what was created before it began, which local directories and S3 do.
//!
//! Nothing here looks at a clock.

use bytes::Bytes;
use flott_snapshot::{
    Directory, Error,
    directory::{CreateError, Created},
};
use futures::{StreamExt, TryStreamExt, stream};

/// Records that are read at a time.
const READS_MAX: usize = 8;
/// How often reading begins again because what was listed has been compacted meanwhile.
const READS_AGAIN_MAX: usize = 10;
/// Most bytes of a record or snapshot.
const BYTES_MAX: u64 = 1 << 30;

/// See the module.
#[derive(Debug)]
pub(crate) struct Records {
    directory: Directory,
    next: u64,
}

/// What a log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The latest snapshot.
    pub snapshot: Option<Bytes>,
    /// The records behind it, in order.
    pub records: Vec<Bytes>,
}

/// Why a record is not known to be in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// Another has written in this place or behind it. Nothing was written that counts.
    #[error("another JobManager has written to {0} since: it leads now")]
    Overtaken(String),
    /// It is not there and will not be.
    #[error(transparent)]
    NotWritten(Error),
    /// It may be there; the same record must be appended again, until one knows.
    #[error("whether a record was written is unknown: {0}")]
    Unknown(Error),
}

/// A name in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Record(u64),
    Snapshot(u64),
}

impl Records {
    /// Opens the log and reads it. Makes its directory if need be.
    ///
    /// # Errors
    /// When the store fails, or a record is missing in the midst.
    pub(crate) async fn open(directory: Directory) -> Result<(Self, Contents), Error> {
        directory.make().await?;
        for _ in 0..READS_AGAIN_MAX {
            let (last_snapshot, records) = latest(&list(&directory).await?);
            let snapshot = match last_snapshot {
                None => None,
                Some(number) => match directory.get(&Name::Snapshot(number).to_string(), BYTES_MAX).await? {
                    Some(snapshot) => Some(snapshot),
                    None => continue,
                },
            };
            // Futures first, because one that is made by a closure within a stream is not seen to be `Send`.
            let reads: Vec<_> = records.iter().map(|number| read(&directory, *number)).collect();
            let read: Vec<Option<Bytes>> = stream::iter(reads).buffered(READS_MAX).try_collect().await?;
            let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() else { continue };
            let first = last_snapshot.unwrap_or(0) + 1;
            if let Some((missing, _)) = (first..).zip(&records).find(|(expected, number)| expected != *number) {
                // A compaction that has ended in between is seen in the next listing.
                if latest(&list(&directory).await?).0 != last_snapshot {
                    continue;
                }
                let path = directory.shown(&Name::Record(missing).to_string());
                let problem = "the record is missing, though later ones are there".to_owned();
                return Err(Error::Damaged { path, problem });
            }
            let next = first + records.len() as u64;
            return Ok((Self { directory, next }, Contents { snapshot, records: read }));
        }
        let problem = format!("was compacted {READS_AGAIN_MAX} times while it was read");
        Err(Error::Damaged { path: directory.location().to_owned(), problem })
    }

    /// Writes the next record: when this returns, it is durable, and nobody had overtaken this writer when it became so. Contents must
    /// differ from those of every other record.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub(crate) async fn append(&mut self, content: Bytes) -> Result<(), AppendError> {
        let overtaken = |at: Name| AppendError::Overtaken(self.directory.shown(&at.to_string()));
        match self.directory.create(&Name::Record(self.next).to_string(), content).await {
            Ok(Created::Ours) => {}
            Ok(Created::Taken(_)) => return Err(overtaken(Name::Record(self.next))),
            Err(CreateError::NotCreated(error)) => return Err(AppendError::NotWritten(error)),
            Err(CreateError::Unknown(error)) => return Err(AppendError::Unknown(error)),
        }
        let names = list(&self.directory).await.map_err(AppendError::Unknown)?;
        if let Some(above) = names.into_iter().find(|name| name.is_beyond(self.next)) {
            return Err(overtaken(above));
        }
        self.next += 1;
        Ok(())
    }

    /// Looks whether another has written, without writing.
    ///
    /// # Errors
    /// [`AppendError::Overtaken`] if so, [`AppendError::NotWritten`] when the store fails or has lost what was written last.
    pub(crate) async fn look(&self) -> Result<(), AppendError> {
        let names = list(&self.directory).await.map_err(AppendError::NotWritten)?;
        if let Some(at) = names.iter().find(|name| name.number() >= self.next) {
            return Err(AppendError::Overtaken(self.directory.shown(&at.to_string())));
        }
        let last = self.next - 1;
        if last > 0 && names.iter().all(|name| name.number() != last) {
            let path = self.directory.shown(&Name::Record(last).to_string());
            let problem =
                "what was written last is not there any more; is its directory mounted, and whole?".to_owned();
            return Err(AppendError::NotWritten(Error::Damaged { path, problem }));
        }
        Ok(())
    }

    /// Writes what all records up to now amount to, and deletes them.
    ///
    /// # Errors
    /// When the store fails. The log is whole all the same, only longer than need be.
    pub(crate) async fn compact(&mut self, snapshot: Bytes) -> Result<(), Error> {
        let upto = self.next - 1;
        if upto == 0 {
            return Ok(());
        }
        match self.directory.create(&Name::Snapshot(upto).to_string(), snapshot).await {
            // Of the same number all amount to the same.
            Ok(Created::Ours | Created::Taken(_)) => {}
            Err(CreateError::NotCreated(error) | CreateError::Unknown(error)) => return Err(error),
        }
        let names = list(&self.directory).await?;
        let unwanted = names.into_iter().filter(|name| match name {
            Name::Record(number) => *number <= upto,
            Name::Snapshot(number) => *number < upto,
        });
        self.directory.delete(unwanted.map(|name| name.to_string()).collect()).await?;
        // What writers that died have left of records that are over.
        self.directory
            .remove_leftovers("", move |name| Name::parse(name).is_some_and(|name| name.number() <= upto))
            .await
    }
}

async fn read(directory: &Directory, number: u64) -> Result<Option<Bytes>, Error> {
    directory.get(&Name::Record(number).to_string(), BYTES_MAX).await
}

async fn list(directory: &Directory) -> Result<Vec<Name>, Error> {
    let objects = directory.list("").await?;
    Ok(objects.iter().filter_map(|object| Name::parse(&object.path)).collect())
}

/// The latest snapshot, and the records that are not in it, in order.
fn latest(names: &[Name]) -> (Option<u64>, Vec<u64>) {
    let snapshot = names.iter().filter(|name| matches!(name, Name::Snapshot(_))).map(|name| name.number()).max();
    let behind = names.iter().filter(|name| matches!(name, Name::Record(_))).map(|name| name.number());
    let mut behind: Vec<_> = behind.filter(|number| snapshot.is_none_or(|snapshot| *number > snapshot)).collect();
    behind.sort_unstable();
    (snapshot, behind)
}

impl Name {
    fn number(self) -> u64 {
        let (Self::Record(number) | Self::Snapshot(number)) = self;
        number
    }

    /// Whether this says that record `number` is not the last.
    fn is_beyond(self, number: u64) -> bool {
        match self {
            Self::Record(other) => other > number,
            Self::Snapshot(other) => other >= number,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".snapshot").unwrap_or(name);
        let number = digits.parse().ok().filter(|number| *number > 0)?;
        let parsed = if digits.len() == name.len() { Self::Record(number) } else { Self::Snapshot(number) };
        // Only as it is written, or two names would be of one record.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // In order also where names are sorted as text.
        match self {
            Self::Record(number) => write!(f, "{number:020}"),
            Self::Snapshot(number) => write!(f, "{number:020}.snapshot"),
        }
    }
}

#[cfg(test)]
mod tests;
