//! What must hold: each [`Invariant`], by its number.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fmt::Write as _,
};

use flott_core::{
    id::{JobId, WorkerKey},
    message::{JobToHost, JobToWorker},
    status::JobStatus,
    view::{CheckpointView, JobView},
};

use super::{jobmanager::JobManager, world::World};

/// Longest wait of a job that the cluster could serve, in milliseconds: many times what all jobs before it may take.
const WAIT_MAX_MS: u64 = 600_000;

/// What must hold, numbered. A history in which it does not is told of with the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// No slot is given twice.
    I1,
    /// No allocation is two slots.
    I2,
    /// Each record that was read is visible at most once.
    I3,
    /// Each record is visible once a job is FINISHED; once one has stopped with a savepoint, each that the savepoint has as prepared.
    I4,
    /// The books of the slot manager agree, and no job waits for slots that are free.
    I5,
    /// No job waits for ever that the cluster could serve.
    I6,
    /// Each message of a session arrives once and in order, and its two ends agree on which session it is.
    I7,
    /// A JobMaster can begin with a new job, and go on with what another has written down.
    I8,
    /// Every job ends, once, when faults have ceased: as it was told to, and FAILED only if it gives up by itself.
    I9,
    /// Nothing is left of a job that has ended: no slot, no process.
    I10,
    /// No worker is left over, and none stays away.
    I11,
    /// Whoever has claimed the log of a job knows every checkpoint that an older JobMaster was told to be complete, before or after;
    /// each is complete to one of them, and the one that leads is never deposed. All files are there of one that its tasks start from.
    I12,
    /// In the end nothing is left in the store of a job to which nobody goes back, nor of a savepoint that was given up; but for what was
    /// written after it was removed.
    I13,
    /// Tasks are deployed only to processes that know of each other: those that their JobMaster has started, or all taken over.
    I14,
    /// What is shown of a checkpoint adds up: no task has reported more than once.
    I15,
    /// What was acknowledged whoever leads later knows: jobs that were accepted, that one is to be cancelled, and that one has ended.
    I16,
    /// A JobMaster that has heard that a TaskManager is lost asks nothing of it.
    I17,
    /// No job that was deployed goes on without its log: none begins where the volume of its checkpoints is not mounted, or writes there,
    /// and none goes on from an older copy of it that has heard of a later checkpoint.
    I18,
}

impl Invariant {
    /// It does not hold: `what` says where.
    pub(super) fn broken(self, what: impl fmt::Display) -> Broken {
        Broken { invariant: self, what: what.to_string() }
    }

    /// As [`broken`](Self::broken), of a check that has found out already.
    pub(super) fn held<T, E: fmt::Display>(self, outcome: Result<T, E>) -> Result<T, Broken> {
        outcome.map_err(|what| self.broken(what))
    }
}

/// What does not hold.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub invariant: Invariant,
    pub what: String,
}

impl From<Broken> for String {
    fn from(Broken { invariant, what }: Broken) -> Self {
        format!("{invariant:?} does not hold: {what}")
    }
}

impl Broken {
    fn of(self, job: &JobId) -> Self {
        Self { what: format!("job {job}: {}", self.what), ..self }
    }
}

/// Something happened that must not.
#[derive(Debug, Clone)]
pub struct Violation {
    /// In the history of this seed.
    pub seed: u64,
    /// At this time.
    pub at_ms: u64,
    /// What does not hold.
    pub invariant: Invariant,
    /// Where, and what else was going on.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at_ms, invariant, what } = self;
        writeln!(f, "seed {seed}, at {at_ms} ms: {invariant:?} does not hold: {what}")?;
        write!(f, "replay: FLOTT_SIM_SEED={seed} cargo test -p flott-tests --test simulation")
    }
}

impl std::error::Error for Violation {}

