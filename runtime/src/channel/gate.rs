//! The receiving side: one gate per input of a task, with a bounded queue per channel.
//!
//! One lock per hand-over of a batch, never per record. Channels take turns, so that none starves another.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use flott_core::{codec, failure::Failure};
use parking_lot::Mutex;

use super::{CREDITS, merge::EventMerge};
use crate::{
    batch::{Batch, Data},
    error::TaskResult,
    event::Event,
    net::{Frame, incoming::CreditReturn},
    task::TaskInfo,
};

/// What a task gets from its input.
#[derive(Debug)]
pub enum GateItem<T> {
    /// Records of one channel.
    Batch(Batch<T>),
    /// What all channels say together.
    Event(Event),
}

enum Item<T> {
    Batch(Batch<T>),
    Encoded(Frame),
    Event(Event),
    Broken(Box<Failure>),
}

struct Channel<T> {
    items: VecDeque<Item<T>>,
    /// Batches among `items`.
    batches: u32,
    /// In the list of channels with items.
    listed: bool,
    /// A local sender that waits for credit, or to hear that this queue is empty.
    sender: Option<Waker>,
    /// Where credits of a remote sender are returned to.
    remote: Option<CreditReturn>,
}

struct State<T> {
    channels: Vec<Channel<T>>,
    listed: VecDeque<u32>,
    receiver: Option<Waker>,
    closed: bool,
    /// Empty batches with their allocations, for senders to fill again.
    empty: Vec<Batch<T>>,
}

/// The queues of one input, shared with its senders.
pub struct Gate<T>(Mutex<State<T>>);

impl<T> Gate<T> {
    fn new(channels: usize) -> Self {
        let channel = || Channel { items: VecDeque::new(), batches: 0, listed: false, sender: None, remote: None };
        Self(Mutex::new(State {
            channels: (0..channels).map(|_| channel()).collect(),
            listed: VecDeque::new(),
            receiver: None,
            closed: false,
            empty: Vec::new(),
        }))
    }

    fn put(state: &mut State<T>, index: u32, item: Item<T>) -> Option<Waker> {
        let channel = &mut state.channels[index as usize];
        channel.batches += u32::from(matches!(item, Item::Batch(_) | Item::Encoded(_)));
        // Watermarks need no credit, so they must not pile up: only the newest of a run counts.
        match (channel.items.back_mut(), &item) {
            (Some(Item::Event(Event::Watermark(last))), Item::Event(Event::Watermark(newer))) => *last = *newer,
            _ => channel.items.push_back(item),
        }
        if !channel.listed {
            channel.listed = true;
            state.listed.push_back(index);
        }
        state.receiver.take()
    }
}

/// A sender within the same process.
pub struct LocalSender<T> {
    gate: Arc<Gate<T>>,
    channel: u32,
}

impl<T> LocalSender<T> {
    /// Hands over `batch` and leaves an empty one in its place. Without credit nothing happens and the answer is false;
    /// `waker` is then called when there is credit again. A receiver that is gone gives no credit: the sender stalls
    /// until it is cancelled in its turn.
    pub fn try_send(&self, batch: &mut Batch<T>, waker: Option<&Waker>) -> bool {
        let mut state = self.gate.0.lock();
        let closed = state.closed;
        let channel = &mut state.channels[self.channel as usize];
        if closed || channel.batches >= CREDITS {
            if let Some(waker) = waker {
                channel.sender = Some(waker.clone());
            }
            return false;
        }
        let refill = state.empty.pop().unwrap_or_default();
        let full = std::mem::replace(batch, refill);
        let wake = Gate::put(&mut state, self.channel, Item::Batch(full));
        drop(state);
        if let Some(receiver) = wake {
            receiver.wake();
        }
        true
    }

    /// Whether the receiver has nothing left of this channel. If it has, `waker` is called when it no longer does.
    pub fn starved(&self, waker: &Waker) -> bool {
        let mut state = self.gate.0.lock();
        let closed = state.closed;
        let channel = &mut state.channels[self.channel as usize];
        if channel.batches == 0 && !closed {
            return true;
        }
        channel.sender = Some(waker.clone());
        false
    }

    /// Hands over an event; needs no credit.
    pub fn send_event(&self, event: Event) {
        let mut state = self.gate.0.lock();
        if state.closed {
            return;
        }
        let wake = Gate::put(&mut state, self.channel, Item::Event(event));
        drop(state);
        if let Some(receiver) = wake {
            receiver.wake();
        }
    }
}

/// A gate as the network sees it, whatever its records are.
pub trait RemoteInput: Send + Sync {
    /// Takes a frame of encoded records. False if the sender overran its credit.
    fn deliver(&self, channel: u32, frame: Frame) -> bool;
    /// Takes an event.
    fn deliver_event(&self, channel: u32, event: Event);
    /// The sender is connected; credits go back by `credit`.
    fn connect(&self, channel: u32, credit: CreditReturn);
    /// The connection broke.
    fn broken(&self, channel: u32, failure: Box<Failure>);
}

impl<T: Data> RemoteInput for Gate<T> {
    fn deliver(&self, channel: u32, frame: Frame) -> bool {
        let mut state = self.0.lock();
        if state.closed {
            return true;
        }
        if state.channels[channel as usize].batches >= CREDITS {
            return false;
        }
        let wake = Self::put(&mut state, channel, Item::Encoded(frame));
        drop(state);
        if let Some(receiver) = wake {
            receiver.wake();
        }
        true
    }

