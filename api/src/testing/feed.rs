//! How a test gives records, watermarks and ends.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Timestamp},
    error::TaskResult,
    event::Event,
};

use super::{Pipeline, port::Port};

/// An input of a pipeline, to give something to.
///
/// What comes of it is done before a method returns, unless the harness is
/// [`interleaved`](super::HarnessOptions::interleaved).
pub struct Feed<'a, T, Out> {
    port: &'a mut Port<T>,
    pipeline: &'a mut Pipeline<Out>,
}

impl<'a, T: Data, Out> Feed<'a, T, Out> {
    pub(super) fn new(port: &'a mut Port<T>, pipeline: &'a mut Pipeline<Out>) -> Self {
        Self { port, pipeline }
    }

    /// Gives a record without a timestamp, in a batch of its own.
    ///
    /// # Errors
    /// When a task fails, or the input has ended; so it is with all methods. The failure names the operator.
    pub fn push(&mut self, record: T) -> Result<(), Failure> {
        self.give(vec![record].into())
    }

    /// Gives a record with a timestamp, in a batch of its own.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_at(&mut self, record: T, timestamp: Timestamp) -> Result<(), Failure> {
        self.give(Batch::stamped(vec![record], vec![timestamp]))
    }

    /// Gives records without timestamps, each in a batch of its own.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_all(&mut self, records: impl IntoIterator<Item = T>) -> Result<(), Failure> {
        records.into_iter().try_for_each(|record| self.push(record))
    }

    /// Gives records with timestamps, each in a batch of its own.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_all_at(&mut self, records: impl IntoIterator<Item = (T, Timestamp)>) -> Result<(), Failure> {
        records.into_iter().try_for_each(|(record, timestamp)| self.push_at(record, timestamp))
    }

    /// Gives records without timestamps in one batch; many are cut as a source cuts them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn batch(&mut self, records: impl IntoIterator<Item = T>) -> Result<(), Failure> {
        let mut records = records.into_iter();
        loop {
            let batch: Vec<_> = records.by_ref().take(BATCH_RECORDS).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.give(batch.into())?;
        }
    }

    /// Gives records with timestamps in one batch; many are cut as a source cuts them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn batch_at(&mut self, records: impl IntoIterator<Item = (T, Timestamp)>) -> Result<(), Failure> {
        let mut records = records.into_iter();
        loop {
            let (records, timestamps): (Vec<_>, Vec<_>) = records.by_ref().take(BATCH_RECORDS).unzip();
            if records.is_empty() {
                return Ok(());
            }
            self.give(Batch::stamped(records, timestamps))?;
        }
    }

    /// No record with this timestamp or an earlier one follows. A watermark that is not beyond the last says nothing.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn watermark(&mut self, watermark: Timestamp) -> Result<(), Failure> {
        self.port.idle = false;
        self.say(Event::Watermark(watermark)).map_err(|failure| *failure)
    }

    /// Nothing comes for now: others do not wait for this input. A record or watermark ends it.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn idle(&mut self) -> Result<(), Failure> {
        self.port.idle = true;
        self.say(Event::Idle).map_err(|failure| *failure)
    }

    /// Records will come again.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn active(&mut self) -> Result<(), Failure> {
        self.port.idle = false;
        self.say(Event::Active).map_err(|failure| *failure)
    }

    /// Ends the input: the last watermark, then the end. Only the end of all inputs ends the pipeline.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn end(&mut self) -> Result<(), Failure> {
        self.watermark(Timestamp::MAX)?;
        let said = self.say(Event::End);
        self.port.ended = true;
        said.map_err(|failure| *failure)
    }

    /// Gives the barrier of a snapshot, unless the input has ended.
    pub(super) fn barrier(&mut self, barrier: Event) -> TaskResult {
        if self.port.ended { Ok(()) } else { self.say(barrier) }
    }

    fn check(&mut self) -> TaskResult {
        self.pipeline.tasks()?;
        if self.port.ended {
            let message = format!("nothing can be given to {:?} any more: it has ended", self.port.name);
            return Err(Box::new(Failure::user(message)));
        }
        Ok(())
    }

    fn give(&mut self, batch: Batch<T>) -> Result<(), Failure> {
        let given = if std::mem::take(&mut self.port.idle) { self.say(Event::Active) } else { Ok(()) };
        given.and_then(|()| self.send(batch)).map_err(|failure| *failure)
    }

    fn send(&mut self, mut batch: Batch<T>) -> TaskResult {
        self.check()?;
        let width = self.port.width();
        let number = match &mut self.pipeline.draws {
            Some(draws) => draws.below(width),
            None => self.port.turn % width.max(1),
        };
        self.port.turn = self.port.turn.wrapping_add(1);
        while self.port.with(number, |inlet| inlet.try_send(&mut batch, None)) != Some(true) {
            if !self.pipeline.tasks()?.step()? {
                return Err(Box::new(Failure::internal("an input takes nothing although no task has anything to do")));
            }
        }
        self.pipeline.go_on()
    }

    /// To all subtasks, one after the other.
    fn say(&mut self, event: Event) -> TaskResult {
        self.check()?;
        for number in 0..self.port.width() {
            self.port.with(number, |inlet| inlet.send_event(event));
            self.pipeline.go_on()?;
        }
        Ok(())
    }
}
