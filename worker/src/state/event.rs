//! What the core is told, and what it asks for.

use flott_core::{
    failure::Failure,
    id::{AllocationId, JobId, JobMasterEpoch, LeaderEpoch, ProcessId},
    message::{FromWorker, HostToJob, JobSetup, JobToHost, JobToWorker, ProcessLocation, SlotGrant},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A JobManager took the TaskManager in, in a session in which nothing was said before.
    Registered {
        /// Its leadership.
        leader: LeaderEpoch,
    },
    /// The connection to the JobManager is gone. What is said waits for the next one.
    Disconnected,
    /// The connection to the JobManager is there again, and nothing that was said has been lost.
    Resumed,
    /// A session with a JobManager begins, in which the TaskManager is not registered yet: what it says before is for
    /// nobody.
    Begun,
    /// The JobManager has given up this life of the TaskManager: nothing of it may go on. Another [`Event::Registered`]
    /// begins the next life, when all processes have ended.
    GivenUp,
    /// The ResourceManager gives a slot to a job.
    Allocate(SlotGrant),
    /// The ResourceManager takes a slot back.
    FreeSlot {
        /// Which.
        allocation: AllocationId,
        /// Why.
        reason: String,
    },
    /// A JobMaster says something.
    Job {
        /// Its job.
        job: JobId,
        /// Which JobMaster.
        epoch: JobMasterEpoch,
        /// What.
        message: JobToWorker,
    },
    /// The program of a process is here and was started.
    Spawned {
        /// Which.
        process: ProcessId,
    },
    /// A process has planned and opened its data port.
    Ready {
        /// Which, and where it is.
        location: ProcessLocation,
    },
    /// A process has something for its JobMaster.
    Host {
        /// Which.
        process: ProcessId,
        /// What.
        message: HostToJob,
    },
    /// A process must go: it cannot host the job, or it takes more than it may.
    Condemned {
        /// Which.
        process: ProcessId,
        /// Why.
        failure: Failure,
    },
    /// A process is gone and nothing of it is left, or it could not be started. Once for each [`Action::Start`].
    Ended {
        /// Which.
        process: ProcessId,
        /// How, if no one had asked for it.
        failure: Failure,
    },
    /// The TaskManager is to end in order.
    Stop {
        /// Why.
        reason: String,
    },
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Say this to the JobManager.
    Send(FromWorker),
    /// Fetch what the process needs and start it.
    Start {
        /// The process to be.
        process: ProcessId,
        /// What it is to run.
        setup: Box<JobSetup>,
    },
    /// End a process, which may not have been started yet.
    End {
        /// Which.
        process: ProcessId,
        /// How hard.
        how: Ending,
    },
    /// Pass this to a process.
    Deliver {
        /// Which.
        process: ProcessId,
        /// What.
        message: JobToHost,
    },
    /// Everything has ended after [`Event::Stop`].
    Stopped {
        /// Why it was to end.
        reason: String,
    },
}

/// How a process is ended, from gentle to hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// By a message on its socket.
    Ask,
    /// By SIGTERM to its group.
    Terminate,
    /// By SIGKILL to its group.
    Kill,
}