impl World {
    /// Everything that holds at any time.
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        self.check_slots()?;
        for (id, job) in self.jobs.iter().filter(|_| self.plan.durable) {
            job.outside.check(&job.profile, false).map_err(|broken| broken.of(id))?;
        }
        if self.jobmanager.is_down {
            return Ok(());
        }
        let masters = self.jobmanager.masters.values().filter(|master| self.plan.durable && !master.core.is_over());
        masters.map(|master| master.core.view()).try_for_each(|view| check_view(&view))?;
        Invariant::I5.held(self.jobmanager.manager.audit())?;
        self.check_waiting()
    }

    /// No slot is given twice, and no allocation is two slots.
    fn check_slots(&self) -> Result<(), Broken> {
        let mut allocations = BTreeMap::new();
        for machine in self.machines.values() {
            let mut slots = BTreeSet::new();
            for grant in machine.state.allocated() {
                if !slots.insert(grant.slot) {
                    return Err(Invariant::I1.broken(format!("slot {} of {} is given twice", grant.slot, machine.key)));
                }
                if let Some(other) = allocations.insert(grant.allocation, &machine.key) {
                    let what = format!("{} is given by {other} and by {}", grant.allocation, machine.key);
                    return Err(Invariant::I2.broken(what));
                }
            }
        }
        Ok(())
    }

    /// No job waits for ever that could run.
    fn check_waiting(&mut self) -> Result<(), Broken> {
        let (now, JobManager { manager, masters, .. }) = (self.now, &mut self.jobmanager);
        for (id, master) in masters {
            let waits = manager.is_served(id) == Some(false) && manager.is_servable(id) == Some(true);
            master.waits_since = if waits { Some(master.waits_since.unwrap_or(now)) } else { None };
            if master.waits_since.is_some_and(|since| now - since > WAIT_MAX_MS) {
                let reasons = manager.pending(id);
                let what = format!("job {id} waits since {:?} ms and could run: {reasons:?}", master.waits_since);
                return Err(Invariant::I6.broken(what));
            }
        }
        Ok(())
    }

    /// When all is over: nothing is left.
    pub(super) fn check_end(&mut self) -> Result<(), Broken> {
        self.check_left()?;
        let manager = &self.jobmanager.manager;
        Invariant::I5.held(manager.audit())?;
        for (id, job) in self.jobs.iter().filter(|_| self.plan.durable) {
            // Of one that has stopped with a savepoint, what is left of the input is for the one that was started from it.
            let has_finished = job
                .kept
                .end
                .as_ref()
                .is_some_and(|end| end.status == JobStatus::Finished && end.stopped_with.is_none());
            job.outside.check(&job.profile, has_finished).map_err(|broken| broken.of(id))?;
        }
        if let Some((id, _)) = self.jobs.iter().find(|(_, job)| job.kept.end.is_none()) {
            return Err(Invariant::I9.broken(format!("job {id} does not end")));
        }
        for machine in self.machines.values() {
            if let Some(grant) = machine.state.allocated().first() {
                let what = format!("slot {} of {} is still given to {}", grant.slot, machine.key, grant.job);
                return Err(Invariant::I10.broken(what));
            }
            if !machine.hosts.is_empty() {
                let what = format!("{} job processes are left on {}", machine.hosts.len(), machine.key);
                return Err(Invariant::I10.broken(what));
            }
        }
        if self.plan.backend && (!self.machines.is_empty() || manager.started_workers() > 0) {
            let counted = manager.started_workers();
            let what = format!("{} machines are left, {counted} of them counted", self.machines.len());
            return Err(Invariant::I11.broken(what));
        }
        if !self.plan.backend && manager.overview().len() != self.plan.machines as usize {
            let what = format!("{} of {} workers came back", manager.overview().len(), self.plan.machines);
            return Err(Invariant::I11.broken(what));
        }
        Ok(())
    }
}

