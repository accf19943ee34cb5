//! What comes from the peer.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::connection::shared::Shared;
use crate::frame::{self, Kind};
use crate::{CloseReason, SendError};

/// What comes from the peer: any number of messages and requests, then, once, the end.
#[derive(Debug)]
pub enum Event<Out, In> {
    /// A message that wants no reply.
    Message(In),
    /// A call, and where its reply goes.
    Request(In, Responder<Out>),
    /// The connection is closed; nothing follows.
    Closed(CloseReason),
}

/// Each event holds its share of the room for events until it is taken.
pub(crate) type Events<Out, In> = mpsc::UnboundedSender<(Event<Out, In>, Option<OwnedSemaphorePermit>)>;

/// Events in the order in which the peer sent them. Dropping it closes the connection.
pub struct Incoming<Out, In> {
    shared: Arc<Shared<In>>,
    queue: mpsc::UnboundedReceiver<(Event<Out, In>, Option<OwnedSemaphorePermit>)>,
}

impl<Out, In> Incoming<Out, In> {
    pub(crate) fn new(
        shared: Arc<Shared<In>>,
        queue: mpsc::UnboundedReceiver<(Event<Out, In>, Option<OwnedSemaphorePermit>)>,
    ) -> Self {
        Self { shared, queue }
    }

    /// The next event; nothing after [`Event::Closed`]. Cancel-safe. Messages that came before the end are handed out
    /// before it; the replies to calls do not wait in this queue unless it is full.
    pub async fn next(&mut self) -> Option<Event<Out, In>> {
        let (event, _room) = self.queue.recv().await?;
        Some(event)
    }
}

impl<Out, In> Drop for Incoming<Out, In> {
    fn drop(&mut self) {
        self.shared.close(CloseReason::Local, "");
    }
}

/// Where replies are sent; hides the type that is of no concern to a [`Responder`].
trait Replies: Send + Sync {
    fn send(&self, frame: &[u8]) -> Result<(), SendError>;
    fn end_request(&self);
}

impl<In: Send> Replies for Shared<In> {
    fn send(&self, frame: &[u8]) -> Result<(), SendError> {
        Shared::send(self, frame)
    }

    fn end_request(&self) {
        Shared::end_request(self);
    }
}

/// Answers one request, from any task and at any time. Dropped without an answer, it refuses.
pub struct Responder<Out> {
    replies: Arc<dyn Replies>,
    id: u64,
    answered: bool,
    reply: PhantomData<fn(Out)>,
}

impl<Out> Responder<Out> {
    pub(crate) fn new<In: Send + 'static>(shared: Arc<Shared<In>>, id: u64) -> Self {
        Self { replies: shared, id, answered: false, reply: PhantomData }
    }

    /// Sends the reply; never waits.
    ///
    /// # Errors
    /// When the connection is closed, or the reply cannot be encoded or is too long. In the last two cases the peer is
    /// told that its request was refused.
    pub fn reply(mut self, reply: Out) -> Result<(), SendError>
    where
        Out: Serialize,
    {
        let sent = frame::encode(Kind::Reply(self.id), &reply)
            .map_err(SendError::Encode)
            .and_then(|frame| self.replies.send(&frame));
        if let Err(error) = &sent {
            self.refuse_because(&error.to_string());
        }
        self.answered = true;
        sent
    }

    /// Refuses the request: the caller gets `reason` as [`CallError::Refused`](crate::CallError::Refused). Never waits.
    pub fn refuse(mut self, reason: &str) {
        self.refuse_because(reason);
    }

    fn refuse_because(&mut self, reason: &str) {
        self.answered = true;
        let sent = frame::encode(Kind::ReplyError(self.id), reason)
            .map_err(SendError::Encode)
            .and_then(|frame| self.replies.send(&frame));
        // On a closed connection the caller has learned of the end already.
        if let Err(error) = sent {
            tracing::debug!(%error, "refusal was not sent");
        }
    }
}

impl<Out> Drop for Responder<Out> {
    fn drop(&mut self) {
        if !self.answered {
            self.refuse_because("the request was dropped without an answer");
        }
        self.replies.end_request();
    }
}

impl<Out> std::fmt::Debug for Responder<Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("id", &self.id).finish_non_exhaustive()
    }
}
