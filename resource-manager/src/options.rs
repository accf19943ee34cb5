//! Every knob of the ResourceManager, as plain data.

use std::time::Duration;

use flott_core::{
    id::{IdSequence, LeaderEpoch},
    resource::ResourceProfile,
};

use crate::error::Error;

/// What the ResourceManager is told when it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// The leadership that it belongs to.
    pub leader: LeaderEpoch,
    /// Seed of allocation ids; no two ResourceManagers share one.
    pub id_seed: u64,
    /// `HOST:PORT` that workers dial; named in hints to people.
    pub jobmanager_address: String,
    /// How slots and workers are managed.
    pub slot_manager: SlotManagerOptions,
    /// How long [`crate::ResourceManagerHandle::stop_workers`] waits for workers to be gone.
    pub stop_timeout: Duration,
    /// How long a log request waits for its worker.
    pub log_timeout: Duration,
}

impl Options {
    /// Defaults, with a random seed.
    pub fn new(leader: LeaderEpoch, jobmanager_address: impl Into<String>) -> Self {
        Self {
            leader,
            id_seed: IdSequence::random_seed(),
            jobmanager_address: jobmanager_address.into(),
            slot_manager: SlotManagerOptions::default(),
            stop_timeout: Duration::from_secs(20),
            log_timeout: Duration::from_secs(10),
        }
    }
}

/// How slots and workers are managed.
#[derive(Debug, Clone)]
pub struct SlotManagerOptions {
    /// What is asked of the backend per worker.
    pub worker: WorkerShape,
    /// Names of started workers begin with this; it tells clusters on one backend apart.
    pub worker_prefix: String,
    /// `slotmanager.number-of-slots.max`: slots, coming ones included, beyond which no worker is started.
    pub slots_max: u32,
    /// Workers that are started at once and kept when idle. `-yn N` sets this and `workers_max` to N.
    pub workers_min: u32,
    /// Workers, external ones included, beyond which none is started.
    pub workers_max: Option<u32>,
    /// Whether workers that this ResourceManager has not started are the cluster's all the same, as those are that an earlier one of
    /// another host has started: they are told to end where its own are stopped.
    pub keeps_all: bool,
    /// Workers that may be on their way at a time.
    pub starting_max: u32,
    /// `resourcemanager.taskmanager-timeout`: after this long without a slot in use a started worker is released.
    pub idle_timeout: Duration,
    /// `resourcemanager.taskmanager-registration.timeout`: a started worker that has not registered by then is
    /// stopped, and its start counts as failed.
    pub start_timeout: Duration,
    /// `heartbeat.timeout`: a worker not heard for this long is lost.
    pub heartbeat_timeout: Duration,
    /// `cluster.connection-grace`: within this a worker whose connection broke may come back as if nothing had been.
    pub connection_grace: Duration,
    /// After this an unanswered request about a slot is sent again.
    pub answer_timeout: Duration,
    /// For this long a slot that its worker refused to give is left alone.
    pub refusal_pause: Duration,
    /// A job that waits longer is not overtaken any more: free slots are kept for it while it could be served by the
    /// workers there are.
    pub overtaking_max: Duration,
    /// Pause after a failed start; doubles with each failure in a row.
    pub backoff_initial: Duration,
    /// Longest such pause.
    pub backoff_max: Duration,
    /// A worker lost sooner than this after it registered counts as a failed start; one that lives longer ends the
    /// row of failures.
    pub stable_after: Duration,
    /// `cluster.evenly-spread-out-slots`: spread a job over workers instead of packing it onto few.
    pub spread: bool,
}

impl Default for SlotManagerOptions {
    fn default() -> Self {
        Self {
            worker: WorkerShape::default(),
            worker_prefix: "taskmanager".into(),
            slots_max: u32::MAX,
            workers_min: 0,
            workers_max: None,
            keeps_all: false,
            starting_max: 64,
            idle_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            heartbeat_timeout: Duration::from_secs(8),
            connection_grace: Duration::from_millis(300),
            answer_timeout: Duration::from_secs(3),
            refusal_pause: Duration::from_secs(1),
            overtaking_max: Duration::from_secs(10),
            backoff_initial: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
            spread: false,
        }
    }
}

impl SlotManagerOptions {
    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = [
            ("taskmanager.numberOfTaskSlots", u64::from(self.worker.slots)),
            ("workers on their way at a time", u64::from(self.starting_max)),
            ("heartbeat.timeout", millis(self.heartbeat_timeout)),
            ("resourcemanager.taskmanager-registration.timeout", millis(self.start_timeout)),
            ("answer timeout", millis(self.answer_timeout)),
            ("refusal pause", millis(self.refusal_pause)),
            ("initial backoff", millis(self.backoff_initial)),
        ];
        for (option, value) in positive {
            if value == 0 {
                return Err(Error::Option { option, wanted: "greater than 0", given: value.to_string() });
            }
        }
        if let Some(most) = self.workers_max.filter(|most| *most < self.workers_min) {
            let given = format!("{most} with at least {} workers", self.workers_min);
            return Err(Error::Option { option: "the most workers", wanted: "no less than the fewest", given });
        }
        if self.backoff_max < self.backoff_initial {
            let given = format!("{} ms", self.backoff_max.as_millis());
            return Err(Error::Option { option: "the longest backoff", wanted: "no less than the initial one", given });
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The size of workers that a backend is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerShape {
    /// `taskmanager.numberOfTaskSlots`.
    pub slots: u32,
    /// `taskmanager.memory.process.size` in bytes.
    pub memory: u64,
    /// Thousandths of a core.
    pub cpu_millicores: u32,
}

impl Default for WorkerShape {
    fn default() -> Self {
        Self { slots: 1, memory: 1 << 30, cpu_millicores: 1000 }
    }
}

impl WorkerShape {
    /// What each slot of such a worker offers.
    pub const fn slot(&self) -> ResourceProfile {
        let slots = if self.slots == 0 { 1 } else { self.slots };
        ResourceProfile { cpu_millicores: self.cpu_millicores / slots, memory_bytes: self.memory / slots as u64 }
    }
}
