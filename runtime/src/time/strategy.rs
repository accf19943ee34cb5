//! How records get their timestamps, and how far they say that time has come.

use std::{fmt, sync::Arc, time::Duration};

use flott_core::failure::Failure;

use super::clock::millis;
use crate::{
    batch::{Batch, Timestamp},
    error::TaskResult,
};

/// Says how far time has come, by what it has seen of a stream or split. A prototype lives in the plan; each stream or
/// split of each subtask has a clone.
///
/// A watermark `t` is a promise that no record with a timestamp of `t` or less follows; those that do are late. One that
/// is not beyond those before it says nothing.
pub trait WatermarkGenerator<T>: Clone + Send + Sync + 'static {
    /// Called for each record, in order. What it answers is the watermark right behind the record.
    fn on_record(&mut self, record: &T, timestamp: Timestamp) -> Option<Timestamp>;

    /// Called every `pipeline.auto-watermark-interval`, and when there is nothing else to do; `now` is processing time.
    /// Not called while the stream is idle.
    fn on_periodic(&mut self, _now: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// How the records of a stream get their timestamps, and how far they say that time has come.
///
/// ```
/// use std::time::Duration;
///
/// use flott_runtime::time::WatermarkStrategy;
///
/// // (name, milliseconds): at most five seconds out of order.
/// let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
///     .with_timestamp_assigner(|record: &(String, i64)| record.1)
///     .with_idleness(Duration::from_secs(60));
/// ```
pub struct WatermarkStrategy<T> {
    timestamps: Option<Arc<dyn Stamp<T>>>,
    generator: Prototype<T>,
    idleness: Option<Duration>,
    alignment: Option<WatermarkAlignment>,
}

/// With whom a source aligns its watermark; see [`WatermarkStrategy::with_watermark_alignment`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkAlignment {
    /// Name of the group.
    pub group: String,
    /// How far ahead of the group a split may be.
    pub max_drift: Duration,
    /// How often a source and its group hear of each other.
    pub update_interval: Duration,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        let Self { timestamps, generator, idleness, alignment } = self;
        Self {
            timestamps: timestamps.clone(),
            generator: generator.clone(),
            idleness: *idleness,
            alignment: alignment.clone(),
        }
    }
}

impl<T> fmt::Debug for WatermarkStrategy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generator: &dyn fmt::Debug = match &self.generator {
            Prototype::None => &"none",
            Prototype::Bounded(delay) => delay,
            Prototype::Own(_) => &"own",
        };
        f.debug_struct("WatermarkStrategy")
            .field("delay", generator)
            .field("stamps", &self.timestamps.is_some())
            .field("idleness", &self.idleness)
            .field("alignment", &self.alignment)
            .finish()
    }
}

enum Prototype<T> {
    None,
    /// The delay in milliseconds.
    Bounded(i64),
    Own(Arc<dyn MakeOwn<T>>),
}

impl<T> Clone for Prototype<T> {
    fn clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Bounded(delay) => Self::Bounded(*delay),
            Self::Own(make) => Self::Own(make.clone()),
        }
    }
}

/// Timestamps of a whole batch: one dynamic call, a typed loop inside.
trait Stamp<T>: Send + Sync {
    fn stamp(&self, records: &[T], timestamps: &mut Vec<Timestamp>);
}

impl<T, F: Fn(&T) -> Timestamp + Send + Sync> Stamp<T> for F {
    fn stamp(&self, records: &[T], timestamps: &mut Vec<Timestamp>) {
        timestamps.extend(records.iter().map(self));
    }
}

trait MakeOwn<T>: Send + Sync {
    fn make(&self) -> Box<dyn Own<T>>;
}

impl<T, G: WatermarkGenerator<T>> MakeOwn<T> for G {
    fn make(&self) -> Box<dyn Own<T>> {
        Box::new(self.clone())
    }
}

/// A user's generator at work on batches.
trait Own<T>: Send {
    /// Shows it records until it gives a watermark; how many it has seen, and the watermark.
    fn observe(&mut self, records: &[T], timestamps: &[Timestamp]) -> (usize, Option<Timestamp>);
    fn periodic(&mut self, now: Timestamp) -> Option<Timestamp>;
}

impl<T, G: WatermarkGenerator<T>> Own<T> for G {
    fn observe(&mut self, records: &[T], timestamps: &[Timestamp]) -> (usize, Option<Timestamp>) {
        for (index, (record, timestamp)) in records.iter().zip(timestamps).enumerate() {
            if let Some(watermark) = self.on_record(record, *timestamp) {
                return (index + 1, Some(watermark));
            }
        }
        (records.len(), None)
    }

