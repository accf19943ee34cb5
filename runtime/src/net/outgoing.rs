//! The dialling side: one connection per peer process, many channels, credits per channel.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use flott_core::{
    codec,
    failure::Failure,
    message::{ChannelId, ProcessLocation},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::Notify,
};

use super::frame::{self, HEADER_BYTES, Hello, Kind};
use crate::{
    channel::{CREDIT_PARTS, CREDITS, CREDITS_TOGETHER, credit_parts},
    error::TaskResult,
    event::Event,
};

/// How long dialling and the greeting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most frames given to the kernel in one call: more bytes than its buffers take at once.
const FRAMES_PER_WRITE: usize = 64;
/// Events that may wait to be written. They need no credit, so a peer that does not read would let them pile up; senders
/// hold further ones back, as they do with batches.
const EVENTS_QUEUED_MAX: usize = 1024;

#[derive(Default)]
struct ChannelState {
    /// The receiver is there: it has given credit once.
    open: bool,
    /// Parts of credits.
    credit: u32,
    waker: Option<Waker>,
}

#[derive(Default)]
struct State {
    /// Frames to be written. Batches among them are bounded by credit, and the rest by the number of channels.
    queue: VecDeque<Bytes>,
    /// Events in `queue`.
    events: usize,
    channels: HashMap<u32, ChannelState>,
    /// Channels opened so far. Numbers are not used again: credits for an old channel may still be on their way.
    opened: u32,
    failed: Option<Box<Failure>>,
}

impl State {
    fn wakers(&mut self) -> Vec<Waker> {
        self.channels.values_mut().filter_map(|channel| channel.waker.take()).collect()
    }
}

/// A connection to one peer process, shared by all channels towards it.
pub struct Connection {
    peer: ProcessLocation,
    state: Mutex<State>,
    queued: Notify,
}

impl Connection {
    /// A connection that has yet to be [`run`](Self::run).
    pub fn new(peer: ProcessLocation) -> Arc<Self> {
        Arc::new(Self { peer, state: Mutex::default(), queued: Notify::new() })
    }

    /// Whether it has broken.
    pub fn is_broken(&self) -> bool {
        self.state.lock().failed.is_some()
    }

    /// Opens a channel. Without credit until the receiver is there.
    pub fn open(self: &Arc<Self>, channel: ChannelId) -> TaskResult<RemoteSender> {
        let id = codec::to_vec(&channel)
            .map_err(|error| Failure::internal("a channel id cannot be encoded").because(error))?;
        let mut state = self.state.lock();
        let number = state.opened;
        state.opened = number.checked_add(1).ok_or_else(|| Failure::internal("a connection has no more channels"))?;
        state.channels.insert(number, ChannelState::default());
        let mut bytes = frame::begin(Kind::Open, number, 0, false, id.len());
        bytes.extend_from_slice(&id);
        state.queue.push_back(finish(bytes)?);
        drop(state);
        self.queued.notify_one();
        Ok(RemoteSender { connection: self.clone(), channel: number })
    }

    fn push(&self, bytes: Bytes, events: usize) {
        let mut state = self.state.lock();
        if state.failed.is_some() {
            return;
        }
        state.events += events;
        let idle = state.queue.is_empty();
        state.queue.push_back(bytes);
        drop(state);
        if idle {
            self.queued.notify_one();
        }
    }

