//! What a record or a timer does to the windows of its key.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{HeapTable, KeyHash, StateSize},
    time::{Due, TimeDomain, TimerQueue, Timers},
};

use super::{
    function::{Fired, PaneFunction},
    panes::{Pane, Panes},
};
use crate::{
    function::{OutputTag, failed},
    window::{
        Trigger, TriggerContext, TriggerResult, TriggerTimers, Window, WindowAssigner, WindowContext, WindowScopes,
    },
};

/// The counter of records that came too late for all their windows, and that no side output took.
pub(crate) const LATE_RECORDS_DROPPED: &str = "numLateRecordsDropped";

/// Timers whose keys are loaded together.
const UPCOMING: usize = 64;

/// At the final watermark triggers may set timers of windows without an end. So many may fire beyond those that were
/// there, before it is taken that they will go on for ever.
const LAST_TIMERS_MAX: usize = 1_000_000;

/// What the windows of a stream are and do. A prototype lives in the plan.
#[derive(Clone)]
pub(crate) struct WindowSpec<T, A, Tr, P> {
    pub assigner: A,
    pub trigger: Tr,
    pub function: P,
    /// How long after its end a window takes records.
    pub lateness_ms: i64,
    /// Where records go that are too late.
    pub late: Option<OutputTag<T>>,
}

type Table<K, T, W, Tr, P> =
    HeapTable<K, Panes<W, <P as PaneFunction<K, T, W>>::Contents, <Tr as Trigger<T, W>>::State>>;
type PaneOf<K, T, W, Tr, P> = Pane<W, <P as PaneFunction<K, T, W>>::Contents, <Tr as Trigger<T, W>>::State>;

/// The windows of all keys.
pub(super) struct Core<K, T, A, Tr, P>
where
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    table: Table<K, T, A::Window, Tr, P>,
    rules: Rules<K, T, A, Tr, P>,
    pub timers: Timers<K, A::Window>,
    /// The kind of time that windows end in.
    pub domain: TimeDomain,
    /// Those of the record at hand.
    windows: Vec<A::Window>,
    /// Late records that were dropped since they were last counted.
    dropped: i64,
    /// The hashes of keys of timers that come next.
    upcoming: Vec<KeyHash>,
    /// How many timers are left of those.
    warmed: usize,
    /// A timer that has given much, and has more to give.
    visits: Option<Visit<K, A::Window>>,
}

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
struct Visit<K, W> {
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

/// What is known of windows beside what they have.
struct Rules<K, T, A: WindowAssigner<T>, Tr, P> {
    spec: WindowSpec<T, A, Tr, P>,
    domain: TimeDomain,
    merges: bool,
    scopes: WindowScopes<K, A::Window>,
    /// How many more timers of windows without an end may fire at the final watermark.
    last: Option<usize>,
}

impl<K, T, A, Tr, P> Core<K, T, A, Tr, P>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    pub fn new(spec: WindowSpec<T, A, Tr, P>) -> Self {
        let (domain, merges) = (spec.assigner.time_domain(), spec.assigner.merges());
        Self {
            table: HeapTable::default(),
            rules: Rules { spec, domain, merges, scopes: WindowScopes::new(merges), last: None },
            timers: Timers::default(),
            domain,
            windows: Vec::new(),
            dropped: 0,
            upcoming: Vec::new(),
            warmed: 0,
            visits: None,
        }
    }

    pub fn open(&mut self, open: impl FnOnce(&mut P, &mut WindowScopes<K, A::Window>) -> TaskResult) -> TaskResult {
        open(&mut self.rules.spec.function, &mut self.rules.scopes)
    }

    /// Has what the keys with these hashes have loaded into the nearest cache.
    pub fn warm(&self, hashes: &[KeyHash]) {
        self.table.warm(hashes);
    }

