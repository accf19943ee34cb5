//! The sending side of an edge: a partial batch per channel, and what is held back for lack of credit.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use flott_core::key_group::Router;

use super::{
    gate::{LocalSender, encode},
    partition::{Kind, Partitioner, Route},
};
use crate::{
    batch::{BATCH_BYTES, BATCH_RECORDS, Batch, Data},
    error::TaskResult,
    event::Event,
    net::outgoing::RemoteSender,
    output::Output,
    task::TaskInfo,
};

/// Where a channel leads.
pub enum Target<T> {
    /// To a task of this process: batches are moved.
    Local(LocalSender<T>),
    /// To another process: batches are encoded.
    Remote(RemoteSender),
}

enum Held<T> {
    Batch(Batch<T>),
    Event(Event),
}

struct Channel<T> {
    target: Target<T>,
    partial: Batch<T>,
    /// Records after which the partial batch is full.
    limit: usize,
    held: VecDeque<Held<T>>,
}

enum Spread<T> {
    Single,
    Broadcast,
    Route(Box<dyn Route<T>>),
}

/// Writes the records of one edge into its channels.
pub struct ChannelWriter<T> {
    channels: Vec<Channel<T>>,
    spread: Spread<T>,
    targets: Vec<u32>,
    scratch: Vec<u8>,
    /// Channels with something held back.
    blocked: usize,
    info: Arc<TaskInfo>,
}

impl<T: Data> ChannelWriter<T> {
    /// A writer for `targets`; `router` maps key groups to them.
    pub fn new(targets: Vec<Target<T>>, partitioner: Partitioner<T>, router: Router, info: Arc<TaskInfo>) -> Self {
        let spread = match partitioner.0 {
            // With one channel every rule but a user's says the same.
            Kind::Single => Spread::Single,
            Kind::Broadcast if targets.len() == 1 => Spread::Single,
            Kind::Hash(_) if targets.len() == 1 => Spread::Single,
            Kind::Broadcast => Spread::Broadcast,
            Kind::Route(route) => Spread::Route(route),
            Kind::Hash(make) => Spread::Route(make(router)),
        };
        let channel =
            |target| Channel { target, partial: Batch::default(), limit: BATCH_RECORDS, held: VecDeque::new() };
        let channels = targets.into_iter().map(channel).collect();
        Self { channels, spread, targets: Vec::new(), scratch: Vec::new(), blocked: 0, info }
    }

    fn take_all(&mut self, index: usize, batch: &mut Batch<T>) -> TaskResult {
        let channel = &mut self.channels[index];
        if channel.partial.is_empty() && batch.len() * 2 >= channel.limit {
            // Near enough to full: it goes as it is, without a copy.
            std::mem::swap(&mut channel.partial, batch);
            return self.seal(index);
        }
        let step = channel.limit.max(1);
        if channel.partial.len() + batch.len() < step {
            channel.partial.append(batch);
            return Ok(());
        }
        // Only large records or a long batch come here.
        let stamped = batch.has_timestamps();
        let mut stamps = std::mem::take(&mut batch.timestamps).into_iter();
        for record in batch.records.drain(..) {
            let channel = &mut self.channels[index];
            channel.partial.push_with(record, if stamped { stamps.next() } else { None });
            if channel.partial.len() >= channel.limit {
                self.seal(index)?;
            }
        }
        Ok(())
    }

    fn scatter(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let stamped = batch.has_timestamps();
        let mut stamps = std::mem::take(&mut batch.timestamps);
        for (position, (record, &target)) in batch.records.drain(..).zip(&self.targets).enumerate() {
            let channel = &mut self.channels[target as usize];
            if stamped {
                channel.partial.timestamps.push(stamps[position]);
            }
            channel.partial.records.push(record);
            if channel.partial.records.len() >= channel.limit {
                seal(channel, &mut self.scratch, &mut self.blocked, &self.info, None)?;
            }
        }
        stamps.clear();
        batch.timestamps = stamps;
        self.targets.clear();
        Ok(())
    }

    fn seal(&mut self, index: usize) -> TaskResult {
        seal(&mut self.channels[index], &mut self.scratch, &mut self.blocked, &self.info, None)
    }

}