    fn periodic(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.on_periodic(now)
    }
}

impl<T> WatermarkStrategy<T> {
    fn of(generator: Prototype<T>) -> Self {
        Self { timestamps: None, generator, idleness: None, alignment: None }
    }

    /// No watermarks but the last one, at the end of the input.
    pub fn no_watermarks() -> Self {
        Self::of(Prototype::None)
    }

    /// Timestamps never go back (within a subtask, or a split where the strategy is a source's).
    pub fn for_monotonous_timestamps() -> Self {
        Self::of(Prototype::Bounded(0))
    }

    /// A record may come when others have come whose timestamps are greater by up to `delay`.
    pub fn for_bounded_out_of_orderness(delay: Duration) -> Self {
        Self::of(Prototype::Bounded(millis(delay)))
    }

    /// Watermarks by a generator of the user's.
    pub fn for_generator(generator: impl WatermarkGenerator<T>) -> Self {
        Self::of(Prototype::Own(Arc::new(generator)))
    }

    /// Timestamps are taken out of records, in milliseconds. Without it records must have timestamps already.
    #[must_use]
    pub fn with_timestamp_assigner(mut self, timestamp: impl Fn(&T) -> Timestamp + Send + Sync + 'static) -> Self {
        self.timestamps = Some(Arc::new(timestamp));
        self
    }

    /// When no record has come for so long, the stream is idle: others do not wait for its watermark until it has records
    /// again.
    #[must_use]
    pub fn with_idleness(mut self, after: Duration) -> Self {
        self.idleness = Some(after);
        self
    }

    /// Aligns the source with the others of the job that name the same group: splits whose watermark is ahead of the
    /// least one of the group by more than `max_drift` are not read until the group has caught up. So a join of a fast
    /// source with a slow one need not keep all that the fast one has read meanwhile.
    ///
    /// Every `update_interval` (a second is a good one; none is shorter than a millisecond) a source says how far it has
    /// come, and hears of its group; it can be ahead by what it reads within two of them. Whom nobody need wait for does not count: sources
    /// without a watermark yet, idle ones, ended ones. For strategies of sources only.
    #[must_use]
    pub fn with_watermark_alignment(
        mut self,
        group: impl Into<String>,
        max_drift: Duration,
        update_interval: Duration,
    ) -> Self {
        self.alignment = Some(WatermarkAlignment { group: group.into(), max_drift, update_interval });
        self
    }

    /// How long a stream may have no records before it is idle, in milliseconds.
    pub fn idleness_ms(&self) -> Option<i64> {
        self.idleness.map(millis)
    }

    /// With whom the watermark is aligned.
    pub fn alignment(&self) -> Option<&WatermarkAlignment> {
        self.alignment.as_ref()
    }

    /// Whether its generator is asked for watermarks in intervals of processing time.
    pub fn is_periodic(&self) -> bool {
        matches!(self.generator, Prototype::Own(_))
    }

    /// Its timestamps, with no watermark but the final one: for input that is there as a whole, of which nothing is late.
    #[must_use]
    pub fn timestamps_only(&self) -> Self {
        Self { timestamps: self.timestamps.clone(), generator: Prototype::None, idleness: None, alignment: None }
    }

    /// What it is, for the plan's fingerprint.
    pub fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// The strategy at work on one stream or split.
    pub fn assigner(&self) -> WatermarkAssigner<T> {
        let generator = match &self.generator {
            Prototype::None => Generator::None,
            Prototype::Bounded(delay) => Generator::Bounded { delay: *delay, max: None },
            Prototype::Own(make) => Generator::Own(make.make()),
        };
        WatermarkAssigner { timestamps: self.timestamps.clone(), generator, watermark: Timestamp::MIN }
    }
}

enum Generator<T> {
    None,
    Bounded { delay: i64, max: Option<Timestamp> },
    Own(Box<dyn Own<T>>),
}

/// A strategy at work on one stream or split.
pub struct WatermarkAssigner<T> {
    timestamps: Option<Arc<dyn Stamp<T>>>,
    generator: Generator<T>,
    watermark: Timestamp,
}

impl<T> WatermarkAssigner<T> {
    /// Gives the records of a batch their timestamps.
    ///
    /// # Errors
    /// When they have none, and the strategy has no way to give them any.
    pub fn stamp(&self, batch: &mut Batch<T>) -> TaskResult {
        match &self.timestamps {
            Some(stamp) => {
                batch.timestamps.clear();
                stamp.stamp(&batch.records, &mut batch.timestamps);
            }
            None if batch.has_timestamps() || matches!(self.generator, Generator::None) || batch.is_empty() => {}
            None => return Err(unstamped()),
        }
        Ok(())
    }

