//! Job processes: a job's program in host mode, one process per job on this TaskManager.
//!
//! [`Launcher::launch`] is one task per process that fetches, starts, listens, and waits. Whatever happens on the way,
//! it ends with one [`Event::Ended`](crate::state::Event::Ended), after which nothing of the process is left: neither
//! the process itself, nor what it started, nor its directory. Dropping the task or the [`JobProcess`] kills the process.

pub(crate) mod bounded_log;
#[allow(unsafe_code)]
mod confine;
pub(crate) mod directory;
mod environment;
mod executable;
mod exit;
mod group;
mod host;
mod keeper;
mod life;
mod output;
mod strays;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use flott_core::{
    id::{JobId, ProcessId, WorkerId},
    message::{JobSetup, JobToHost, WorkerToHost},
};
use flott_rpc::SendError;
use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    blobs::{BlobCache, Source},
    service::Input,
    state::Ending,
};
pub use environment::ProgramVariables;
use group::Group;
use host::HostLink;
use life::Life;

/// What all job processes of this TaskManager have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub worker: WorkerId,
    pub slots: u32,
    pub data_bind: SocketAddr,
    pub data_host: String,
    /// Their directories are made in here.
    pub processes_dir: PathBuf,
    pub log_dir: PathBuf,
    /// Of one stream of one job.
    pub log_bytes_max: u64,
    pub log_rate_max: u64,
    pub nice: i32,
    /// What programs see of the environment.
    pub programs: ProgramVariables,
    pub blobs: Arc<BlobCache>,
    pub mailbox: mpsc::Sender<Input>,
    /// Whether what processes say has to wait.
    pub crowded: watch::Receiver<bool>,
}

/// A process from outside.
#[derive(Debug)]
pub(crate) struct JobProcess {
    job: JobId,
    group: Arc<Group>,
    abandoned: CancellationToken,
    host: HostLink,
}

impl Launcher {
    /// Starts a process on its way. Returns at once.
    pub(crate) fn launch(self: &Arc<Self>, process: ProcessId, setup: Box<JobSetup>, source: Source) -> JobProcess {
        let handle = JobProcess {
            job: setup.job,
            group: Arc::default(),
            abandoned: CancellationToken::new(),
            host: HostLink::default(),
        };
        let life = Life {
            launcher: self.clone(),
            process,
            setup,
            source,
            group: handle.group.clone(),
            abandoned: handle.abandoned.clone(),
            host: handle.host.clone(),
        };
        tokio::spawn(life.run());
        handle
    }
}

impl JobProcess {
    /// Its job.
    pub(crate) fn job(&self) -> JobId {
        self.job
    }

    /// Its process id while it lives.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.group.pid().map(|pid| pid.as_raw().unsigned_abs())
    }

    /// Passes a message on. One that has hung up needs no more messages: its end follows.
    ///
    /// # Errors
    /// When the message cannot be sent though the process is connected.
    pub(crate) fn deliver(&self, message: JobToHost) -> Result<(), SendError> {
        self.host.send(WorkerToHost::Job(message))
    }

    /// Ends it, in whatever state it is.
    pub(crate) fn end(&self, how: Ending) {
        let signal = match how {
            Ending::Ask => {
                if let Err(error) = self.host.send(WorkerToHost::Shutdown) {
                    tracing::info!(%error, "job process was not asked to end");
                }
                return;
            }
            Ending::Terminate => Signal::SIGTERM,
            Ending::Kill => Signal::SIGKILL,
        };
        self.abandoned.cancel();
        self.group.signal(signal);
    }
}

impl Drop for JobProcess {
    fn drop(&mut self) {
        // Nothing happens to one that has ended.
        self.end(Ending::Kill);
    }
}
