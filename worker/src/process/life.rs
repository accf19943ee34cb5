//! One process from its blobs to its end.

use std::{io, sync::Arc, time::Duration};

use flott_core::{
    failure::Failure,
    id::ProcessId,
    message::{HostSetup, JobSetup, environment as variables},
};
use flott_rpc::carrier::unix;
use nix::{sys::signal::Signal, unistd::Pid};
use tokio::{net::UnixStream, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Launcher,
    bounded_log::BoundedLog,
    directory::Directory,
    environment::environment,
    executable, exit,
    group::Group,
    host::{self, HostLink},
    keeper::{self, Begun, Exit, Plan},
    output::Output,
};
use crate::{
    blobs::{Blob, Source},
    service::Input,
    state::Event,
};

/// How long a process may live on after it has hung up.
const HANG_UP_GRACE: Duration = Duration::from_secs(5);
/// Between two tries to accept a connection when the system has no room for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long what a process has said last is read after its end, should someone else hold its socket open.
const LAST_MESSAGES_MAX: Duration = Duration::from_secs(1);

pub(super) struct Life {
    pub launcher: Arc<Launcher>,
    pub process: ProcessId,
    pub setup: Box<JobSetup>,
    pub source: Source,
    pub group: Arc<Group>,
    pub abandoned: CancellationToken,
    pub host: HostLink,
}

impl Life {
    pub(super) async fn run(self) {
        let (job, process) = (self.setup.job, self.process);
        // How it ended, and no more: whether that is a failure depends on who wanted it to end, which is not known here.
        let (failure, cpu) = match self.live().await {
            Ok(exit) => {
                tracing::info!(%job, %process, status = %exit.status, "job process has ended");
                (exit::failure(self.program(), exit.status, &exit.last_words), exit.cpu)
            }
            Err(failure) => {
                tracing::info!(%job, %process, reason = %failure, "job process is not there");
                (failure, Duration::ZERO)
            }
        };
        let ended = Input::Ended { process, failure, cpu };
        // Without a service nobody waits for it.
        let _ = self.launcher.mailbox.send(ended).await;
    }

    /// Until the process has ended and been cleaned up after.
    async fn live(&self) -> Result<Exit, Failure> {
        let (graph, program) = tokio::select! {
            blobs = self.fetch() => blobs?,
            () = self.abandoned.cancelled() => return Err(Failure::environment("job process was not wanted any more")),
        };
        executable::check(self.program(), &program.path())?;
        let directory = Directory::create(&self.launcher.processes_dir, self.process).map_err(|error| disk(&error))?;
        let listener = unix::listen(&directory.socket())
            .await
            .map_err(|error| Failure::environment("no socket for the job process").caused_by(&error))?;
        let plan = self.plan(&directory, &graph, &program).map_err(|error| disk(&error))?;
        let _pact = KillOnDrop(&self.group);
        let (begun, ended) = keeper::keep(plan, self.group.clone())
            .map_err(|error| Failure::environment("no thread for a job process").caused_by(&error))?;
        match begun.await.map_err(|_| lost_keeper())? {
            Begun::Running(pid) => {
                tracing::info!(job = %self.setup.job, process = %self.process, %pid, "job process started");
                self.tell(Event::Spawned { process: self.process }).await;
                self.supervise(&listener, pid, ended).await
            }
            Begun::Unwanted => Err(Failure::environment("job process was not wanted any more")),
            Begun::Failed(error) => Err(exit::not_started(self.program(), &error)),
        }
    }

    async fn fetch(&self) -> Result<(Blob, Blob), Failure> {
        let get = async |what, digest| {
            self.launcher.blobs.get(digest, &self.source).await.map_err(|error| error.failure(what, digest))
        };
        tokio::try_join!(get("the job graph", self.setup.graph), get("the program", self.setup.program))
    }

