//! The operator that looks for a pattern.

use std::{cmp::Ordering, sync::Arc};

use flott::{
    Failure, FunctionResult, Key, KeyedContext, KeyedOpen, KeyedProcessFunction, MapState, OutputTag, TimeDomain,
    Timer, Timestamp, ValueState,
};

use crate::{
    automaton::{Automaton, Found, Scratch},
    function::PatternProcessFunction,
    runs::{Broken, Runs},
};

type Order<T> = Arc<dyn Fn(&T, &T) -> Ordering + Send + Sync>;

/// In which order events are looked at.
pub(crate) struct Settings<T> {
    pub time: TimeDomain,
    /// Of events of equal time; without it as they come.
    pub order: Option<Order<T>>,
    /// Where late events go.
    pub late: Option<OutputTag<T>>,
}

impl<T> Clone for Settings<T> {
    fn clone(&self) -> Self {
        Self { time: self.time, order: self.order.clone(), late: self.late.clone() }
    }
}

/// Looks for a pattern in the events of each key.
///
/// In event time events wait, by their times, for the watermark, so that they are looked at in order; there is a timer
/// for each time. A further timer is for the partial match that runs out of time first; it goes with the partial matches.
pub(crate) struct Search<K, F: PatternProcessFunction> {
    automaton: Arc<Automaton<F::In>>,
    settings: Settings<F::In>,
    function: F,
    runs: ValueState<Runs<F::In>>,
    waiting: MapState<Timestamp, Vec<F::In>>,
    scratch: Scratch,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K, F: PatternProcessFunction> Clone for Search<K, F> {
    fn clone(&self) -> Self {
        Self::new(self.automaton.clone(), self.settings.clone(), self.function.clone())
    }
}

impl<K, F: PatternProcessFunction> Search<K, F> {
    pub fn new(automaton: Arc<Automaton<F::In>>, settings: Settings<F::In>, function: F) -> Self {
        let (runs, waiting, scratch) = (ValueState::default(), MapState::default(), Scratch::default());
        Self { automaton, settings, function, runs, waiting, scratch, key: std::marker::PhantomData }
    }
}

type Ctx<'a, K, F> = KeyedContext<'a, K, <F as PatternProcessFunction>::Out>;

impl<K: Key, F: PatternProcessFunction> Search<K, F> {
    /// Time is `now`, and these are its events.
    fn search(
        &mut self,
        events: impl ExactSizeIterator<Item = F::In>,
        now: Timestamp,
        ctx: &mut Ctx<'_, K, F>,
    ) -> FunctionResult {
        let kept = self.runs.take(ctx)?;
        if kept.is_none() && events.len() == 0 {
            return Ok(());
        }
        let mut runs = self.automaton.runs(kept).map_err(changed)?;
        // Processing time may go back; the order of events does not.
        let now = now.max(runs.time);
        let mut found = Found::default();
        self.automaton.advance(&mut runs, now, &mut found).map_err(changed)?;
        self.give(&mut found, ctx)?;
        for event in events {
            self.automaton.event(&mut runs, event, now, &mut self.scratch, &mut found).map_err(changed)?;
            self.give(&mut found, ctx)?;
        }
        // One that has come has fired, or is about to.
        let set = runs.alarm.filter(|alarm| *alarm > now);
        runs.alarm = match set {
            _ if runs.is_empty() => None,
            Some(alarm) => Some(found.deadline.map_or(alarm, |deadline| deadline.min(alarm))),
            None => self.automaton.first_deadline(&runs).map_err(changed)?,
        };
        if runs.alarm != set {
            set.map_or(Ok(()), |alarm| self.delete_timer(alarm, ctx))?;
            runs.alarm.map_or(Ok(()), |alarm| self.set_timer(alarm, ctx))?;
        }
        if runs.is_empty() { Ok(()) } else { Ok(self.runs.set(ctx, runs)?) }
    }

    fn set_timer(&self, at: Timestamp, ctx: &mut Ctx<'_, K, F>) -> FunctionResult {
        match self.settings.time {
            TimeDomain::Event => ctx.register_event_time_timer(at),
            TimeDomain::Processing => ctx.register_processing_time_timer(at),
        }
        .map(drop)
    }

    /// Takes back the timer that is for the partial matches alone.
    fn delete_timer(&self, at: Timestamp, ctx: &mut Ctx<'_, K, F>) -> FunctionResult {
        match self.settings.time {
            TimeDomain::Event if self.waiting.contains(ctx, &at)? => return Ok(()),
            TimeDomain::Event => ctx.delete_event_time_timer(at),
            TimeDomain::Processing => ctx.delete_processing_time_timer(at),
        }
        .map(drop)
    }

    fn give(&mut self, found: &mut Found<F::In>, ctx: &mut Ctx<'_, K, F>) -> FunctionResult {
        for partial in found.timed_out.drain(..) {
            self.function.process_timed_out(partial, &mut *ctx)?;
        }
        found.matches.drain(..).try_for_each(|found| self.function.process_match(found, &mut *ctx))
    }
}

impl<K: Key, F: PatternProcessFunction> KeyedProcessFunction for Search<K, F> {
    type Key = K;
    type In = F::In;
    type Out = F::Out;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, K>) -> FunctionResult {
        self.runs = ctx.value("partial-matches")?;
        self.waiting = ctx.map("waiting-events")?;
        self.function.open(ctx)
    }

    fn process(&mut self, event: F::In, ctx: &mut KeyedContext<'_, K, F::Out>) -> FunctionResult {
        if self.settings.time == TimeDomain::Processing {
            let now = ctx.processing_time();
            return self.search([event].into_iter(), now, ctx);
        }
        let Some(at) = ctx.timestamp() else { return Err(unstamped().into()) };
        // The least watermark is none, and has passed nothing.
        if ctx.watermark() != Timestamp::MIN && at <= ctx.watermark() {
            return match &self.settings.late {
                Some(late) => ctx.emit_to(late, event),
                None => {
                    ctx.add_to(LATE_DROPPED, 1);
                    Ok(())
                }
            };
        }
        self.waiting.get_or_insert_with(ctx, &at, Vec::new)?.push(event);
        ctx.register_event_time_timer(at)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, K, F::Out>) -> FunctionResult {
        let mut events = match timer.domain {
            TimeDomain::Event => self.waiting.remove(ctx, &timer.at)?.unwrap_or_default(),
            TimeDomain::Processing => Vec::new(),
        };
        if let Some(order) = &self.settings.order {
            events.sort_by(|a, b| order(a, b));
        }
        self.search(events.into_iter(), timer.at, ctx)
    }
}

/// The counter of late events that no side output took. Windows and joins count theirs by this name too.
const LATE_DROPPED: &str = "numLateRecordsDropped";

/// A restart would come to the same partial matches again.
#[cold]
fn changed(broken: Broken) -> Box<Failure> {
    Box::new(Failure::user(broken.to_string()).fatal())
}

#[cold]
fn unstamped() -> Box<Failure> {
    let message = "events have no timestamps, by which a pattern is looked for: give them some by \
                   `assign_timestamps_and_watermarks`, or look for it in `processing_time`";
    Box::new(Failure::user(message).fatal())
}
