//! Patterns in streams.

use std::{cmp::Ordering, iter, sync::Arc};

use flott::{Data, Key, KeyedStream, OutputTag, Stream, TimeDomain};

use crate::{
    automaton::Automaton,
    error::PatternError,
    found::Match,
    function::{PatternProcessFunction, Selecting},
    operator::{Search, Settings},
    pattern::Pattern,
};

/// Streams in which patterns can be looked for.
pub trait Patterns {
    /// Keys; the unit for streams without.
    type Key: Key;
    /// Events.
    type Event: Data;

    /// Looks for `pattern` among the events of each key. In a stream without keys one subtask looks among all events.
    ///
    /// # Errors
    /// When the pattern makes no sense.
    fn pattern(&self, pattern: &Pattern<Self::Event>) -> Result<PatternStream<Self::Key, Self::Event>, PatternError>;
}

impl<K: Key, T: Data> Patterns for KeyedStream<K, T> {
    type Key = K;
    type Event = T;

    fn pattern(&self, pattern: &Pattern<T>) -> Result<PatternStream<K, T>, PatternError> {
        PatternStream::new(self.clone(), pattern, false)
    }
}

impl<T: Data> Patterns for Stream<T> {
    type Key = ();
    type Event = T;

    fn pattern(&self, pattern: &Pattern<T>) -> Result<PatternStream<(), T>, PatternError> {
        PatternStream::new(self.key_by(|_| ()), pattern, true)
    }
}

/// A pattern that is looked for in a stream: how it is done, and what with the matches.
///
/// Unless [`processing_time`](Self::processing_time) is asked for, events are looked at in the order of their timestamps,
/// when the watermark has reached them. What comes later than that is late: left out, and counted by the job's accumulator
/// `numLateRecordsDropped`, unless [`late_to`](Self::late_to) says otherwise.
pub struct PatternStream<K, T> {
    stream: KeyedStream<K, T>,
    automaton: Arc<Automaton<T>>,
    settings: Settings<T>,
    single: bool,
}

impl<K: Key, T: Data> PatternStream<K, T> {
    fn new(stream: KeyedStream<K, T>, pattern: &Pattern<T>, single: bool) -> Result<Self, PatternError> {
        let automaton = Arc::new(Automaton::new(pattern)?);
        let settings = Settings { time: TimeDomain::Event, order: None, late: None };
        Ok(Self { stream, automaton, settings, single })
    }

    /// Looks at events as they come; their times are those at which they come.
    #[must_use]
    pub fn processing_time(mut self) -> Self {
        self.settings.time = TimeDomain::Processing;
        self
    }

    /// The order of events that have the same timestamp; without it, it is that in which they come.
    #[must_use]
    pub fn order_by(mut self, order: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Self {
        self.settings.order = Some(Arc::new(order));
        self
    }

    /// Gives late events to the side output `tag` of the resulting stream.
    #[must_use]
    pub fn late_to(mut self, tag: &OutputTag<T>) -> Self {
        self.settings.late = Some(tag.clone());
        self
    }

    /// A record for each match.
    pub fn select<R, F>(self, mut select: F) -> Stream<R>
    where
        R: Data,
        F: FnMut(Match<T>) -> R + Clone + Send + Sync + 'static,
    {
        self.flat_select(move |found| iter::once(select(found)))
    }

    /// Any number of records for each match: all that the function's result yields.
    pub fn flat_select<I, F>(self, select: F) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
        F: FnMut(Match<T>) -> I + Clone + Send + Sync + 'static,
    {
        self.process(Selecting::<T, I, F, (), fn(Match<T>)>::new(select, None))
    }

    /// A record for each match, and one for each partial match whose time is up, which goes to the side output `tag`. See
    /// [`process_timed_out`](PatternProcessFunction::process_timed_out) for what these are.
    pub fn select_or_timed_out<R, F, S, G>(self, mut select: F, tag: &OutputTag<S>, timed_out: G) -> Stream<R>
    where
        R: Data,
        F: FnMut(Match<T>) -> R + Clone + Send + Sync + 'static,
        S: Data,
        G: FnMut(Match<T>) -> S + Clone + Send + Sync + 'static,
    {
        let select = move |found| iter::once(select(found));
        self.process(Selecting::new(select, Some((tag.clone(), timed_out))))
    }

    /// Gives all matches to a function of the user's.
    pub fn process<F>(self, function: F) -> Stream<F::Out>
    where
        F: PatternProcessFunction<In = T>,
    {
        let Self { stream, automaton, settings, single } = self;
        let found = stream.process(Search::new(automaton, settings, function)).name("Pattern");
        if single { found.parallelism(1) } else { found }
    }
}
