//! How far event time had come where a snapshot was cut.
//!
//! A source that starts from a snapshot has no watermark before it has read something, and then the one of what it has read
//! since; so the watermarks of the restored job begin anew. Who compares records with the watermark, or has given results for
//! it, must not follow them back: a record that was late would be taken once more, and a window that is over would be opened
//! and given out a second time. So such an operator stores the watermark that it has seen, goes on from there, and takes no
//! notice of watermarks that are not beyond it. These say nothing new, as what it has seen holds for all that comes.
//!
//! A barrier lies at one place in each stream, so that all subtasks behind a shuffle have seen the same watermark when it has
//! come to them from all sides, or nearly so where streams were idle. Where they have not, a subtask that takes over the key
//! groups of several goes by the least: then no record is dropped that would not have been, at the price of some that are
//! taken although they were late for the keys of the subtask that was ahead.
//!
//! The final watermark is not kept. It is there when an input has ended, and whoever goes on from that has another input.
//!
//! Timers go by the greatest time of records besides: as far as that, they may set others at the final watermark. These records
//! do not come again, so it is stored too. It only goes up, and says no more than what may still come to an end: of several
//! subtasks the greatest counts. A record far ahead, near the greatest time there is, so lets timers go on without end in all
//! subtasks behind a restart, where before it did in its own.

use flott_core::key_group::KeyGroupRange;
use serde::{Deserialize, Serialize};

use super::Restored;
use crate::{batch::Timestamp, error::TaskResult};

pub(super) const WATERMARK: &str = "watermark";
/// The greatest time that timers had heard of. Earlier snapshots have none.
pub(super) const HEARD: &str = "greatest time";

/// The watermark that a subtask had seen.
#[derive(Serialize, Deserialize)]
pub(super) struct Seen {
    /// The subtask's.
    pub groups: KeyGroupRange,
    pub watermark: Timestamp,
}

impl Restored {
    /// The watermark from which a subtask with key groups `held` goes on: the least that those had seen whose groups it has
    /// some of. [`Timestamp::MIN`] is none.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn watermark(&self, held: KeyGroupRange) -> TaskResult<Timestamp> {
        let mut least = None;
        self.own_elements(WATERMARK, |Seen { groups, watermark }| {
            if groups.intersection(held).is_some() {
                let watermark = if watermark == Timestamp::MAX { Timestamp::MIN } else { watermark };
                least = Some(least.map_or(watermark, |least: Timestamp| least.min(watermark)));
            }
        })?;
        Ok(least.unwrap_or(Timestamp::MIN))
    }

    /// The greatest time that the operator's timers had heard of in any subtask.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub(crate) fn heard(&self) -> TaskResult<Option<Timestamp>> {
        let mut greatest = None;
        self.own_elements(HEARD, |heard: Timestamp| greatest = greatest.max(Some(heard)))?;
        Ok(greatest)
    }
}

#[cfg(test)]
mod tests {
    use flott_core::{
        id::{CheckpointId, OperatorId, SubtaskIndex},
        key_group::{KeyGroup, MaxParallelism},
    };

    use super::*;
    use crate::{
        snapshot::{Cut, StateSink},
        state::{Extent, GroupSpace, KeyedStates},
    };

    fn groups(start: u16, end: u16) -> KeyGroupRange {
        KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).unwrap()
    }

    /// What is restored of subtasks with these groups, of which each gives something.
    fn restored(subtasks: &[KeyGroupRange], mut give: impl FnMut(usize, &mut StateSink<'_>) -> TaskResult) -> Restored {
        let restored = Restored::new(SubtaskIndex(0), 1);
        let barrier = flott_core::checkpoint::Barrier {
            checkpoint: CheckpointId(1),
            kind: flott_core::checkpoint::SnapshotKind::Checkpoint,
            behind: flott_core::checkpoint::Behind::GoOn,
            overtaking: flott_core::checkpoint::Overtaking::Never,
            full: false,
        };
        for (subtask, held) in subtasks.iter().enumerate() {
            let mut cut = Cut::new(barrier, Extent::Whole, Default::default());
            let mut pieces = Vec::new();
            let space = GroupSpace { max: MaxParallelism::try_from(128).unwrap(), held: *held };
            let mut sink = StateSink::new(OperatorId::from_bytes([1; 16]), space, 1, &mut cut, &mut pieces);
            give(subtask, &mut sink).unwrap();
            for (_, section, chunk) in pieces {
                restored.add(section, SubtaskIndex(subtask as u32), chunk);
            }
        }
        restored
    }

    /// The watermark of a subtask with the groups `held`, when these had seen theirs.
    #[track_caller]
    fn check(seen: &[(KeyGroupRange, Timestamp)], held: KeyGroupRange, expected: Timestamp) {
        let groups: Vec<_> = seen.iter().map(|(groups, _)| *groups).collect();
        let restored = restored(&groups, |subtask, sink| sink.watermark(seen[subtask].1));
        assert_eq!(restored.watermark(held).unwrap(), expected);
        assert!(restored.is_empty());
    }

    #[test]
    fn each_subtask_goes_on_from_its_own() {
        let seen = [(groups(0, 63), 7), (groups(64, 127), 5)];
        check(&seen, groups(0, 63), 7);
        check(&seen, groups(64, 127), 5);
    }

    #[test]
    fn who_takes_over_from_several_goes_by_the_least() {
        let seen = [(groups(0, 63), 7), (groups(64, 127), 5)];
        check(&seen, groups(0, 127), 5);
        check(&seen, groups(32, 95), 5);
        check(&[(groups(0, 63), 7), (groups(64, 127), Timestamp::MIN)], groups(0, 127), Timestamp::MIN);
        check(&seen, groups(32, 47), 7);
    }

    #[test]
    fn the_final_watermark_is_none() {
        check(&[(groups(0, 127), Timestamp::MAX)], groups(0, 127), Timestamp::MIN);
        check(&[], groups(0, 127), Timestamp::MIN);
    }

    #[test]
    fn timers_go_on_from_the_greatest_time_of_all() {
        #[track_caller]
        fn check(heard: [&[Timestamp]; 2], expected: Option<Timestamp>) {
            let restored = restored(&[groups(0, 63), groups(64, 127)], |subtask, sink| {
                let mut states = KeyedStates::<u8>::default();
                states.timers().hear(heard[subtask]);
                sink.keyed(&mut states)
            });
            let mut states = KeyedStates::<u8>::default();
            states.restore_from(&restored).unwrap();
            assert_eq!(states.timers().heard(), expected);
            assert!(restored.is_empty());
        }
        check([&[3, 7], &[5]], Some(7));
        check([&[], &[-5]], Some(-5));
        check([&[], &[]], None);
    }
}
