//! The task that reads: it puts frames together, settles calls, and hands the rest to the connection's user.

use std::sync::Arc;

use bytes::BytesMut;
use flott_core::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, ReadHalf};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::shared::Shared;
use crate::frame::{self, Frame, FrameDecoder, Kind};
use crate::incoming::{Event, Events, Responder};
use crate::{CallError, CloseReason};

/// Room in the buffer before each read, in bytes.
const READ_BYTES: usize = 16 << 10;

/// What an event is taken to weigh beside its frame, in bytes.
const EVENT_BYTES: usize = 256;

pub(super) async fn run<Io, Out, In>(
    mut io: ReadHalf<Io>,
    shared: Arc<Shared<In>>,
    events: Events<Out, In>,
    room: Arc<Semaphore>,
) where
    Io: AsyncRead,
    Out: Serialize + Send + 'static,
    In: DeserializeOwned + Send + 'static,
{
    let mut reader = Reader { shared: shared.clone(), events: events.clone(), room };
    let found = tokio::select! {
        reason = reader.receive(&mut io) => Some(reason),
        () = shared.closed.cancelled() => None,
    };
    if let Some(reason) = found {
        let farewell = reason.to_string();
        shared.close(reason, &farewell);
    }
    if let Some(reason) = shared.close_reason() {
        // Without a user there is nobody to tell.
        let _ = events.send((Event::Closed(reason), None));
    }
    drop((reader, events));
    // Closing a socket that holds unread bytes resets it, and the peer might lose the last frames it was sent.
    let _ = timeout(shared.options.close_timeout, drain(&mut io)).await;
}

async fn drain<Io: AsyncRead>(io: &mut ReadHalf<Io>) {
    let mut discarded = BytesMut::with_capacity(READ_BYTES);
    while let Ok(1..) = io.read_buf(&mut discarded).await {
        discarded.clear();
    }
}

struct Reader<Out, In> {
    shared: Arc<Shared<In>>,
    events: Events<Out, In>,
    room: Arc<Semaphore>,
}

impl<Out, In> Reader<Out, In>
where
    Out: Serialize + Send + 'static,
    In: DeserializeOwned + Send + 'static,
{
    /// Runs until there is a reason to close.
    async fn receive<Io: AsyncRead>(&mut self, io: &mut ReadHalf<Io>) -> CloseReason {
        let idle = self.shared.options.idle_timeout;
        let mut decoder = FrameDecoder::new(self.shared.options.frame_bytes_max);
        loop {
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        if let Err(reason) = self.handle(frame).await {
                            return reason;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return CloseReason::Protocol(error.to_string()),
                }
            }
            let buffer = decoder.buffer();
            buffer.reserve(READ_BYTES);
            // The wait for the user of this end, above, is not the peer's silence: only reading is timed.
            match timeout(idle, io.read_buf(buffer)).await {
                Ok(Ok(0)) => return CloseReason::PeerVanished,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return CloseReason::Io(error.to_string()),
                Err(_) => {
                    return CloseReason::Timeout { wait: "nothing was heard from the peer", after: idle };
                }
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> Result<(), CloseReason> {
        let Frame { kind, body } = frame;
        match kind {
            Kind::Notify => {
                let message = decode(kind, &body)?;
                self.deliver(Event::Message(message), body.len()).await
            }
            Kind::Request(id) => {
                let message = decode(kind, &body)?;
                if !self.shared.begin_request() {
                    let max = self.shared.options.requests_max;
                    self.answer(frame::encode(
                        Kind::ReplyError(id),
                        &format!("{max} requests are unanswered already, which is as many as may be"),
                    ));
                    return Ok(());
                }
                let responder = Responder::new(self.shared.clone(), id);
                self.deliver(Event::Request(message, responder), body.len()).await
            }
            Kind::Reply(id) => self.settle(id, Ok(decode(kind, &body)?)),
            Kind::ReplyError(id) => self.settle(id, Err(CallError::Refused(decode(kind, &body)?))),
            Kind::Ping => {
                self.answer(Ok(frame::encode_empty(Kind::Pong)));
                Ok(())
            }
            Kind::Pong => Ok(()),
            Kind::Close => Err(CloseReason::PeerClosed(decode(kind, &body)?)),
        }
    }

    fn settle(&self, id: u64, answer: Result<In, CallError>) -> Result<(), CloseReason> {
        if let Some(call) = self.shared.take_call(id).map_err(CloseReason::Protocol)? {
            // Whoever made the call may have given up just now.
            let _ = call.send(answer);
        }
        Ok(())
    }

    /// An answer that cannot be queued closes the connection or finds it closed, which this task learns by itself.
    fn answer(&self, frame: Result<Vec<u8>, codec::CodecError>) {
        if let Err(error) = frame.map_err(crate::SendError::Encode).and_then(|frame| self.shared.send(&frame)) {
            tracing::debug!(%error, "answer was not sent");
        }
    }

    /// Waits for room. Not reading on is what slows the peer down.
    async fn deliver(&self, event: Event<Out, In>, body_bytes: usize) -> Result<(), CloseReason> {
        let max = self.shared.options.incoming_bytes_max.clamp(1, u32::MAX as usize);
        let weight = (body_bytes + EVENT_BYTES).min(max) as u32;
        // Neither can fail while the connection has a user; when it has none, it closes.
        let room = self.room.clone().acquire_many_owned(weight).await.map_err(|_| CloseReason::Local)?;
        self.events.send((event, Some(room))).map_err(|_| CloseReason::Local)
    }
}

fn decode<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, CloseReason> {
    codec::decode(body).map_err(|error| CloseReason::Protocol(format!("body of {kind:?} frame: {error}")))
}
