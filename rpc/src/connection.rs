//! Two tasks over one stream, one that reads and one that writes, and what they share with the connection's user.

mod queue;
mod reader;
pub(crate) mod shared;
mod writer;

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};

use crate::{Incoming, Options, Sender};
use shared::Shared;

/// A connection that sends `Out` and receives `In`: both for messages, for requests and for their replies.
pub struct Connection<Out, In>(PhantomData<fn(Out) -> In>);

impl<Out, In> Connection<Out, In>
where
    Out: Serialize + Send + 'static,
    In: DeserializeOwned + Send + 'static,
{
    /// Starts a connection over `io`, whose other end does the same with the types exchanged. For TCP, `TCP_NODELAY`
    /// should be set.
    ///
    /// The connection lives until [`Sender::close`] is called, the [`Incoming`] is dropped, or either end finds a reason
    /// to close.
    ///
    /// # Panics
    /// Outside of a tokio runtime, where its tasks could not be spawned.
    pub fn start<Io>(io: Io, options: Options) -> (Sender<Out, In>, Incoming<Out, In>)
    where
        Io: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(io);
        let (events, queue) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(options.incoming_bytes_max.clamp(1, Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared::new(options));
        tokio::spawn(writer::run(write, shared.clone()));
        tokio::spawn(reader::run(read, shared.clone(), events, room));
        (Sender::new(shared.clone()), Incoming::new(shared, queue))
    }
}
