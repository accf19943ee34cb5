//! Starting and stopping a TaskManager.

use std::net::SocketAddr;

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, ExitReason, Options,
    service::{Input, Service},
};

/// Enough that no one waits for long, and little enough that a flood makes those who flood wait.
const MAILBOX: usize = 1024;

/// Starts TaskManagers.
#[derive(Debug)]
pub struct TaskManager;

/// A TaskManager that runs. Dropping this kills its job processes and ends it without a word to the JobManager; call
/// [`stop`](Self::stop) first to end it in order.
#[derive(Debug)]
pub struct TaskManagerHandle {
    mailbox: mpsc::Sender<Input>,
    metrics: Option<SocketAddr>,
    task: Task,
}

#[derive(Debug)]
struct Task(JoinHandle<Result<ExitReason, Error>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TaskManager {
    /// Starts a TaskManager on the current runtime and returns at once; it registers by itself.
    ///
    /// # Errors
    /// When an option is wrong or a directory cannot be used.
    pub fn start(options: Options) -> Result<TaskManagerHandle, Error> {
        let (mailbox, inputs) = mpsc::channel(MAILBOX);
        let service = Service::new(options.validated()?, mailbox.clone(), inputs)?;
        let metrics = service.metrics_address();
        Ok(TaskManagerHandle { mailbox, metrics, task: Task(tokio::spawn(service.run())) })
    }
}

impl TaskManagerHandle {
    /// Where it serves metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Asks the TaskManager to end in order: its job processes are ended, then it takes leave of the JobManager.
    /// [`wait`](Self::wait) says when that is done. Calling it again changes nothing.
    pub async fn stop(&self, reason: &str) {
        // One that has ended already needs no telling.
        let _ = self.mailbox.send(Input::Stop(reason.to_owned())).await;
    }

    /// Waits for the end. Cancel-safe, but gives the outcome only once.
    ///
    /// # Errors
    /// When the TaskManager had to end because of an error.
    pub async fn wait(&mut self) -> Result<ExitReason, Error> {
        match (&mut self.task.0).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Lost),
        }
    }
}

/// Runs a TaskManager until it ends by itself or `stop` is cancelled, which ends it in order.
///
/// # Errors
/// When it cannot start or has to end because of an error.
pub async fn run(options: Options, stop: CancellationToken) -> Result<ExitReason, Error> {
    let mut handle = TaskManager::start(options)?;
    tokio::select! {
        outcome = handle.wait() => return outcome,
        () = stop.cancelled() => {}
    }
    handle.stop("the TaskManager was told to end").await;
    handle.wait().await
}
