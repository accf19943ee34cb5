//! A host under a TaskManager: a job process on its Unix socket.

use std::{sync::Arc, time::Duration};

use flott_core::{
    failure::Failure,
    job_graph::JobGraph,
    message::{HostSetup, HostToWorker, WorkerToHost, environment},
};
use flott_rpc::{Connection, Event, Incoming, Options, Sender};

use crate::{
    host::{Host, HostOptions},
    program::JobProgram,
    time::Clock,
};

/// How long a last word to the TaskManager may take.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Silence on the TaskManager's socket that is borne.
const SOCKET_SILENCE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

type ToWorker = Sender<HostToWorker, WorkerToHost>;
type FromWorker = Incoming<HostToWorker, WorkerToHost>;

/// Hosts tasks until the TaskManager says to end or is gone. Blocks.
pub fn run(setup: HostSetup, graph: Arc<JobGraph>, program: Arc<dyn JobProgram>) -> Result<(), Failure> {
    control()?.block_on(async {
        let (sender, mut incoming) = connect().await?;
        let options = HostOptions {
            process: setup.process,
            setup: setup.setup,
            graph,
            worker: setup.worker,
            slots: setup.slots,
            data: Some((setup.data_bind, setup.data_host)),
            clock: Clock::System,
        };
        let reports = sender.clone();
        let report = move |message| {
            // Fails only when the connection has closed, which ends this process below.
            let _ = reports.send(HostToWorker::Job(message));
        };
        // Starting a host waits for its executor, which must not happen on this one.
        let started = tokio::task::spawn_blocking(move || Host::start(options, program, Arc::new(report))).await;
        let started = started.map_err(|error| Failure::internal("starting the host panicked").because(error))?;
        let host = match started {
            Ok(host) => host,
            Err(failure) => {
                say_unfit(&sender, &mut incoming, failure.clone()).await;
                return Err(failure);
            }
        };
        let location = host.location();
        let ready = HostToWorker::Ready { process: location.process, data_address: location.data_address };
        let _ = sender.send(ready);
        while let Some(event) = incoming.next().await {
            match event {
                Event::Message(WorkerToHost::Job(message)) => host.deliver(message),
                Event::Message(WorkerToHost::Shutdown) | Event::Closed(_) => break,
                Event::Request(_, responder) => responder.refuse("job processes take no requests"),
            }
        }
        host.shutdown();
        Ok(())
    })
}

/// Tells the TaskManager why this program cannot host its job.
pub fn refuse(failure: Failure) -> Result<(), Failure> {
    control()?.block_on(async {
        let (sender, mut incoming) = connect().await?;
        say_unfit(&sender, &mut incoming, failure).await;
        Ok(())
    })
}

/// Control is a thread of its own: tasks that spin do not hold it up.
fn control() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("the executor for control cannot be started").because(error))
}

async fn connect() -> Result<(ToWorker, FromWorker), Failure> {
    let path = std::env::var_os(environment::HOST_SOCKET)
        .ok_or_else(|| Failure::internal(format!("{} is not set", environment::HOST_SOCKET)))?;
    let socket = flott_rpc::carrier::unix::connect(path.as_ref()).await.map_err(|error| {
        let path = path.to_string_lossy();
        Failure::environment(format!("the TaskManager's socket {path} cannot be reached")).because(error)
    })?;
    // The socket is local, and a process that is starved of CPU is not gone: the TaskManager judges by other signs.
    let options = Options { idle_timeout: SOCKET_SILENCE_MAX, ..Options::default() };
    Ok(Connection::start(socket, options))
}

/// Says it and waits until the TaskManager hangs up, so that the word is not lost with this process.
async fn say_unfit(sender: &ToWorker, incoming: &mut FromWorker, failure: Failure) {
    let _ = sender.send(HostToWorker::Unfit(failure));
    let hung_up = async { while incoming.next().await.is_some_and(|event| !matches!(event, Event::Closed(_))) {} };
    let _ = tokio::time::timeout(LAST_WORD, hung_up).await;
}
