//! The mailbox of a TaskManager: events in, actions out.
//!
//! The loop itself never waits for a peer, a disk or a process. What does is in tasks of its own, which report back
//! into the mailbox: the link to the JobManager, one life per job process, one task per log request.
//!
//! # Layout
//! - `dialer`: the way to the JobManager
//! - `account`: what is told of the TaskManager and its processes, and seen of them: memory, figures, logs

mod account;
mod dialer;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use flott_core::{
    failure::Failure,
    id::{IdSequence, InstanceId, LeaderEpoch, MessageNumber, ProcessId, WorkerKey},
    message::{FromWorker, LogChunk, Opening, ToWorker, Welcome, WorkerToJob},
};
use flott_rpc::session::{self, Packet, Session, SessionError};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    Error, ExitReason, Options,
    blobs::{BlobCache, Source},
    lock, logs,
    metrics::{Endpoint, Figures},
    process::{JobProcess, Launcher, directory},
    state::{Action, Event, Settings, State},
};
use dialer::{Dialer, Link};

/// Log requests that are read for at once.
const LOG_READERS_MAX: usize = 4;
/// How long taking leave of the JobManager may take.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What can be in the mailbox.
#[derive(Debug)]
pub(crate) enum Input {
    /// For the core.
    Event(Event),
    /// A process is gone.
    Ended {
        process: ProcessId,
        failure: Failure,
        /// What it took in its life.
        cpu: Duration,
    },
    /// About the JobManager.
    Link(Link),
    /// A log was read for a JobManager.
    Log(LeaderEpoch, LogChunk),
    /// Somebody collects metrics.
    Figures(oneshot::Sender<Figures>),
    /// End in order.
    Stop(String),
}

/// A TaskManager.
pub(crate) struct Service {
    options: Options,
    instance: InstanceId,
    started_at: u64,
    state: State,
    launcher: Arc<Launcher>,
    processes: BTreeMap<ProcessId, JobProcess>,
    /// Told to go because of its memory; until it has gone, no other has to.
    condemned: Option<ProcessId>,
    ended_cpu: Duration,
    /// The connection, whether its session goes on yet or not.
    jobmanager: Option<session::Link>,
    session: Session<FromWorker, ToWorker>,
    /// Whom the session is with.
    leader: Option<LeaderEpoch>,
    /// Why the session cannot go on, and with it this life.
    torn: Option<String>,
    /// Whether job processes have to wait with what they say.
    crowded: watch::Sender<bool>,
    /// Where blobs are fetched from: the JobManager of the latest connection.
    address: String,
    log_readers: Arc<Semaphore>,
    inputs: mpsc::Receiver<Input>,
    /// The JobManager has given up this life, and the next one has not begun.
    life_is_over: bool,
    /// What the end will be when everything has ended.
    outcome: Option<Result<ExitReason, Error>>,
    goodbye: String,
    stopped: bool,
    /// Until it is served.
    metrics: Option<Endpoint>,
    _lock: File,
}

impl Service {
    pub(crate) fn new(
        options: Options,
        mailbox: mpsc::Sender<Input>,
        inputs: mpsc::Receiver<Input>,
    ) -> Result<Self, Error> {
        let unusable = |path: &PathBuf| {
            let path = path.clone();
            |source| Error::Directory { path, source }
        };
        let work_dir = &options.work_dir;
        fs::create_dir_all(work_dir).map_err(unusable(work_dir))?;
        fs::create_dir_all(&options.log_dir).map_err(unusable(&options.log_dir))?;
        let lock = lock::exclusive(&work_dir.join("lock")).map_err(unusable(work_dir))?;
        let lock = lock.ok_or_else(|| Error::InUse(work_dir.clone()))?;
        let processes_dir = work_dir.join("processes");
        directory::sweep(&processes_dir).map_err(unusable(&processes_dir))?;
        let blobs_dir = work_dir.join("blobs");
        let blobs = BlobCache::open(blobs_dir.clone(), options.blob_cache_bytes_max, options.blob_bytes_max)
            .map_err(unusable(&blobs_dir))?;
        let settings = Settings {
            worker: options.worker.clone(),
            slots: options.slots.clone(),
            offer_interval: options.offer_interval,
            start_timeout: options.process_start_timeout,
            cancellation_timeout: options.cancellation_timeout,
            ask_grace: options.ask_grace,
            terminate_grace: options.terminate_grace,
        };
        let metrics = Endpoint::bind(&options, &mailbox);
        let crowded = watch::Sender::new(false);
        let launcher = Launcher {
            worker: options.worker.clone(),
            slots: u32::try_from(options.slots.len()).unwrap_or(u32::MAX),
            data_bind: options.data_bind,
            data_host: options.host.clone(),
            processes_dir,
            log_dir: options.log_dir.clone(),
            log_bytes_max: options.log_bytes_max,
            log_rate_max: options.log_rate_max,
            nice: options.nice,
            programs: options.programs.clone(),
            blobs,
            mailbox,
            crowded: crowded.subscribe(),
        };
        Ok(Self {
            state: State::new(settings, IdSequence::random_seed()),
            options,
            instance: InstanceId::random(),
            started_at: logs::millis(SystemTime::now()),
            launcher: Arc::new(launcher),
            processes: BTreeMap::new(),
            condemned: None,
            ended_cpu: Duration::ZERO,
            jobmanager: None,
            session: new_session(),
            leader: None,
            torn: None,
            crowded,
            address: String::new(),
            log_readers: Arc::new(Semaphore::new(LOG_READERS_MAX)),
            inputs,
            life_is_over: false,
            outcome: None,
            goodbye: String::new(),
            stopped: false,
            metrics,
            _lock: lock,
        })
    }

