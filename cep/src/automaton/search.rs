//! Partial matches and the next event.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    mem,
};

use flott::{Data, Timestamp};

use super::{Automaton, ConditionId, Gap, Greedy, SlotId, Target};
use crate::{
    condition::Matched,
    found::Match,
    pattern::Contiguity,
    runs::{Broken, Complete, EventId, First, NodeId, Partial, Runs},
};

/// What an event, or the passing of time, has brought.
pub(crate) struct Found<T> {
    pub matches: Vec<Match<T>>,
    /// Partial matches whose time was up.
    pub timed_out: Vec<Match<T>>,
    /// When the first of the new partial matches runs out of time.
    pub deadline: Option<Timestamp>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { matches: Vec::new(), timed_out: Vec::new(), deadline: None }
    }
}

/// What is worked with, kept between events for its room.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scratch {
    /// What is known of the conditions for the event at hand, so that those that look at nothing else are asked once.
    known: Vec<Option<bool>>,
    /// Partial matches that have not been shown the event.
    partials: Vec<Partial>,
    ways: Ways,
}

/// What the event at hand was taken for where groups can come to the same events in several ways: by the events before it and
/// its pattern.
type Ways = BTreeMap<(Option<NodeId>, u16), Way>;

/// A node, and the slots that it fills: mostly one.
#[derive(Debug, Clone)]
struct Way {
    node: NodeId,
    slot: SlotId,
    others: Vec<SlotId>,
}

impl<T: Data> Automaton<T> {
    /// The partial matches of a key: those that were kept, or none.
    pub fn runs(&self, kept: Option<Runs<T>>) -> Result<Runs<T>, Broken> {
        let runs = kept.unwrap_or_else(|| Runs::new(self.shape));
        if runs.shape == self.shape { Ok(runs) } else { Err(Broken) }
    }

    /// Shows the next event to the partial matches in `runs`, and begins new ones with it. Events come in order of time.
    pub fn event(
        &self,
        runs: &mut Runs<T>,
        value: T,
        timestamp: Timestamp,
        scratch: &mut Scratch,
        found: &mut Found<T>,
    ) -> Result<(), Broken> {
        self.advance(runs, timestamp, found)?;
        let Scratch { known, partials, ways } = scratch;
        known.clear();
        ways.clear();
        known.resize(self.conditions.len(), None);
        mem::swap(partials, &mut runs.partials);
        let event = runs.add_event(value, timestamp)?;
        let (completed, by_next) = (Vec::new(), Vec::new());
        let mut showing = Showing { automaton: self, event, timestamp, known, ways, found, completed, by_next };
        for partial in partials.drain(..) {
            showing.show(partial, runs)?;
        }
        showing.begin(runs)?;
        let Showing { completed, by_next, .. } = showing;
        let half = ways.values().filter(|way| self.is_match_in_some(way)).map(|way| way.node);
        let matched: BTreeSet<NodeId> = half.chain(by_next).collect();
        runs.are_matches(&matched);
        runs.release_event(event)?;
        self.complete(runs, completed, found)
    }

    /// Whether the events up to a node are a match in one of its slots, and in another one not.
    fn is_match_in_some(&self, way: &Way) -> bool {
        let ends = |slot: SlotId| self.slots.get(slot as usize).is_some_and(|slot| slot.ends);
        way.others.iter().any(|slot| ends(*slot) != ends(way.slot))
    }

    /// Time is `now`: no event with an earlier timestamp comes. Ends the partial matches whose time is up.
    pub fn advance(&self, runs: &mut Runs<T>, now: Timestamp, found: &mut Found<T>) -> Result<(), Broken> {
        runs.time = runs.time.max(now);
        if self.first_deadline(runs)?.is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let (mut left, mut up) = (Vec::with_capacity(runs.partials.len()), Vec::new());
        for partial in mem::take(&mut runs.partials) {
            let is_up = self.deadline(&partial)?.is_some_and(|deadline| deadline <= now);
            if is_up { &mut up } else { &mut left }.push(partial);
        }
        runs.partials = left;
        self.time_out(runs, up, found)
    }

