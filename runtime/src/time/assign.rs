//! Timestamps and watermarks in the middle of a stream.

use std::sync::Arc;

use flott_core::config::{Configuration, keys::pipeline::AUTO_WATERMARK_INTERVAL};
use flott_core::failure::Failure;

use super::{
    dryness::Dryness,
    strategy::{WatermarkAssigner, WatermarkStrategy},
};
use crate::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Lull, Operator, Output},
    snapshot::{Restored, StateSink},
    task::TaskInfo,
};

/// Batches after which a busy task gives its watermark. With each watermark all channels hand over what they have: with
/// this many batches in between that costs nothing, and windows close soon enough to stay small.
const BATCHES_PER_WATERMARK: u32 = 16;

/// When the watermark of a busy task is due. One that is not busy gives it at once.
#[derive(Debug, Default)]
pub struct Pulse {
    interval: Timestamp,
    last: Timestamp,
    batches: u32,
}

impl Pulse {
    /// By the task's configuration.
    ///
    /// # Errors
    /// When the configuration is not one.
    pub fn of(task: &TaskInfo) -> TaskResult<Self> {
        let config = Configuration::try_from(task.configuration.clone())
            .map_err(|error| Box::new(Failure::internal("the job's configuration cannot be read").because(error)))?;
        let interval = i64::try_from(config.get(&AUTO_WATERMARK_INTERVAL).as_millis()).unwrap_or(i64::MAX);
        Ok(Self { interval, last: task.clock.now(), batches: 0 })
    }

    /// Counts a batch; whether the watermark is due at `now`.
    pub fn beat(&mut self, now: Timestamp) -> bool {
        self.batches += 1;
        let due = self.batches >= BATCHES_PER_WATERMARK || now.saturating_sub(self.last) >= self.interval;
        if due {
            self.rest(now);
        }
        due
    }

    /// The watermark was given at `now`.
    pub fn rest(&mut self, now: Timestamp) {
        self.batches = 0;
        self.last = now;
    }

    /// When it is due again by the clock alone.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.interval.max(1))
    }
}

/// Gives records timestamps and the stream watermarks, in place of those it had.
pub struct AssignWatermarks<T> {
    strategy: WatermarkStrategy<T>,
    assigner: WatermarkAssigner<T>,
    task: Arc<TaskInfo>,
    pulse: Pulse,
    given: Timestamp,
    dryness: Dryness,
    /// No records for a while.
    idle: bool,
    /// What comes before says that it is idle.
    input_idle: bool,
    /// Records that are not passed on yet; for generators that look at single records.
    rest: Batch<T>,
    part: Batch<T>,
}

impl<T> AssignWatermarks<T> {
    /// By `strategy`.
    pub fn new(strategy: WatermarkStrategy<T>, task: Arc<TaskInfo>) -> Self {
        let assigner = strategy.assigner();
        Self {
            strategy,
            assigner,
            task,
            pulse: Pulse::default(),
            given: Timestamp::MIN,
            dryness: Dryness::default(),
            idle: false,
            input_idle: false,
            rest: Batch::default(),
            part: Batch::default(),
        }
    }

    fn give(&mut self, watermark: Timestamp, out: &mut dyn Output<T>) -> TaskResult {
        if watermark <= self.given {
            return Ok(());
        }
        self.given = watermark;
        out.event(Event::Watermark(watermark))
    }

    /// Passes on records as far as one behind which there is a watermark, and the watermark.
    fn step(&mut self, out: &mut dyn Output<T>) -> TaskResult<Drained> {
        if self.rest.is_empty() {
            return Ok(Drained::All);
        }
        let before = self.assigner.watermark();
        let seen = self.assigner.observe(&self.rest, 0);
        if seen >= self.rest.len() {
            out.collect(&mut self.rest)?;
        } else {
            self.part.records.extend(self.rest.records.drain(..seen));
            self.part.timestamps.extend(self.rest.timestamps.drain(..seen));
            out.collect(&mut self.part)?;
        }
        if self.assigner.watermark() > before {
            self.give(self.assigner.watermark(), out)?;
        }
        Ok(Drained::Some)
    }

