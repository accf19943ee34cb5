//! What both tasks and all handles share: the outgoing queue, the calls that wait, and whether the connection is closed.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::frame::{self, Kind, Tailed};
use crate::{CallError, CloseReason, Options, SendError};

/// The reason that a closing connection gives its peer is cut at this length, in bytes.
const FAREWELL_BYTES_MAX: usize = 1024;

/// One reply, or why there is none.
pub(crate) type Answer<In> = Result<In, CallError>;

pub(crate) struct Shared<In> {
    pub(crate) options: Options,
    state: Mutex<State<In>>,
    /// Tells the writer that the queue has something, or that the connection is closed.
    queued: Notify,
    /// Cancelled when the connection is closed.
    pub(crate) closed: CancellationToken,
}

struct State<In> {
    queue: Queue,
    /// Bytes that the writer has taken out of the queue, and the peer has not taken yet.
    writing: usize,
    closed: Option<CloseReason>,
    calls: HashMap<u64, oneshot::Sender<Answer<In>>>,
    next_call: u64,
    /// Requests of the peer that are not answered yet.
    requests: usize,
}

/// What the writer does next.
pub(crate) enum Work {
    Write(Queue),
    /// Write these last bytes, and end.
    Finish(Queue),
}

impl<In> Shared<In> {
    pub(crate) fn new(options: Options) -> Self {
        let state = State {
            queue: Queue::default(),
            writing: 0,
            closed: None,
            calls: HashMap::new(),
            next_call: 0,
            requests: 0,
        };
        Self { options, state: Mutex::new(state), queued: Notify::new(), closed: CancellationToken::new() }
    }

    /// No code of others runs under this lock, and its holders leave the state whole at every step.
    fn state(&self) -> MutexGuard<'_, State<In>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame; never waits.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), SendError> {
        self.enqueue(frame.len(), |queue| queue.copy(frame))
    }

    /// The same, without a copy of the tail.
    pub(crate) fn send_tailed(&self, frame: Tailed) -> Result<(), SendError> {
        self.enqueue(frame.len(), |queue| {
            queue.copy(&frame.front);
            queue.share(frame.tail);
            queue.copy(&frame.checksum);
        })
    }

    /// Has `put` put a frame of that many bytes into the queue.
    fn enqueue(&self, bytes: usize, put: impl FnOnce(&mut Queue)) -> Result<(), SendError> {
        let max = self.options.frame_bytes_max;
        if bytes > max {
            return Err(SendError::TooLong { bytes, max });
        }
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(SendError::Closed(reason.clone()));
        }
        let before = state.queue.len() + state.writing;
        let waiting = before + bytes;
        if before > 0 && waiting > self.options.queue_bytes_max {
            drop(state);
            let reason = CloseReason::Overflow { waiting, max: self.options.queue_bytes_max };
            self.close(reason.clone(), "");
            return Err(SendError::Closed(reason));
        }
        put(&mut state.queue);
        drop(state);
        self.queued.notify_one();
        Ok(())
    }

    /// The next batch of frames; waits until there is one. For the writer alone.
    pub(crate) async fn work(&self) -> Work {
        loop {
            {
                let mut state = self.state();
                let queue = mem::take(&mut state.queue);
                state.writing = queue.len();
                if state.closed.is_some() {
                    return Work::Finish(queue);
                }
                if !queue.is_empty() {
                    return Work::Write(queue);
                }
            }
            self.queued.notified().await;
        }
    }

    /// The writer got rid of what it had taken.
    pub(crate) fn written(&self) {
        self.state().writing = 0;
    }

    /// Closes, unless that has happened; `farewell` is what the peer is told. Calls that wait get the reason.
    pub(crate) fn close(&self, reason: CloseReason, farewell: &str) {
        let calls = {
            let mut state = self.state();
            if state.closed.is_some() {
                return;
            }
            match &reason {
                CloseReason::Local | CloseReason::Protocol(_) | CloseReason::Timeout { .. } => {
                    let cut = farewell.floor_char_boundary(FAREWELL_BYTES_MAX);
                    // A short string can be encoded.
                    if let Ok(frame) = frame::encode(Kind::Close, &farewell[..cut]) {
                        state.queue.copy(&frame);
                    }
                }
                // Nobody is left to be told, or does not read what is queued already.
                CloseReason::PeerClosed(_)
                | CloseReason::PeerVanished
                | CloseReason::Io(_)
                | CloseReason::Overflow { .. } => state.queue = Queue::default(),
            }
            state.closed = Some(reason.clone());
            mem::take(&mut state.calls)
        };
        for call in calls.into_values() {
            // Whoever made the call may have given up.
            let _ = call.send(Err(CallError::Closed(reason.clone())));
        }
        self.queued.notify_one();
        self.closed.cancel();
    }

    /// Why it closed, if it has.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.state().closed.clone()
    }

    /// A new call: its id, and where its answer will come.
    pub(crate) fn register_call(&self) -> Result<(u64, oneshot::Receiver<Answer<In>>), CallError> {
        let mut state = self.state();
        if let Some(reason) = &state.closed {
            return Err(CallError::Send(SendError::Closed(reason.clone())));
        }
        let max = self.options.calls_max;
        if state.calls.len() >= max {
            return Err(CallError::TooMany { max });
        }
        let id = state.next_call;
        state.next_call += 1;
        let (sender, receiver) = oneshot::channel();
        state.calls.insert(id, sender);
        Ok((id, receiver))
    }

    pub(crate) fn forget_call(&self, id: u64) {
        self.state().calls.remove(&id);
    }

    /// Where the answer to a call goes: nowhere if its caller gave up; an error if it was never made.
    pub(crate) fn take_call(&self, id: u64) -> Result<Option<oneshot::Sender<Answer<In>>>, String> {
        let mut state = self.state();
        if id >= state.next_call {
            return Err(format!("reply to call {id}, which was never made"));
        }
        Ok(state.calls.remove(&id))
    }

    /// One more request of the peer; false if there are too many.
    pub(crate) fn begin_request(&self) -> bool {
        let mut state = self.state();
        let begun = state.requests < self.options.requests_max;
        state.requests += usize::from(begun);
        begun
    }

    pub(crate) fn end_request(&self) {
        let mut state = self.state();
        state.requests = state.requests.saturating_sub(1);
    }
}
