//! What a function sees besides its record.

use std::{
    borrow::Cow,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{KeyHash, KeyScope, KeyedStates, OperatorLists, OperatorScope},
    task::{TaskInfo, counters::OperatorCounters},
    time::{TimeDomain, Timers},
};

use super::{Collector, FunctionResult};
use crate::plan::SidePorts;

/// Names a side output and the type that it carries.
///
/// ```
/// use flott::OutputTag;
///
/// const LATE: OutputTag<String> = OutputTag::new("late");
/// ```
#[derive(Debug)]
pub struct OutputTag<T> {
    name: Cow<'static, str>,
    record: PhantomData<fn() -> T>,
}

impl<T> OutputTag<T> {
    /// A tag with this name. Tags of equal name and type are the same.
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), record: PhantomData }
    }

    /// A tag whose name is made at run time.
    pub fn named(name: String) -> Self {
        Self { name: Cow::Owned(name), record: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), record: PhantomData }
    }
}

/// What a process function works with: its outputs, its task, its counters. Handles of operator lists take it as their
/// scope.
pub struct Context<'a, Out> {
    collector: Collector<'a, Out>,
    sides: Option<&'a mut SidePorts>,
    /// Records that were given to them.
    aside: usize,
    lists: &'a mut OperatorLists,
    counters: &'a mut OperatorCounters,
    task: &'a TaskInfo,
    times: Times,
}

/// How far time has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// [`Timestamp::MIN`] before the first.
    pub watermark: Timestamp,
    pub processing: Timestamp,
}

impl<'a, Out> Context<'a, Out> {
    pub(crate) fn new(
        collector: Collector<'a, Out>,
        sides: Option<&'a mut SidePorts>,
        lists: &'a mut OperatorLists,
        counters: &'a mut OperatorCounters,
        task: &'a TaskInfo,
        times: Times,
    ) -> Self {
        Self { collector, sides, aside: 0, lists, counters, task, times }
    }

    /// Gives out a result, with the timestamp of the record at hand.
    #[inline]
    pub fn emit(&mut self, record: Out) {
        self.collector.emit(record);
    }

    /// Gives out `record` to the side output `tag`. Nobody may be reading it; then it is dropped.
    ///
    /// # Errors
    /// When the side output is read as another type, or what reads it fails.
    pub fn emit_to<S: Data>(&mut self, tag: &OutputTag<S>, record: S) -> FunctionResult {
        let timestamp = self.collector.timestamp();
        if let Some(sides) = &mut self.sides {
            sides.emit(tag.name(), record, timestamp)?;
            self.aside += 1;
        }
        Ok(())
    }

    /// The timestamp of the record at hand, if it has one.
    #[inline]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.collector.timestamp()
    }

    /// The watermark: no record with this timestamp or an earlier one is to come, or else it is late. `i64::MIN` before
    /// the first watermark, `i64::MAX` at the end of the input.
    #[inline]
    pub fn watermark(&self) -> Timestamp {
        self.times.watermark
    }

    /// Processing time in milliseconds since 1970, as it was when the batch came that the record at hand is in.
    #[inline]
    pub fn processing_time(&self) -> Timestamp {
        self.times.processing
    }

    /// The subtask that the function runs in.
    pub fn task(&self) -> &TaskInfo {
        self.task
    }

    /// Adds `number` to the job's counter `name`, an accumulator that is summed over all subtasks. It can be seen while the job
    /// runs, about a second old, and stays as it was last when the job ends, however it does. It begins anew with each attempt of
    /// the subtask.
    ///
    /// A subtask has places for 256 names of at most 256 bytes, one for each operator that counts under a name; what is counted
    /// under further ones is added to the counter `flott.furtherCounters`.
    pub fn add_to(&mut self, name: &str, number: i64) {
        self.counters.add(self.task.figures.counters(), name, number);
    }

    pub(crate) fn set_timestamp(&mut self, timestamp: Option<Timestamp>) {
        self.collector.set_timestamp(timestamp);
    }

    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// Records that were given out, give or take a batch that is not passed on yet.
    #[inline]
    pub(crate) fn given(&self) -> usize {
        self.collector.given() + self.aside
    }

    /// Passes on what is left everywhere.
    pub(crate) fn flush(&mut self) -> TaskResult {
        if let Some(sides) = &mut self.sides {
            sides.flush()?;
        }
        self.collector.finish()
    }
}

