//! What a writer and its sender share.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use flott::{Failure, TaskResult};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{KafkaMessage, transaction::Prepared};

/// Records on their way from the task to the sender, and what the sender says.
#[derive(Debug)]
pub(super) struct Exchange {
    state: Mutex<State>,
    /// Wakes the sender.
    work: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<KafkaMessage>,
    /// Bytes in the queue, and of what is being sent.
    bytes: usize,
    flush: Flush,
    failure: Option<Box<Failure>>,
    waker: Option<Waker>,
    closed: bool,
}

#[derive(Debug, Default)]
enum Flush {
    #[default]
    None,
    /// The sender is to say when all has arrived.
    Wanted,
    /// It has.
    Done(Option<Prepared>),
}

/// What the sender is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Send these, and say how it went; so many bytes are theirs.
    Send(Vec<KafkaMessage>, usize),
    /// All is sent: prepare the transaction.
    Flush,
    /// Nobody writes any more.
    Close,
}

impl Exchange {
    /// For records of so many bytes, and those of one batch more.
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), work: Notify::new(), bytes_max }
    }

    // ------------------------------------------------------------ the task's side

    pub fn put(&self, messages: impl Iterator<Item = KafkaMessage>) {
        let mut state = self.state.lock();
        for message in messages {
            state.bytes += message.size();
            state.queue.push_back(message);
        }
        drop(state);
        self.work.notify_one();
    }

    pub fn flush(&self) {
        self.state.lock().flush = Flush::Wanted;
        self.work.notify_one();
    }

    /// Whether there is room, and nothing is to be waited for.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let flushing = matches!(state.flush, Flush::Wanted);
        if flushing || state.bytes > self.bytes_max {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // A failure is to wake it even so.
        state.waker = Some(cx.waker().clone());
        Poll::Ready(Ok(()))
    }

    /// What was prepared by the last flush.
    pub fn take_prepared(&self) -> Option<Prepared> {
        match std::mem::take(&mut self.state.lock().flush) {
            Flush::Done(prepared) => prepared,
            Flush::None | Flush::Wanted => None,
        }
    }

    pub fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_one();
    }

    // ------------------------------------------------------------ the sender's side

    /// Waits for work; takes messages of about `bytes` at most.
    pub async fn work(&self, bytes: usize) -> Work {
        loop {
            if let Some(work) = self.look(bytes) {
                return work;
            }
            self.work.notified().await;
        }
    }

    fn look(&self, bytes_max: usize) -> Option<Work> {
        let mut state = self.state.lock();
        if state.closed {
            return Some(Work::Close);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(message) = state.queue.pop_front()
        {
            bytes += message.size();
            taken.push(message);
        }
        match (taken.is_empty(), &state.flush) {
            (false, _) => Some(Work::Send(taken, bytes)),
            (true, Flush::Wanted) => Some(Work::Flush),
            (true, Flush::None | Flush::Done(_)) => None,
        }
    }

    /// Whether nobody writes any more.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Messages of so many bytes have arrived.
    pub fn sent(&self, bytes: usize) {
        self.change(|state| state.bytes = state.bytes.saturating_sub(bytes));
    }

    pub fn flushed(&self, prepared: Option<Prepared>) {
        self.change(|state| state.flush = Flush::Done(prepared));
    }

    pub fn fail(&self, failure: Box<Failure>) {
        self.change(|state| state.failure = Some(failure));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
