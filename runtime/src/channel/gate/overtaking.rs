//! Barriers that go past what is queued in a gate.
//!
//! Such a barrier is seen as it arrives, wherever it stands in its queue. When the task takes it, its inputs are cut where they are:
//! of each channel, what is queued before its own barrier is part of the snapshot, and so is all that comes until that arrives.
//! It stays queued and is processed as ever; a copy of it goes to the snapshot when it is taken off the queue, or when the barrier
//! is there, whichever is first.
//!
//! On channels that cannot be overtaken (see [`Edge::can_be_overtaken`]) the barrier stays in its place. They are waited for.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, Overtaking, SnapshotKind},
    id::CheckpointId,
};
use tokio::time::Instant;

use super::{Gate, InputGate, Item, Origin, State, register};
use crate::{
    batch::{Data, Timestamp},
    channel::body,
    error::TaskResult,
    event::Event,
    snapshot::in_flight::{self, End, Heard, Segment},
};

/// Bytes of a stream after which they are given, and not kept until all of it is there.
const SEGMENT_BYTES: usize = 256 << 10;

/// Ends when a barrier has waited for long enough.
type Patience = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a gate knows of barriers that overtake.
pub(super) struct Overtaker {
    /// By channel; empty where none overtakes.
    origins: Vec<Origin>,
    under_way: Option<UnderWay>,
    /// Until a barrier that was to stay in its place overtakes.
    patience: Option<(CheckpointId, Patience)>,
}

/// Channels whose records are part of a cut until its barrier comes.
struct UnderWay {
    checkpoint: CheckpointId,
    since: Instant,
    streams: BTreeMap<usize, Stream>,
}

#[derive(Default)]
struct Stream {
    heard: Option<Heard>,
    items: Vec<in_flight::Item>,
    bytes: usize,
}

impl Overtaker {
    pub fn new(origins: Vec<Origin>) -> Self {
        Self { origins, under_way: None, patience: None }
    }
}

impl<T> Gate<T> {
    /// An event has been queued: whether the receiver is to know of it even if it takes nothing.
    pub(super) fn note(&self, state: &mut State<T>, index: u32, event: Event) -> bool {
        let channel = &state.channels[index as usize];
        let is_urgent = match event {
            Event::Barrier(barrier)
                if barrier.may_overtake() && channel.can_be_overtaken && barrier.checkpoint > state.cut =>
            {
                match &mut state.announced {
                    Some((known, _)) if known.checkpoint > barrier.checkpoint => {}
                    Some((known, _)) if known.checkpoint == barrier.checkpoint => {
                        if barrier.overtaking == Overtaking::Now {
                            *known = barrier;
                        }
                    }
                    announced => *announced = Some((barrier, Instant::now())),
                }
                true
            }
            Event::Barrier(_) | Event::End if channel.under_way => true,
            Event::Barrier(_) | Event::End | Event::Watermark(_) | Event::Idle | Event::Active => false,
        };
        if is_urgent {
            self.urgent.store(true, Relaxed);
        }
        is_urgent
    }
}

impl<T: Data> InputGate<T> {
    /// Whether a barrier that may overtake has come, or one that others have overtaken. Costs next to nothing.
    pub(crate) fn is_urgent(&self) -> bool {
        self.gate.urgent.load(Relaxed)
    }

    /// The barrier that is to overtake what is queued here, when there is one and it has waited for as long as it was to.
    pub(crate) fn poll_announced(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
        self.gather()?;
        let announced = {
            let mut state = self.gate.state.lock();
            register(&mut state.receiver, cx.waker());
            state.announced
        };
        let Some((barrier, since)) = announced else { return Poll::Pending };
        match barrier.overtaking {
            Overtaking::Never => return Poll::Pending,
            Overtaking::Now => {}
            Overtaking::After { ms } => {
                let patience = match &mut self.overtaker.patience {
                    Some((checkpoint, patience)) if *checkpoint == barrier.checkpoint => patience,
                    patience => {
                        let left = Duration::from_millis(ms).saturating_sub(since.elapsed());
                        let clock = self.info.clock.clone();
                        let sleep: Patience = Box::pin(async move { clock.sleep(left).await });
                        &mut patience.insert((barrier.checkpoint, sleep)).1
                    }
                };
                if patience.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.overtaker.patience = None;
                if let Some((known, _)) = &mut self.gate.state.lock().announced {
                    *known = known.hurried();
                }
            }
        }
        Poll::Ready(Ok(barrier.hurried()))
    }

