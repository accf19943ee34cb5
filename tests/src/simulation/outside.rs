//! What is outside of all processes of a job: its input, its output, and the streams between its tasks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use bytes::Bytes;
use flott_core::id::{CheckpointId, JobMasterEpoch, OperatorId};

use super::{
    check::{Broken, Invariant},
    jobs::Profile,
};

/// A barrier, and of which JobMaster.
pub type Newest = Option<(JobMasterEpoch, CheckpointId)>;

/// Of one job.
#[derive(Debug, Default)]
pub struct Outside {
    /// The newest barrier of each JobMaster that a source has given. Tasks behind come to it in their time.
    newest: BTreeMap<JobMasterEpoch, CheckpointId>,
    /// Where those go that are of savepoints.
    savepoints: BTreeMap<(JobMasterEpoch, CheckpointId), String>,
    /// What was committed, by this job and those that it goes on from.
    visible: Rc<RefCell<BTreeSet<Bytes>>>,
}

/// A split of a source: some records that are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    source: OperatorId,
    number: u32,
    next: u32,
    end: u32,
}

impl Split {
    /// The whole of it; different ones have different lengths.
    pub fn whole(source: OperatorId, number: u32) -> Self {
        Self { source, number, next: 0, end: number % 4 }
    }

    pub fn to_bytes(&self) -> Bytes {
        let Self { source, number, next, end } = self;
        format!("{source}/{number}/{next}/{end}").into()
    }

    pub fn of_bytes(bytes: &Bytes) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut parts = text.split('/');
        let source = parts.next()?.parse().ok()?;
        let mut number = || parts.next()?.parse().ok();
        Some(Self { source, number: number()?, next: number()?, end: number()? })
    }

    /// Reads a record.
    pub fn next(&mut self) -> Option<String> {
        let Self { source, number, next, .. } = self;
        let record = format!("{source}/{number}#{next}");
        self.next += 1;
        (self.next <= self.end).then_some(record)
    }
}

impl Outside {
    /// That of a job that goes on from this one.
    pub fn follow(&self) -> Self {
        Self { visible: Rc::clone(&self.visible), ..Self::default() }
    }

    /// A source has given a barrier, of a savepoint that goes to `directory` or of a checkpoint.
    pub fn give(&mut self, epoch: JobMasterEpoch, checkpoint: CheckpointId, directory: Option<String>) {
        self.newest.insert(epoch, checkpoint);
        self.savepoints.extend(directory.map(|directory| ((epoch, checkpoint), directory)));
    }

    /// Where a savepoint goes, if that is one.
    pub fn savepoint(&self, epoch: JobMasterEpoch, checkpoint: CheckpointId) -> Option<&str> {
        self.savepoints.get(&(epoch, checkpoint)).map(String::as_str)
    }

    /// The newest barrier of a JobMaster.
    pub fn newest(&self, epoch: JobMasterEpoch) -> Newest {
        self.newest.get(&epoch).map(|checkpoint| (epoch, *checkpoint))
    }

    /// Whether a result is visible.
    pub fn shows(&self, result: &Bytes) -> bool {
        self.visible.borrow().contains(result)
    }

    /// Results become visible.
    pub fn commit(&self, results: impl Iterator<Item = Bytes>) {
        self.visible.borrow_mut().extend(results);
    }

    /// Every record of the input is visible once; or, while `is_whole` is false, at most once.
    pub fn check(&self, profile: &Profile, is_whole: bool) -> Result<(), Broken> {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        let visible = self.visible.borrow();
        for data in visible.iter() {
            let text = Invariant::I3.held(std::str::from_utf8(data))?;
            let records = text.split_once('|').map_or("", |(_, records)| records);
            records.split(',').filter(|record| !record.is_empty()).for_each(|record| {
                *seen.entry(record).or_default() += 1;
            });
        }
        if let Some((record, times)) = seen.iter().find(|(_, times)| **times > 1) {
            let by: Vec<_> = visible.iter().filter(|data| String::from_utf8_lossy(data).contains(record)).collect();
            return Err(Invariant::I3.broken(format!("record {record} is visible {times} times: {by:?}")));
        }
        let mut all = profile.sources.values().flat_map(|(source, splits)| {
            (0..*splits).flat_map(|number| {
                let mut split = Split::whole(*source, number);
                std::iter::from_fn(move || split.next())
            })
        });
        match all.find(|record| is_whole && !seen.contains_key(&record[..])) {
            Some(lost) => Err(Invariant::I4.broken(format!("record {lost} is lost"))),
            None => Ok(()),
        }
    }
}
