//! The listening side: frames go to the gates that opened channels belong to, credits go back.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use flott_core::{codec, failure::Failure, message::ChannelId};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::Notify,
};

use super::frame::{self, Frame, HELLO_BYTES, Hello, Kind, RawFrame};
use crate::{
    channel::{CREDIT_PARTS, CREDITS_TOGETHER, gate::RemoteInput},
    event::Event,
};

/// How long a dialler may take for its greeting.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read from the kernel in one call, about: several full batches, so that a busy connection costs few calls.
const READ_BYTES: usize = 128 * 1024;
/// Most bytes made room for ahead of what has come of a long frame.
const READ_AHEAD_BYTES: usize = 1 << 20;
/// Frames shorter than this are copied out of what was read, so that a few short ones that wait for a slow task do not
/// keep whole read buffers from being freed. Of longer ones the room they keep is a small multiple of their bytes.
const COPIED_BYTES: usize = 4 * 1024;
/// Channels that may be opened before their receivers are there.
const EARLY_CHANNELS_MAX: usize = 1 << 20;

/// A gate, and the channel in it.
type Found = (Arc<dyn RemoteInput>, u32);

struct Receiver {
    gate: Weak<dyn RemoteInput>,
    index: u32,
    ended: bool,
}

#[derive(Default)]
struct State {
    receivers: HashMap<u32, Receiver>,
    /// Open channels without a receiver, by number; the other half is in the [`Rendezvous`].
    early: HashMap<u32, ChannelId>,
    credits: Vec<(u32, u32)>,
    broken: Option<Box<Failure>>,
}

/// A connection that a peer process dialled.
#[derive(Default)]
pub struct Connection {
    state: Mutex<State>,
    owed: Notify,
}

impl Connection {
    /// Brings an open channel and its receiver together; `early` if the channel was there first.
    fn bind(self: &Arc<Self>, channel: u32, early: bool, gate: &Arc<dyn RemoteInput>, index: u32) {
        let mut state = self.state.lock();
        if early && state.early.remove(&channel).is_none() && state.broken.is_none() {
            // Closed in the meantime.
            return;
        }
        if let Some(failure) = state.broken.clone() {
            drop(state);
            return gate.broken(index, failure);
        }
        state.receivers.insert(channel, Receiver { gate: Arc::downgrade(gate), index, ended: false });
        drop(state);
        gate.connect(index, CreditReturn { connection: self.clone(), channel, owed: 0 });
    }

    /// The gate behind a channel, or nothing if its task is gone. Gates lock themselves and then return credits here, so
    /// they are never called under the lock of this connection.
    fn receiver(&self, channel: u32, ends: bool) -> Result<Option<Found>, String> {
        let mut state = self.state.lock();
        let Some(receiver) = state.receivers.get_mut(&channel) else {
            return Err(format!("the peer sent on channel {channel}, which has no receiver"));
        };
        if receiver.ended {
            return Err(format!("the peer sent on channel {channel} after its end"));
        }
        receiver.ended |= ends;
        Ok(receiver.gate.upgrade().map(|gate| (gate, receiver.index)))
    }
}

/// Returns credits of one channel to its sender.
pub struct CreditReturn {
    connection: Arc<Connection>,
    channel: u32,
    owed: u32,
}

impl CreditReturn {
    /// A batch that took so many parts of a credit was taken off the queue. Credits go back a few at a time: each return is
    /// a system call here and a wake-up there, which in a calm stream would cost as much as the records.
    pub fn taken(&mut self, parts: u32) {
        self.owed += parts;
        if self.owed >= CREDITS_TOGETHER * CREDIT_PARTS {
            self.give(self.owed);
            self.owed = 0;
        }
    }

    /// Gives so many parts of credits.
    pub fn give(&self, parts: u32) {
        let mut state = self.connection.state.lock();
        let idle = state.credits.is_empty();
        state.credits.push((self.channel, parts));
        drop(state);
        if idle {
            self.connection.owed.notify_one();
        }
    }
}

enum Entry {
    /// The receiver is there, the channel is not open yet.
    Receiver { gate: Weak<dyn RemoteInput>, index: u32 },
    /// The channel was opened before its receiver came.
    Early { connection: Arc<Connection>, channel: u32 },
}

/// Channels and receivers that wait for each other.
#[derive(Default)]
pub struct Rendezvous(Mutex<HashMap<ChannelId, Entry>>);

impl Rendezvous {
    /// A task is there to receive `id`.
    pub fn receive(&self, id: ChannelId, gate: &Arc<dyn RemoteInput>, index: u32) {
        let mut entries = self.0.lock();
        match entries.remove(&id) {
            Some(Entry::Early { connection, channel }) => {
                drop(entries);
                connection.bind(channel, true, gate, index);
            }
            Some(Entry::Receiver { .. }) | None => {
                entries.insert(id, Entry::Receiver { gate: Arc::downgrade(gate), index });
            }
        }
    }

    /// The task that was to receive these is gone.
    pub fn forget(&self, ids: &[ChannelId]) {
        let mut entries = self.0.lock();
        for id in ids {
            entries.remove(id);
        }
    }

