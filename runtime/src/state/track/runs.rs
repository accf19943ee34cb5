//! Encoded entries, gathered by key group until a run of them is worth giving.

use flott_core::{codec::CodecError, failure::Failure, key_group::KeyGroup};

use crate::{
    error::TaskResult,
    state::table::{Content, GroupEntries, GroupSpace, KeyHash, Progress, RunSink},
};

/// Bytes of a run, where there are few groups.
const RUN_BYTES: usize = 32 << 10;

/// Bytes of a run, however many groups there are.
const RUN_BYTES_MIN: usize = 512;

/// Bytes that wait to be given, of all groups together, unless there are very many.
const WAITING_BYTES: usize = 4 << 20;

/// A run for each group.
#[derive(Debug)]
pub(crate) struct Runs {
    groups: GroupSpace,
    content: Content,
    /// Bytes that make a run worth giving.
    enough: usize,
    /// Of each group that is held; none before there is an entry.
    runs: Vec<Run>,
    /// Those worth giving.
    full: Vec<usize>,
    /// Those before it have been given for good.
    given: usize,
}

#[derive(Debug, Clone, Default)]
struct Run {
    count: usize,
    bytes: Vec<u8>,
}

impl Runs {
    pub fn new(groups: GroupSpace, content: Content) -> Self {
        let enough = (WAITING_BYTES / groups.held.len()).clamp(RUN_BYTES_MIN, RUN_BYTES);
        Self { groups, content, enough, runs: Vec::new(), full: Vec::new(), given: 0 }
    }

    /// Puts an entry to those of its group, and says how many bytes it has.
    ///
    /// # Errors
    /// When it cannot be encoded, or the group is not held.
    #[inline]
    pub fn put(
        &mut self,
        hash: KeyHash,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>,
    ) -> TaskResult<usize> {
        let GroupSpace { max, held } = self.groups;
        let group = hash.group(max);
        if !held.contains(group) {
            return Err(Box::new(Failure::internal(format!(
                "keyed state holds a key of group {group}, but the subtask has groups {held}"
            ))));
        }
        if self.runs.is_empty() {
            self.runs = vec![Run::default(); held.len()];
        }
        let index = usize::from(group.0 - held.start().0);
        let run = &mut self.runs[index];
        let before = run.bytes.len();
        encode(&mut run.bytes)
            .map_err(|error| Box::new(Failure::user("keyed state cannot be encoded").caused_by(&error)))?;
        run.count += 1;
        let after = run.bytes.len();
        if before < self.enough && self.enough <= after {
            self.full.push(index);
        }
        Ok(after - before)
    }

    /// Gives the runs that are worth it, as long as any bytes are `left`. `More` if some could not be given.
    #[inline]
    pub fn give_full(&mut self, left: &mut usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        while let Some(index) = self.full.pop() {
            if *left == 0 {
                self.full.push(index);
                return Ok(Progress::More);
            }
            self.give(index, left, sink)?;
        }
        Ok(Progress::Done)
    }

    /// Gives all runs, after which nothing is put in any more.
    pub fn give_all(&mut self, left: &mut usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        while self.given < self.runs.len() {
            if *left == 0 {
                return Ok(Progress::More);
            }
            self.give(self.given, left, sink)?;
            self.given += 1;
        }
        Ok(Progress::Done)
    }

    fn give(&mut self, index: usize, left: &mut usize, sink: &mut RunSink<'_>) -> TaskResult {
        let (content, run) = (self.content, &mut self.runs[index]);
        if run.count > 0 {
            let group = KeyGroup(self.groups.held.start().0 + index as u16);
            sink(GroupEntries { group, content, count: run.count, bytes: &run.bytes })?;
            *left = left.saturating_sub(run.bytes.len());
        }
        run.count = 0;
        run.bytes.clear();
        // A single large entry does not keep its room until the snapshot is over.
        run.bytes.shrink_to(2 * self.enough);
        Ok(())
    }
}
