//! The rules of one window: what it takes, when it gives results, and when it is over.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Key, Timestamp},
    error::TaskResult,
    state::{KeyHash, KeyScope},
    time::{LAST_TIMERS_MAX, TimeDomain, Timers},
};

use super::{
    function::{Fired, PaneFunction},
    panes::{Pane, Panes},
};
use crate::{
    function::failed,
    operator::Late,
    window::{
        Trigger, TriggerContext, TriggerResult, TriggerTimers, Window, WindowAssigner, WindowContext, WindowScopes,
    },
};

/// What the windows of a stream are and do. A prototype lives in the plan.
#[derive(Clone)]
pub(crate) struct WindowSpec<T, A, Tr, P> {
    pub assigner: A,
    pub trigger: Tr,
    pub function: P,
    /// How long after its end a window takes records.
    pub lateness_ms: i64,
    /// Where records go that are too late.
    pub late: Late<T>,
}

type PaneOf<K, T, W, Tr, P> = Pane<W, <P as PaneFunction<K, T, W>>::Contents, <Tr as Trigger<T, W>>::State>;

/// What is known of windows beside what they have.
pub(super) struct Rules<K, T, A: WindowAssigner<T>, Tr, P> {
    pub spec: WindowSpec<T, A, Tr, P>,
    pub domain: TimeDomain,
    pub merges: bool,
    pub scopes: WindowScopes<K, A::Window>,
}

impl<K, T, A, Tr, P> Rules<K, T, A, Tr, P>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    pub fn new(spec: WindowSpec<T, A, Tr, P>) -> Self {
        let (domain, merges) = (spec.assigner.time_domain(), spec.assigner.merges());
        Self { spec, domain, merges, scopes: WindowScopes::new(merges) }
    }

    /// When a window is over, if that is told by time of this kind, and if it ends at all.
    #[inline]
    pub fn cleanup(&self, domain: TimeDomain, window: &A::Window) -> Option<Timestamp> {
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
    pub fn is_late(&self, window: &A::Window, watermark: Timestamp) -> bool {
        self.domain == TimeDomain::Event
            && self.cleanup(TimeDomain::Event, window).is_some_and(|over| over <= watermark)
    }

    /// Where the window is that a timer was set for.
    pub fn place(&self, panes: &Panes<A::Window, P::Contents, Tr::State>, window: &A::Window) -> Option<usize> {
        if self.merges { panes.place_of_part(window) } else { panes.place(window).ok() }
    }

    /// Makes one of `window` and those of the key that belong together with it. Its place; `None` if it is over.
    pub fn merge(
        &mut self,
        panes: &mut Panes<A::Window, P::Contents, Tr::State>,
        window: &A::Window,
        timers: &mut Timers<K, A::Window>,
        (hash, key): (KeyHash, &K),
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
            Self::disarm(&other, timers, hash, key);
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
            if pane.window != whole {
                self.outgrow(pane, &whole, timers, hash, key);
            }
            pane.window = whole;
            pane.timers = TriggerTimers::None;
            let mut context = TriggerContext::new(&mut pane.state, &mut pane.timers, ctx.times());
            self.spec.trigger.on_merge(&pane.window, &mut context).map_err(failed)?;
        }
        Ok(Some(place))
    }

    /// Adds a record to a window, and asks the trigger.
    #[inline]
    pub fn add(
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
    pub fn on_time(
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
    pub fn fire(
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
    pub fn purge(&self, result: TriggerResult, pane: &mut PaneOf<K, T, A::Window, Tr, P>) {
        if result.purges() {
            pane.contents = None;
        }
    }

    /// The window is over.
    pub fn clear(
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
            self.scopes.forget(ctx.states(), &pane.window)?;
        }
        Ok(())
    }

    /// Whether nothing would be lost with a window, as it has nothing and waits for nothing.
    pub fn is_forgotten(&self, pane: &PaneOf<K, T, A::Window, Tr, P>) -> bool {
        pane.contents.is_none()
            && pane.timers.is_empty()
            && self.spec.trigger.is_initial(&pane.state)
            // What comes later may belong to it as long as it is not over.
            && (!self.merges || self.cleanup(self.domain, &pane.window).is_none())
            // What the user keeps for it is dropped when it is over, if it will ever be.
            && (!P::STATEFUL || (self.cleanup(self.domain, &pane.window).is_none() && self.scopes.is_empty()))
    }

    /// Sees to it that the queue has a timer for when the window must next be looked at.
    #[inline]
    pub fn arm(
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

    /// The window is about to become `whole`, and can be told only by that from then on. A timer at whose kind of time it ends
    /// comes before it is over, and stays in the queue as it is: most sessions grow with each record. Others might stay there
    /// long after it.
    fn outgrow(
        &self,
        pane: &mut PaneOf<K, T, A::Window, Tr, P>,
        whole: &A::Window,
        timers: &mut Timers<K, A::Window>,
        hash: KeyHash,
        key: &K,
    ) {
        for domain in TimeDomain::ALL {
            if let Some(at) = pane.armed_for(domain)
                && self.cleanup(domain, whole).is_none()
            {
                timers.in_domain(domain).remove(at, hash, key, &pane.window);
                pane.disarm(domain, at);
            }
        }
    }

    /// The window goes: what the queue has for it would come to nothing, and later windows of its key would leave more. One
    /// that was merged into another may have grown since its timer was set, which then comes for nothing.
    pub fn disarm(pane: &PaneOf<K, T, A::Window, Tr, P>, timers: &mut Timers<K, A::Window>, hash: KeyHash, key: &K) {
        for domain in TimeDomain::ALL {
            if let Some(at) = pane.armed_for(domain) {
                timers.in_domain(domain).remove(at, hash, key, &pane.window);
            }
        }
    }

    /// Counts a timer for `time` that has come at the final watermark, where windows may have no end; there are `others`.
    pub fn count_last(
        &self,
        window: &A::Window,
        time: Timestamp,
        others: usize,
        ctx: &mut WindowContext<'_, K, A::Window, P::Out>,
    ) -> TaskResult {
        if self.cleanup(TimeDomain::Event, window).is_some_and(|over| over != Timestamp::MAX) {
            return Ok(());
        }
        if ctx.states().timers().count_last(time, others) {
            Ok(())
        } else {
            Err(endless(&self.spec.trigger.describe()))
        }
    }
}

#[cold]
fn endless(trigger: &str) -> Box<Failure> {
    let message = format!(
        "the trigger {trigger} sets further timers without end after the input has ended (more than \
         {LAST_TIMERS_MAX}, beyond the timestamps of all records): in a window without an end it must stop setting timers \
         when the watermark is the final one"
    );
    Box::new(Failure::user(message).fatal())
}
