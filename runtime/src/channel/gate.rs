//! The receiving side: one gate per input of a task, with a bounded queue per channel.
//!
//! One lock per hand-over of a batch, never per record. Channels take turns, so that none starves another.
//!
//! # Layout
//! - `overtaking`: barriers that go past what is queued here, which is then part of a snapshot
//! - `replay`: what a snapshot has of the streams into this input, before anything else

mod overtaking;
mod replay;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, Waker},
};

use flott_core::{
    checkpoint::Barrier,
    failure::Failure,
    id::{CheckpointId, SubtaskIndex},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{CREDIT_PARTS, CREDITS, CREDITS_TOGETHER, align::Meeting, body::decode};
use crate::{
    batch::{Batch, Data},
    error::TaskResult,
    event::Event,
    net::{Frame, frame::HEADER_BYTES, incoming::CreditReturn},
    snapshot::in_flight::{Edge, Segment},
    task::TaskInfo,
};

use overtaking::Overtaker;
use replay::Replay;
pub(crate) use replay::{Claims, within_chain};

/// Where a channel comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The edge that it is part of.
    pub edge: Arc<Edge>,
    /// Its producer.
    pub from: SubtaskIndex,
}

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
    /// Batches as there were credits for and, as events of a run are merged, two events before, between and after them.
    items: VecDeque<Item<T>>,
    /// Batches among `items`.
    batches: u32,
    /// Parts of credits that those from another process took.
    parts: u32,
    /// In the list of channels with items.
    listed: bool,
    /// Not to be listed: it has come to a barrier, and others have not.
    blocked: bool,
    /// The end came; nothing may follow.
    ended: bool,
    /// A barrier may overtake what is in it.
    can_be_overtaken: bool,
    /// What is in it, as far as the barrier of the checkpoint that was cut last, is part of that.
    under_way: bool,
    /// A local sender that waits for credit, or to hear that this queue is empty.
    sender: Option<Waker>,
    /// Where credits of a remote sender are returned to.
    remote: Option<CreditReturn>,
}

struct State<T> {
    channels: Vec<Channel<T>>,
    listed: VecDeque<u32>,
    any_blocked: bool,
    receiver: Option<Waker>,
    closed: bool,
    /// The newest barrier that may overtake what is queued, and when it came.
    announced: Option<(Barrier, Instant)>,
    /// The newest checkpoint that was cut with a barrier that may overtake.
    cut: CheckpointId,
    /// Empty batches with their allocations, for senders to fill again.
    empty: Vec<Batch<T>>,
}

/// The queues of one input, shared with its senders.
pub struct Gate<T> {
    state: Mutex<State<T>>,
    /// Whether the receiver is to see to a barrier that overtakes, or to what one has overtaken.
    urgent: AtomicBool,
}

impl<T> Gate<T> {
    /// A channel for each answer to whether a barrier may overtake what is in it.
    fn new(channels: impl Iterator<Item = bool>) -> Self {
        let channel = |can_be_overtaken| Channel {
            items: VecDeque::new(),
            batches: 0,
            parts: 0,
            listed: false,
            blocked: false,
            ended: false,
            can_be_overtaken,
            under_way: false,
            sender: None,
            remote: None,
        };
        let state = Mutex::new(State {
            channels: channels.map(channel).collect(),
            listed: VecDeque::new(),
            any_blocked: false,
            receiver: None,
            closed: false,
            announced: None,
            cut: CheckpointId(0),
            empty: Vec::new(),
        });
        Self { state, urgent: AtomicBool::new(false) }
    }

    /// Queues `item` and gives the receiver to wake, if it waits. What comes after the end or for nobody is dropped.
    fn put(&self, index: u32, item: Item<T>) -> Option<Waker> {
        let mut state = self.state.lock();
        if state.closed {
            // Dropping records runs user code, which must not happen under the lock.
            drop(state);
            drop(item);
            return None;
        }
        self.put_into(&mut state, index, item)
    }

    fn put_into(&self, state: &mut State<T>, index: u32, item: Item<T>) -> Option<Waker> {
        let channel = &mut state.channels[index as usize];
        match item {
            Item::Event(event) => {
                if channel.ended {
                    return None;
                }
                channel.ended = event == Event::End;
                push_event(&mut channel.items, event);
                if self.note(state, index, event) {
                    self.list(state, index);
                    return state.receiver.take();
                }
            }
            Item::Batch(_) | Item::Encoded(_) => {
                channel.batches += 1;
                channel.items.push_back(item);
            }
            Item::Broken(_) => channel.items.push_back(item),
        }
        self.list(state, index).then(|| state.receiver.take()).flatten()
    }

    /// Puts a channel among those with items, unless it is blocked.
    fn list(&self, state: &mut State<T>, index: u32) -> bool {
        let channel = &mut state.channels[index as usize];
        if channel.blocked {
            return false;
        }
        if !channel.listed {
            channel.listed = true;
            state.listed.push_back(index);
        }
        true
    }

