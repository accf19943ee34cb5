//! Snapshots of all keyed states of an operator, and its timers.

use super::{KeyedStates, misuse};
use crate::{
    batch::Key,
    error::TaskResult,
    state::{
        meta::{StateKind, StateMeta},
        table::{Content, Extent, GroupEntries, GroupSpace, Progress, Snapshot},
        track::given_up,
    },
    time::TimeDomain,
};

/// The kinds of time, in the order in which their timers are given.
const DOMAINS: [TimeDomain; 2] = [TimeDomain::Event, TimeDomain::Processing];

/// Takes runs of the snapshots of states.
type StateSink<'a> = dyn FnMut(&StateMeta, GroupEntries<'_>) -> TaskResult + 'a;

impl<K: Key> KeyedStates<K> {
    /// Cuts a snapshot of all states and timers; see [`Snapshot`] for this and the other steps. A state that was registered
    /// since the snapshot before is in one of what has changed with all it has; timers always are.
    ///
    /// # Errors
    /// As [`Snapshot::begin`]; then nothing is begun.
    pub fn begin_snapshot(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        self.abandon_snapshot();
        if self.torn && extent == Extent::Changed {
            return Err(given_up());
        }
        self.giving = Some(0);
        let begun = self.parts_mut().try_for_each(|part| part.begin(extent, groups));
        match begun {
            Ok(()) => self.torn = false,
            Err(_) => self.abandon_snapshot(),
        }
        begun
    }

    /// Gives some more of the snapshot, with what state it is of: all of one state, then all of the next.
    ///
    /// # Errors
    /// As [`Snapshot::advance`].
    pub fn advance_snapshot(&mut self, bytes: usize, sink: &mut StateSink<'_>) -> TaskResult<Progress> {
        let mut given = false;
        while let Some(index) = self.giving.filter(|_| !given) {
            let mut sink = |meta: &StateMeta, entries: GroupEntries<'_>| {
                given = true;
                sink(meta, entries)
            };
            let progress = match (DOMAINS.get(index), index.checked_sub(DOMAINS.len())) {
                (Some(domain), _) => {
                    let meta = StateMeta::of_timers(*domain);
                    self.timers.in_domain(*domain).advance(bytes, &mut |entries| sink(&meta, entries))
                }
                (None, place) => match place.and_then(|place| self.slots.get_mut(place)) {
                    Some(slot) => slot.table.entries_mut().advance(bytes, &mut |entries| sink(&slot.meta, entries)),
                    None => {
                        self.giving = None;
                        break;
                    }
                },
            };
            match progress {
                Ok(left @ (Progress::More | Progress::Waiting)) => return Ok(left),
                Ok(Progress::Done) => self.giving = Some(index + 1),
                Err(failure) => {
                    self.abandon_snapshot();
                    return Err(failure);
                }
            }
        }
        Ok(if self.giving.is_some() { Progress::More } else { Progress::Done })
    }

    /// Gives the snapshot up that is being given. The next one must be whole.
    pub fn abandon_snapshot(&mut self) {
        self.torn |= self.giving.take().is_some();
        self.parts_mut().for_each(Snapshot::abandon);
    }

    /// Makes room for so many keys of a state that will be restored; see [`Snapshot::expect`].
    ///
    /// # Errors
    /// As [`restore`](Self::restore), or when there is no memory.
    pub fn expect(&mut self, stored: &StateMeta, keys: usize) -> TaskResult {
        self.part(stored)?.expect(keys)
    }

    /// Puts back, or takes out, what [`advance_snapshot`](Self::advance_snapshot) gave for a state, which must be registered.
    ///
    /// # Errors
    /// When there is no such state, when it is of another kind or had a time-to-live where it has none now or the other
    /// way round, or when the bytes are not entries of it.
    pub fn restore(&mut self, stored: &StateMeta, content: Content, count: usize, bytes: &[u8]) -> TaskResult {
        let part = self.part(stored)?;
        match content {
            Content::Values => part.restore(count, bytes),
            Content::Removed => part.forget(count, bytes),
        }
    }

    /// What was stored as `stored`.
    fn part(&mut self, stored: &StateMeta) -> TaskResult<&mut dyn Snapshot> {
        if stored.kind == StateKind::Timers {
            return match DOMAINS.into_iter().find(|domain| StateMeta::of_timers(*domain) == *stored) {
                Some(domain) => Ok(self.timers.in_domain(domain)),
                None => Err(misuse(format!("there are no timers {:?}", stored.name))),
            };
        }
        match self.slots.iter_mut().find(|slot| slot.meta.name == stored.name) {
            Some(slot) => {
                slot.meta.accept(stored)?;
                Ok(slot.table.entries_mut())
            }
            None => Err(misuse(format!("the program has no keyed state {:?}", stored.name))),
        }
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut dyn Snapshot> {
        let timers: [&mut dyn Snapshot; 2] = [&mut self.timers.event, &mut self.timers.processing];
        timers.into_iter().chain(self.slots.iter_mut().map(|slot| slot.table.entries_mut()))
    }
}