    /// Counts the records that were dropped.
    pub fn count_dropped(&mut self, ctx: &mut WindowContext<'_, K, A::Window, P::Out>) {
        if self.dropped > 0 {
            ctx.add_to(LATE_RECORDS_DROPPED, std::mem::take(&mut self.dropped));
        }
    }

    /// Has records dropped that are too late.
    #[cfg(test)]
    pub fn drop_late(&mut self) {
        self.rules.spec.late = None;
    }

    /// How much there is.
    pub fn size(&self) -> StateSize {
        StateSize { keys: self.table.len(), timers: self.timers.event.len() + self.timers.processing.len() }
    }

    /// Keys, windows and timers that there are.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize, usize) {
        let windows = self.table.iter().map(|(_, panes)| panes.len()).sum();
        (self.table.len(), windows, self.timers.event.len() + self.timers.processing.len())
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
    /// Adds a record to its windows.
    pub fn record(
        &mut self,
        hash: KeyHash,
        key: &K,
        record: T,
        timestamp: Option<Timestamp>,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult {
        let at = match self.domain {
            TimeDomain::Event => timestamp.unwrap_or(Timestamp::MIN),
            TimeDomain::Processing => ctx.processing_time(),
        };
        let Self { table, rules, timers, windows, .. } = self;
        windows.clear();
        rules.spec.assigner.assign(&record, at, windows).map_err(failed)?;
        let watermark = ctx.watermark();
        if !rules.merges {
            windows.retain(|window| !rules.is_late(window, watermark));
        }
        let Some(mut left) = windows.len().checked_sub(1) else { return self.in_no_window(record, at, ctx) };
        let panes = table.upsert(hash, key, Panes::default);
        let mut unkept = true;
        let mut record = Some(record);
        for window in windows.drain(..) {
            let place = if rules.merges {
                rules.merge(panes, &window, ctx)?
            } else {
                Some(match panes.place(&window) {
                    Ok(place) => place,
                    Err(place) => {
                        panes.insert(place, Pane::new(window));
                        place
                    }
                })
            };
            let last = left == 0;
            left = left.saturating_sub(1);
            let Some(place) = place else { continue };
            let Some(record) = (if last { record.take() } else { record.clone() }) else { continue };
            unkept = false;
            let Some(pane) = panes.get_mut(place) else { continue };
            let result = rules.add(pane, record, timestamp, ctx)?;
            if result != TriggerResult::Continue {
                // The record's batch waits for it, as for whatever else a record gives.
                let mut from = Some(0);
                while let Some(place) = from {
                    from = rules.fire(result, pane, hash, key, place, ctx)?;
                }
                rules.purge(result, pane);
                if rules.is_forgotten(pane) {
                    panes.remove(place);
                    continue;
                }
            }
            rules.arm(pane, timers, hash, key);
        }
        if panes.is_empty() {
            table.take(hash, key);
        }
        match record {
            Some(record) if unkept => self.in_no_window(record, at, ctx),
            _ => Ok(()),
        }
    }

    /// A record that none of its windows took.
    #[cold]
    fn in_no_window(
        &mut self,
        record: T,
        at: Timestamp,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult {
        // It may have none: then it is not late.
        let spec = &self.rules.spec;
        if self.domain == TimeDomain::Processing || at.saturating_add(spec.lateness_ms) > ctx.watermark() {
            return Ok(());
        }
        match &spec.late {
            Some(tag) => {
                ctx.set_timestamp(Some(at));
                ctx.emit_to(tag, record).map_err(failed)
            }
            None => {
                self.dropped += 1;
                Ok(())
            }
        }
    }

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
        let Some(panes) = table.find_mut(hash, key) else { return Ok(Step::Done) };
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
                rules.count_last(&pane.window, timers.event.len())?;
            }
            visit.firing = Some((rules.on_time(domain, time, pane, ctx)?, 0));
        }
        let more = !last && pane.timers.next(domain).is_some_and(|next| next <= at);
        let over = !more && rules.cleanup(domain, &pane.window).is_some_and(|end| last || end <= at);
        if over {
            rules.clear(pane, hash, key, ctx)?;
        }
        if over || rules.is_forgotten(pane) {
            panes.remove(place);
            if panes.is_empty() {
                table.take(hash, key);
            }
        } else if !last {
            rules.arm(pane, timers, hash, key);
        }
        Ok(Step::Done)
    }
}