    /// Looks at the records of a batch from number `from` on, as far as one behind which there is a watermark, if the
    /// generator says so of single records. Answers how many it has looked at.
    pub fn observe(&mut self, batch: &Batch<T>, from: usize) -> usize {
        let timestamps = batch.timestamps.get(from..).unwrap_or_default();
        match &mut self.generator {
            Generator::None => batch.len().saturating_sub(from),
            Generator::Bounded { delay, max } => {
                // A fold over a slice, which the compiler does several at a time.
                *max = (*max).max(timestamps.iter().copied().max());
                if let Some(max) = max {
                    self.watermark = self.watermark.max(max.saturating_sub(*delay).saturating_sub(1));
                }
                timestamps.len()
            }
            Generator::Own(own) => {
                let (seen, watermark) = own.observe(batch.records.get(from..).unwrap_or_default(), timestamps);
                if let Some(watermark) = watermark {
                    self.watermark = self.watermark.max(watermark);
                }
                seen
            }
        }
    }

    /// The watermark now, when a generator that is asked in intervals has been asked.
    pub fn periodic(&mut self, now: Timestamp) -> Timestamp {
        if let Generator::Own(own) = &mut self.generator
            && let Some(watermark) = own.periodic(now)
        {
            self.watermark = self.watermark.max(watermark);
        }
        self.watermark
    }

    /// The watermark now; [`Timestamp::MIN`] is none.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The watermark is `watermark` at least, from now on: what had been seen before a restart.
    pub fn raise(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
    }

    /// Whether it is asked in intervals of processing time, and says of single records that a watermark is behind them.
    pub fn is_own(&self) -> bool {
        matches!(self.generator, Generator::Own(_))
    }
}

#[cold]
fn unstamped() -> Box<Failure> {
    let message = "records have no timestamps: give the watermark strategy a timestamp assigner";
    Box::new(Failure::user(message).fatal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(delay_ms: u64, timestamps: &[Timestamp], expected: Timestamp) {
        let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(delay_ms))
            .with_timestamp_assigner(|record: &i64| *record);
        let mut assigner = strategy.assigner();
        let mut batch = Batch::from(timestamps.to_vec());
        assigner.stamp(&mut batch).unwrap();
        assert_eq!(assigner.observe(&batch, 0), timestamps.len());
        assert_eq!(batch.timestamps, timestamps);
        assert_eq!(assigner.watermark(), expected);
    }

    #[test]
    fn the_watermark_is_behind_the_greatest_timestamp_by_the_delay() {
        check(0, &[], i64::MIN);
        check(0, &[5], 4);
        check(10, &[5, 20, 7], 9);
    }

    #[test]
    fn time_has_ends() {
        check(10, &[i64::MIN], i64::MIN);
        check(10, &[i64::MIN, i64::MAX], i64::MAX - 11);
        check(0, &[i64::MAX], i64::MAX - 1);
        check(u64::MAX, &[0, i64::MAX], -1);
    }

    #[test]
    fn a_generator_of_the_users_cuts_a_batch_where_it_gives_a_watermark() {
        #[derive(Clone)]
        struct EveryTenth;
        impl WatermarkGenerator<i64> for EveryTenth {
            fn on_record(&mut self, record: &i64, timestamp: Timestamp) -> Option<Timestamp> {
                (record % 10 == 0).then_some(timestamp)
            }
            fn on_periodic(&mut self, now: Timestamp) -> Option<Timestamp> {
                Some(now)
            }
        }
        let strategy = WatermarkStrategy::for_generator(EveryTenth).with_timestamp_assigner(|record: &i64| *record);
        let mut assigner = strategy.assigner();
        let mut batch = Batch::from(vec![8, 10, 11]);
        assigner.stamp(&mut batch).unwrap();
        assert_eq!((assigner.observe(&batch, 0), assigner.watermark()), (2, 10));
        assert_eq!((assigner.observe(&batch, 2), assigner.watermark()), (1, 10));
        assert_eq!((assigner.periodic(3), assigner.periodic(30)), (10, 30));
    }

    #[test]
    fn records_without_timestamps_are_an_error() {
        let assigner = WatermarkStrategy::<i64>::for_monotonous_timestamps().assigner();
        let failure = assigner.stamp(&mut Batch::from(vec![1])).unwrap_err();
        assert!(failure.to_string().contains("timestamp assigner"), "{failure}");
    }
}
