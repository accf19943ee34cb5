//! What is done with matches.

use std::marker::PhantomData;

use flott::{Context, Data, FunctionResult, OpenContext, OutputTag};

use crate::found::Match;

/// A function of matches, with side outputs. A prototype lives in the plan; each subtask has a clone.
pub trait PatternProcessFunction: Clone + Send + Sync + 'static {
    /// Events.
    type In: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first match: the place to get handles of operator lists.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut OpenContext<'_>) -> FunctionResult {
        Ok(())
    }

    /// Called for each match. What it gives out has the time at which the match was complete for its timestamp, in event
    /// time.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_match(&mut self, found: Match<Self::In>, ctx: &mut Context<'_, Self::Out>) -> FunctionResult;

    /// Called for the events of a partial match when its time is up, by `within` or `within_since_previous`: once, in
    /// however many ways it might have gone on, and not for events that were a match already.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_timed_out(&mut self, _partial: Match<Self::In>, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// Functions of the user's at work on matches, and on partial matches whose time was up.
pub(crate) struct Selecting<T, I, F, S, G> {
    select: F,
    timed_out: Option<(OutputTag<S>, G)>,
    types: PhantomData<fn(T) -> I>,
}

impl<T, I, F: Clone, S, G: Clone> Clone for Selecting<T, I, F, S, G> {
    fn clone(&self) -> Self {
        Self { select: self.select.clone(), timed_out: self.timed_out.clone(), types: PhantomData }
    }
}

impl<T, I, F, S, G> Selecting<T, I, F, S, G> {
    pub fn new(select: F, timed_out: Option<(OutputTag<S>, G)>) -> Self {
        Self { select, timed_out, types: PhantomData }
    }
}

impl<T, I, F, S, G> PatternProcessFunction for Selecting<T, I, F, S, G>
where
    T: Data,
    I: IntoIterator + 'static,
    I::Item: Data,
    F: FnMut(Match<T>) -> I + Clone + Send + Sync + 'static,
    S: Data,
    G: FnMut(Match<T>) -> S + Clone + Send + Sync + 'static,
{
    type In = T;
    type Out = I::Item;

    fn process_match(&mut self, found: Match<T>, ctx: &mut Context<'_, I::Item>) -> FunctionResult {
        for record in (self.select)(found) {
            ctx.emit(record);
        }
        Ok(())
    }

    fn process_timed_out(&mut self, partial: Match<T>, ctx: &mut Context<'_, I::Item>) -> FunctionResult {
        match &mut self.timed_out {
            Some((tag, select)) => ctx.emit_to(tag, select(partial)),
            None => Ok(()),
        }
    }
}