    /// Whether all that this barrier does not overtake has been taken.
    pub(crate) fn may_overtake(&self, barrier: Barrier) -> bool {
        let state = self.gate.state.lock();
        let is_savepoint = |item: &Item<T>| {
            matches!(item, Item::Event(Event::Barrier(known))
                if known.kind == SnapshotKind::Savepoint && known.checkpoint < barrier.checkpoint)
        };
        !state.channels.iter().any(|channel| channel.items.iter().any(is_savepoint))
            && self.meeting.may_overtake(barrier, |channel| state.channels[channel].can_be_overtaken)
    }

    /// The task has begun to cut at `barrier`, here or behind: what it overtakes is part of that.
    pub(crate) fn overtake(&mut self, barrier: Barrier) -> TaskResult {
        self.said.retain(|event| !matches!(event, Event::Barrier(said) if said.checkpoint == barrier.checkpoint));
        let awaited = self.meeting.overtake(barrier);
        let heard: Vec<_> = (0..self.overtaker.origins.len()).map(|channel| self.heard(channel)).collect();
        let since = {
            let mut state = self.gate.state.lock();
            state.cut = barrier.checkpoint;
            for (index, channel) in state.channels.iter_mut().enumerate() {
                channel.under_way = awaited.contains(&index);
            }
            let announced = state.announced.take_if(|(known, _)| known.checkpoint <= barrier.checkpoint);
            announced.map_or_else(Instant::now, |(_, since)| since)
        };
        self.gate.urgent.store(true, Relaxed);
        self.gate.set_blocked(|channel| self.meeting.is_blocked(channel));
        self.overtaker.patience = None;
        self.overtaker.under_way = None;
        if barrier.overtaking != Overtaking::Now {
            return Ok(());
        }
        let checkpoint = barrier.checkpoint;
        if let Some(replay) = &mut self.replay {
            for segment in replay.rest()? {
                self.info.snapshots.in_flight(self.info.attempt, checkpoint, &segment);
            }
        }
        let mut streams = BTreeMap::new();
        for (channel, heard) in heard.into_iter().enumerate() {
            let stream = Stream { heard, ..Stream::default() };
            if awaited.contains(&channel) {
                streams.insert(channel, stream);
            } else {
                self.give(checkpoint, channel, stream);
            }
        }
        if !streams.is_empty() {
            self.info.snapshots.open_streams(checkpoint);
            self.overtaker.under_way = Some(UnderWay { checkpoint, since, streams });
        }
        self.gather()
    }

    /// What a channel has said of time, if that counts when the task goes on from here: not where barriers do not overtake on all
    /// channels, as those say it anew who are not waited for; nor while others speak for the producers.
    fn heard(&self, channel: usize) -> Option<Heard> {
        if self.replay.is_some() || !self.overtaker.origins.iter().all(|origin| origin.edge.can_be_overtaken()) {
            return None;
        }
        let (watermark, idle) = self.meeting.heard(channel)?;
        (watermark != Timestamp::MAX).then_some(Heard { watermark, idle })
    }

    /// Takes copies of what is before the barriers that have come meanwhile.
    pub(super) fn gather(&mut self) -> TaskResult {
        while let Some(UnderWay { checkpoint, .. }) = self.overtaker.under_way {
            let found = {
                let mut state = self.gate.state.lock();
                let mut channels = state.channels.iter_mut().enumerate().filter(|(_, channel)| channel.under_way);
                let found = channels.find_map(|(index, channel)| {
                    let place = channel.items.iter().position(|item| closes(item, checkpoint))?;
                    channel.under_way = false;
                    Some((index, place, mem::take(&mut channel.items)))
                });
                if found.is_none() {
                    self.gate.urgent.store(state.announced.is_some(), Relaxed);
                }
                found
            };
            let Some((index, place, mut items)) = found else { return Ok(()) };
            // Records are encoded, by code of the user's, without the lock.
            let copied = items.iter().take(place).try_for_each(|item| self.copy(index, item).map(drop));
            if matches!(items.get(place), Some(Item::Event(Event::Barrier(_)))) {
                items.remove(place);
            }
            let mut state = self.gate.state.lock();
            let come: VecDeque<_> = mem::replace(&mut state.channels[index].items, items);
            state.channels[index].items.extend(come);
            drop(state);
            copied?;
            self.close(index);
        }
        let announced = self.gate.state.lock();
        self.gate.urgent.store(announced.announced.is_some(), Relaxed);
        Ok(())
    }

