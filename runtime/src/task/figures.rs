//! Cumulative figures of a task. Written by its thread a few times per batch, read by whoever reports them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use flott_core::view::TaskMetrics;

use super::counters::TaskCounters;
use crate::{batch::Timestamp, state::StateSize};

/// Counters of one attempt.
#[derive(Debug, Default)]
pub struct TaskFigures {
    records_in: AtomicU64,
    records_out: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    records_read: AtomicU64,
    busy_ns: AtomicU64,
    idle_ns: AtomicU64,
    backpressured_ns: AtomicU64,
    keys: AtomicU64,
    timers: AtomicU64,
    watermark: Watermark,
    counters: TaskCounters,
}

/// The earliest time is none.
#[derive(Debug)]
struct Watermark(AtomicI64);

impl Default for Watermark {
    fn default() -> Self {
        Self(AtomicI64::new(Timestamp::MIN))
    }
}

impl TaskFigures {
    /// Records came in over a channel.
    pub fn records_in(&self, count: usize) {
        self.records_in.fetch_add(count as u64, Relaxed);
    }

    /// Records went out over a channel.
    pub fn records_out(&self, count: usize) {
        self.records_out.fetch_add(count as u64, Relaxed);
    }

    /// Bytes came in over the network.
    pub fn bytes_in(&self, count: usize) {
        self.bytes_in.fetch_add(count as u64, Relaxed);
    }

    /// Bytes went out over the network.
    pub fn bytes_out(&self, count: usize) {
        self.bytes_out.fetch_add(count as u64, Relaxed);
    }

    /// A source of this task has read records.
    pub fn records_read(&self, count: usize) {
        self.records_read.fetch_add(count as u64, Relaxed);
    }

    /// Time spent working.
    pub fn busy(&self, time: Duration) {
        self.busy_ns.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Time spent waiting for input.
    pub fn idle(&self, time: Duration) {
        self.idle_ns.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Time spent waiting for credit.
    pub fn backpressured(&self, time: Duration) {
        self.backpressured_ns.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// What operators remember.
    pub fn state(&self, size: StateSize) {
        self.keys.store(size.keys as u64, Relaxed);
        self.timers.store(size.timers as u64, Relaxed);
    }

    /// What operators remembered when the task last began to wait, or ended.
    pub fn state_size(&self) -> StateSize {
        StateSize { keys: self.keys.load(Relaxed) as usize, timers: self.timers.load(Relaxed) as usize }
    }

    /// The input, or the source, has come to this watermark.
    pub fn watermark(&self, watermark: Timestamp) {
        self.watermark.0.store(watermark, Relaxed);
    }

    /// What user functions count.
    pub fn counters(&self) -> &TaskCounters {
        &self.counters
    }

    /// The figures now.
    pub fn read(&self) -> TaskMetrics {
        let ms = |ns: &AtomicU64| ns.load(Relaxed) / 1_000_000;
        TaskMetrics {
            records_in: self.records_in.load(Relaxed),
            records_out: self.records_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            records_read: self.records_read.load(Relaxed),
            busy_ms: ms(&self.busy_ns),
            idle_ms: ms(&self.idle_ns),
            backpressured_ms: ms(&self.backpressured_ns),
            watermark: Some(self.watermark.0.load(Relaxed)).filter(|watermark| *watermark != Timestamp::MIN),
            counters: self.counters.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_watermark_before_the_first() {
        let figures = TaskFigures::default();
        assert_eq!(figures.read().watermark, None);
        for watermark in [-5, 0, Timestamp::MAX] {
            figures.watermark(watermark);
            assert_eq!(figures.read().watermark, Some(watermark));
        }
    }
}
