//! Timers of keyed functions coming due, a batch of them at a time.

use std::mem;

use flott_runtime::{
    batch::{BATCH_RECORDS, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    state::{KeyedStates, OperatorLists},
    task::TaskInfo,
    time::{TimeDomain, TimerQueue},
};

use super::process::Desk;
use crate::function::{FunctionResult, KeyedContext, Timer, failed};

/// What is due in an operator.
pub(super) struct Firing<K> {
    /// The watermark that is passed on when all timers before it have fired.
    watermark: Option<Timestamp>,
    /// Processing time, if timers may be due by it, and how many there were when it came. Timers may set others for a time
    /// that has come; these wait for the next alarm, so that there is an end, and input is taken in between.
    clock: Option<(Timestamp, usize)>,
    /// At the end of the input: the timers in processing time that were left.
    last: Option<TimerQueue<K, ()>>,
}

impl<K> Default for Firing<K> {
    fn default() -> Self {
        Self { watermark: None, clock: None, last: None }
    }
}

impl<K: Key> Firing<K> {
    /// Takes an event: a watermark waits for the timers before it.
    pub fn event<Out>(
        &mut self,
        event: Event,
        states: &mut KeyedStates<K>,
        desk: &mut Desk<Out>,
        out: &mut dyn Output<Out>,
    ) -> TaskResult {
        if let Event::Watermark(watermark) = event {
            if !desk.advance(watermark) {
                return Ok(());
            }
            if states.timers().event.next().is_some_and(|at| at <= watermark) {
                self.watermark = Some(watermark);
                return Ok(());
            }
        }
        out.event(event)
    }

    /// Processing time is `now`.
    pub fn time(&mut self, now: Timestamp, states: &mut KeyedStates<K>) {
        self.clock = Some((now, states.timers().processing.len()));
    }

    /// Has the task woken when the next timer in processing time is due.
    #[inline]
    pub fn set_alarm(states: &mut KeyedStates<K>, task: &TaskInfo) {
        if let Some(at) = states.timers().processing.next() {
            task.alarm.set(at);
        }
    }

    /// Fires some of the timers that are due; then passes on the watermark.
    pub fn resume<Out>(
        &mut self,
        states: &mut KeyedStates<K>,
        lists: &mut OperatorLists,
        desk: &mut Desk<Out>,
        out: &mut dyn Output<Out>,
        on_timer: impl FnMut(Timer, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
    ) -> TaskResult<Drained> {
        if let Some(watermark) = self.watermark {
            let next = |ctx: &mut KeyedContext<'_, K, Out>| ctx.timers().pop_event(watermark);
            let fired = fire(states, lists, desk, out, TimeDomain::Event, next, on_timer)?;
            if fired == Drained::All {
                self.watermark = None;
                out.event(Event::Watermark(watermark))?;
            }
            Self::set_alarm(states, &desk.task);
            return Ok(Drained::Some);
        }
        let Some((now, left)) = &mut self.clock else { return Ok(Drained::All) };
        let next = |ctx: &mut KeyedContext<'_, K, Out>| {
            let Some(fewer) = left.checked_sub(1) else { return Ok(None) };
            *left = fewer;
            Ok(ctx.timers().processing.pop(*now))
        };
        let fired = fire(states, lists, desk, out, TimeDomain::Processing, next, on_timer)?;
        if fired == Drained::All {
            self.clock = None;
            Self::set_alarm(states, &desk.task);
        }
        Ok(fired)
    }

    /// The input has ended: fires some of the timers in event time that were set when the last watermark had passed, and of
    /// those in processing time that were set by now.
    pub fn drain<Out>(
        &mut self,
        states: &mut KeyedStates<K>,
        lists: &mut OperatorLists,
        desk: &mut Desk<Out>,
        out: &mut dyn Output<Out>,
        on_timer: impl FnMut(Timer, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
    ) -> TaskResult<Drained> {
        let watermark = desk.watermark;
        if states.timers().event.next().is_some_and(|at| at <= watermark) {
            let next = |ctx: &mut KeyedContext<'_, K, Out>| ctx.timers().pop_event(watermark);
            fire(states, lists, desk, out, TimeDomain::Event, next, on_timer)?;
            return Ok(Drained::Some);
        }
        let last = self.last.get_or_insert_with(|| mem::take(&mut states.timers().processing));
        if last.is_empty() {
            // What they have set themselves is not waited for.
            states.timers().processing = TimerQueue::default();
            return Ok(Drained::All);
        }
        let next = |_: &mut KeyedContext<'_, K, Out>| Ok(last.pop(Timestamp::MAX));
        fire(states, lists, desk, out, TimeDomain::Processing, next, on_timer)?;
        Ok(Drained::Some)
    }
}

/// Calls the function for timers as `next` gives them, until there are a batch of timers or of results.
fn fire<K: Key, Out>(
    states: &mut KeyedStates<K>,
    lists: &mut OperatorLists,
    desk: &mut Desk<Out>,
    out: &mut dyn Output<Out>,
    domain: TimeDomain,
    mut next: impl FnMut(&mut KeyedContext<'_, K, Out>) -> TaskResult<Option<flott_runtime::time::Due<K, ()>>>,
    mut on_timer: impl FnMut(Timer, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
) -> TaskResult<Drained> {
    let mut drained = Drained::Some;
    desk.with_keyed(states, lists, out, |mut ctx| {
        for _ in 0..BATCH_RECORDS {
            let Some(due) = next(&mut ctx)? else {
                drained = Drained::All;
                break;
            };
            ctx.set_timestamp((domain == TimeDomain::Event).then_some(due.at));
            ctx.set_key(due.hash, due.key);
            on_timer(Timer { at: due.at, domain }, &mut ctx).map_err(failed)?;
            if ctx.given() >= BATCH_RECORDS {
                break;
            }
        }
        ctx.flush()
    })?;
    Ok(drained)
}
