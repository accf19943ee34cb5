//! Barriers that go past what a writer holds back for lack of credit, which is then part of a snapshot.
//!
//! Batches that have been sent need no overtaking: there was room for them at the receiver, so they arrive. One that is held
//! back arrives when the receiver has taken others, and a barrier behind it would wait for as long. What it overtakes is sent
//! behind it; by then it is no part of what the receiver's snapshot has.

use std::{pin::Pin, sync::Arc, task::Context, time::Duration};

use flott_core::{
    checkpoint::{Barrier, Overtaking, SnapshotKind},
    id::{CheckpointId, SubtaskIndex},
};

use super::{Channel, Common, Held, body, send_event};
use crate::{
    batch::Data,
    error::TaskResult,
    event::Event,
    snapshot::in_flight::{Edge, End, Item, Segment},
};

/// Where the channels of a writer lead.
#[derive(Debug)]
pub(crate) struct Exit {
    /// The edge.
    pub edge: Arc<Edge>,
    /// How many consumers it has; there is a channel to each.
    pub consumers: u32,
}

/// How a barrier overtakes.
pub(super) struct Overtaker {
    exit: Exit,
    /// One that stays in its place for now.
    patience: Option<Patience>,
}

struct Patience {
    barrier: Barrier,
    sleep: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Overtaker {
    pub fn new(exit: Exit) -> Self {
        Self { exit, patience: None }
    }

    /// Sends `barrier` by all channels: at once, or behind all that was given before, as long as it is patient.
    pub fn barrier<T: Data>(
        &mut self,
        barrier: Barrier,
        channels: &mut [Channel<T>],
        common: &mut Common,
    ) -> TaskResult {
        // The cut of another one is over.
        self.patience = None;
        let mut is_held = false;
        for (channel, to) in channels.iter_mut().zip(0..) {
            channel.forget_checkpoints(common);
            channel.event(Event::Barrier(barrier), common)?;
            match barrier.overtaking {
                Overtaking::Now => self.exit.hurry(barrier, channel, SubtaskIndex(to), common)?,
                Overtaking::Never | Overtaking::After { .. } => {
                    is_held |= channel.place_of(barrier.checkpoint).is_some()
                }
            }
        }
        if let Overtaking::After { ms } = barrier.overtaking
            && is_held
        {
            let clock = common.info.clock.clone();
            let sleep = Box::pin(async move { clock.sleep(Duration::from_millis(ms)).await });
            common.info.snapshots.open_streams(barrier.checkpoint);
            self.patience = Some(Patience { barrier, sleep });
        }
        Ok(())
    }

    /// Sees to a barrier that has been patient.
    pub fn poll<T: Data>(
        &mut self,
        channels: &mut [Channel<T>],
        common: &mut Common,
        cx: &mut Context<'_>,
    ) -> TaskResult {
        let Some(Patience { barrier, sleep }) = &mut self.patience else { return Ok(()) };
        let barrier = *barrier;
        if channels.iter().any(|channel| channel.place_of(barrier.checkpoint).is_some()) {
            if sleep.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            for (channel, to) in channels.iter_mut().zip(0..) {
                self.exit.hurry(barrier.hurried(), channel, SubtaskIndex(to), common)?;
            }
        }
        self.patience = None;
        common.info.snapshots.close_streams(barrier.checkpoint);
        Ok(())
    }
}

impl Exit {
    /// Sends `barrier`, which `channel` may hold, ahead of what it holds; the snapshot gets a copy of that. A savepoint's barrier
    /// is not overtaken: what is before that is sent before this one too.
    fn hurry<T: Data>(
        &self,
        barrier: Barrier,
        channel: &mut Channel<T>,
        to: SubtaskIndex,
        common: &mut Common,
    ) -> TaskResult {
        let Some(place) = channel.place_of(barrier.checkpoint) else { return Ok(()) };
        channel.held.remove(place);
        let is_barrier = |held: &Held<T>| matches!(held, Held::Event(Event::Barrier(_)));
        let ahead = channel.held.iter().take(place).rposition(is_barrier).map_or(0, |place| place + 1);
        let mut items = Vec::new();
        for held in channel.held.iter().skip(ahead).take(place - ahead) {
            items.extend(copy(held)?);
        }
        if !items.is_empty() {
            let segment = Segment {
                edge: (*self.edge).clone(),
                from: common.info.attempt.subtask,
                to,
                consumers: self.consumers,
                end: End::Producer,
                heard: None,
                items,
            };
            common.info.snapshots.in_flight(common.info.attempt, barrier.checkpoint, &segment);
        }
        if ahead > 0 || !send_event(&mut channel.target, Event::Barrier(barrier), None)? {
            channel.held.insert(ahead, Held::Event(Event::Barrier(barrier)));
        }
        channel.is_free_again(common);
        Ok(())
    }
}

fn copy<T: Data>(held: &Held<T>) -> TaskResult<Option<Item>> {
    Ok(match held {
        Held::Batch(batch) => {
            let mut encoded = Vec::new();
            body::encode(batch, batch.len(), &mut encoded)?;
            let (count, timestamps) = (batch.len() as u32, batch.has_timestamps());
            Some(Item::Records { count, timestamps, body: encoded.into() })
        }
        Held::Event(event) => Item::event(*event),
    })
}

impl<T: Data> Channel<T> {
    /// Where the barrier of `checkpoint` is held back.
    fn place_of(&self, checkpoint: CheckpointId) -> Option<usize> {
        let is_it = |held: &Held<T>| matches!(held, Held::Event(Event::Barrier(held)) if held.checkpoint == checkpoint);
        self.held.iter().position(is_it)
    }

    /// A newer checkpoint has come: those before it were given up, and their barriers are worth nothing.
    fn forget_checkpoints(&mut self, common: &mut Common) {
        let is_old = |held: &Held<T>| matches!(held, Held::Event(Event::Barrier(barrier)) if barrier.kind == SnapshotKind::Checkpoint);
        if self.held.iter().any(is_old) {
            self.held.retain(|held| !is_old(held));
            self.is_free_again(common);
        }
    }

    /// Something that was held back is gone, perhaps the last of it.
    fn is_free_again(&self, common: &mut Common) {
        if self.held.is_empty() {
            common.blocked -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