    /// When the time of the first partial match is up.
    pub fn first_deadline(&self, runs: &Runs<T>) -> Result<Option<Timestamp>, Broken> {
        let mut first = None;
        if self.timed {
            for partial in &runs.partials {
                first = self.deadline(partial)?.into_iter().chain(first).min();
            }
        }
        Ok(first)
    }

    /// When the time of `partial` is up.
    fn deadline(&self, partial: &Partial) -> Result<Option<Timestamp>, Broken> {
        let whole = self.within.map(|within| partial.first.time.saturating_add(within));
        let gap = self.gap(partial.gap)?.within.map(|within| partial.last_time.saturating_add(within));
        Ok(whole.into_iter().chain(gap).min())
    }

    pub(super) fn gap(&self, gap: u32) -> Result<&Gap, Broken> {
        self.gaps.get(gap as usize).ok_or(Broken)
    }
}

/// What becomes of a partial match.
enum Fate {
    /// It takes the event; it may also go on without it.
    Takes {
        slot: SlotId,
        stays: bool,
    },
    Stays,
    Completes,
    Ends,
}

/// An event that is shown to partial matches.
struct Showing<'a, T> {
    automaton: &'a Automaton<T>,
    event: EventId,
    timestamp: Timestamp,
    known: &'a mut [Option<bool>],
    ways: &'a mut Ways,
    found: &'a mut Found<T>,
    completed: Vec<Complete>,
    /// Last events of those that are complete with an event that is not part of them.
    by_next: Vec<NodeId>,
}

