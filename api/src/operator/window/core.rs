//! The windows of all keys, and what a record does to them.

use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    snapshot::{Restored, StateSink},
    state::{Backend, BackendTable, Cursor, KeyHash, Progress, StateSize},
    time::{TimeDomain, Timers},
};

use super::{
    function::PaneFunction,
    panes::{Pane, Panes},
    rules::{Rules, WindowSpec},
    visit::Visit,
};
use crate::{
    function::failed,
    window::{Trigger, TriggerResult, WindowAssigner, WindowContext, WindowScopes},
};

/// What the table of windows is called in a snapshot.
const WINDOWS: &str = "windows";

type Table<K, T, W, Tr, P> =
    BackendTable<K, Panes<W, <P as PaneFunction<K, T, W>>::Contents, <Tr as Trigger<T, W>>::State>>;

/// The windows of all keys.
pub(super) struct Core<K, T, A, Tr, P>
where
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    pub(super) table: Table<K, T, A::Window, Tr, P>,
    pub(super) rules: Rules<K, T, A, Tr, P>,
    pub timers: Timers<K, A::Window>,
    /// The kind of time that windows end in.
    pub domain: TimeDomain,
    /// Those of the record at hand.
    windows: Vec<A::Window>,
    /// The hashes of keys of timers that come next.
    pub(super) upcoming: Vec<KeyHash>,
    /// How many timers are left of those.
    pub(super) warmed: usize,
    /// A timer that has given much, and has more to give.
    pub(super) visits: Option<Visit<K, A::Window>>,
}

impl<K, T, A, Tr, P> Core<K, T, A, Tr, P>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    pub fn new(spec: WindowSpec<T, A, Tr, P>, backend: &Backend) -> Self {
        let domain = spec.assigner.time_domain();
        Self {
            table: backend.table(),
            rules: Rules::new(spec),
            timers: Timers::default(),
            domain,
            windows: Vec::new(),
            upcoming: Vec::new(),
            warmed: 0,
            visits: None,
        }
    }

    pub fn open(&mut self, open: impl FnOnce(&mut P, &mut WindowScopes<K, A::Window>) -> TaskResult) -> TaskResult {
        open(&mut self.rules.spec.function, &mut self.rules.scopes)
    }

    /// Begins with what there was in a snapshot.
    ///
    /// The queue of timers is not in it: each window says for which times it has one there. Those that were replaced by an
    /// earlier one would have come to nothing.
    pub fn restore(&mut self, from: &Restored) -> TaskResult {
        let Self { table, timers, .. } = self;
        from.table(WINDOWS, table.entries_mut())?;
        let all = table.walk(&mut Cursor::default(), usize::MAX, |key, panes| {
            let hash = KeyHash::of(key);
            for pane in panes.iter() {
                for domain in TimeDomain::ALL {
                    if let Some(at) = pane.armed_for(domain) {
                        timers.in_domain(domain).add(at, hash, key, &pane.window);
                    }
                }
            }
            Ok(())
        });
        all.map(drop)
    }

    /// What it remembers. All that was due has been done by then.
    pub fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        debug_assert!(self.visits.is_none(), "a timer is done before a barrier");
        into.table(WINDOWS, self.table.entries_mut())
    }

    /// Gives some more of it.
    pub fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more_table(WINDOWS, self.table.entries_mut())
    }

    /// Has what the keys with these hashes have loaded into the nearest cache.
    pub fn warm(&self, hashes: &[KeyHash]) {
        self.table.warm(hashes);
    }

    /// Has records dropped that are too late.
    #[cfg(test)]
    pub fn drop_late(&mut self) {
        self.rules.spec.late = crate::operator::Late::default();
    }

    /// How much there is.
    pub fn size(&self) -> StateSize {
        StateSize { keys: self.table.len(), timers: self.timers.event.len() + self.timers.processing.len() }
    }

    /// Keys, windows and timers that there are.
    #[cfg(test)]
    pub fn kept(&mut self) -> (usize, usize, usize) {
        let mut windows = 0;
        let mut count = |_: &K, panes: &Panes<_, _, _>| {
            windows += panes.len();
            Ok(())
        };
        self.table.walk(&mut Cursor::default(), usize::MAX, &mut count).unwrap();
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
        let panes = table.entry(hash, key, Panes::default)?;
        let mut unkept = true;
        let mut record = Some(record);
        for window in windows.drain(..) {
            let place = if rules.merges {
                rules.merge(panes, &window, timers, (hash, key), ctx)?
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
                    Rules::<K, T, A, Tr, P>::disarm(pane, timers, hash, key);
                    panes.remove(place);
                    continue;
                }
            }
            rules.arm(pane, timers, hash, key);
        }
        if panes.is_empty() {
            table.remove(hash, key)?;
        }
        match record {
            Some(record) if unkept => self.in_no_window(record, at, ctx),
            _ => Ok(()),
        }
    }

    /// A record that none of its windows took.
    #[cold]
    fn in_no_window(&self, record: T, at: Timestamp, ctx: &mut WindowContext<'_, K, A::Window, P::Out>) -> TaskResult {
        // It may have none: then it is not late.
        let spec = &self.rules.spec;
        if self.domain == TimeDomain::Processing || at.saturating_add(spec.lateness_ms) > ctx.watermark() {
            return Ok(());
        }
        spec.late.take(record, at, ctx)
    }
}