impl<K, T, A, Tr, P> Rules<K, T, A, Tr, P>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    /// When a window is over, if that is told by time of this kind, and if it ends at all.
    #[inline]
    fn cleanup(&self, domain: TimeDomain, window: &A::Window) -> Option<Timestamp> {
        if domain != self.domain {
            return None;
        }
        let end = window.max_timestamp();
        match domain {
            TimeDomain::Event => Some(end.saturating_add(self.spec.lateness_ms)),
            TimeDomain::Processing => (end != Timestamp::MAX).then_some(end),
        }
    }

    #[inline]
    fn is_late(&self, window: &A::Window, watermark: Timestamp) -> bool {
        self.domain == TimeDomain::Event
            && self.cleanup(TimeDomain::Event, window).is_some_and(|over| over <= watermark)
    }

    /// Where the window is that a timer was set for.
    fn place(&self, panes: &Panes<A::Window, P::Contents, Tr::State>, window: &A::Window) -> Option<usize> {
        if self.merges { panes.place_of_part(window) } else { panes.place(window).ok() }
    }

    /// Makes one of `window` and those that belong together with it. Its place; `None` if it is over.
    fn merge(
        &mut self,
        panes: &mut Panes<A::Window, P::Contents, Tr::State>,
        window: &A::Window,
        ctx: &WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Option<usize>> {
        let (reach, whole) = panes.reach(window);
        if self.is_late(&whole, ctx.watermark()) {
            return Ok(None);
        }
        let place = reach.start;
        if reach.is_empty() {
            panes.insert(place, Pane::new(whole));
            return Ok(Some(place));
        }
        for _ in 1..reach.len() {
            let Some(other) = panes.remove(place + 1) else { continue };
            let Some(pane) = panes.get_mut(place) else { continue };
            match (&mut pane.contents, other.contents) {
                (Some(into), Some(other)) => self.spec.function.merge(into, other),
                (into @ None, other) => *into = other,
                (Some(_), None) => {}
            }
            self.spec.trigger.merge_states(&mut pane.state, other.state);
        }
        if let Some(pane) = panes.get_mut(place)
            && (reach.len() > 1 || pane.window != whole)
        {
            pane.window = whole;
            pane.timers = TriggerTimers::None;
            let mut context = TriggerContext::new(&mut pane.state, &mut pane.timers, ctx.times());
            self.spec.trigger.on_merge(&pane.window, &mut context).map_err(failed)?;
        }
        Ok(Some(place))
    }

    /// Adds a record to a window, and asks the trigger.
    #[inline]
    fn add(
        &mut self,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        record: T,
        timestamp: Option<Timestamp>,
        ctx: &WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<TriggerResult> {
        let WindowSpec { trigger, function, .. } = &mut self.spec;
        let mut context = TriggerContext::new(&mut pane.state, &mut pane.timers, ctx.times());
        let at = timestamp.unwrap_or(Timestamp::MIN);
        let result = trigger.on_element(&record, at, &pane.window, &mut context).map_err(failed)?;
        match &mut pane.contents {
            Some(contents) => function.add(contents, record, timestamp),
            empty => *empty = Some(function.first(record, timestamp)),
        }
        Ok(result)
    }

    /// A timer of the trigger has come.
    fn on_time(
        &mut self,
        domain: TimeDomain,
        time: Timestamp,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        ctx: &WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<TriggerResult> {
        let mut context = TriggerContext::new(&mut pane.state, &mut pane.timers, ctx.times());
        let trigger = &mut self.spec.trigger;
        let result = match domain {
            TimeDomain::Event => trigger.on_event_time(time, &pane.window, &mut context),
            TimeDomain::Processing => trigger.on_processing_time(time, &pane.window, &mut context),
        };
        result.map_err(failed)
    }

    /// Gives out what the window comes to, if the trigger says so, about a batch of it. Where to go on, if that was not
    /// all.
    fn fire(
        &mut self,
        result: TriggerResult,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        hash: KeyHash,
        key: &K,
        from: usize,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult<Option<usize>> {
        let Some(contents) = pane.contents.as_mut().filter(|_| result.fires()) else { return Ok(None) };
        if P::STATEFUL {
            ctx.set_window(hash, key.clone(), pane.window.clone());
        }
        ctx.set_timestamp(Some(pane.window.max_timestamp()));
        match self.spec.function.fire(key, &pane.window, contents, from, ctx).map_err(failed)? {
            Fired::All => {}
            Fired::Emptied => pane.contents = None,
            Fired::Some(from) => return Ok(Some(from)),
        }
        Ok(None)
    }

    /// Drops what the window has, if the trigger says so.
    fn purge(&self, result: TriggerResult, pane: &mut PaneOf<K, T, A::Window, Tr, P>) {
        if result.purges() {
            pane.contents = None;
        }
    }

    /// The window is over.
    fn clear(
        &mut self,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        hash: KeyHash,
        key: &K,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult {
        let mut context = TriggerContext::new(&mut pane.state, &mut pane.timers, ctx.times());
        self.spec.trigger.clear(&pane.window, &mut context).map_err(failed)?;
        if P::STATEFUL {
            ctx.set_window(hash, key.clone(), pane.window.clone());
            ctx.set_timestamp(Some(pane.window.max_timestamp()));
            self.spec.function.clear(key, &pane.window, ctx).map_err(failed)?;
            self.scopes.forget(flott_runtime::state::KeyScope::states(ctx), &pane.window)?;
        }
        Ok(())
    }

    /// Whether nothing would be lost with a window, as it has nothing and waits for nothing.
    fn is_forgotten(&self, pane: &PaneOf<K, T, A::Window, Tr, P>) -> bool {
        pane.contents.is_none()
            && pane.timers.is_empty()
            && self.spec.trigger.is_initial(&pane.state)
            // What the user keeps for it is dropped when it is over, if it will ever be.
            && (!P::STATEFUL || (self.cleanup(self.domain, &pane.window).is_none() && self.scopes.is_empty()))
    }

    /// Sees to it that the queue has a timer for when the window must next be looked at.
    #[inline]
    fn arm(
        &self,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        timers: &mut Timers<K, A::Window>,
        hash: KeyHash,
        key: &K,
    ) {
        for domain in [TimeDomain::Event, TimeDomain::Processing] {
            let next = pane.timers.next(domain);
            let over = self.cleanup(domain, &pane.window);
            let Some(at) = next.into_iter().chain(over).min() else { continue };
            if let Some(at) = pane.arm(domain, at) {
                timers.in_domain(domain).add(at, hash, key, &pane.window);
            }
        }
    }

    /// Counts a timer that has come at the final watermark, where windows may have no end; there are `others`.
    fn count_last(&mut self, window: &A::Window, others: usize) -> TaskResult {
        if self.cleanup(TimeDomain::Event, window).is_some_and(|over| over != Timestamp::MAX) {
            return Ok(());
        }
        let left = self.last.get_or_insert(others.saturating_add(LAST_TIMERS_MAX));
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => return Err(endless(&self.spec.trigger.describe())),
        }
        Ok(())
    }
}

#[cold]
fn endless(trigger: &str) -> Box<Failure> {
    let message = format!(
        "the trigger {trigger} sets further timers without end after the input has ended (more than \
         {LAST_TIMERS_MAX}): in a window without an end it must not set timers when the watermark is the final one"
    );
    Box::new(Failure::user(message).fatal())
}
