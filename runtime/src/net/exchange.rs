//! All channels of one process: its listener, its connections, and the meeting point of local channels.

use std::{any::Any, collections::HashMap, net::SocketAddr, sync::Arc};

use flott_core::{
    failure::Failure,
    id::{JobId, JobSecret, ProcessId},
    message::{ChannelId, ProcessLocation},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, runtime::Handle, sync::Semaphore};
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

/// The data plane of one process.
pub struct Exchange {
    job: JobId,
    secret: JobSecret,
    process: ProcessId,
    /// Where connections run; a process that is alone in its job has none.
    runtime: Option<Handle>,
    rendezvous: Arc<Rendezvous>,
    local: Mutex<HashMap<ChannelId, Box<dyn Any + Send>>>,
    outgoing: Mutex<HashMap<ProcessId, Arc<outgoing::Connection>>>,
    closed: CancellationToken,
}

impl Exchange {
    /// An exchange for `process`. Connections run on `runtime`.
    pub fn new(job: JobId, secret: JobSecret, process: ProcessId, runtime: Handle) -> Arc<Self> {
        Self::with(job, secret, process, Some(runtime))
    }

    /// An exchange for `process` that is alone in its job: all channels are within it.
    pub fn alone(job: JobId, process: ProcessId) -> Arc<Self> {
        Self::with(job, JobSecret::from_bytes([0; 16]), process, None)
    }

    fn with(job: JobId, secret: JobSecret, process: ProcessId, runtime: Option<Handle>) -> Arc<Self> {
        Arc::new(Self {
            job,
            secret,
            process,
            runtime,
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
        let runtime = self.runtime.as_ref().ok_or_else(|| std::io::Error::other("a process alone has no peers"))?;
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let expected = Hello { job: self.job, secret: self.secret, to: self.process };
        let (rendezvous, closed) = (self.rendezvous.clone(), self.closed.clone());
        let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
        runtime.spawn(async move {
            loop {
                let accept = async {
                    let greeting = greetings.clone().acquire_owned().await;
                    (listener.accept().await, greeting)
                };
                let (accepted, greeting) = tokio::select! {
                    () = closed.cancelled() => return,
                    accepted = accept => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let serve = incoming::serve(stream, expected, rendezvous.clone(), greeting);
                        let closed = closed.clone();
                        tokio::spawn(async move {
                            tokio::select! { () = closed.cancelled() => {}, () = serve => {} }
                        });
                    }
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
        let Some(runtime) = &self.runtime else {
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
