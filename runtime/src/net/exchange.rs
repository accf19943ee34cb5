//! All channels of one process: its listener, its connections, and the meeting point of local channels.

use std::{
    any::Any,
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use flott_core::{
    failure::Failure,
    id::{JobId, JobSecret, ProcessId},
    message::{ChannelId, ProcessLocation},
};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{
    frame::Hello,
    incoming::{self, Rendezvous},
    outgoing::{self, RemoteSender},
};
use crate::{
    batch::Data,
    channel::gate::{InputGate, LocalSender},
    error::TaskResult,
};

/// Connections that may be without a greeting at the same time. The rest waits to be accepted, so that strangers cannot
/// use up the file descriptors.
const GREETINGS_MAX: usize = 64;

/// Where connections run, in turn; a process that is alone in its job has none.
struct Runtimes {
    handles: Vec<Handle>,
    next: AtomicUsize,
}

impl Runtimes {
    fn next(&self) -> Option<&Handle> {
        let next = self.next.fetch_add(1, Relaxed);
        self.handles.get(next % self.handles.len().max(1))
    }
}

/// The data plane of one process.
pub struct Exchange {
    job: JobId,
    secret: JobSecret,
    process: ProcessId,
    runtimes: Runtimes,
    rendezvous: Arc<Rendezvous>,
    local: Mutex<HashMap<ChannelId, Box<dyn Any + Send>>>,
    outgoing: Mutex<HashMap<ProcessId, Arc<outgoing::Connection>>>,
    closed: CancellationToken,
}

impl Exchange {
    /// An exchange for `process`. Connections run on `runtimes`, in turn.
    pub fn new(job: JobId, secret: JobSecret, process: ProcessId, runtimes: Vec<Handle>) -> Arc<Self> {
        Self::with(job, secret, process, runtimes)
    }

    /// An exchange for `process` that is alone in its job: all channels are within it.
    pub fn alone(job: JobId, process: ProcessId) -> Arc<Self> {
        Self::with(job, JobSecret::from_bytes([0; 16]), process, Vec::new())
    }

    fn with(job: JobId, secret: JobSecret, process: ProcessId, handles: Vec<Handle>) -> Arc<Self> {
        Arc::new(Self {
            job,
            secret,
            process,
            runtimes: Runtimes { handles, next: AtomicUsize::new(0) },
            rendezvous: Arc::default(),
            local: Mutex::default(),
            outgoing: Mutex::default(),
            closed: CancellationToken::new(),
        })
    }

    /// Life of the process that this is the exchange of.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Listens on `address` and serves until closed; the address that was bound comes back.
    pub async fn listen(self: &Arc<Self>, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let runtime = self.runtimes.next().ok_or_else(|| std::io::Error::other("a process alone has no peers"))?;
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let expected = Hello { job: self.job, secret: self.secret, to: self.process };
        let exchange = self.clone();
        let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
        runtime.spawn(async move {
            loop {
                let accept = async {
                    let greeting = greetings.clone().acquire_owned().await;
                    (listener.accept().await, greeting)
                };
                let (accepted, greeting) = tokio::select! {
                    () = exchange.closed.cancelled() => return,
                    accepted = accept => accepted,
                };
                match accepted {
                    Ok((stream, _)) => exchange.serve(stream, expected, greeting),
                    Err(error) => {
                        // Out of descriptors, most likely: it passes, or dialling peers give up and say so.
                        tracing::warn!(%error, "could not accept a data connection");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(bound)
    }

    /// Serves a connection on the runtime whose turn it is, which is to wait for it too.
    fn serve(&self, stream: TcpStream, expected: Hello, greeting: impl Send + 'static) {
        let (rendezvous, closed) = (self.rendezvous.clone(), self.closed.clone());
        let (Some(runtime), Ok(stream)) = (self.runtimes.next(), stream.into_std()) else { return };
        runtime.spawn(async move {
            // A system that cannot wait for it any more: the peer sees the connection break, and dials again.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let serve = incoming::serve(stream, expected, rendezvous, greeting);
            tokio::select! { () = closed.cancelled() => {}, () = serve => {} }
        });
    }

    /// Channels and receivers that wait for each other.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.rendezvous.waiting()
    }

    /// Ends the listener and every connection.
    pub fn close(&self) {
        self.closed.cancel();
        self.outgoing.lock().clear();
    }

    /// Makes `gate` reachable for a producer in this process.
    pub fn offer_local<T: Data>(&self, id: ChannelId, gate: &InputGate<T>, channel: u32) {
        self.local.lock().insert(id, Box::new(gate.local_sender(channel)));
    }

    /// Makes `gate` reachable for a producer in another process.
    pub fn offer_remote<T: Data>(&self, id: ChannelId, gate: &InputGate<T>, channel: u32) {
        self.rendezvous.receive(id, &gate.remote_input(), channel);
    }

    /// Withdraws offers that nobody has taken up.
    pub fn withdraw(&self, ids: &[ChannelId]) {
        self.rendezvous.forget(ids);
        let mut local = self.local.lock();
        for id in ids {
            local.remove(id);
        }
    }

    /// The sending end of a channel within this process. Consumers are built before their producers.
    pub fn take_local<T: Data>(&self, id: ChannelId) -> TaskResult<LocalSender<T>> {
        let sender = self.local.lock().remove(&id);
        // Consumers are there first, so this one failed while it was built, which it has reported for itself.
        let sender = sender.ok_or_else(|| Failure::environment(format!("{id:?} has no consumer in this process")))?;
        match sender.downcast::<LocalSender<T>>() {
            Ok(sender) => Ok(*sender),
            Err(_) => Err(Box::new(Failure::internal(format!(
                "the two ends of {id:?} disagree on the type of records ({} at the sender)",
                std::any::type_name::<T>()
            )))),
        }
    }

    /// The sending end of a channel to another process, which is dialled unless it was before.
    pub fn open_remote(self: &Arc<Self>, peer: &ProcessLocation, id: ChannelId) -> TaskResult<RemoteSender> {
        let Some(runtime) = self.runtimes.next() else {
            return Err(Box::new(Failure::internal(format!("{id:?} leads to another process, but there is none"))));
        };
        let mut outgoing = self.outgoing.lock();
        outgoing.retain(|_, connection| !connection.is_broken());
        let connection = outgoing.entry(peer.process).or_insert_with(|| {
            let connection = outgoing::Connection::new(peer.clone());
            let hello = Hello { job: self.job, secret: self.secret, to: peer.process };
            let (run, closed) = (connection.clone().run(hello), self.closed.clone());
            runtime.spawn(async move {
                tokio::select! { () = closed.cancelled() => {}, () = run => {} }
            });
            connection
        });
        connection.open(id)
    }
}
