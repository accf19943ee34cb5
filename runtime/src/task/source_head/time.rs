//! What a source knows of time: the watermark of each split, and what the splits say together.

use std::sync::Arc;

use super::open::OpenSplits;
use crate::{
    batch::Timestamp,
    channel::merge::Said,
    error::TaskResult,
    event::Event,
    task::TaskInfo,
    time::{Dryness, Pulse, WatermarkAlignment, WatermarkAssigner, WatermarkStrategy, millis},
};

/// The time of a split.
pub(super) struct SplitTime<T> {
    pub assigner: WatermarkAssigner<T>,
    /// It had no records for so long that its watermark does not count.
    pub idle: bool,
    /// For how long it has had none.
    pub dryness: Dryness,
    /// It is ahead of its alignment group, and not read.
    pub paused: bool,
}

/// How a source stands to its alignment group.
struct Aligned {
    group: String,
    drift_ms: i64,
    interval_ms: i64,
    /// How far the others have come.
    others: Timestamp,
    /// Splits with a greater watermark are not read: they are too far ahead of the others, or of this source itself.
    limit: Timestamp,
    /// When the group is to hear of the source again; from the first watermark on.
    due: Option<Timestamp>,
}

impl Aligned {
    fn new(alignment: &WatermarkAlignment) -> Self {
        Self {
            group: alignment.group.clone(),
            drift_ms: millis(alignment.max_drift),
            interval_ms: millis(alignment.update_interval).max(1),
            others: Timestamp::MAX,
            limit: Timestamp::MAX,
            due: None,
        }
    }
}

/// The time of a source.
pub(super) struct SourceTime<T> {
    strategy: WatermarkStrategy<T>,
    /// Without a strategy there is no time but its end.
    is_plain: bool,
    info: Arc<TaskInfo>,
    pulse: Pulse,
    said: Said,
    aligned: Option<Aligned>,
}

impl<T> SourceTime<T> {
    pub fn new(strategy: Option<WatermarkStrategy<T>>, info: Arc<TaskInfo>) -> TaskResult<Self> {
        let is_plain = strategy.is_none();
        let strategy = strategy.unwrap_or_else(WatermarkStrategy::no_watermarks);
        let pulse = if is_plain { Pulse::default() } else { Pulse::of(&info)? };
        let aligned = strategy.alignment().map(Aligned::new);
        Ok(Self { strategy, is_plain, info, pulse, said: Said::default(), aligned })
    }

    /// Whether records go as they come, and nothing is said before the end.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The time of a split that is opened: nothing is known of it.
    pub fn split(&self) -> SplitTime<T> {
        SplitTime { assigner: self.strategy.assigner(), idle: false, dryness: Dryness::default(), paused: false }
    }

    pub fn now(&self) -> Timestamp {
        self.info.clock.now()
    }

    /// A split was asked and has no records.
    pub fn dry(&self, split: &mut SplitTime<T>) {
        let Some(after) = self.strategy.idleness_ms().filter(|_| !split.idle) else { return };
        // What is woken and has nothing after all would otherwise be taken to have something for ever.
        self.look(split, after, self.now());
    }

    /// A split has no records at `now`.
    fn look(&self, split: &mut SplitTime<T>, idleness_ms: i64, now: Timestamp) {
        match split.dryness.look(now, idleness_ms) {
            Some(at) => self.info.alarm.set(at),
            None => split.idle = true,
        }
    }

    /// Processing time is `now`: splits that have had no records for long become idle.
    pub fn watch_idleness<S>(&mut self, splits: &mut OpenSplits<T, S>, now: Timestamp) {
        let Some(after) = self.strategy.idleness_ms() else { return };
        for split in splits.iter_mut() {
            if split.time.idle || split.is_woken() {
                continue;
            }
            if split.time.dryness.has_begun() {
                self.look(&mut split.time, after, now);
            }
        }
    }

    /// A batch was read; whether the watermark is due.
    pub fn beat(&mut self, now: Timestamp) -> bool {
        self.pulse.beat(now)
    }

