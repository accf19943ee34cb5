//! Timestamps and watermarks.

use flott_runtime::{
    batch::Data,
    time::{AssignWatermarks, WatermarkStrategy},
};

use super::Stream;
use crate::{
    error::PlanError,
    plan::{Body, OneInput},
};

fn assigning<T: Data>(strategy: WatermarkStrategy<T>) -> Body {
    OneInput::<T, T, _>::body(move |site| AssignWatermarks::new(strategy.clone(), site.task.clone()))
}

impl<T: Data> Stream<T> {
    /// Gives records timestamps and the stream watermarks by a strategy, in place of those it had.
    ///
    /// Each subtask has one watermark for all that it gets. Right behind a source that reads several splits,
    /// [`source_watermarks`](Self::source_watermarks) is better, which has one for each split. In batch mode the only
    /// watermark is the final one.
    #[must_use]
    pub fn assign_timestamps_and_watermarks(&self, strategy: WatermarkStrategy<T>) -> Self {
        const OPERATION: &str = "Timestamps/Watermarks";
        if strategy.alignment().is_some() {
            self.env.problem(PlanError::Alignment { operator: OPERATION.to_owned() });
        }
        let detail = strategy.describe();
        let timestamps = assigning(strategy.timestamps_only());
        let stream = self.then(OPERATION, assigning(strategy));
        if let Some(operator) = stream.operator {
            self.env.change(operator, |node| {
                node.detail = format!("{} {detail}", node.detail);
                node.batch_body = Some(timestamps);
            });
        }
        stream
    }

    /// Gives the records of the source at hand timestamps, and the source watermarks, by a strategy, of which each split
    /// has a copy of its own. A subtask gives the least watermark of the splits that it reads at the time, idle ones
    /// left out: so records of a split that is behind the others are not late.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flott::{Environment, GeneratorSource, WatermarkStrategy};
    /// # let env = Environment::local();
    /// let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5));
    /// let readings = env
    ///     .generator(GeneratorSource::new(1_000_000, |number| (number % 7, number as i64 * 20)).rate(50_000.0))
    ///     .source_watermarks(strategy.with_timestamp_assigner(|reading: &(u64, i64)| reading.1));
    /// ```
    ///
    /// A subtask that reads one split after another (see [`Source::concurrent_splits`](crate::Source::concurrent_splits))
    /// does not go back in time with the next: its watermark stays where it was until the new split has passed it.
    #[must_use]
    pub fn source_watermarks(self, strategy: WatermarkStrategy<T>) -> Self {
        const SETTING: &str = "source_watermarks";
        let Some(operator) = self.operator else {
            self.env.problem(PlanError::NoOperator { setting: SETTING });
            return self;
        };
        let mut problem = None;
        self.env.change(operator, |node| {
            let sources = match &node.body {
                Body::Source(source) => {
                    source.with_watermarks(&strategy).zip(source.with_watermarks(&strategy.timestamps_only()))
                }
                Body::One(_) | Body::Two(_) => None,
            };
            match sources {
                Some((source, in_batch_mode)) => {
                    node.body = Body::Source(source);
                    node.batch_body = Some(Body::Source(in_batch_mode));
                    node.detail = format!("{} {}", node.detail, strategy.describe());
                }
                None => problem = Some(PlanError::NoSource { setting: SETTING, operator: node.shown_name() }),
            }
        });
        if let Some(problem) = problem {
            self.env.problem(problem);
        }
        self
    }
}
