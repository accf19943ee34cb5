//! The sending side of an edge: a partial batch per channel, and what is held back for lack of credit.
//!
//! # Layout
//! - `overtaking`: barriers that go past what is held back

mod overtaking;

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use flott_core::key_group::Router;

pub(crate) use self::overtaking::Exit;
use self::overtaking::Overtaker;
use super::{
    body,
    gate::LocalSender,
    partition::{Kind, Partitioner, Route, Routes},
    size::BatchSize,
};
use crate::{
    batch::{BATCH_BYTES, Batch, Data, Leaving, Timestamp},
    error::TaskResult,
    event::Event,
    net::outgoing::RemoteSender,
    output::Output,
    task::TaskInfo,
};

/// Longest frame of several records. Batches are cut by a guess at the bytes of a record; where that was so wrong, the
/// batch is sent in pieces.
const FRAME_BYTES: usize = 16 * BATCH_BYTES;

/// A batch that is filled to less than this part is hardly begun.
const BEGUN: usize = 4;

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
    /// Beside records without hashes; it takes no room.
    nothing: Vec<()>,
    /// Not empty: this channel waits for credit, and everything queues up behind the first.
    held: VecDeque<Held<T>>,
}

enum Spread<T> {
    Single,
    Broadcast,
    Route(Box<dyn Route<T>>),
}

/// What the channels of a writer have in common.
struct Common {
    size: BatchSize,
    /// Channels with something held back.
    blocked: usize,
    info: Arc<TaskInfo>,
}

/// Writes the records of one edge into its channels.
pub struct ChannelWriter<T> {
    channels: Vec<Channel<T>>,
    spread: Spread<T>,
    /// Of the batch at hand; kept for their room.
    routes: Routes,
    /// Whether the records in partial batches have timestamps.
    stamped: bool,
    /// Records came since the last [`poll_settle`](Output::poll_settle).
    fresh: bool,
    /// How a barrier overtakes what is held back; nothing if none does.
    overtaker: Option<Overtaker>,
    common: Common,
}

impl<T: Data> ChannelWriter<T> {
    /// A writer for `targets`; `router` maps key groups to them.
    pub fn new(targets: Vec<Target<T>>, partitioner: Partitioner<T>, router: Router, info: Arc<TaskInfo>) -> Self {
        let one = targets.len() == 1;
        let spread = match partitioner.0 {
            Kind::Single => Spread::Single,
            // With one channel every rule but a user's says the same.
            Kind::Broadcast | Kind::Rule(_) | Kind::Hash(_) if one => Spread::Single,
            Kind::Broadcast => Spread::Broadcast,
            Kind::Rule(route) | Kind::Custom(route) => Spread::Route(route),
            Kind::Hash(make) => Spread::Route(make(router)),
        };
        let common = Common { size: BatchSize::new(targets.len()), blocked: 0, info };
        let channel =
            |target| Channel { target, partial: Batch::default(), nothing: Vec::new(), held: VecDeque::new() };
        let channels = targets.into_iter().map(channel).collect();
        Self { channels, spread, routes: Routes::default(), stamped: false, fresh: false, overtaker: None, common }
    }

    /// Barriers that may overtake do so here: the channels lead along `exit`.
    #[must_use]
    pub(crate) fn overtaken(mut self, exit: Exit) -> Self {
        self.overtaker = exit.edge.can_be_overtaken().then(|| Overtaker::new(exit));
        self
    }

    /// Takes a whole batch into one channel.
    fn take_all(&mut self, index: usize, batch: &mut Batch<T>) -> TaskResult {
        let channel = &mut self.channels[index];
        let limit = self.common.size.limit();
        if batch.len() <= limit && batch.len() * 2 >= limit {
            // Near enough to full: it goes as it is, without a copy.
            if !channel.partial.is_empty() {
                channel.seal(&mut self.common, None)?;
            }
            mem::swap(&mut channel.partial, batch);
            return channel.seal(&mut self.common, None);
        }
        if channel.partial.is_empty() && batch.len() < limit {
            mem::swap(&mut channel.partial, batch);
            return Ok(());
        }
        if channel.partial.len() + batch.len() < limit {
            channel.partial.append(batch);
            return Ok(());
        }
        let mut timestamps = batch.timestamps.drain(..);
        for record in batch.records.drain(..) {
            channel.partial.push_with(record, timestamps.next());
            if channel.partial.len() >= limit {
                channel.seal(&mut self.common, None)?;
            }
        }
        Ok(())
    }

