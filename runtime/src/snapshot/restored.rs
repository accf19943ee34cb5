//! Where operators find their state again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use flott_core::{
    codec,
    failure::Failure,
    id::{OperatorId, SubtaskIndex},
    key_group::KeyGroup,
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::{
    Chunk, Section, SectionSort,
    in_flight::{Edge, Segment},
    watermark::HEARD,
};
use crate::{
    batch::Key,
    error::TaskResult,
    state::{
        Elements, Snapshot, Spread, StateMeta,
        schema::{self, StoredSchema},
    },
    time::{TimeDomain, TimerQueue},
};

/// What the operators of a task had, and have not asked for yet.
#[derive(Debug, Default)]
pub struct RestoredTask {
    operators: BTreeMap<OperatorId, Restored>,
    /// Parts of streams, by the operator and input that they lead to.
    in_flight: BTreeMap<(OperatorId, u32), Vec<Segment>>,
    /// Whether what nobody asks for may be left behind.
    ignore_unclaimed: bool,
}

impl RestoredTask {
    /// What was read of a snapshot.
    pub fn new(operators: BTreeMap<OperatorId, Restored>, ignore_unclaimed: bool) -> Self {
        Self { operators, in_flight: BTreeMap::new(), ignore_unclaimed }
    }

    /// Adds parts of streams, in the order in which they were given.
    #[must_use]
    pub(crate) fn with_in_flight(mut self, segments: impl IntoIterator<Item = Segment>) -> Self {
        for segment in segments {
            self.in_flight.entry((segment.edge.consumer, segment.edge.input)).or_default().push(segment);
        }
        self
    }

    /// Parts of streams into this input. Nothing is there any more when they are asked for again.
    pub(crate) fn take_in_flight(&mut self, operator: OperatorId, input: u32) -> Vec<Segment> {
        self.in_flight.remove(&(operator, input)).unwrap_or_default()
    }

    /// Whether what nobody asks for may be left behind.
    pub(crate) fn ignores_unclaimed(&self) -> bool {
        self.ignore_unclaimed
    }

    /// After a task is built: whether all parts of streams were asked for.
    ///
    /// # Errors
    /// When they were not, and that is not allowed.
    pub(crate) fn check_in_flight(&self) -> TaskResult {
        match self.in_flight.values().flatten().next() {
            Some(segment) if !self.ignore_unclaimed => Err(without_owner(&segment.edge)),
            Some(_) | None => Ok(()),
        }
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
        let sections = restored.sections.lock();
        // Without timers how far they may set others says nothing: it may always be left behind.
        let heard = |section: &&Section| &*section.name == HEARD && matches!(section.sort, SectionSort::OwnElements(_));
        let left: Vec<String> = sections.keys().filter(|section| !heard(section)).map(Section::to_string).collect();
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

/// Records of the snapshot belong nowhere.
pub(crate) fn without_owner(edge: &Edge) -> Box<Failure> {
    let message = format!(
        "the snapshot holds records under way on {edge}, which the program does not have any more; start from a savepoint, \
         which holds none, or with -n (--allowNonRestoredState) to leave them behind"
    );
    Box::new(Failure::user(message).fatal())
}

/// By section, the entries that each subtask of the snapshot has left, in order of subtasks.
type Sections = BTreeMap<Section, Parts>;
type Parts = BTreeMap<SubtaskIndex, Vec<Part>>;

/// Entries as they are read.
pub(crate) type Chunks = Box<dyn Iterator<Item = TaskResult<Chunk>>>;

/// Some of the entries of a subtask.
enum Part {
    Here(Chunk),
    /// Read when somebody takes them.
    Later(Box<dyn FnOnce() -> Chunks + Send>),
}

impl Part {
    fn read(self) -> Chunks {
        match self {
            Self::Here(chunk) => Box::new(std::iter::once(Ok(chunk))),
            Self::Later(read) => read(),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(chunk) => chunk.fmt(f),
            Self::Later(_) => f.write_str("to be read"),
        }
    }
}

/// All of them, in order.
fn read(parts: Parts) -> impl Iterator<Item = TaskResult<Chunk>> {
    parts.into_values().flatten().flat_map(Part::read)
}

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
        self.push(section, subtask, Part::Here(chunk));
    }

