//! What goes to the peer.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::connection::shared::Shared;
use crate::frame::{self, Kind};
use crate::{CallError, CloseReason, SendError, Timeout};

/// Sends messages and makes calls; a cheap clone, that does not keep the connection open.
pub struct Sender<Out, In> {
    shared: Arc<Shared<In>>,
    messages: PhantomData<fn(Out)>,
}

impl<Out, In> Clone for Sender<Out, In> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<Out, In> std::fmt::Debug for Sender<Out, In> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("closed", &self.close_reason()).finish_non_exhaustive()
    }
}

impl<Out, In> Sender<Out, In> {
    pub(crate) fn new(shared: Arc<Shared<In>>) -> Self {
        Self { shared, messages: PhantomData }
    }

    /// Queues a message; never waits. Messages and requests arrive in the order in which they were queued, if they do.
    ///
    /// # Errors
    /// When the connection is closed, which it is from now on if the peer does not read and the queue is full; or when
    /// the message cannot be encoded or is too long, which leaves the connection as it is.
    pub fn send(&self, message: Out) -> Result<(), SendError>
    where
        Out: Serialize,
    {
        self.shared.send(&frame::encode(Kind::Notify, &message).map_err(SendError::Encode)?)
    }

    /// As [`Self::send`], of the message whose encoding is that of `front`, followed by `tail`. The tail is not copied.
    pub(crate) fn send_tailed<T: Serialize>(&self, front: &T, tail: Bytes) -> Result<(), SendError> {
        self.shared.send_tailed(frame::encode_tailed(Kind::Notify, front, tail).map_err(SendError::Encode)?)
    }

    /// Makes a call and waits for its reply. Dropping the future gives the reply up, but does not take the request back.
    ///
    /// # Errors
    /// When the request was not sent, the reply did not come within `timeout`, or the peer refused.
    pub async fn call(&self, request: Out, timeout: Timeout) -> Result<In, CallError>
    where
        Out: Serialize,
    {
        let (id, answer) = self.shared.register_call()?;
        let _waiting = WaitingCall { shared: &self.shared, id };
        let frame = frame::encode(Kind::Request(id), &request).map_err(SendError::Encode)?;
        drop(request);
        self.shared.send(&frame)?;
        drop(frame);
        let Timeout { name, after } = timeout;
        match tokio::time::timeout(after, answer).await {
            Ok(Ok(answer)) => answer,
            // The other half is dropped without an answer only together with the whole connection.
            Ok(Err(_)) => Err(CallError::Closed(self.close_reason().unwrap_or(CloseReason::Local))),
            Err(_) => Err(CallError::TimedOut { name, after }),
        }
    }

    /// Closes: what is queued is still sent, then `why` (which may be empty) as the peer's reason. Calls that wait fail.
    /// Does nothing on a closed connection.
    pub fn close(&self, why: &str) {
        self.shared.close(CloseReason::Local, why);
    }

    /// Waits until the connection is closed, and says why. Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        self.shared.closed.cancelled().await;
        self.close_reason().unwrap_or(CloseReason::Local)
    }

    /// Why the connection is closed; nothing while it is not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.close_reason()
    }
}

/// Forgets the call when it is over, however that came.
struct WaitingCall<'a, In> {
    shared: &'a Shared<In>,
    id: u64,
}

impl<In> Drop for WaitingCall<'_, In> {
    fn drop(&mut self) {
        self.shared.forget_call(self.id);
    }
}
