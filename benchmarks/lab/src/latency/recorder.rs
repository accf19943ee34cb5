//! The receiver.

use std::time::Duration;

use flott::{Context, FunctionResult, KeyedContext, KeyedProcessFunction};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Stamped, clock};

/// What is told apart: from a microsecond to a minute, with three digits.
const SHORTEST_NS: u64 = 1_000;
const LONGEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// A bucket of the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Longest latency of the bucket, in nanoseconds.
    pub latency_ns: u64,
    /// Records in it.
    pub records: u64,
}

/// Records how old records are; gives out the histogram when there are no more.
#[derive(Clone)]
pub(super) struct Recorder {
    warm_up: Duration,
    /// From when on records count; set by the first one.
    from: Option<u64>,
    histogram: Option<Histogram<u64>>,
}

impl Recorder {
    pub fn new(warm_up: Duration) -> Self {
        Self { warm_up, from: None, histogram: None }
    }
}

impl KeyedProcessFunction for Recorder {
    type Key = u64;
    type In = Stamped;
    type Out = Bucket;

    fn process(&mut self, record: Stamped, _: &mut KeyedContext<'_, u64, Bucket>) -> FunctionResult {
        let now = clock::now()?;
        let from = *self.from.get_or_insert_with(|| clock::stamp(now + self.warm_up));
        let now = clock::stamp(now);
        if now < from {
            return Ok(());
        }
        if self.histogram.is_none() {
            self.histogram = Some(Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS)?);
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(now.saturating_sub(record.2).max(1));
        }
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, Bucket>) -> FunctionResult {
        for value in self.histogram.take().iter().flat_map(Histogram::iter_recorded) {
            ctx.emit(Bucket { latency_ns: value.value_iterated_to(), records: value.count_at_value() });
        }
        Ok(())
    }
}