    /// Takes each record of a batch into the channel that its route says.
    fn scatter(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let Self { channels, routes: Routes { targets, hashes }, stamped, common, .. } = self;
        let limit = common.size.limit();
        let mut records = Leaving::all(&mut batch.records);
        let mut timestamps = Leaving::all(&mut batch.timestamps);
        let (mut targets, mut hashes) = (&targets[..], &hashes[..]);
        while !targets.is_empty() {
            let moved = if hashes.is_empty() {
                records.scatter(targets, &vec![(); targets.len()], channels.iter_mut().map(Channel::bare), limit)
            } else {
                records.scatter(targets, hashes, channels.iter_mut().map(|channel| channel.partial.hashed()), limit)
            };
            let run;
            (run, targets) = targets.split_at(moved);
            hashes = hashes.get(moved..).unwrap_or_default();
            if *stamped {
                timestamps.scatter(run, &vec![(); moved], channels.iter_mut().map(Channel::stamps), limit);
            }
            // Only the last record of a run can have filled its batch.
            if let Some(last) = run.last().and_then(|target| channels.get_mut(*target as usize))
                && last.partial.len() >= limit
            {
                last.seal(common, None)?;
            }
        }
        Ok(())
    }
}

impl<T> Channel<T> {
    /// Where records go to that have nothing beside them.
    fn bare(&mut self) -> (&mut Vec<T>, &mut Vec<()>) {
        (&mut self.partial.records, &mut self.nothing)
    }

    /// Where timestamps go to.
    fn stamps(&mut self) -> (&mut Vec<Timestamp>, &mut Vec<()>) {
        (&mut self.partial.timestamps, &mut self.nothing)
    }
}

impl<T: Data> Channel<T> {
    /// Sends the partial batch, or holds it back.
    fn seal(&mut self, common: &mut Common, waker: Option<&Waker>) -> TaskResult {
        if self.held.is_empty() {
            if send(&mut self.target, &mut self.partial, common, waker)? {
                return Ok(());
            }
            common.blocked += 1;
        }
        self.held.push_back(Held::Batch(mem::take(&mut self.partial)));
        Ok(())
    }

    fn event(&mut self, event: Event, common: &mut Common) -> TaskResult {
        if !self.partial.is_empty() {
            self.seal(common, None)?;
        }
        if self.held.is_empty() {
            if send_event(&mut self.target, event, None)? {
                return Ok(());
            }
            common.blocked += 1;
        }
        self.held.push_back(Held::Event(event));
        Ok(())
    }

    /// Sends what is held back, in order, as far as credit goes.
    fn release(&mut self, common: &mut Common, waker: &Waker) -> TaskResult {
        while let Some(held) = self.held.front_mut() {
            match held {
                Held::Batch(batch) => {
                    if !send(&mut self.target, batch, common, Some(waker))? {
                        return Ok(());
                    }
                    if self.partial.records.capacity() == 0 {
                        // The next batch is filled into the room that has become free.
                        mem::swap(&mut self.partial, batch);
                    }
                }
                Held::Event(event) => {
                    if !send_event(&mut self.target, *event, Some(waker))? {
                        return Ok(());
                    }
                }
            }
            self.held.pop_front();
        }
        common.blocked -= 1;
        Ok(())
    }

    /// Whether the receiver waits for what is in the partial batch; if not, `waker` is called when it does.
    fn starved(&self, waker: &Waker) -> TaskResult<bool> {
        match &self.target {
            Target::Local(sender) => Ok(sender.starved(waker)),
            Target::Remote(sender) => sender.starved(waker),
        }
    }
}