impl World {
    /// A JobMaster says something: whether it may.
    pub(super) fn check_said(&mut self, id: JobId, worker: &WorkerKey, message: &JobToWorker) {
        let Some(master) = self.jobmanager.masters.get_mut(&id) else { return };
        let asks = match message {
            JobToWorker::AcceptSlots(_) | JobToWorker::StartProcess(_) => true,
            JobToWorker::Host { message, .. } => matches!(message, JobToHost::Deploy(_) | JobToHost::Commit { .. }),
            JobToWorker::RejectSlots(_)
            | JobToWorker::FreeSlots(_)
            | JobToWorker::Adopt { .. }
            | JobToWorker::Completed { .. }
            | JobToWorker::Forget => false,
        };
        if asks && master.known.lost.contains(worker) {
            let what = format!("job {id} asks something of {worker}, and has heard that it is lost");
            self.faults_seen.push(Invariant::I17.broken(what));
        }
        match message {
            JobToWorker::StartProcess(setup) => master.secret = Some(setup.secret),
            JobToWorker::Adopt { .. } => master.secret = None,
            JobToWorker::Host { process, message: JobToHost::Deploy(deployment) } => {
                let secret = self.jobs.get(&id).and_then(|job| job.secrets.get(process)).copied();
                let common = master.secret.or(secret);
                if secret.is_none() || secret != common {
                    let what = format!("job {id} is deployed to process {process}, which is an earlier JobMaster's");
                    self.faults_seen.push(Invariant::I14.broken(what));
                }
                master.secret = common;
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.was_deployed = true;
                }
                // Where one that is deposed goes back to whoever leads may have removed.
                let restored = deployment.tasks.iter().filter_map(|task| task.restore.as_deref());
                for restore in restored.filter(|_| !self.is_past) {
                    let files = restore.parts.iter().flat_map(|part| &part.files);
                    let mut locations = files.map(|file| format!("{}/{}", restore.directory, file.path));
                    if let Some(gone) = locations.find(|location| !self.logs.has_state(location)) {
                        let what = format!("job {id} starts from {:?}, and {gone} is gone", restore.origin);
                        self.faults_seen.push(Invariant::I12.broken(what));
                    }
                }
            }
            _ => {}
        }
    }

    /// Nothing is left in the store that nobody needs.
    fn check_left(&mut self) -> Result<(), Broken> {
        for (id, job) in &self.jobs {
            if job.kept.end.as_ref().is_none_or(|end| end.obsolete.is_none()) {
                continue;
            }
            let Some(removed) = job.kept.removed else {
                return Err(Invariant::I13.broken(format!("the checkpoints of job {id} are not removed")));
            };
            let left = self.logs.left_of(*id, removed);
            if !left.is_empty() {
                return Err(Invariant::I13.broken(format!("of the checkpoints of job {id} {left:?} are left")));
            }
            self.summary.removed += u32::from(self.logs.had_state(*id));
        }
        let records = self.jobmanager.records.as_ref().and_then(|records| records.try_lock().ok());
        if let Some(leftover) = records.and_then(|records| records.leftovers().pop()) {
            return Err(Invariant::I13.broken(format!("of {leftover:?} it is not written down that it is removed")));
        }
        let (left, removed) = self.logs.left_of_savepoints();
        // Where their store fails, they are given up for good, and a person is told.
        if self.plan.faults.stores == 0 && !left.is_empty() {
            return Err(Invariant::I13.broken(format!("of savepoints that were given up {left:?} are left")));
        }
        self.summary.abandoned += removed;
        Ok(())
    }
}

/// What people see of a job adds up.
pub(super) fn check_view(view: &JobView) -> Result<(), Broken> {
    let twofold = view.checkpoints.history.iter().find(|checkpoint| checkpoint.reported > checkpoint.tasks);
    twofold.map_or(Ok(()), |CheckpointView { id, tasks, reported, .. }| {
        Err(Invariant::I15.broken(format!("{reported} of {tasks} tasks of job {} have reported {id}", view.job)))
    })
}

impl World {
    /// What each job that has not ended has and waits for, and where its tasks are.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        let awaiting: Vec<_> = self.jobmanager.awaiting.keys().collect();
        let _ = writeln!(text, "jobs without a JobMaster: {awaiting:?}");
        for (id, job) in self.jobmanager.masters.iter().filter(|(_, master)| !master.core.is_over()) {
            let _ = writeln!(text, "job {id} {}: {:?} {:?}", job.core.status(), job.core.waits(), job.declared);
            for machine in self.machines.values() {
                let slots = machine.state.slots_of(*id);
                let hosts: Vec<_> = machine.hosts.values().filter(|host| host.job == *id).collect();
                if slots > 0 || !hosts.is_empty() {
                    let _ = writeln!(text, "  {}: {slots} slots, {hosts:?}", machine.key);
                }
            }
            for vertex in job.core.view().vertices {
                for (place, subtask) in vertex.subtasks.iter().enumerate() {
                    let attempt = &subtask.current;
                    if !attempt.state.is_terminal() {
                        let (number, state, worker) = (attempt.attempt, attempt.state, &attempt.worker);
                        let _ = writeln!(text, "  {}_{place}_{number} {state} on {worker:?}", vertex.id);
                    }
                }
            }
        }
        text
    }
}