/// Sends the partial batch of a channel, or holds it back.
fn seal<T: Data>(
    channel: &mut Channel<T>,
    scratch: &mut Vec<u8>,
    blocked: &mut usize,
    info: &TaskInfo,
    waker: Option<&Waker>,
) -> TaskResult {
    if let Some(sample) = channel.partial.records.first() {
        // One record stands for its batch: the next one is filled to about the same number of bytes.
        scratch.clear();
        flott_core::codec::encode(sample, scratch).map_err(unserialisable)?;
        channel.limit = (BATCH_BYTES / scratch.len().max(1)).clamp(1, BATCH_RECORDS);
    }
    info.figures.records_out(channel.partial.len());
    if channel.held.is_empty() && send(&mut channel.target, &mut channel.partial, scratch, info, waker)? {
        if channel.partial.records.capacity() == 0 {
            channel.partial.records.reserve(channel.limit);
        }
        return Ok(());
    }
    if channel.held.is_empty() {
        *blocked += 1;
    }
    channel.held.push_back(Held::Batch(std::mem::take(&mut channel.partial)));
    Ok(())
}

fn unserialisable(error: flott_core::codec::CodecError) -> Box<flott_core::failure::Failure> {
    Box::new(flott_core::failure::Failure::user("a record cannot be serialised").because(error).fatal())
}

/// Sends one batch if there is credit; leaves `batch` empty if so.
fn send<T: Data>(
    target: &mut Target<T>,
    batch: &mut Batch<T>,
    scratch: &mut Vec<u8>,
    info: &TaskInfo,
    waker: Option<&Waker>,
) -> TaskResult<bool> {
    match target {
        Target::Local(sender) => Ok(sender.try_send(batch, waker)),
        Target::Remote(sender) => {
            if !sender.take_credit(waker)? {
                return Ok(false);
            }
            let mut frame = sender.frame(batch.len(), batch.has_timestamps(), BATCH_BYTES.max(scratch.capacity()));
            encode(batch, &mut frame)?;
            info.figures.bytes_out(frame.len());
            sender.send(frame)?;
            batch.clear();
            Ok(true)
        }
    }
}

impl<T: Data> Output<T> for ChannelWriter<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        match &mut self.spread {
            Spread::Single => self.take_all(0, batch),
            Spread::Route(route) => {
                route.route(&batch.records, self.channels.len() as u32, &mut self.targets)?;
                self.scatter(batch)
            }
            Spread::Broadcast => {
                let mut copy = Batch::default();
                for index in 1..self.channels.len() {
                    copy.records.extend_from_slice(&batch.records);
                    copy.timestamps.extend_from_slice(&batch.timestamps);
                    self.take_all(index, &mut copy)?;
                    copy.clear();
                }
                self.take_all(0, batch)
            }
        }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        for channel in &mut self.channels {
            if !channel.partial.is_empty() {
                seal(channel, &mut self.scratch, &mut self.blocked, &self.info, None)?;
            }
            if channel.held.is_empty() && send_event(&mut channel.target, event, None)? {
                continue;
            }
            if channel.held.is_empty() {
                self.blocked += 1;
            }
            channel.held.push_back(Held::Event(event));
        }
        Ok(())
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        for channel in &mut self.channels {
            if !channel.held.is_empty() {
                release(channel, &mut self.scratch, &self.info, cx.waker())?;
                if channel.held.is_empty() {
                    self.blocked -= 1;
                }
            } else if !channel.partial.is_empty() {
                let starved = match &mut channel.target {
                    Target::Local(sender) => sender.starved(cx.waker()),
                    Target::Remote(sender) => sender.starved(cx.waker())?,
                };
                if starved {
                    seal(channel, &mut self.scratch, &mut self.blocked, &self.info, Some(cx.waker()))?;
                }
            }
        }
        if self.blocked == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn prepared(&mut self, _into: &mut Vec<(flott_core::id::OperatorId, bytes::Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// Sends what is held back, in order, as far as credit goes.
fn release<T: Data>(channel: &mut Channel<T>, scratch: &mut Vec<u8>, info: &TaskInfo, waker: &Waker) -> TaskResult {
    while let Some(held) = channel.held.front_mut() {
        match held {
            Held::Batch(batch) => {
                if !send(&mut channel.target, batch, scratch, info, Some(waker))? {
                    return Ok(());
                }
            }
            Held::Event(event) => {
                if !send_event(&mut channel.target, *event, Some(waker))? {
                    return Ok(());
                }
            }
        }
        channel.held.pop_front();
    }
    Ok(())
}

fn send_event<T>(target: &mut Target<T>, event: Event, waker: Option<&Waker>) -> TaskResult<bool> {
    match target {
        Target::Local(sender) => {
            sender.send_event(event);
            Ok(true)
        }
        Target::Remote(sender) => sender.try_send_event(event, waker),
    }
}
