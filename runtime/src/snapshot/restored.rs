//! Where operators find their state again.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    codec,
    failure::Failure,
    id::{OperatorId, SubtaskIndex},
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::{Chunk, Section, SectionSort};
use crate::{
    batch::Key,
    error::TaskResult,
    state::{Elements, Snapshot, Spread, StateMeta},
    time::{TimeDomain, TimerQueue},
};

/// What the operators of a task had, and have not asked for yet.
#[derive(Debug, Default)]
pub struct RestoredTask {
    operators: BTreeMap<OperatorId, Restored>,
    /// Whether what nobody asks for may be left behind.
    ignore_unclaimed: bool,
}

impl RestoredTask {
    /// What was read of a snapshot.
    pub fn new(operators: BTreeMap<OperatorId, Restored>, ignore_unclaimed: bool) -> Self {
        Self { operators, ignore_unclaimed }
    }

    /// What this operator had. Nothing is there any more when it is asked for again.
    pub fn take(&mut self, operator: OperatorId) -> Restored {
        self.operators.remove(&operator).unwrap_or_default()
    }

    /// After an operator has been opened: whether it has asked for all that it had.
    ///
    /// # Errors
    /// When it has not, and that is not allowed.
    pub(crate) fn check(&self, restored: &Restored) -> TaskResult {
        if self.ignore_unclaimed {
            return Ok(());
        }
        let left: Vec<String> = restored.sections.lock().keys().map(Section::to_string).collect();
        if left.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the snapshot holds what the operator does not ask for any more: {}; start with -n (--allowNonRestoredState) to \
             leave it behind",
            left.join(", ")
        );
        Err(Box::new(Failure::user(message).fatal()))
    }
}

/// By section, the entries that each subtask of the snapshot has left, in order of subtasks.
type Sections = BTreeMap<Section, BTreeMap<SubtaskIndex, Vec<Chunk>>>;

/// What one operator had. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    sections: Arc<Mutex<Sections>>,
    /// The subtask that it is for, and how many there are.
    place: (SubtaskIndex, u32),
}

impl Restored {
    /// Nothing yet, for `subtask` of `parallelism`.
    pub fn new(subtask: SubtaskIndex, parallelism: u32) -> Self {
        Self { sections: Arc::default(), place: (subtask, parallelism) }
    }

    /// Adds entries of a subtask, in the order in which it has stored them.
    pub fn add(&self, section: Section, subtask: SubtaskIndex, chunk: Chunk) {
        self.sections.lock().entry(section).or_default().entry(subtask).or_default().push(chunk);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.sections.lock().is_empty()
    }

    /// The section of this name and of a sort that `is_it`, and its chunks.
    fn take(
        &self,
        name: &str,
        is_it: impl Fn(SectionSort) -> bool,
    ) -> Option<(Section, BTreeMap<SubtaskIndex, Vec<Chunk>>)> {
        let mut sections = self.sections.lock();
        let found = sections.keys().find(|section| &*section.name == name && is_it(section.sort)).cloned()?;
        let chunks = sections.remove(&found)?;
        Some((found, chunks))
    }

    /// The keyed state `name`.
    pub(crate) fn take_keyed(&self, name: &str) -> Option<(StateMeta, impl Iterator<Item = Chunk> + use<>)> {
        let (section, parts) = self.take(name, |sort| matches!(sort, SectionSort::Keyed { .. }))?;
        let SectionSort::Keyed { kind, expires } = section.sort else { return None };
        Some((StateMeta { name: section.name, kind, expires }, parts.into_values().flatten()))
    }

    /// This subtask's share of the operator state `name`, and how it is spread.
    pub(crate) fn take_elements(&self, name: &str) -> TaskResult<Option<(Spread, Elements)>> {
        let Some((section, parts)) = self.take(name, |sort| matches!(sort, SectionSort::Elements(_))) else {
            return Ok(None);
        };
        let SectionSort::Elements(spread) = section.sort else { return Ok(None) };
        let (subtask, subtasks) = self.place;
        Ok(Some((spread, spread.share(&elements(&section, parts)?, subtask, subtasks))))
    }

    /// Puts timers back.
    ///
    /// # Errors
    /// When they cannot be decoded.
    pub fn timers<K: Key, N: Key>(&self, domain: TimeDomain, timers: &mut TimerQueue<K, N>) -> TaskResult {
        let wanted = Section::of_timers(domain);
        let Some((_, parts)) = self.take(&wanted.name, |sort| sort == wanted.sort) else { return Ok(()) };
        parts.into_values().flatten().try_for_each(|chunk| timers.restore(chunk.count, &chunk.bytes))
    }

    /// Puts back a table that an operator keeps by itself.
    ///
    /// # Errors
    /// When its entries cannot be decoded.
    pub fn table(&self, name: &str, table: &mut dyn Snapshot) -> TaskResult {
        let Some((_, parts)) = self.take(name, |sort| sort == SectionSort::OwnTable) else { return Ok(()) };
        parts.into_values().flatten().try_for_each(|Chunk { removed, count, bytes, .. }| {
            if removed { table.forget(count, &bytes) } else { table.restore(count, &bytes) }
        })
    }

    /// Gives this subtask's share of the elements that an operator keeps by itself. Answers whether they are just those that
    /// one subtask had, in its order; all of them are where there are none.
    ///
    /// # Errors
    /// When they cannot be decoded.
    pub fn own_elements<T: DeserializeOwned>(&self, name: &str, mut put: impl FnMut(T)) -> TaskResult<bool> {
        let Some((section, parts)) = self.take(name, |sort| matches!(sort, SectionSort::OwnElements(_))) else {
            return Ok(true);
        };
        let SectionSort::OwnElements(spread) = section.sort else { return Ok(true) };
        let (subtask, subtasks) = self.place;
        let all = elements(&section, parts)?;
        for element in spread.share(&all, subtask, subtasks).iter() {
            put(codec::decode(element).map_err(|error| undecodable(&section, &error))?);
        }
        Ok(all.len() == subtasks as usize)
    }

    /// Gives the entries that an operator keeps by itself.
    ///
    /// # Errors
    /// When they cannot be decoded.
    pub fn own<T: DeserializeOwned>(&self, name: &str, mut put: impl FnMut(T)) -> TaskResult {
        let Some((section, parts)) = self.take(name, |sort| sort == SectionSort::Own) else { return Ok(()) };
        parts.into_values().flatten().try_for_each(|chunk| each(&section, &chunk, &mut put))
    }
}

/// What each subtask had.
fn elements(section: &Section, parts: BTreeMap<SubtaskIndex, Vec<Chunk>>) -> TaskResult<Vec<Elements>> {
    let decode = |chunk: Chunk| codec::decode(&chunk.bytes).map_err(|error| undecodable(section, &error));
    parts.into_values().flatten().map(decode).collect()
}

fn each<T: DeserializeOwned>(section: &Section, chunk: &Chunk, mut put: impl FnMut(T)) -> TaskResult {
    let mut bytes = &chunk.bytes[..];
    for _ in 0..chunk.count {
        put(codec::decode_prefix(&mut bytes).map_err(|error| undecodable(section, &error))?);
    }
    if bytes.is_empty() {
        return Ok(());
    }
    Err(Box::new(Failure::user(format!("{} bytes follow the last entry of {section}", bytes.len()))))
}

fn undecodable(section: &Section, error: &codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user(format!("{section} cannot be decoded")).caused_by(error))
}