    /// Where metrics will be served.
    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.address().ok()
    }

    /// Runs until everything has ended. Dropped before, it kills its job processes.
    pub(crate) async fn run(mut self) -> Result<ExitReason, Error> {
        let dialer = Dialer::new(&self.options, self.launcher.mailbox.clone());
        let dialing = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(dialer.run()));
        let metrics = self.metrics.take().map(|endpoint| tokio::spawn(endpoint.serve()));
        let _metrics = metrics.map(tokio_util::task::AbortOnDropHandle::new);
        let mut heartbeat = interval(self.options.heartbeat_interval);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(self.options.memory_interval);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stopped {
            if let Some(reason) = self.torn.take() {
                self.begin_again(&reason);
            }
            let is_crowded = self.session.is_crowded();
            self.crowded.send_if_modified(|crowded| std::mem::replace(crowded, is_crowded) != is_crowded);
            let deadline = self.state.deadline();
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return Err(Error::Lost),
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {
                    self.handle(Event::Tick);
                }
                _ = heartbeat.tick(), if self.state.is_registered() => self.beat(),
                _ = look.tick(), if !self.processes.is_empty() => self.look_at_memory(),
            }
        }
        drop(dialing);
        if let Some(jobmanager) = self.jobmanager.take() {
            let reason = self.goodbye.clone();
            if self.session.link().is_some()
                && self.session.send(&FromWorker::Goodbye { reason: reason.clone() }).is_ok()
            {
                jobmanager.close(&reason);
                let _ = timeout(GOODBYE_MAX, jobmanager.closed()).await; // Politeness has its limit.
            }
        }
        tracing::info!(worker = %self.options.worker, reason = %self.goodbye, "TaskManager ends");
        self.outcome.unwrap_or(Err(Error::Lost))
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.handle(event),
            Input::Ended { process, failure, cpu } => {
                self.processes.remove(&process);
                self.ended_cpu += cpu;
                self.condemned.take_if(|condemned| *condemned == process);
                self.handle(Event::Ended { process, failure });
                if self.life_is_over {
                    self.open_when_clean();
                }
            }
            Input::Link(Link::Up { jobmanager, address }) => {
                self.address = address;
                self.jobmanager = Some(jobmanager);
                self.open_when_clean();
            }
            Input::Link(Link::Welcome(welcome)) => self.welcome(welcome),
            Input::Link(Link::Packet(packet)) => self.receive(packet),
            Input::Log(leader, chunk) => {
                // Another JobManager may have asked something else under the same number.
                if self.leader == Some(leader) {
                    self.send(FromWorker::Log(chunk));
                }
            }
            Input::Link(Link::Down) => {
                self.jobmanager = None;
                self.session.detach();
                self.handle(Event::Disconnected);
            }
            Input::Link(Link::GaveUp { after, last }) => {
                let goodbye = "no JobManager".to_owned();
                self.end(Err(Error::NoJobManager { after, last }), goodbye);
            }
            Input::Figures(answer) => drop(answer.send(self.figures())),
            Input::Stop(reason) => self.end(Ok(ExitReason::Stopped(reason.clone())), reason),
        }
    }

    /// A JobManager has answered the opening.
    fn welcome(&mut self, welcome: Welcome) {
        let Some(link) = self.jobmanager.clone() else { return };
        match welcome {
            Welcome::Resumed { received } => match self.session.resume(link, None, received) {
                Ok(()) => self.handle(Event::Resumed),
                Err(error) => self.torn = Some(error.to_string()),
            },
            Welcome::Begun { leader } => {
                if let Err(reason) = self.state.follows(leader) {
                    tracing::warn!(reason, jobmanager = self.address, "leaving the JobManager");
                    return link.close(&reason);
                }
                if self.leader == Some(leader) && self.session.received() > MessageNumber::default() {
                    self.torn = Some("the JobManager has forgotten the session".to_owned());
                    return;
                }
                self.handle(Event::Begun);
                self.session = new_session();
                self.leader = Some(leader);
                match self.session.resume(link, None, MessageNumber::default()) {
                    Ok(()) => self.send(FromWorker::Register(self.registration())),
                    Err(error) => self.torn = Some(error.to_string()),
                }
            }
            Welcome::Over { reason } => self.torn = Some(reason),
        }
    }

    fn receive(&mut self, packet: Packet) {
        // The rest of a connection whose session was given up.
        if self.jobmanager.is_none() || self.leader.is_none() {
            return;
        }
        match self.session.receive(packet) {
            Ok(Some(message)) => self.hear(message),
            Ok(None) => {}
            Err(error) => self.torn = Some(error.to_string()),
        }
    }

    fn hear(&mut self, message: ToWorker) {
        match message {
            ToWorker::Registered { leader } => {
                tracing::info!(worker = %self.options.worker, %leader, jobmanager = self.address, "registered");
                self.handle(Event::Registered { leader });
            }
            ToWorker::Refused { reason, life_is_over: true } => self.begin_again(&reason),
            ToWorker::Refused { reason, life_is_over: false } => {
                self.end(Ok(ExitReason::Refused(reason.clone())), reason)
            }
            ToWorker::Shutdown { reason } => self.end(Ok(ExitReason::Shutdown(reason.clone())), reason),
            ToWorker::AllocateSlot(grant) => self.handle(Event::Allocate(grant)),
            ToWorker::FreeSlot { allocation, reason } => self.handle(Event::FreeSlot { allocation, reason }),
            ToWorker::Job { job, epoch, message } => self.handle(Event::Job { job, epoch, message }),
            ToWorker::ReadLog(request) => self.read_log(request),
        }
    }

    fn handle(&mut self, event: Event) {
        for action in self.state.handle(now(), event) {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send(message) => self.send(message),
            Action::Start { process, setup } => {
                self.prune_logs(setup.job);
                let source = Source {
                    address: self.address.clone(),
                    token: self.options.token.clone(),
                    tls: self.options.tls.clone(),
                };
                self.processes.insert(process, self.launcher.launch(process, setup, source));
            }
            Action::End { process, how } => {
                if let Some(process) = self.processes.get(&process) {
                    process.end(how);
                }
            }
            Action::Deliver { process, message } => {
                let sent = self.processes.get(&process).map_or(Ok(()), |process| process.deliver(message));
                if let Err(error) = sent {
                    let failure = Failure::internal("a message to the job process was not sent").caused_by(&error);
                    self.handle(Event::Condemned { process, failure });
                }
            }
            Action::Stopped { reason } => {
                self.goodbye = reason;
                self.stopped = true;
            }
        }
    }

    fn send(&mut self, message: FromWorker) {
        if self.leader.is_none() {
            return;
        }
        let process = match &message {
            FromWorker::Job { message: WorkerToJob::Host { process, .. }, .. } => Some(*process),
            _ => None,
        };
        match self.session.send(&message) {
            Ok(()) => {}
            Err(error @ (SessionError::TooLong { .. } | SessionError::Encode(_))) => {
                tracing::warn!(%error, "message to the JobManager was not sent");
                if let Some(process) = process {
                    let failure = Failure::user("a message of the job process cannot be passed on").caused_by(&error);
                    self.handle(Event::Condemned { process, failure });
                }
            }
            Err(error) => {
                self.torn.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// The JobManager took the TaskManager for lost, and all jobs know, or will as it hears no more of this life. What is
    /// left of it is killed; then the TaskManager comes back as a new one. It started when it did, so that of two TaskManagers with one name the older
    /// one does not drive the newer one out.
    fn begin_again(&mut self, reason: &str) {
        tracing::warn!(worker = %self.options.worker, reason, "the TaskManager begins a new life");
        if let Some(jobmanager) = self.jobmanager.take() {
            jobmanager.close(reason);
        }
        self.handle(Event::GivenUp);
        self.session = new_session();
        self.leader = None;
        self.life_is_over = true;
        self.open_when_clean();
    }

    /// Opens the session, if there is a connection, and no sooner than a life that is over has left nothing behind.
    fn open_when_clean(&mut self) {
        if self.life_is_over {
            if !self.processes.is_empty() {
                return;
            }
            self.instance = InstanceId::random();
            self.life_is_over = false;
        }
        let Some(jobmanager) = &self.jobmanager else { return };
        let worker = WorkerKey { worker: self.options.worker.clone(), instance: self.instance };
        let opening = Opening { worker, session: self.leader, received: self.session.received() };
        let sent = Packet::open(&opening).map_err(|error| error.to_string());
        if let Err(error) = sent.and_then(|packet| jobmanager.send(packet).map_err(|error| error.to_string())) {
            tracing::warn!(error, "the connection to the JobManager was not opened");
        }
    }

    /// The first reason to end is the one that counts.
    fn end(&mut self, outcome: Result<ExitReason, Error>, reason: String) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.handle(Event::Stop { reason });
        }
    }
}

fn new_session() -> Session<FromWorker, ToWorker> {
    Session::new(&flott_rpc::Options::default())
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
