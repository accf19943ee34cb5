//! Records of one stream joined with what another said of their key at their time.
//!
//! The right stream tells how something changes: each of its records is a version of a row, valid from its timestamp until
//! that of the next. A left record waits until the watermark has reached its time, since until then versions may come that
//! are valid for it; then it is given out with the last one that is not after it. Of the versions that the watermark has
//! passed only the last is needed.
//!
//! A key has one timer, for the first left record that waits, or for versions that are to be dropped. Results are given a
//! batch at a time, in the order of time within a key.

//! # Layout
//! - `latest`: the join in processing time

mod latest;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    snapshot::{Restored, StateSink},
    state::{KeyedStates, Progress, StateSize, States, ValueState},
    task::{TaskInfo, TwoInputOperator},
    time::TimeDomain,
};
use serde::{Deserialize, Serialize};

pub(crate) use latest::LatestJoin;

use super::{
    late::{Late, passed, unstamped},
    process::Desk,
    timeline::Timeline,
};
use crate::plan::{KeyOf, Keys, Site};

/// Says of a record of the right stream that it ends what it is a version of.
pub(crate) type Deletes<B> = Option<Arc<dyn Fn(&B) -> bool + Send + Sync>>;

/// What is known of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "A: Data, B: Data", deserialize = "A: Data, B: Data"))]
struct History<A, B> {
    /// Left records that the watermark has not reached.
    waiting: Timeline<A>,
    /// From when on which version is valid; none from a delete on.
    versions: Timeline<Option<B>>,
    /// The key's one timer.
    timer: Option<Timestamp>,
}

impl<A, B> Default for History<A, B> {
    fn default() -> Self {
        Self { waiting: Timeline::default(), versions: Timeline::default(), timer: None }
    }
}

impl<A, B> History<A, B> {
    /// Drops versions that no left record can need which is not late.
    fn forget(&mut self, watermark: Timestamp) {
        self.versions.keep_last(|at| passed(at, watermark));
        // That there is nothing is known without being told.
        let deleted = |(at, version): &(Timestamp, Option<B>)| version.is_none() && passed(*at, watermark);
        if self.versions.iter().next().is_some_and(deleted) {
            self.versions.pop(watermark);
        }
    }

    /// When there is something to give out or to drop.
    fn due(&self) -> Option<Timestamp> {
        let mut versions = self.versions.iter();
        let change = match (versions.next(), versions.next()) {
            (Some((at, None)), _) | (_, Some((at, _))) => Some(*at),
            (Some((_, Some(_))) | None, None) => None,
        };
        self.waiting.first().into_iter().chain(change).min()
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.versions.is_empty()
    }
}

/// A temporal join in event time at work.
pub(crate) struct TemporalJoin<K, A, B, G, U> {
    function: G,
    left: Arc<dyn KeyOf<A, K>>,
    right: Arc<dyn KeyOf<B, K>>,
    deletes: Deletes<B>,
    late: Late<A>,
    keys: Keys<K>,
    states: States<K>,
    histories: ValueState<History<A, B>>,
    desk: Desk<U>,
    /// The watermark that is passed on when all left records before it have been given out.
    watermark: Option<Timestamp>,
    /// Left records of the key at hand are being given out.
    busy: bool,
}

impl<K: Key, A: Data, B: Data, G, U> TemporalJoin<K, A, B, G, U> {
    pub fn new(
        function: G,
        (left, late): (Arc<dyn KeyOf<A, K>>, Late<A>),
        (right, deletes): (Arc<dyn KeyOf<B, K>>, Deletes<B>),
        site: &Site,
    ) -> Self {
        Self {
            function,
            left,
            right,
            deletes,
            late,
            keys: Keys::default(),
            states: States::default(),
            histories: ValueState::default(),
            desk: Desk::new(site),
            watermark: None,
            busy: false,
        }
    }
}

/// Sets the timer of the key at hand to `due`, in place of `timer`.
fn arm<K: Key>(states: &mut KeyedStates<K>, timer: Option<Timestamp>, due: Timestamp) -> TaskResult {
    if let Some(timer) = timer {
        states.delete_timer(TimeDomain::Event, timer)?;
    }
    states.set_timer(TimeDomain::Event, due).map(drop)
}