    /// As [`add`](Self::add), for entries that are read when somebody takes them, so that they are not in memory twice.
    pub(crate) fn add_later(
        &self,
        section: Section,
        subtask: SubtaskIndex,
        read: impl FnOnce() -> Chunks + Send + 'static,
    ) {
        self.push(section, subtask, Part::Later(Box::new(read)));
    }

    fn push(&self, section: Section, subtask: SubtaskIndex, part: Part) {
        self.sections.lock().entry(section).or_default().entry(subtask).or_default().push(part);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.sections.lock().is_empty()
    }

    /// The section of this name and of a sort that `is_it`, and its chunks.
    fn take(&self, name: &str, is_it: impl Fn(SectionSort) -> bool) -> Option<(Section, Parts)> {
        let mut sections = self.sections.lock();
        let found = sections.keys().find(|section| &*section.name == name && is_it(section.sort)).cloned()?;
        let chunks = sections.remove(&found)?;
        Some((found, chunks))
    }

    /// The keyed state `name`.
    pub(crate) fn take_keyed(
        &self,
        name: &str,
    ) -> Option<(StateMeta, impl Iterator<Item = TaskResult<Chunk>> + use<>)> {
        let (section, parts) = self.take(name, |sort| matches!(sort, SectionSort::Keyed { .. }))?;
        let SectionSort::Keyed { kind, expires } = section.sort else { return None };
        let Section { name, schema, .. } = section;
        Some((StateMeta { name, kind, expires, schema }, read(parts)))
    }

    /// This subtask's share of the operator state `name`, how it is spread, and what its elements look like.
    pub(crate) fn take_elements(&self, name: &str) -> TaskResult<Option<(Spread, StoredSchema, Elements)>> {
        let Some((section, parts)) = self.take(name, |sort| matches!(sort, SectionSort::Elements(_))) else {
            return Ok(None);
        };
        let SectionSort::Elements(spread) = section.sort else { return Ok(None) };
        let (subtask, subtasks) = self.place;
        let share = spread.share(&elements(&section, parts)?, subtask, subtasks);
        Ok(Some((spread, section.schema, share)))
    }

    /// Puts timers back.
    ///
    /// # Errors
    /// When they cannot be decoded.
    pub fn timers<K: Key, N: Key>(&self, domain: TimeDomain, timers: &mut TimerQueue<K, N>) -> TaskResult {
        let wanted = Section::of_timers(domain);
        let Some((_, parts)) = self.take(&wanted.name, |sort| sort == wanted.sort) else { return Ok(()) };
        read(parts).try_for_each(|chunk| {
            let Chunk { count, bytes, .. } = chunk?;
            timers.restore(count, &bytes)
        })
    }

    /// Puts back a table that an operator keeps by itself.
    ///
    /// # Errors
    /// When its entries cannot be decoded.
    pub fn table(&self, name: &str, table: &mut dyn Snapshot) -> TaskResult {
        self.table_where(name, table, |_| true)
    }

    /// As [`table`](Self::table), with entries of such key groups alone.
    pub(super) fn table_where(
        &self,
        name: &str,
        table: &mut dyn Snapshot,
        is_it: impl Fn(Option<KeyGroup>) -> bool,
    ) -> TaskResult {
        let Some((section, parts)) = self.take(name, |sort| sort == SectionSort::OwnTable) else { return Ok(()) };
        schema::accept(&section.to_string(), &section.schema, &table.schema())?;
        read(parts).try_for_each(|chunk| {
            let Chunk { group, removed, count, bytes } = chunk?;
            match removed {
                _ if !is_it(group) => Ok(()),
                true => table.forget(count, &bytes),
                false => table.restore(count, &bytes),
            }
        })
    }

    /// Leaves tables behind whose names are refused.
    pub(super) fn keep_tables(&self, keep: impl Fn(&str) -> bool) {
        self.sections.lock().retain(|section, _| section.sort != SectionSort::OwnTable || keep(&section.name));
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
        read(parts).try_for_each(|chunk| each(&section, &chunk?, &mut put))
    }
}

/// What each subtask had.
fn elements(section: &Section, parts: Parts) -> TaskResult<Vec<Elements>> {
    let decode = |chunk: TaskResult<Chunk>| codec::decode(&chunk?.bytes).map_err(|error| undecodable(section, &error));
    read(parts).map(decode).collect()
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