    /// Nothing is taken of the channels that `is_blocked`, until they are not.
    fn set_blocked(&self, is_blocked: impl Fn(usize) -> bool) {
        let State { channels, listed, any_blocked, .. } = &mut *self.state.lock();
        listed.clear();
        *any_blocked = false;
        for (index, channel) in channels.iter_mut().enumerate() {
            channel.blocked = is_blocked(index);
            *any_blocked |= channel.blocked;
            channel.listed = !channel.blocked && !channel.items.is_empty();
            if channel.listed {
                listed.push_back(index as u32);
            }
        }
    }
}

/// Events need no credit, so they must not pile up behind a batch: of a run of them what counts is the newest watermark,
/// and after it whether the channel is idle. A watermark says by itself that the channel is active. Barriers stay where they
/// are; there are only as many as checkpoints under way.
fn push_event<T>(items: &mut VecDeque<Item<T>>, event: Event) {
    let status = |item: &mut Item<T>| matches!(item, Item::Event(Event::Idle | Event::Active));
    if matches!(event, Event::Watermark(_) | Event::Idle | Event::Active) {
        items.pop_back_if(status);
    }
    match (items.back_mut(), event) {
        (Some(Item::Event(Event::Watermark(last))), Event::Watermark(newer)) => *last = newer.max(*last),
        (Some(Item::Event(Event::Watermark(_))), Event::Active) => {}
        _ => items.push_back(Item::Event(event)),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Has `waker` called instead of the one in `slot`; most often it is the same.
fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) if known.will_wake(waker) => {}
        _ => *slot = Some(waker.clone()),
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
        let mut state = self.gate.state.lock();
        let closed = state.closed;
        let channel = &mut state.channels[self.channel as usize];
        if closed || channel.batches >= CREDITS {
            if let Some(waker) = waker {
                register(&mut channel.sender, waker);
            }
            return false;
        }
        let refill = state.empty.pop().unwrap_or_default();
        let full = std::mem::replace(batch, refill);
        let receiver = self.gate.put_into(&mut state, self.channel, Item::Batch(full));
        drop(state);
        wake(receiver);
        true
    }

    /// Whether the receiver has nothing left of this channel. If it has, `waker` is called when it no longer does.
    pub fn starved(&self, waker: &Waker) -> bool {
        let mut state = self.gate.state.lock();
        let closed = state.closed;
        let channel = &mut state.channels[self.channel as usize];
        if channel.batches == 0 && !closed {
            return true;
        }
        register(&mut channel.sender, waker);
        false
    }

    /// Hands over an event; needs no credit.
    pub fn send_event(&self, event: Event) {
        wake(self.gate.put(self.channel, Item::Event(event)));
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
        let mut state = self.state.lock();
        if state.closed {
            return true;
        }
        let parts = &mut state.channels[channel as usize].parts;
        *parts += frame.credit_parts();
        if *parts > CREDITS * CREDIT_PARTS {
            return false;
        }
        let receiver = self.put_into(&mut state, channel, Item::Encoded(frame));
        drop(state);
        wake(receiver);
        true
    }

    fn deliver_event(&self, channel: u32, event: Event) {
        wake(self.put(channel, Item::Event(event)));
    }

    fn connect(&self, channel: u32, credit: CreditReturn) {
        let mut state = self.state.lock();
        if !state.closed {
            credit.give(CREDITS * CREDIT_PARTS);
            state.channels[channel as usize].remote = Some(credit);
        }
    }

    fn broken(&self, channel: u32, failure: Box<Failure>) {
        wake(self.put(channel, Item::Broken(failure)));
    }
}

/// One input of a task.
pub struct InputGate<T> {
    gate: Arc<Gate<T>>,
    meeting: Meeting,
    said: VecDeque<Event>,
    /// What is taken before anything else.
    replay: Option<Replay<T>>,
    overtaker: Overtaker,
    info: Arc<TaskInfo>,
}

impl<T: Data> InputGate<T> {
    /// A gate with `channels` channels that nobody sends to yet, and no barrier overtakes in.
    pub fn new(channels: usize, info: Arc<TaskInfo>) -> Self {
        Self::with(Gate::new((0..channels).map(|_| false)), channels, Vec::new(), info)
    }

    /// A gate with a channel from each of `origins`. What there is of `segments` comes first, by who `claims` it.
    pub(crate) fn wired(
        origins: Vec<Origin>,
        segments: Vec<Segment>,
        claims: Claims<T>,
        info: Arc<TaskInfo>,
    ) -> TaskResult<Self> {
        let gate = Gate::new(origins.iter().map(|origin| origin.edge.can_be_overtaken()));
        let mut gate = Self::with(gate, origins.len(), origins, info);
        gate.replay = Replay::of(segments, claims)?;
        Ok(gate)
    }

