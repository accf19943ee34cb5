//! The conversation between a TaskManager and its job process, over a Unix socket.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use flott_core::{
    failure::Failure,
    id::{ProcessId, WorkerId},
    message::{HostToWorker, ProcessLocation, WorkerToHost},
};
use flott_rpc::{Connection, Event as Received, Options, SendError, Sender};
use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
};

use crate::{service::Input, state::Event};

/// The system tells at once when the other end of a Unix socket is gone, and a program whose tasks take every core may
/// be silent for long: silence is no sign of death here.
const SILENCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The way to a process, once it has connected.
#[derive(Debug, Clone, Default)]
pub(super) struct HostLink(Arc<OnceLock<Sender<WorkerToHost, HostToWorker>>>);

impl HostLink {
    /// Sends, unless the process has hung up or never connected.
    pub(super) fn send(&self, message: WorkerToHost) -> Result<(), SendError> {
        match self.0.get().map(|sender| sender.send(message)) {
            None => tracing::debug!("message for a job process that is not connected is dropped"),
            Some(Ok(())) => {}
            Some(Err(SendError::Closed(reason))) => tracing::debug!(%reason, "message for a job process is dropped"),
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }
}

/// Who is at the other end. Only this user can connect; this keeps other processes of the same user out.
pub(super) fn peer_of(stream: &UnixStream) -> Option<u32> {
    stream.peer_cred().ok()?.pid().map(i32::cast_unsigned)
}

/// Listens to a process until it hangs up; `Err` when what it said disqualifies it. While the way to the JobManager is
/// `crowded`, the process waits.
pub(super) async fn listen(
    stream: UnixStream,
    process: ProcessId,
    worker: WorkerId,
    pid: u32,
    link: HostLink,
    mailbox: mpsc::Sender<Input>,
    mut crowded: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let options = Options { idle_timeout: SILENCE_MAX, ..Options::default() };
    let (sender, mut incoming) = Connection::start(stream, options);
    if link.0.set(sender).is_err() {
        return Err(Failure::user("job process connected to its TaskManager twice"));
    }
    while let Some(event) = incoming.next().await {
        let event = match event {
            Received::Message(HostToWorker::Ready { process: claimed, data_address }) if claimed == process => {
                let location = ProcessLocation { process, worker: worker.clone(), data_address, pid };
                Event::Ready { location }
            }
            Received::Message(HostToWorker::Ready { process: claimed, .. }) => {
                return Err(Failure::user(format!("job process claims to be process {claimed}, not {process}")));
            }
            Received::Message(HostToWorker::Unfit(failure)) => return Err(failure.fatal()),
            Received::Message(HostToWorker::Job(message)) => Event::Host { process, message },
            // Heartbeats take their figures from the system, which also counts what a process does not say.
            Received::Message(HostToWorker::Usage { .. }) => continue,
            Received::Request(_, responder) => {
                responder.refuse("a TaskManager takes messages, no requests");
                continue;
            }
            Received::Closed(reason) => {
                tracing::debug!(%process, %reason, "job process hung up");
                break;
            }
        };
        let closed = crowded.wait_for(|crowded| !crowded).await.is_err();
        if closed || mailbox.send(Input::Event(event)).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flott_core::message::HostToJob;

    use super::*;

    #[tokio::test]
    async fn a_process_waits_while_the_way_to_the_job_manager_is_crowded() {
        let (here, there) = UnixStream::pair().unwrap();
        let process = ProcessId::from_bytes([1; 16]);
        let (crowded, sees) = watch::channel(true);
        let (mailbox, mut inputs) = mpsc::channel(8);
        let listening = listen(here, process, WorkerId("w".into()), 7, HostLink::default(), mailbox, sees);
        let listening = tokio::spawn(listening);
        let (sender, _incoming) = Connection::<HostToWorker, WorkerToHost>::start(there, Options::default());
        sender.send(HostToWorker::Job(HostToJob::Aborted { result: Ok(()) })).unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), inputs.recv()).await;
        assert!(early.is_err(), "{early:?}");
        crowded.send_replace(false);
        let heard = inputs.recv().await;
        assert!(matches!(heard, Some(Input::Event(Event::Host { process: said, .. })) if said == process), "{heard:?}");
        sender.close("done");
        assert_eq!(listening.await.unwrap(), Ok(()));
    }
}
