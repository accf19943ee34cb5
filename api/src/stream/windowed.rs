//! Streams cut into windows, by key.
//!
//! # Layout
//! - `choose`: which operator runs
//! - `settings`: trigger, lateness
//! - `results`: what is made of the windows

mod choose;
mod results;
mod settings;

pub(super) use results::{larger, smaller};

use std::sync::Arc;

use flott_runtime::batch::{Data, Key};

use super::{KeyedStream, Stream};
use crate::{
    environment::Environment,
    error::PlanError,
    operator::Late,
    plan::KeyOf,
    window::{AnyEvictor, CountEvictor, CountTrigger, GlobalWindows, PurgingTrigger, Trigger, WindowAssigner},
};

/// A stream with a key whose records are in windows. The methods that make something of the windows give a stream again.
///
/// A window belongs to a key: it begins with the first record of the key that is in it. It gives results when its trigger
/// says so, by default once time has reached its end, with its [last timestamp](crate::Window::max_timestamp), and is
/// forgotten when its time is over.
pub struct WindowedStream<K, T, A, Tr = <A as WindowAssigner<T>>::Trigger>
where
    A: WindowAssigner<T>,
{
    stream: Stream<T>,
    keys: Arc<dyn KeyOf<T, K>>,
    /// All records are in the windows of one key, so there can be one subtask only.
    single: bool,
    assigner: A,
    trigger: Tr,
    evictor: Option<AnyEvictor<T, A::Window>>,
    lateness_ms: i64,
    late: Late<T>,
}

impl<K, T, A, Tr> Clone for WindowedStream<K, T, A, Tr>
where
    A: WindowAssigner<T>,
    Tr: Clone,
{
    fn clone(&self) -> Self {
        Self {
            stream: self.stream.clone(),
            keys: self.keys.clone(),
            single: self.single,
            assigner: self.assigner.clone(),
            trigger: self.trigger.clone(),
            evictor: self.evictor.clone(),
            lateness_ms: self.lateness_ms,
            late: self.late.clone(),
        }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Cuts the stream into windows, for each key by itself.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flott::{Environment, TumblingEventTimeWindows, WatermarkStrategy};
    /// # let env = Environment::new();
    /// # let clicks = env.from_collection(vec![("home".to_owned(), 1_000i64)]);
    /// // How often each page was seen in each minute.
    /// let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
    ///     .with_timestamp_assigner(|(_, at): &(String, i64)| *at);
    /// let counts = clicks
    ///     .assign_timestamps_and_watermarks(strategy)
    ///     .key_by(|(page, _)| page.clone())
    ///     .window(TumblingEventTimeWindows::of(Duration::from_secs(60)))
    ///     .count();
    /// # counts.discard();
    /// ```
    pub fn window<A: WindowAssigner<T>>(&self, assigner: A) -> WindowedStream<K, T, A> {
        WindowedStream::new(self.keyed.clone(), self.keys.clone(), false, assigner)
    }

    /// Cuts the stream into windows of `size` records of a key, at least one. Fewer that are left give no result.
    pub fn count_window(&self, size: u64) -> WindowedStream<K, T, GlobalWindows, PurgingTrigger<CountTrigger>> {
        self.window(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Has a window of the last `size` records of a key, or of as many as there are, every `slide` records of the key.
    pub fn count_window_sliding(&self, size: usize, slide: u64) -> WindowedStream<K, T, GlobalWindows, CountTrigger> {
        note(&self.keyed.env, "a window of counted records".to_owned(), no_size(size));
        self.window(GlobalWindows::create()).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
    }
}

impl<K, T, A> WindowedStream<K, T, A>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
{
    pub(super) fn new(stream: Stream<T>, keys: Arc<dyn KeyOf<T, K>>, single: bool, assigner: A) -> Self {
        note(&stream.env, assigner.describe(), assigner.problem());
        let trigger = assigner.default_trigger();
        Self { stream, keys, single, assigner, trigger, evictor: None, lateness_ms: 0, late: Late::default() }
    }
}

/// What makes windows of so many records impossible.
pub(super) fn no_size(size: usize) -> Option<String> {
    (size == 0).then(|| "its size must be at least 1, not 0".to_owned())
}

/// Notes that `what` cannot be, if there is a problem.
pub(super) fn note(env: &Environment, what: String, problem: Option<String>) {
    if let Some(problem) = problem {
        env.problem(PlanError::Window { what, problem });
    }
}

impl<K, T, A, Tr> WindowedStream<K, T, A, Tr>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    /// What the windows are, with their numbers, for the plan's fingerprint.
    fn describe(&self) -> String {
        let late = self.late.name().map_or(String::new(), |name| format!(", late to {name:?}"));
        let evictor = self.evictor.as_ref().map_or(String::new(), |evictor| format!(", {}", evictor.describe()));
        let (assigner, trigger) = (self.assigner.describe(), self.trigger.describe());
        format!("{assigner}, {trigger}{evictor}, lateness {} ms{late}", self.lateness_ms)
    }
}
