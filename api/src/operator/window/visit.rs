//! What a timer of the queue does to its window.

use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    time::{Due, TimeDomain, TimerQueue},
};

use super::{core::Core, function::PaneFunction, rules::Rules};
use crate::window::{Trigger, TriggerResult, WindowAssigner, WindowContext};

/// Timers whose keys are loaded together.
const UPCOMING: usize = 64;

/// How far a timer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There was none.
    None,
    /// All of it was done.
    Done,
    /// A batch has been given, and more is left.
    Part,
}

/// A timer of the queue that has come, for a window.
pub(super) struct Visit<K, W> {
    domain: TimeDomain,
    due: Due<K, W>,
    /// The input has ended.
    last: bool,
    /// Timers of the trigger that are left; nothing before it was asked which those are.
    times: Option<Times>,
    /// What the trigger has said of the last one, and how far that was done.
    firing: Option<(TriggerResult, usize)>,
}

/// Times in order; mostly one.
#[derive(Default)]
struct Times {
    first: Option<Timestamp>,
    others: std::vec::IntoIter<Timestamp>,
}

impl Times {
    fn next(&mut self) -> Option<Timestamp> {
        self.first.take().or_else(|| self.others.next())
    }
}

impl<K, W> Visit<K, W> {
    fn new(domain: TimeDomain, due: Due<K, W>) -> Self {
        Self { domain, due, last: false, times: None, firing: None }
    }
}

impl<K, T, A, Tr, P> Core<K, T, A, Tr, P>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    /// Does what the next timer that `watermark` has reached is for, or some of it.
    pub fn event_timer(
        &mut self,
        watermark: Timestamp,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Step> {
        match self.visits.take() {
            Some(visit) => self.visit(visit, ctx),
            None => {
                self.warm_upcoming(watermark);
                match self.timers.event.pop(watermark) {
                    Some(due) => self.visit(Visit::new(TimeDomain::Event, due), ctx),
                    None => Ok(Step::None),
                }
            }
        }
    }

    /// Now and then, has what the keys of the next timers have loaded into the nearest cache.
    fn warm_upcoming(&mut self, watermark: Timestamp) {
        let Self { table, timers, upcoming, warmed, .. } = self;
        if let Some(fewer) = warmed.checked_sub(1) {
            *warmed = fewer;
            return;
        }
        upcoming.clear();
        timers.event.upcoming(watermark, UPCOMING, upcoming);
        table.warm(upcoming);
        *warmed = upcoming.len().saturating_sub(1);
    }

    /// Does what the next timer whose time is `past` or earlier is for, or some of it.
    pub fn processing_timer(
        &mut self,
        past: Timestamp,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Step> {
        match self.visits.take() {
            Some(visit) => self.visit(visit, ctx),
            None => match self.timers.processing.pop(past) {
                Some(due) => self.visit(Visit::new(TimeDomain::Processing, due), ctx),
                None => Ok(Step::None),
            },
        }
    }

    /// Of `timers` in processing time, which are left at the end of the input, does what one is for, or some of it: all
    /// that its window has set by then come now, and the window ends if it ends in processing time.
    pub fn last_timer(
        &mut self,
        timers: &mut TimerQueue<K, A::Window>,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Step> {
        match self.visits.take() {
            Some(visit) => self.visit(visit, ctx),
            None => match timers.pop(Timestamp::MAX) {
                Some(due) => {
                    let visit = Visit { last: true, ..Visit::new(TimeDomain::Processing, due) };
                    self.visit(visit, ctx)
                }
                None => Ok(Step::None),
            },
        }
    }

    /// Goes on with what a timer of the queue is for.
    fn visit(
        &mut self,
        mut visit: Visit<K, A::Window>,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Step> {
        let Self { table, rules, timers, visits, .. } = self;
        let (domain, last) = (visit.domain, visit.last);
        let Due { at, hash, key, namespace } = &visit.due;
        let (at, hash) = (*at, *hash);
        let Some(panes) = table.get_mut(hash, key)? else { return Ok(Step::Done) };
        let Some(place) = rules.place(panes, namespace) else { return Ok(Step::Done) };
        let Some(pane) = panes.get_mut(place) else { return Ok(Step::Done) };
        let mut times = match visit.times.take() {
            Some(times) => times,
            None if !pane.disarm(domain, at) => return Ok(Step::Done),
            // One at a time: a trigger that sets the same again must not hold up all else.
            None if !last => Times { first: pane.timers.pop(domain, at), ..Times::default() },
            None => Times { others: pane.timers.take(domain).into_iter(), ..Times::default() },
        };
        loop {
            if let Some((result, from)) = visit.firing.take() {
                if let Some(from) = rules.fire(result, pane, hash, key, from, ctx)? {
                    visit.firing = Some((result, from));
                    visit.times = Some(times);
                    *visits = Some(visit);
                    return Ok(Step::Part);
                }
                rules.purge(result, pane);
            }
            let Some(time) = times.next() else { break };
            if ctx.watermark() == Timestamp::MAX && domain == TimeDomain::Event {
                rules.count_last(&pane.window, time, timers.event.len(), ctx)?;
            }
            visit.firing = Some((rules.on_time(domain, time, pane, ctx)?, 0));
        }
        let over = rules.cleanup(domain, &pane.window).is_some_and(|end| last || end <= at);
        if over {
            rules.clear(pane, hash, key, ctx)?;
        }
        if over || rules.is_forgotten(pane) {
            Rules::<K, T, A, Tr, P>::disarm(pane, timers, hash, key);
            panes.remove(place);
            if panes.is_empty() {
                table.remove(hash, key)?;
            }
        } else if !last {
            rules.arm(pane, timers, hash, key);
        }
        Ok(Step::Done)
    }
}