    fn deliver_event(&self, channel: u32, event: Event) {
        let mut state = self.0.lock();
        let wake = Self::put(&mut state, channel, Item::Event(event));
        drop(state);
        if let Some(receiver) = wake {
            receiver.wake();
        }
    }

    fn connect(&self, channel: u32, credit: CreditReturn) {
        let mut state = self.0.lock();
        if !state.closed {
            credit.give(CREDITS);
            state.channels[channel as usize].remote = Some(credit);
        }
    }

    fn broken(&self, channel: u32, failure: Box<Failure>) {
        let mut state = self.0.lock();
        let wake = Self::put(&mut state, channel, Item::Broken(failure));
        drop(state);
        if let Some(receiver) = wake {
            receiver.wake();
        }
    }
}

/// One input of a task.
pub struct InputGate<T> {
    gate: Arc<Gate<T>>,
    merge: EventMerge,
    said: VecDeque<Event>,
    info: Arc<TaskInfo>,
}

impl<T: Data> InputGate<T> {
    /// A gate with `channels` channels that nobody sends to yet.
    pub fn new(channels: usize, info: Arc<TaskInfo>) -> Self {
        let gate = Arc::new(Gate::new(channels));
        Self { gate, merge: EventMerge::new(channels), said: VecDeque::new(), info }
    }

    /// A sender for one of its channels.
    pub fn local_sender(&self, channel: u32) -> LocalSender<T> {
        LocalSender { gate: self.gate.clone(), channel }
    }

    /// The gate for a remote sender.
    pub fn remote_input(&self) -> Arc<dyn RemoteInput> {
        self.gate.clone()
    }

    /// The next batch or event. After [`Event::End`] it is not called again.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<GateItem<T>>> {
        loop {
            if let Some(event) = self.said.pop_front() {
                return Poll::Ready(Ok(GateItem::Event(event)));
            }
            let mut state = self.gate.0.lock();
            let Some(index) = state.listed.pop_front() else {
                match &state.receiver {
                    Some(waker) if waker.will_wake(cx.waker()) => {}
                    _ => state.receiver = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            };
            let state = &mut *state;
            let channel = &mut state.channels[index as usize];
            let item = channel.items.pop_front();
            if channel.items.is_empty() {
                channel.listed = false;
            } else {
                state.listed.push_back(index);
            }
            let mut wake = None;
            if matches!(item, Some(Item::Batch(_) | Item::Encoded(_))) {
                channel.batches -= 1;
                // Half the credits back, or all of them: enough to keep a sender busy, and to tell it of starvation.
                if channel.batches == 0 || channel.batches == CREDITS / 2 {
                    wake = channel.sender.take();
                }
                if let Some(credit) = &mut channel.remote {
                    credit.taken(channel.batches == 0);
                }
            }
            match item {
                Some(Item::Batch(batch)) => {
                    if let Some(sender) = wake {
                        sender.wake();
                    }
                    self.info.figures.records_in(batch.len());
                    return Poll::Ready(Ok(GateItem::Batch(batch)));
                }
                Some(Item::Encoded(frame)) => {
                    let mut batch = state.empty.pop().unwrap_or_default();
                    self.info.figures.records_in(frame.count as usize);
                    self.info.figures.bytes_in(frame.body.len());
                    decode(&frame, &mut batch)?;
                    return Poll::Ready(Ok(GateItem::Batch(batch)));
                }
                Some(Item::Event(event)) => self.merge.take(index as usize, event, |event| self.said.push_back(event)),
                Some(Item::Broken(failure)) => return Poll::Ready(Err(failure)),
                None => {}
            }
        }
    }

    /// Gives back a batch for its allocation.
    pub fn recycle(&mut self, mut batch: Batch<T>) {
        batch.clear();
        let mut state = self.gate.0.lock();
        if batch.records.capacity() > 0 && state.empty.len() < 2 * CREDITS as usize {
            state.empty.push(batch);
        }
    }
}

impl<T> Drop for InputGate<T> {
    fn drop(&mut self) {
        let mut state = self.gate.0.lock();
        state.closed = true;
        state.listed.clear();
        for channel in &mut state.channels {
            channel.items.clear();
            channel.remote = None;
        }
    }
}

fn decode<T: Data>(frame: &Frame, batch: &mut Batch<T>) -> TaskResult {
    let refused = |error: &dyn std::fmt::Display| {
        Box::new(Failure::internal("a frame of records from another process cannot be read").because(error))
    };
    let count = frame.count as usize;
    let mut body: &[u8] = &frame.body;
    if frame.timestamps {
        let bytes = count.checked_mul(8).filter(|bytes| *bytes <= body.len());
        let Some((stamps, records)) = bytes.map(|bytes| body.split_at(bytes)) else {
            return Err(refused(&"it is shorter than its timestamps"));
        };
        batch.timestamps.extend(stamps.chunks_exact(8).map(|stamp| {
            i64::from_le_bytes([stamp[0], stamp[1], stamp[2], stamp[3], stamp[4], stamp[5], stamp[6], stamp[7]])
        }));
        body = records;
    }
    codec::decode_batch_into(body, count, &mut batch.records).map_err(|error| refused(&error))
}

/// Encodes a batch as the body of a frame, after what `body` holds.
pub fn encode<T: Data>(batch: &Batch<T>, body: &mut Vec<u8>) -> TaskResult {
    for timestamp in &batch.timestamps {
        body.extend_from_slice(&timestamp.to_le_bytes());
    }
    codec::encode_batch(&batch.records, body)
        .map_err(|error| Box::new(Failure::user("a record cannot be serialised").because(error).fatal()))
}

/// The body of a frame as it came over the network.
pub type FrameBody = Bytes;