impl<K, A, B, G, U> TwoInputOperator<A, B, U> for TemporalJoin<K, A, B, G, U>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    G: FnMut(A, Option<&B>) -> Option<U> + Send,
{
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.states.keyed.keep_in(&task.backend);
        self.histories = self.states.keyed.value("temporal-join")?;
        Ok(())
    }

    fn process_left(&mut self, input: &mut Batch<A>, out: &mut dyn Output<U>) -> TaskResult {
        if !input.has_timestamps() && !input.is_empty() {
            return Err(unstamped("temporal join", "left"));
        }
        let Self { left, late, keys, states: States { keyed: states, operator }, histories, desk, .. } = self;
        keys.take(&**left, input);
        let watermark = desk.watermark;
        desk.with(&mut operator.lists, out, |mut ctx| {
            let records = input.records.drain(..).zip(input.timestamps.drain(..));
            for ((record, at), (hash, key)) in records.zip(keys.drain()) {
                if passed(at, watermark) {
                    late.take(record, at, &mut ctx)?;
                    continue;
                }
                states.set_key(hash, key);
                let history = histories.get_or_insert_with(states, History::default)?;
                history.waiting.add(at, record);
                if history.timer.is_none_or(|timer| at < timer) {
                    let timer = history.timer.replace(at);
                    arm(states, timer, at)?;
                }
            }
            ctx.flush()
        })
    }

    fn process_right(&mut self, input: &mut Batch<B>, _: &mut dyn Output<U>) -> TaskResult {
        if !input.has_timestamps() && !input.is_empty() {
            return Err(unstamped("temporal join", "right"));
        }
        let Self { right, deletes, keys, states: States { keyed: states, .. }, histories, desk, .. } = self;
        keys.take(&**right, input);
        let records = input.records.drain(..).zip(input.timestamps.drain(..));
        for ((record, at), (hash, key)) in records.zip(keys.drain()) {
            states.set_key(hash, key);
            let version = if deletes.as_ref().is_some_and(|deletes| deletes(&record)) { None } else { Some(record) };
            let history = histories.get_or_insert_with(states, History::default)?;
            history.versions.set(at, version);
            history.forget(desk.watermark);
            match history.due() {
                Some(due) if history.timer.is_none_or(|timer| due < timer) => {
                    let timer = history.timer.replace(due);
                    arm(states, timer, due)?;
                }
                None if history.is_empty() => histories.clear(states)?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<U>) -> TaskResult {
        if let Event::Watermark(watermark) = event {
            if !self.desk.advance(watermark) {
                return Ok(());
            }
            if self.states.keyed.timers().event.next().is_some_and(|at| at <= watermark) {
                self.watermark = Some(watermark);
                return Ok(());
            }
        }
        out.event(event)
    }

    fn resume(&mut self, out: &mut dyn Output<U>) -> TaskResult<Drained> {
        let Some(watermark) = self.watermark else { return Ok(Drained::All) };
        let Self { function, states: States { keyed: states, operator }, histories, desk, busy, .. } = self;
        let mut budget = BATCH_RECORDS;
        desk.with(&mut operator.lists, out, |mut ctx| {
            while budget > 0 {
                if !*busy {
                    let Some(due) = states.timers().pop_event(watermark)? else { break };
                    states.set_key(due.hash, due.key);
                    budget -= 1;
                }
                let history = histories.get_or_insert_with(states, History::default)?;
                *busy = true;
                while budget > 0 {
                    let Some((at, record)) = history.waiting.pop(watermark) else {
                        *busy = false;
                        break;
                    };
                    budget -= 1;
                    let version = history.versions.latest(at).and_then(Option::as_ref);
                    if let Some(result) = function(record, version) {
                        ctx.set_timestamp(Some(at));
                        ctx.emit(result);
                    }
                }
                if *busy {
                    break;
                }
                history.forget(watermark);
                history.timer = history.due();
                match history.timer {
                    Some(due) => arm(states, None, due)?,
                    None if history.is_empty() => histories.clear(states)?,
                    None => {}
                }
            }
            ctx.flush()
        })?;
        if budget > 0 {
            self.watermark = None;
            out.event(Event::Watermark(watermark))?;
        }
        Ok(Drained::Some)
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.states(&mut self.states)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more(&mut self.states.keyed)
    }

    fn state_size(&self) -> StateSize {
        self.states.keyed.size()
    }
}