    fn open(&self, id: ChannelId, connection: &Arc<Connection>, channel: u32) -> Result<(), String> {
        let mut entries = self.0.lock();
        match entries.remove(&id) {
            Some(Entry::Receiver { gate, index }) => {
                drop(entries);
                if let Some(gate) = gate.upgrade() {
                    connection.bind(channel, false, &gate, index);
                }
            }
            Some(Entry::Early { .. }) | None if entries.len() < EARLY_CHANNELS_MAX => {
                connection.state.lock().early.insert(channel, id);
                entries.insert(id, Entry::Early { connection: connection.clone(), channel });
            }
            Some(Entry::Early { .. }) | None => return Err("too many channels wait for their receivers".into()),
        }
        Ok(())
    }

    /// Channels and receivers that wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.0.lock().len()
    }

    /// The sender of a channel is gone. A receiver that has not heard the end goes on waiting: why there is none is for
    /// the sender's side to tell.
    fn close(&self, connection: &Arc<Connection>, channel: u32) {
        // In the order of `open`: this lock, then the connection's.
        let mut entries = self.0.lock();
        let mut state = connection.state.lock();
        state.receivers.remove(&channel);
        if let Some(id) = state.early.remove(&channel)
            && let Some(Entry::Early { connection: early, channel: number }) = entries.get(&id)
            && Arc::ptr_eq(early, connection)
            && *number == channel
        {
            entries.remove(&id);
        }
    }

    fn drop_connection(&self, connection: &Arc<Connection>) {
        self.0.lock().retain(|_, entry| match entry {
            Entry::Early { connection: early, .. } => !Arc::ptr_eq(early, connection),
            Entry::Receiver { .. } => true,
        });
    }
}

/// Serves one connection until it breaks; `greeting` is dropped once the dialler has said who it is.
pub async fn serve(mut stream: TcpStream, expected: Hello, rendezvous: Arc<Rendezvous>, greeting: impl Send) {
    let mut hello = [0; HELLO_BYTES];
    let greeted = tokio::time::timeout(HELLO_TIMEOUT, stream.read_exact(&mut hello)).await;
    drop(greeting);
    if !matches!(greeted, Ok(Ok(_))) || !expected.matches(&hello) {
        tracing::warn!(peer = ?stream.peer_addr().ok(), "refused a data connection that does not belong to this job");
        return;
    }
    if stream.set_nodelay(true).is_err() || stream.write_u8(frame::WELCOME).await.is_err() {
        return;
    }
    let peer = stream.peer_addr().map_or_else(|_| "a peer".to_owned(), |peer| peer.to_string());
    let connection = Arc::new(Connection::default());
    let (read, write) = stream.into_split();
    let error = tokio::select! {
        error = read_frames(&connection, read, &rendezvous) => error,
        error = write_credits(&connection, write) => error,
    };
    rendezvous.drop_connection(&connection);
    let failure = Box::new(Failure::lost_peer(format!("lost the data connection from {peer}")).because(error));
    let mut state = connection.state.lock();
    state.broken = Some(failure.clone());
    let receivers = std::mem::take(&mut state.receivers);
    drop(state);
    for receiver in receivers.into_values().filter(|receiver| !receiver.ended) {
        if let Some(gate) = receiver.gate.upgrade() {
            gate.broken(receiver.index, failure.clone());
        }
    }
}

async fn read_frames(connection: &Arc<Connection>, mut stream: OwnedReadHalf, rendezvous: &Rendezvous) -> String {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return "the peer closed it".into(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
        loop {
            match frame::take(&mut buffer) {
                Ok(Some(frame)) => {
                    if let Err(error) = take_frame(connection, frame, rendezvous) {
                        return error;
                    }
                }
                Ok(None) => break,
                Err(error) => return error.to_string(),
            }
        }
        buffer.reserve(frame::missing(&buffer).clamp(READ_BYTES / 4, READ_AHEAD_BYTES));
    }
}

fn take_frame(connection: &Arc<Connection>, frame: RawFrame, rendezvous: &Rendezvous) -> Result<(), String> {
    let RawFrame { kind, channel, count, timestamps, body } = frame;
    match kind {
        Kind::Open => {
            let id: ChannelId =
                codec::decode(&body).map_err(|error| format!("a channel id cannot be read: {error}"))?;
            rendezvous.open(id, connection, channel)
        }
        Kind::Data => {
            let Some((gate, index)) = connection.receiver(channel, false)? else { return Ok(()) };
            let body = if body.len() < COPIED_BYTES { Bytes::copy_from_slice(&body) } else { body };
            if gate.deliver(index, Frame { count, timestamps, body }) {
                Ok(())
            } else {
                Err("the peer sent more batches than it had credit for".into())
            }
        }
        Kind::Event => {
            let event: Event = codec::decode(&body).map_err(|error| format!("an event cannot be read: {error}"))?;
            if let Some((gate, index)) = connection.receiver(channel, event == Event::End)? {
                gate.deliver_event(index, event);
            }
            Ok(())
        }
        Kind::Close => {
            rendezvous.close(connection, channel);
            Ok(())
        }
        Kind::Credit => Err("the peer sent credits, which only listeners give".into()),
    }
}

async fn write_credits(connection: &Connection, mut stream: OwnedWriteHalf) -> String {
    let mut bytes = Vec::new();
    loop {
        let credits = std::mem::take(&mut connection.state.lock().credits);
        if credits.is_empty() {
            connection.owed.notified().await;
            continue;
        }
        bytes.clear();
        for (channel, count) in credits {
            match frame::finish(frame::begin(Kind::Credit, channel, count, false, 0)) {
                Ok(frame) => bytes.extend_from_slice(&frame),
                Err(error) => return error.to_string(),
            }
        }
        if let Err(error) = stream.write_all(&bytes).await {
            return error.to_string();
        }
    }
}