impl<Out> OperatorScope for Context<'_, Out> {
    fn lists(&self) -> &OperatorLists {
        self.lists
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.lists
    }
}

/// A [`Context`] with a key and the states of that key; state handles take it as their scope.
pub struct KeyedContext<'a, K, Out> {
    context: Context<'a, Out>,
    states: &'a mut KeyedStates<K>,
}

impl<'a, K: Key, Out> KeyedContext<'a, K, Out> {
    pub(crate) fn new(context: Context<'a, Out>, states: &'a mut KeyedStates<K>) -> Self {
        Self { context, states }
    }

    #[inline]
    pub(crate) fn set_key(&mut self, hash: KeyHash, key: K) {
        self.states.set_key(hash, key);
    }

    /// The key of the record or timer at hand.
    ///
    /// # Errors
    /// When there is none at hand.
    pub fn key(&self) -> FunctionResult<&K> {
        Ok(self.states.key()?)
    }

    /// Has `on_timer` called for this key when the watermark reaches `at`; with the next watermark, or at the end, if it has.
    /// A key has one timer per time, however often it is set. False if it was set already.
    ///
    /// # Errors
    /// When there is no key at hand; so it is with all methods for timers.
    pub fn register_event_time_timer(&mut self, at: Timestamp) -> FunctionResult<bool> {
        Ok(self.states.set_timer(TimeDomain::Event, at)?)
    }

    /// Has `on_timer` called for this key when the clock says `at` or later, but for `i64::MAX`, which it never does. Timers that are still set when the input has
    /// ended are called then; those that they set themselves are not.
    ///
    /// # Errors
    /// As [`register_event_time_timer`](Self::register_event_time_timer).
    pub fn register_processing_time_timer(&mut self, at: Timestamp) -> FunctionResult<bool> {
        Ok(self.states.set_timer(TimeDomain::Processing, at)?)
    }

    /// Takes back a timer of this key. False if there is none at that time.
    ///
    /// # Errors
    /// As [`register_event_time_timer`](Self::register_event_time_timer).
    pub fn delete_event_time_timer(&mut self, at: Timestamp) -> FunctionResult<bool> {
        Ok(self.states.delete_timer(TimeDomain::Event, at)?)
    }

    /// Takes back a timer of this key. False if there is none at that time.
    ///
    /// # Errors
    /// As [`register_event_time_timer`](Self::register_event_time_timer).
    pub fn delete_processing_time_timer(&mut self, at: Timestamp) -> FunctionResult<bool> {
        Ok(self.states.delete_timer(TimeDomain::Processing, at)?)
    }

    pub(crate) fn timers(&mut self) -> &mut Timers<K> {
        self.states.timers()
    }

    pub(crate) fn collector(&mut self) -> &mut Collector<'a, Out> {
        &mut self.context.collector
    }
}

impl<K: Key, Out> KeyScope for KeyedContext<'_, K, Out> {
    type Key = K;

    #[inline]
    fn states(&mut self) -> &mut KeyedStates<K> {
        self.states
    }
}

impl<K, Out> OperatorScope for KeyedContext<'_, K, Out> {
    fn lists(&self) -> &OperatorLists {
        self.context.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.context.lists_mut()
    }
}

impl<'a, K, Out> Deref for KeyedContext<'a, K, Out> {
    type Target = Context<'a, Out>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl<K, Out> DerefMut for KeyedContext<'_, K, Out> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}