impl<T: Data> Showing<'_, T> {
    fn show(&mut self, mut partial: Partial, runs: &mut Runs<T>) -> Result<(), Broken> {
        let Partial { node, first, .. } = partial;
        let gap = self.automaton.gap(partial.gap)?;
        let stays = match self.fate(&mut partial, gap, runs)? {
            Fate::Takes { slot, stays } => {
                self.take(slot, Some(node), first, runs)?;
                stays
            }
            Fate::Completes => {
                self.completed.push(Complete { node, first });
                self.by_next.push(node);
                return Ok(());
            }
            Fate::Stays => true,
            Fate::Ends => false,
        };
        if stays {
            runs.partials.push(Partial { fresh: false, ..partial });
            Ok(())
        } else {
            runs.release(node)
        }
    }

    fn fate(&mut self, partial: &mut Partial, gap: &Gap, runs: &Runs<T>) -> Result<Fate, Broken> {
        let last = Some(partial.node);
        if partial.fresh && self.any(&gap.not_next, last, runs)? || self.any(&gap.forbidden, last, runs)? {
            return Ok(Fate::Ends);
        }
        if let Some(greedy) = gap.greedy.filter(|_| !partial.released) {
            partial.released = self.stops(greedy, last, runs)?;
            if !partial.released && self.holds(greedy.condition, last, runs)? {
                return Ok(Fate::Ends);
            }
        }
        let slot = match gap.to {
            Target::NextEvent => return Ok(Fate::Completes),
            Target::Deadline => return Ok(Fate::Stays),
            Target::Slot(slot) => slot,
        };
        let (fits, takes) = self.fits(slot, last, runs)?;
        let stays = match gap.contiguity {
            Contiguity::Strict => false,
            Contiguity::Relaxed => !fits,
            Contiguity::Any => true,
        };
        Ok(match (takes, stays) {
            (true, stays) => Fate::Takes { slot, stays },
            (false, true) => Fate::Stays,
            (false, false) => Fate::Ends,
        })
    }

    /// Begins matches with the event.
    fn begin(&mut self, runs: &mut Runs<T>) -> Result<(), Broken> {
        let first = First { sequence: runs.event(self.event)?.sequence, time: self.timestamp };
        for start in &self.automaton.starts {
            if let Some(greedy) = start.greedy
                && !self.stops(greedy, None, runs)?
                && self.holds(greedy.condition, None, runs)?
            {
                continue;
            }
            if self.fits(start.slot, None, runs)?.1 {
                self.take(start.slot, None, first, runs)?;
            }
        }
        Ok(())
    }

    /// The event fills `slot`.
    fn take(&mut self, slot: SlotId, previous: Option<NodeId>, first: First, runs: &mut Runs<T>) -> Result<(), Broken> {
        let Some(node) = self.node(slot, previous, runs)? else { return Ok(()) };
        let slot = self.automaton.slots.get(slot as usize).ok_or(Broken)?;
        for &gap in &slot.next {
            let (last_time, matched) = (self.timestamp, slot.ends);
            let partial = Partial { gap, node, first, last_time, fresh: true, released: false, matched };
            let deadline = self.automaton.deadline(&partial)?;
            self.found.deadline = self.found.deadline.into_iter().chain(deadline).min();
            runs.hold(node)?;
            runs.partials.push(partial);
        }
        if slot.ends {
            runs.hold(node)?;
            self.completed.push(Complete { node, first });
        }
        Ok(())
    }

    /// The node of the event in `slot` behind `previous`: one for all slots that are of the same pattern. None if it fills this
    /// one already.
    fn node(&mut self, number: SlotId, previous: Option<NodeId>, runs: &mut Runs<T>) -> Result<Option<NodeId>, Broken> {
        let slot = self.automaton.slots.get(number as usize).ok_or(Broken)?;
        if !self.automaton.grouped {
            return runs.add_node(self.event, slot.name, previous).map(Some);
        }
        match self.ways.entry((previous, slot.name)) {
            Entry::Vacant(entry) => {
                let node = runs.add_node(self.event, slot.name, previous)?;
                entry.insert(Way { node, slot: number, others: Vec::new() });
                Ok(Some(node))
            }
            Entry::Occupied(entry) => {
                let way = entry.into_mut();
                if way.slot == number || way.others.contains(&number) {
                    return Ok(None);
                }
                way.others.push(number);
                Ok(Some(way.node))
            }
        }
    }

    /// Whether the event is what `slot` is for, and whether it may be taken for it.
    fn fits(&mut self, slot: SlotId, last: Option<NodeId>, runs: &Runs<T>) -> Result<(bool, bool), Broken> {
        let slot = self.automaton.slots.get(slot as usize).ok_or(Broken)?;
        let fits = self.holds(slot.condition, last, runs)?;
        Ok((fits, fits && !self.any(&slot.unless, last, runs)?))
    }

    /// Whether the event stops what is greedy.
    fn stops(&mut self, greedy: Greedy, last: Option<NodeId>, runs: &Runs<T>) -> Result<bool, Broken> {
        greedy.until.map_or(Ok(false), |until| self.holds(until, last, runs))
    }

    fn any(&mut self, conditions: &[ConditionId], last: Option<NodeId>, runs: &Runs<T>) -> Result<bool, Broken> {
        for condition in conditions {
            if self.holds(*condition, last, runs)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a condition holds for the event after a partial match that ends with `last`.
    fn holds(&mut self, condition: ConditionId, last: Option<NodeId>, runs: &Runs<T>) -> Result<bool, Broken> {
        let Automaton { conditions, names, .. } = self.automaton;
        let number = condition as usize;
        let (Some(condition), Some(known)) = (conditions.get(number), self.known.get_mut(number)) else {
            return Err(Broken);
        };
        if let Some(known) = *known {
            return Ok(known);
        }
        let event = &runs.event(self.event)?.value;
        let holds = condition.holds(event, &Matched { names, runs, last, timestamp: self.timestamp });
        *known = condition.simple.then_some(holds);
        Ok(holds)
    }
}