/// Sends one batch if there is credit and leaves `batch` empty. Else what is left of it waits, and `waker` is called when
/// there is credit.
fn send<T: Data>(
    target: &mut Target<T>,
    batch: &mut Batch<T>,
    common: &mut Common,
    waker: Option<&Waker>,
) -> TaskResult<bool> {
    let sender = match target {
        Target::Local(sender) => return Ok(sender.try_send(batch, waker)),
        Target::Remote(sender) => sender,
    };
    loop {
        if !sender.take_credit(waker)? {
            return Ok(false);
        }
        let stamped = batch.has_timestamps();
        let mut count = batch.len();
        let stamps = if stamped { 8 * count } else { 0 };
        let mut frame = sender.frame(count, stamped, stamps + common.size.bytes(count));
        body::encode(batch, count, &mut frame)?;
        if frame.len() > FRAME_BYTES && count > 1 {
            count = body::count_within(batch, FRAME_BYTES)?;
            frame = sender.frame(count, stamped, FRAME_BYTES);
            body::encode(batch, count, &mut frame)?;
        }
        common.size.learn(count, frame.len());
        common.info.figures.bytes_out(frame.len());
        sender.send(count, frame)?;
        if count == batch.len() {
            batch.clear();
            return Ok(true);
        }
        batch.records.drain(..count);
        if stamped {
            batch.timestamps.drain(..count);
        }
        batch.forget_hashes();
    }
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

impl<T: Data> Output<T> for ChannelWriter<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        if batch.is_empty() {
            return Ok(());
        }
        self.fresh = true;
        self.common.info.figures.records_out(batch.len());
        self.common.size.sample(batch)?;
        batch.forget_hashes();
        if self.stamped != batch.has_timestamps() {
            // A batch has timestamps for all of its records or for none.
            for channel in self.channels.iter_mut().filter(|channel| !channel.partial.is_empty()) {
                channel.seal(&mut self.common, None)?;
            }
            self.stamped = batch.has_timestamps();
        }
        match &mut self.spread {
            Spread::Single => self.take_all(0, batch),
            Spread::Route(route) => {
                self.routes.clear();
                route.route(&batch.records, self.channels.len() as u32, &mut self.routes)?;
                self.scatter(batch)
            }
            Spread::Broadcast => {
                let mut copy = Batch::default();
                for index in 1..self.channels.len() {
                    copy.records.extend_from_slice(&batch.records);
                    copy.timestamps.extend_from_slice(&batch.timestamps);
                    self.take_all(index, &mut copy)?;
                }
                self.take_all(0, batch)
            }
        }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        if let (Event::Barrier(barrier), Some(overtaker)) = (event, &mut self.overtaker)
            && barrier.may_overtake()
        {
            return overtaker.barrier(barrier, &mut self.channels, &mut self.common);
        }
        self.channels.iter_mut().try_for_each(|channel| channel.event(event, &mut self.common))
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        // Asked once after each batch, and again when the task has nothing to do: only then is a batch sent that is
        // hardly begun. A task that is never without input thus spends its time on records, and not on handing over a
        // few of them at a time.
        let worth_it = if mem::take(&mut self.fresh) { self.common.size.limit() / BEGUN } else { 0 };
        for channel in &mut self.channels {
            if !channel.held.is_empty() {
                channel.release(&mut self.common, cx.waker())?;
            } else if channel.partial.len() > worth_it && channel.starved(cx.waker())? {
                channel.seal(&mut self.common, Some(cx.waker()))?;
            }
        }
        if let Some(overtaker) = &mut self.overtaker {
            overtaker.poll(&mut self.channels, &mut self.common, cx)?;
        }
        if self.common.blocked == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn prepared(&mut self, _into: &mut Vec<(flott_core::id::OperatorId, bytes::Bytes)>) -> TaskResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
