//! Functions of single records, unions and side outputs.

use std::sync::Arc;

use flott_runtime::{batch::Data, error::UserError};

use super::Stream;
use crate::{
    error::PlanError,
    function::{Collector, OutputTag, ProcessFunction},
    operator::{Filter, FlatMap, Map, Process, TryFilter, TryFlatMap, TryMap},
    plan::{OneInput, Origin, PlainEdge, SideKind},
};

impl<T: Data> Stream<T> {
    /// One record for each record.
    pub fn map<U, F>(&self, function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(T) -> U + Clone + Send + Sync + 'static,
    {
        self.then("Map", OneInput::<T, U, _>::body(move |_| Map::new(function.clone())))
    }

    /// One record for each record, by a function that can fail; an error fails the task with its message.
    pub fn try_map<U, E, F>(&self, function: F) -> Stream<U>
    where
        U: Data,
        E: Into<UserError>,
        F: FnMut(T) -> Result<U, E> + Clone + Send + Sync + 'static,
    {
        self.then("Map", OneInput::<T, U, _>::body(move |_| TryMap::new(function.clone())))
    }

    /// Any number of records for each record: the function gives them to the collector.
    pub fn flat_map<U, F>(&self, function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(T, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
    {
        self.then("Flat Map", OneInput::<T, U, _>::body(move |_| FlatMap::new(function.clone())))
    }

    /// Any number of records for each record, by a function that can fail.
    pub fn try_flat_map<U, E, F>(&self, function: F) -> Stream<U>
    where
        U: Data,
        E: Into<UserError>,
        F: FnMut(T, &mut Collector<'_, U>) -> Result<(), E> + Clone + Send + Sync + 'static,
    {
        self.then("Flat Map", OneInput::<T, U, _>::body(move |_| TryFlatMap::new(function.clone())))
    }

    /// Any number of records for each record: all that the function's result yields.
    pub fn flat_map_iter<I, F>(&self, mut function: F) -> Stream<I::Item>
    where
        I: IntoIterator,
        I::Item: Data,
        F: FnMut(T) -> I + Clone + Send + Sync + 'static,
    {
        self.flat_map(move |record, out| out.emit_all(function(record)))
    }

    /// The records for which the predicate holds.
    #[must_use]
    pub fn filter<F>(&self, predicate: F) -> Self
    where
        F: FnMut(&T) -> bool + Clone + Send + Sync + 'static,
    {
        self.then("Filter", OneInput::<T, T, _>::body(move |_| Filter::new(predicate.clone())))
    }

    /// The records for which the predicate holds; it can fail.
    #[must_use]
    pub fn try_filter<E, F>(&self, predicate: F) -> Self
    where
        E: Into<UserError>,
        F: FnMut(&T) -> Result<bool, E> + Clone + Send + Sync + 'static,
    {
        self.then("Filter", OneInput::<T, T, _>::body(move |_| TryFilter::new(predicate.clone())))
    }

    /// A process function. Its side outputs are read with [`side_output`](Self::side_output).
    pub fn process<F>(&self, function: F) -> Stream<F::Out>
    where
        F: ProcessFunction<In = T>,
    {
        self.then("Process", OneInput::<T, F::Out, _>::body(move |site| Process::new(function.clone(), site)))
    }

    /// All records of this stream and of `others`.
    #[must_use]
    pub fn union<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self
    where
        T: 'a,
    {
        let mut origins = self.origins.clone();
        for other in others {
            self.must_share_environment("union", other);
            origins.extend_from_slice(&other.origins);
        }
        Self::from_origins(self.env.clone(), origins)
    }

    /// What the process function before this gives to the side output `tag`.
    pub fn side_output<S: Data>(&self, tag: &OutputTag<S>) -> Stream<S> {
        let Some(operator) = self.operator else {
            self.env.problem(PlanError::NoOperator { setting: "side_output" });
            return Stream::from_origins(self.env.clone(), Vec::new());
        };
        let name: Arc<str> = tag.name().into();
        let side = SideKind::<S>::body();
        let mut problem = None;
        self.env.change(operator, |node| {
            let known = node.sides.entry(name.clone()).or_insert_with(|| side.clone());
            let ((known, first), (own, second)) = (known.record(), side.record());
            if known != own {
                problem = Some(PlanError::SideOutputType {
                    tag: name.to_string(),
                    operator: node.shown_name(),
                    first,
                    second,
                });
            }
        });
        if let Some(problem) = problem {
            self.env.problem(problem);
        }
        let origin = Origin { node: operator, side: Some(name), ship: None, edge: PlainEdge::<S>::body() };
        Stream::from_origins(self.env.clone(), vec![origin])
    }
}