    fn plan(&self, directory: &Directory, graph: &Blob, program: &Blob) -> io::Result<Plan> {
        let Launcher {
            worker, slots, data_bind, data_host, log_dir, log_bytes_max, log_rate_max, nice, programs, ..
        } = &*self.launcher;
        let setup = HostSetup {
            process: self.process,
            setup: (*self.setup).clone(),
            graph_file: graph.path().to_string_lossy().into_owned(),
            slots: *slots,
            data_bind: *data_bind,
            data_host: data_host.clone(),
            worker: worker.clone(),
        };
        directory.write_setup(&setup)?;
        let (executable, name) = directory.link_program(&program.path(), &self.setup)?;
        let log = |suffix| BoundedLog::open(&log_dir.join(format!("{}.{suffix}", self.setup.job)), *log_bytes_max);
        let (socket, setup_file) = (directory.socket(), directory.setup_file());
        Ok(Plan {
            executable,
            name,
            arguments: self.setup.arguments.clone(),
            environment: environment(&self.setup, programs, directory.path(), &socket, &setup_file, |name| {
                std::env::var_os(name)
            }),
            // Unlike the socket's path, which may name a handle that is used again, this path is of this process alone.
            marker: (variables::HOST_SETUP, setup_file.into_os_string()),
            directory: directory.path().to_owned(),
            output: Output { stdout: log("out")?, stderr: log("log")?, rate_max: *log_rate_max },
            nice: *nice,
        })
    }

    async fn supervise(
        &self,
        listener: &unix::Listener,
        pid: Pid,
        mut ended: oneshot::Receiver<io::Result<Exit>>,
    ) -> Result<Exit, Failure> {
        let over = CancellationToken::new();
        let conversation = self.converse(listener, pid.as_raw().unsigned_abs(), &over);
        tokio::pin!(conversation);
        let exit = tokio::select! {
            exit = &mut ended => {
                // What it said last counts, above all its own account of why it ends. If it has connected, that is
                // before this connection in the queue of the socket.
                over.cancel();
                let _end_of_queue = UnixStream::connect(listener.path()).await;
                if let Ok(Some(failure)) = tokio::time::timeout(LAST_MESSAGES_MAX, conversation).await {
                    self.tell(Event::Condemned { process: self.process, failure }).await;
                }
                exit
            }
            failure = &mut conversation => {
                if let Some(failure) = failure {
                    self.tell(Event::Condemned { process: self.process, failure }).await;
                }
                ended.await
            }
        };
        exit.map_err(|_| lost_keeper())?
            .map_err(|error| Failure::environment("the end of the job process could not be observed").caused_by(&error))
    }

    /// Talks with the process for as long as it lives, which `over` ends; gives the reason why it must not live on.
    async fn converse(&self, listener: &unix::Listener, pid: u32, over: &CancellationToken) -> Option<Failure> {
        let stream = loop {
            match listener.accept().await.map(|stream| (host::peer_of(&stream), stream)) {
                Ok((Some(peer), stream)) if peer == pid => break stream,
                Ok((Some(peer), _)) if peer == std::process::id() && over.is_cancelled() => return None,
                Ok((peer, _)) => {
                    tracing::warn!(process = %self.process, ?peer, "a stranger connected to the socket of a job process");
                }
                Err(error) => {
                    tracing::warn!(process = %self.process, %error, "job process cannot connect");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        let Launcher { worker, mailbox, crowded, .. } = &*self.launcher;
        let (host, mailbox, crowded) = (self.host.clone(), mailbox.clone(), crowded.clone());
        let listening = host::listen(stream, self.process, worker.clone(), pid, host, mailbox, crowded);
        if let Err(failure) = listening.await {
            return Some(failure);
        }
        tokio::select! {
            () = over.cancelled() => None,
            () = tokio::time::sleep(HANG_UP_GRACE) => {
                Some(Failure::user(format!("{} hung up on its TaskManager and lived on", self.program())))
            }
        }
    }

    async fn tell(&self, event: Event) {
        // Without a service nobody waits for it.
        let _ = self.launcher.mailbox.send(Input::Event(event)).await;
    }

    fn program(&self) -> &str {
        &self.setup.program_name
    }
}

struct KillOnDrop<'a>(&'a Group);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}

fn disk(error: &io::Error) -> Failure {
    Failure::environment("the job process could not be set up in the work directory").caused_by(error)
}

fn lost_keeper() -> Failure {
    Failure::internal("the thread of the job process ended before the process")
}