    fn with(gate: Gate<T>, channels: usize, origins: Vec<Origin>, info: Arc<TaskInfo>) -> Self {
        Self {
            gate: Arc::new(gate),
            meeting: Meeting::new(channels, &info),
            said: VecDeque::new(),
            replay: None,
            overtaker: Overtaker::new(origins),
            info,
        }
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
            if let Some(item) = self.replay()? {
                return Poll::Ready(Ok(item));
            }
            if self.is_urgent() {
                self.gather()?;
            }
            let mut guard = self.gate.state.lock();
            let state = &mut *guard;
            let Some(index) = state.listed.pop_front() else {
                register(&mut state.receiver, cx.waker());
                return Poll::Pending;
            };
            let channel = &mut state.channels[index as usize];
            let item = channel.items.pop_front();
            if channel.items.is_empty() {
                channel.listed = false;
            } else {
                state.listed.push_back(index);
            }
            let is_under_way = channel.under_way;
            let mut sender = None;
            let mut room = None;
            if matches!(item, Some(Item::Batch(_) | Item::Encoded(_))) {
                channel.batches -= 1;
                // Some credits back, or all of them: enough to keep a sender busy, and to tell it of starvation.
                if channel.batches == 0 || channel.batches == CREDITS - CREDITS_TOGETHER {
                    sender = channel.sender.take();
                }
                if let Some(Item::Encoded(frame)) = &item {
                    let parts = frame.credit_parts();
                    channel.parts -= parts;
                    if let Some(credit) = &mut channel.remote {
                        credit.taken(parts);
                    }
                    room = state.empty.pop();
                }
            }
            // Senders are woken and records are decoded, by code of the user's, without the lock.
            drop(guard);
            wake(sender);
            if is_under_way && let Some(item) = &item {
                self.take_under_way(index as usize, item)?;
            }
            match item {
                Some(Item::Batch(batch)) => {
                    self.info.figures.records_in(batch.len());
                    return Poll::Ready(Ok(GateItem::Batch(batch)));
                }
                Some(Item::Encoded(frame)) => {
                    let mut batch = room.unwrap_or_default();
                    self.info.figures.records_in(frame.count as usize);
                    self.info.figures.bytes_in(HEADER_BYTES + frame.body.len());
                    decode(&frame, &mut batch)?;
                    return Poll::Ready(Ok(GateItem::Batch(batch)));
                }
                Some(Item::Event(event)) => self.take_event(index as usize, event),
                Some(Item::Broken(failure)) => return Poll::Ready(Err(failure)),
                None => {}
            }
        }
    }

    /// What a snapshot has of the streams into this, until all of it is taken.
    fn replay(&mut self) -> TaskResult<Option<GateItem<T>>> {
        let Some(replay) = &mut self.replay else { return Ok(None) };
        if let Some(item) = replay.next()? {
            if let GateItem::Batch(batch) = &item {
                self.info.figures.records_in(batch.len());
            }
            return Ok(Some(item));
        }
        let (watermark, was_idle) = (replay.watermark(), replay.is_idle());
        self.replay = None;
        self.meeting.begin_at(watermark);
        Ok(was_idle.then_some(GateItem::Event(Event::Active)))
    }

    fn take_event(&mut self, channel: usize, event: Event) {
        let Self { gate, meeting, said, info, .. } = self;
        if meeting.take(channel, event, info, |event| said.push_back(event)) {
            gate.set_blocked(|channel| meeting.is_blocked(channel));
        }
    }

    /// Whether nothing is queued, not even in a channel of which nothing is to be taken for now.
    pub fn is_empty(&self) -> bool {
        let State { channels, listed, any_blocked, .. } = &*self.gate.state.lock();
        if *any_blocked {
            channels.iter().all(|channel| channel.items.is_empty())
        } else {
            listed.iter().all(|index| channels[*index as usize].items.is_empty())
        }
    }

    /// Gives back a batch for its allocation.
    pub fn recycle(&mut self, mut batch: Batch<T>) {
        batch.clear();
        let mut state = self.gate.state.lock();
        if batch.records.capacity() > 0 && state.empty.len() < 2 * CREDITS as usize {
            state.empty.push(batch);
        }
    }
}

impl<T> Drop for InputGate<T> {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.closed = true;
        state.listed.clear();
        // Dropping records runs user code, which must not happen under the lock.
        let empty = std::mem::take(&mut state.empty);
        let items: Vec<_> = state.channels.iter_mut().map(|channel| std::mem::take(&mut channel.items)).collect();
        let remotes: Vec<_> = state.channels.iter_mut().map(|channel| channel.remote.take()).collect();
        drop(state);
        drop((empty, items, remotes));
    }
}

#[cfg(test)]
mod tests;
