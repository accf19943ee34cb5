//! Asynchronous calls.

use std::{future::Future, iter, sync::Arc};

use flott_runtime::{batch::Data, error::UserError};

use super::Stream;
use crate::{
    error::PlanError,
    function::{AsyncOptions, Calls},
    operator::{Call, answer},
    plan::OneInput,
};

impl<T: Data> Stream<T> {
    /// One record for each record, by a function whose answer takes a while, such as a look-up in a database. Many calls
    /// are under way at once; an error fails the task with its message.
    ///
    /// Calls run on the task's executor, so the function must not block. What the subtask has under way is dropped when it
    /// is cancelled or fails.
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// use flott::{AsyncOptions, Environment};
    ///
    /// # fn main() -> flott::Result<()> {
    /// let env = Environment::local();
    /// let answers = env
    ///     .sequence(1, 5)
    ///     .map_async(AsyncOptions::ordered().capacity(10).timeout(Duration::from_secs(10)), |number| async move {
    ///         // Ask somebody, and wait for the answer.
    ///         Ok::<_, Infallible>(number * number)
    ///     })
    ///     .collect();
    /// let result = env.execute("squares")?;
    /// # let mut answers_ = result.collected(&answers)?;
    /// # answers_.sort();
    /// # assert_eq!(answers_, [1, 4, 9, 16, 25]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_async<U, E, F, Fut>(&self, options: AsyncOptions<T, U, E>, function: F) -> Stream<U>
    where
        U: Data,
        E: Into<UserError> + Send + 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send + 'static,
    {
        self.call("Async Map", options, function, iter::once)
    }

    /// As [`map_async`](Self::map_async), with any number of records for each record: all that the result yields.
    pub fn flat_map_async<I, E, F, Fut>(&self, options: AsyncOptions<T, I, E>, function: F) -> Stream<I::Item>
    where
        I: IntoIterator + Send + 'static,
        I::Item: Data,
        E: Into<UserError> + Send + 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
    {
        self.call("Async Flat Map", options, function, |results| results)
    }

    fn call<R, I, E, F, Fut>(
        &self,
        operation: &'static str,
        options: AsyncOptions<T, R, E>,
        function: F,
        records: fn(R) -> I,
    ) -> Stream<I::Item>
    where
        R: Send + 'static,
        I: IntoIterator + Send + 'static,
        I::Item: Data,
        E: Into<UserError> + Send + 'static,
        F: Fn(T) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        if let Some(problem) = options.problem() {
            self.env.problem(PlanError::Calls { operator: operation.to_owned(), problem });
        }
        let described = format!("{options:?}");
        let options = Arc::new(options);
        let make = move |site: &crate::plan::Site| {
            let (options, function, clock) = (options.clone(), function.clone(), site.task.clock.clone());
            let (ordered, capacity) = (options.is_ordered(), options.most());
            let calls = Arc::new(Calls { options, function, clock });
            Call::new(ordered, capacity, move |place, timestamp, record| {
                let calls = calls.clone();
                answer(place, timestamp, async move { calls.result(record).await.map(records) })
            })
        };
        let stream = self.then(operation, OneInput::<T, I::Item, _>::body(make));
        if let Some(operator) = stream.operator {
            self.env.change(operator, |node| node.detail = format!("{} {described}", node.detail));
        }
        stream
    }
}