    /// Dials, then moves frames and credits until the connection breaks; then every channel fails.
    pub async fn run(self: Arc<Self>, hello: Hello) {
        let error = match tokio::time::timeout(CONNECT_TIMEOUT, dial(&self.peer, hello)).await {
            Ok(Ok(stream)) => {
                let (read, write) = stream.into_split();
                tokio::select! {
                    error = self.send_frames(write) => error,
                    error = self.take_credits(read) => error,
                }
            }
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
        };
        let (worker, address) = (&self.peer.worker, self.peer.data_address);
        let failure = Failure::lost_peer(format!("lost the data connection to {worker} at {address}")).because(error);
        let mut state = self.state.lock();
        state.failed = Some(Box::new(failure));
        state.queue.clear();
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes what is queued in exchange for the empty `frames`.
    fn take_queued(&self, frames: &mut VecDeque<Bytes>) {
        let mut state = self.state.lock();
        std::mem::swap(frames, &mut state.queue);
        let crowded = std::mem::take(&mut state.events) >= EVENTS_QUEUED_MAX;
        let wakers = if crowded { state.wakers() } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn send_frames(&self, mut stream: OwnedWriteHalf) -> String {
        let mut frames: VecDeque<Bytes> = VecDeque::new();
        loop {
            if frames.is_empty() {
                self.take_queued(&mut frames);
            }
            if frames.is_empty() {
                self.queued.notified().await;
                continue;
            }
            let slices: Vec<_> = frames.iter().take(FRAMES_PER_WRITE).map(|frame| IoSlice::new(frame)).collect();
            let mut written = match stream.write_vectored(&slices).await {
                Ok(0) => return "the peer takes no more bytes".into(),
                Ok(written) => written,
                Err(error) => return error.to_string(),
            };
            while let Some(first) = frames.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                frames.pop_front();
            }
        }
    }

    async fn take_credits(&self, mut stream: OwnedReadHalf) -> String {
        let mut buffer = BytesMut::with_capacity(4096);
        loop {
            match stream.read_buf(&mut buffer).await {
                Ok(0) => return "the peer closed it".into(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
            loop {
                match frame::take(&mut buffer) {
                    Ok(Some(frame)) if frame.kind == Kind::Credit => self.credit(frame.channel, frame.count),
                    Ok(Some(frame)) => return format!("the peer sent {:?}, which only diallers send", frame.kind),
                    Ok(None) => break,
                    Err(error) => return error.to_string(),
                }
            }
            buffer.reserve(4096);
        }
    }

    fn credit(&self, channel: u32, more: u32) {
        let mut state = self.state.lock();
        let Some(channel) = state.channels.get_mut(&channel) else { return };
        channel.open = true;
        channel.credit = channel.credit.saturating_add(more).min(CREDITS * CREDIT_PARTS);
        let waker = channel.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

async fn dial(peer: &ProcessLocation, hello: Hello) -> Result<TcpStream, String> {
    let mut stream = TcpStream::connect(peer.data_address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    stream.write_all(&hello.to_bytes()).await.map_err(|error| error.to_string())?;
    match stream.read_u8().await {
        Ok(frame::WELCOME) => Ok(stream),
        Ok(code) => Err(format!("the peer refused with code {code}")),
        Err(error) => Err(format!("the peer hung up on the greeting: {error}")),
    }
}

fn finish(bytes: Vec<u8>) -> TaskResult<Bytes> {
    frame::finish(bytes).map_err(|error| {
        Box::new(Failure::user("a record is too large to be sent to another process").because(error).fatal())
    })
}

/// The sending end of one channel.
pub struct RemoteSender {
    connection: Arc<Connection>,
    channel: u32,
}

impl RemoteSender {
    fn with_channel<R>(&self, f: impl FnOnce(&mut ChannelState) -> R) -> TaskResult<R> {
        let mut state = self.connection.state.lock();
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        Ok(f(state.channels.entry(self.channel).or_default()))
    }

    /// Uses up a credit if there is a whole one; else `waker` is called when there is. What the batch does not need of it
    /// comes back when it is sent.
    pub fn take_credit(&self, waker: Option<&Waker>) -> TaskResult<bool> {
        self.with_channel(|channel| match channel.credit.checked_sub(CREDIT_PARTS) {
            Some(left) => {
                channel.credit = left;
                true
            }
            None => {
                channel.waker = waker.cloned().or(channel.waker.take());
                false
            }
        })
    }

    /// Whether the receiver may have taken everything, as far as is known here. If it cannot have, `waker` is called when
    /// it may have.
    pub fn starved(&self, waker: &Waker) -> TaskResult<bool> {
        self.with_channel(|channel| {
            // It keeps credits to itself until a few are together, and so may hold a little less than that.
            if channel.credit + CREDITS_TOGETHER * CREDIT_PARTS > CREDITS * CREDIT_PARTS {
                return true;
            }
            channel.waker = Some(waker.clone());
            false
        })
    }

    /// A frame to append encoded records to.
    pub fn frame(&self, records: usize, timestamps: bool, capacity: usize) -> Vec<u8> {
        frame::begin(Kind::Data, self.channel, records as u32, timestamps, capacity)
    }

    /// Sends a frame of so many records for which a credit was taken.
    pub fn send(&self, records: usize, frame: Vec<u8>) -> TaskResult {
        let spare = CREDIT_PARTS - credit_parts(records as u32, frame.len() - HEADER_BYTES);
        self.with_channel(|channel| channel.credit += spare)?;
        self.connection.push(finish(frame)?, 0);
        Ok(())
    }

    /// Sends an event. It needs no credit, but a receiver, and few events before it that have not been written: false if
    /// that is not so, and `waker` is called when it may be.
    pub fn try_send_event(&self, event: Event, waker: Option<&Waker>) -> TaskResult<bool> {
        let mut state = self.connection.state.lock();
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        let crowded = state.events >= EVENTS_QUEUED_MAX;
        let channel = state.channels.entry(self.channel).or_default();
        if crowded || !channel.open {
            channel.waker = waker.cloned().or(channel.waker.take());
            return Ok(false);
        }
        drop(state);
        let mut bytes = frame::begin(Kind::Event, self.channel, 0, false, 16);
        codec::encode(&event, &mut bytes)
            .map_err(|error| Failure::internal("an event cannot be encoded").because(error))?;
        self.connection.push(finish(bytes)?, 1);
        Ok(true)
    }
}

impl Drop for RemoteSender {
    fn drop(&mut self) {
        self.connection.state.lock().channels.remove(&self.channel);
        if let Ok(frame) = frame::finish(frame::begin(Kind::Close, self.channel, 0, false, 0)) {
            self.connection.push(frame, 0);
        }
    }
}