    /// The stream is idle from here on: what it has said so far still counts where all streams are.
    fn give_up(&mut self, out: &mut dyn Output<T>) -> TaskResult {
        self.give(self.assigner.watermark(), out)?;
        out.event(Event::Idle)
    }

    /// It is looked at then, though the input may never be empty, or not say that it is.
    fn look_later(&self, now: Timestamp) {
        if let Some(after) = self.strategy.idleness_ms().filter(|_| !self.idle) {
            self.task.alarm.set(now.saturating_add(after));
        }
    }

    /// No record has come by `now` since it was last looked at.
    fn watch_idleness(&mut self, now: Timestamp, out: &mut dyn Output<T>) -> TaskResult {
        let Some(after) = self.strategy.idleness_ms().filter(|_| !self.idle) else { return Ok(()) };
        match self.dryness.look(now, after) {
            Some(at) => {
                self.task.alarm.set(at);
                return Ok(());
            }
            None => self.idle = true,
        }
        if self.input_idle { Ok(()) } else { self.give_up(out) }
    }
}

/// What a generator of the user's keeps begins anew after a restart; the watermark does not go back.
impl<T: Send> Operator<T, T> for AssignWatermarks<T> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        // Not given yet: those who come after may not remember it.
        self.assigner.raise(from.watermark(self.task.snapshots.groups().held)?);
        Ok(())
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.watermark(self.assigner.watermark())
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.pulse = Pulse::of(task)?;
        self.look_later(task.clock.now());
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<T>) -> TaskResult {
        if std::mem::take(&mut self.idle) && !self.input_idle {
            out.event(Event::Active)?;
        }
        self.assigner.stamp(input)?;
        // What comes of them may take long, and nobody asks for more meanwhile: the first look afterwards counts.
        self.dryness.end();
        let now = self.task.clock.now();
        self.look_later(now);
        let due = self.pulse.beat(now);
        if self.assigner.is_own() {
            if due {
                let watermark = self.assigner.periodic(now);
                self.give(watermark, out)?;
            }
            // Nothing is given behind a watermark before what it sets off is done.
            std::mem::swap(&mut self.rest, input);
            return Ok(());
        }
        self.assigner.observe(input, 0);
        out.collect(input)?;
        if due { self.give(self.assigner.watermark(), out) } else { Ok(()) }
    }

    fn resume(&mut self, out: &mut dyn Output<T>) -> TaskResult<Drained> {
        self.step(out)
    }

    fn quiet(&mut self, lull: Lull, out: &mut dyn Output<T>) -> TaskResult {
        let now = self.task.clock.now();
        self.pulse.rest(now);
        match lull {
            Lull::Dry => self.watch_idleness(now, out)?,
            Lull::Held => {
                self.dryness.end();
                self.look_later(now);
            }
        }
        if self.idle || self.input_idle {
            // A watermark would say that the stream is active again, and others would wait for the next one.
            return Ok(());
        }
        if self.strategy.is_periodic() {
            self.task.alarm.set(self.pulse.next(now));
        }
        let watermark = self.assigner.periodic(now);
        self.give(watermark, out)
    }

    fn time(&mut self, now: Timestamp, out: &mut dyn Output<T>) -> TaskResult {
        // Behind records this is the first look; what is at hand comes before the next. Where all of that is dropped on the way, none
        // comes here, and that is idle, too.
        self.watch_idleness(now, out)
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<T>) -> TaskResult {
        match event {
            // Watermarks from before say nothing here, but for the last one.
            Event::Watermark(Timestamp::MAX) => self.give(Timestamp::MAX, out),
            Event::Watermark(_) => Ok(()),
            Event::Idle | Event::Active => {
                let was = self.input_idle;
                self.input_idle = event == Event::Idle;
                match self.idle || was == self.input_idle {
                    true => Ok(()),
                    false if self.input_idle => self.give_up(out),
                    false => out.event(event),
                }
            }
            Event::Barrier(_) | Event::End => out.event(event),
        }
    }
}

#[cfg(test)]
mod tests;