    /// Something is taken off a queue that is part of a cut.
    pub(super) fn take_under_way(&mut self, channel: usize, item: &Item<T>) -> TaskResult {
        let Some(UnderWay { checkpoint, .. }) = self.overtaker.under_way else { return Ok(()) };
        if closes(item, checkpoint) {
            self.gate.state.lock().channels[channel].under_way = false;
            self.close(channel);
            return Ok(());
        }
        let bytes = self.copy(channel, item)?;
        self.info.snapshots.processed(checkpoint, bytes);
        Ok(())
    }

    /// Takes a copy; gives its bytes.
    fn copy(&mut self, channel: usize, item: &Item<T>) -> TaskResult<usize> {
        let copy = match item {
            Item::Batch(batch) => {
                let mut encoded = Vec::new();
                body::encode(batch, batch.len(), &mut encoded)?;
                let (count, timestamps) = (batch.len() as u32, batch.has_timestamps());
                Some(in_flight::Item::Records { count, timestamps, body: encoded.into() })
            }
            Item::Encoded(frame) => {
                let body = Bytes::copy_from_slice(&frame.body);
                Some(in_flight::Item::Records { count: frame.count, timestamps: frame.timestamps, body })
            }
            Item::Event(event) => in_flight::Item::event(*event),
            Item::Broken(_) => None,
        };
        let (Some(copy), Some(under_way)) = (copy, &mut self.overtaker.under_way) else { return Ok(0) };
        let (checkpoint, bytes) = (under_way.checkpoint, copy.bytes());
        let Some(stream) = under_way.streams.get_mut(&channel) else { return Ok(0) };
        stream.items.push(copy);
        stream.bytes += bytes;
        if stream.bytes >= SEGMENT_BYTES {
            let full = mem::take(stream);
            self.give(checkpoint, channel, full);
        }
        Ok(bytes)
    }

    /// The barrier of a channel has come.
    fn close(&mut self, channel: usize) {
        let Some(under_way) = &mut self.overtaker.under_way else { return };
        let (checkpoint, since) = (under_way.checkpoint, under_way.since);
        let Some(stream) = under_way.streams.remove(&channel) else { return };
        let was_last = under_way.streams.is_empty();
        self.give(checkpoint, channel, stream);
        if was_last {
            self.overtaker.under_way = None;
            self.info.snapshots.waited(checkpoint, since.elapsed());
            self.info.snapshots.close_streams(checkpoint);
        }
    }

    fn give(&self, checkpoint: CheckpointId, channel: usize, stream: Stream) {
        let Stream { heard, items, .. } = stream;
        let Some(Origin { edge, from }) = self.overtaker.origins.get(channel) else { return };
        if heard.is_none() && items.is_empty() {
            return;
        }
        let segment = Segment {
            edge: (**edge).clone(),
            from: *from,
            to: self.info.attempt.subtask,
            consumers: self.info.parallelism,
            end: End::Consumer,
            heard,
            items,
        };
        self.info.snapshots.in_flight(self.info.attempt, checkpoint, &segment);
    }
}

/// Whether nothing behind it is part of the cut of `checkpoint`.
fn closes<T>(item: &Item<T>, checkpoint: CheckpointId) -> bool {
    match item {
        Item::Event(Event::Barrier(barrier)) => barrier.checkpoint == checkpoint,
        Item::Event(Event::End) => true,
        Item::Event(Event::Watermark(_) | Event::Idle | Event::Active)
        | Item::Batch(_)
        | Item::Encoded(_)
        | Item::Broken(_) => false,
    }
}

#[cfg(test)]
mod tests;