    /// There is nothing to read: the watermark is due, and again later if its generator is to be asked by the clock.
    pub fn rest(&mut self, now: Timestamp) {
        self.pulse.rest(now);
        if self.strategy.is_periodic() {
            self.info.alarm.set(self.pulse.next(now));
        }
    }

    /// Asks the generators that are asked by the clock.
    pub fn ask_generators<S>(&self, splits: &mut OpenSplits<T, S>, now: Timestamp) {
        if self.strategy.is_periodic() {
            splits.iter_mut().for_each(|split| {
                split.time.assigner.periodic(now);
            });
        }
    }

    /// Says what is new of the splits together. Without any it is idle until it gets one, unless that is `awaited`.
    pub fn settle<S>(&mut self, splits: &OpenSplits<T, S>, awaited: bool, say: impl FnMut(Event)) {
        if splits.has_records() || !awaited {
            self.said.settle(splits.watermarks(), say);
        }
    }

    /// Says that the source has come to `watermark`.
    pub fn pass(&mut self, watermark: Timestamp, say: impl FnMut(Event)) {
        self.said.settle([(watermark, false)].into_iter(), say);
    }

    /// The watermark that was said last.
    pub fn watermark(&self) -> Timestamp {
        self.said.watermark()
    }

    // ------------------------------------------------------------ alignment

    /// How far the source has come; `None` before it has come anywhere, and while it is idle: then nobody waits for it.
    fn reached<S>(&self, splits: &OpenSplits<T, S>) -> Option<Timestamp> {
        let watermark = self.said.watermark().max(splits.least());
        (watermark > Timestamp::MIN && !self.said.is_idle()).then_some(watermark)
    }

    /// What the group is to hear of the source at `now`, if it is time for that. It says so again when it hears the same,
    /// in case it was lost, and while all splits are paused.
    pub fn report<S>(&mut self, splits: &OpenSplits<T, S>, now: Timestamp) -> Option<(&str, Option<Timestamp>)> {
        let reached = self.aligned.as_ref().and_then(|_| self.reached(splits));
        let aligned = self.aligned.as_mut()?;
        match aligned.due {
            // Nobody has waited for it so far.
            None if reached.is_none() => return None,
            Some(due) if now < due => {
                self.info.alarm.set(due);
                return None;
            }
            None | Some(_) => {}
        }
        let due = now.saturating_add(aligned.interval_ms);
        aligned.due = Some(due);
        self.info.alarm.set(due);
        Some((&aligned.group, reached))
    }

    /// What the group is to hear at the end, if it has heard of the source before.
    pub fn last_report(&mut self) -> Option<&str> {
        let aligned = self.aligned.as_mut()?;
        aligned.due.take().map(|_| &*aligned.group)
    }

    /// The others of the group have come to `watermark`, if there is anybody to wait for.
    pub fn hear<S>(&mut self, splits: &mut OpenSplits<T, S>, watermark: Option<Timestamp>) {
        if let Some(aligned) = &mut self.aligned {
            aligned.others = watermark.unwrap_or(Timestamp::MAX);
            self.align(splits);
        }
    }

    /// Pauses the splits that are too far ahead, and reads the others.
    pub fn align<S>(&mut self, splits: &mut OpenSplits<T, S>) {
        let reached = self.aligned.as_ref().and_then(|_| self.reached(splits));
        let Some(aligned) = &mut self.aligned else { return };
        aligned.limit = reached.unwrap_or(Timestamp::MAX).min(aligned.others).saturating_add(aligned.drift_ms);
        for split in splits.iter_mut() {
            split.set_paused(split.time.assigner.watermark() > aligned.limit);
        }
    }

    /// The split in `place` has been read: pauses it if that has brought it too far ahead.
    pub fn check<S>(&mut self, splits: &mut OpenSplits<T, S>, place: usize) {
        let limit = self.aligned.as_ref().map_or(Timestamp::MAX, |aligned| aligned.limit);
        if splits.at(place).time.assigner.watermark() > limit {
            // Unless the source as a whole has come further.
            self.align(splits);
        }
    }
}
