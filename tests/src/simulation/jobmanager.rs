//! JobManagers: the one that leads, and one that is deposed and does not know it.
//!
//! A deposed one goes on for a while with those TaskManagers that have not turned to the new one, with clients that do not know of
//! that one, with the store of checkpoints and with the log of jobs, which refuses what it writes. The backend does not hear it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use flott_core::{
    id::{CheckpointId, JobId, JobMasterEpoch, JobSecret, LeaderEpoch, WorkerKey},
    message::{ToWorker, WorkerToJob},
    resource::ResourceProfile,
};
use flott_jobmaster::{CheckpointKeeper, Event, JobMasterCore, SnapshotSpec};
use flott_resource_manager::{
    Declaration,
    backend::BackendWorker,
    slot_manager::{Event as ManagerEvent, SlotManager},
};
use tokio::sync::Mutex;

use super::{
    check::{Broken, Invariant},
    logs::{Keeping, Owner},
    masters::Master,
    network::Session,
    records::{Begun, Records},
    stale::Known,
    store::FaultyStore,
    world::World,
};

/// Longest times until a TaskManager notices that another JobManager leads, in milliseconds: one is drawn for each change.
const NOTICE_MS: [u64; 3] = [1500, 5000, 15_000];

/// What was found on a TaskManager, under the epoch of an earlier JobMaster.
type Found = (WorkerKey, JobMasterEpoch, WorkerToJob);

/// What a JobManager knows.
pub struct JobManager {
    pub leader: LeaderEpoch,
    /// The log of jobs, where there is one.
    pub records: Option<Records>,
    /// It is dead, and nobody leads.
    pub is_down: bool,
    pub manager: SlotManager,
    pub tick: Option<u64>,
    pub masters: BTreeMap<JobId, Master>,
    /// Jobs whose JobMasters are still to come, and what was found of them.
    pub awaiting: BTreeMap<JobId, Vec<Found>>,
    /// What JobMasters will be told next.
    pub later: VecDeque<(JobId, Event)>,
    pub is_telling: bool,
    /// Until when the mailbox of a job's JobMaster holds what a TaskManager has said.
    pub mailboxes: BTreeMap<(WorkerKey, JobId), u64>,
    /// Its ends of the sessions.
    pub sessions: BTreeMap<WorkerKey, Session<ToWorker>>,
    /// The store of checkpoints, as it sees it.
    pub store: FaultyStore,
    /// Jobs in place of whose checkpoints it sees nothing.
    pub unmounted: BTreeSet<JobId>,
}

impl JobManager {
    pub fn new(leader: LeaderEpoch, manager: SlotManager, store: FaultyStore) -> Self {
        let (masters, awaiting, later, mailboxes, sessions, unmounted) = Default::default();
        Self {
            leader,
            records: None,
            is_down: false,
            manager,
            tick: None,
            masters,
            awaiting,
            later,
            is_telling: false,
            mailboxes,
            sessions,
            store,
            unmounted,
        }
    }

    /// Has kept what was found of a job whose JobMaster is still to come.
    pub fn keeps(&mut self, from: &WorkerKey, job: JobId, epoch: JobMasterEpoch, message: &WorkerToJob) -> bool {
        let Some(found) = self.awaiting.get_mut(&job).filter(|_| matches!(message, WorkerToJob::Found(_))) else {
            return false;
        };
        found.retain(|(worker, ..)| worker != from);
        found.push((from.clone(), epoch, message.clone()));
        true
    }
}

impl World {
    /// Lets something happen to one JobManager, if it is there.
    pub(super) fn tell(
        &mut self,
        leader: LeaderEpoch,
        what: impl FnOnce(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.jobmanager.leader == leader {
            return if self.jobmanager.is_down { Ok(()) } else { what(self) };
        }
        if self.deposed.as_ref().is_none_or(|deposed| deposed.leader != leader) {
            return Ok(());
        }
        self.turn_to_deposed();
        self.is_past = true;
        let done = what(self);
        self.is_past = false;
        self.turn_to_deposed();
        // It may have been killed meanwhile.
        self.deposed.take_if(|deposed| deposed.is_down);
        done
    }

    fn turn_to_deposed(&mut self) {
        if let Some(deposed) = &mut self.deposed {
            std::mem::swap(&mut self.jobmanager, deposed);
        }
    }

    /// A JobManager that leads, or thinks so, is gone.
    pub(super) fn ends_leading(&mut self, leader: LeaderEpoch) {
        if self.deposed.as_ref().is_some_and(|deposed| deposed.leader == leader) {
            return self.deposed_ends();
        }
        if self.jobmanager.leader != leader || self.jobmanager.is_down {
            return;
        }
        self.jobmanager.is_down = true;
        self.jobmanager.later.clear();
        self.logs.end(Owner::Leading(leader));
        self.lose_connections(leader, 1500, true);
    }

    /// Another one leads.
    pub(super) fn lead(&mut self, begun: Begun) -> Result<(), Broken> {
        let Begun { leader, records, jobs, leftovers, .. } = begun;
        self.deposed_ends();
        self.summary.leaders += 1;
        let earlier = self.new_jobmanager(leader);
        if !earlier.is_down {
            let notice = self.random.choose(NOTICE_MS.into_iter()).unwrap_or_default();
            self.lose_connections(earlier.leader, notice, false);
            self.deposed = Some(earlier);
        }
        let records = Arc::new(Mutex::new(records));
        self.jobmanager.records = Some(Arc::clone(&records));
        self.look_into_log();
        // Nobody else has it yet.
        records.try_lock().map_or(Ok(()), |records| self.take_up(&records, jobs, leftovers))
    }

    /// Whoever was deposed is gone.
    pub(super) fn deposed_ends(&mut self) {
        let Some(deposed) = self.deposed.take() else { return };
        self.logs.end(Owner::Leading(deposed.leader));
        self.lose_connections(deposed.leader, 1500, true);
    }

    /// Puts a new JobManager into the place of the one that leads, which it gives back.
    fn new_jobmanager(&mut self, leader: LeaderEpoch) -> JobManager {
        let mut options = self.options.clone();
        (options.leader, options.id_seed) = (leader, self.random.next());
        let manager = SlotManager::new(options, self.abilities);
        let earlier =
            std::mem::replace(&mut self.jobmanager, JobManager::new(leader, manager, self.logs.store.elsewhere()));
        if self.plan.backend {
            let running = self.machines.values().filter_map(|machine| machine.started.clone());
            let found = running.chain(self.booting.values().cloned()).map(|spec| BackendWorker { spec });
            self.manage(ManagerEvent::Found(found.collect()));
        }
        earlier
    }

    /// A job is to get a JobMaster, once the log of its checkpoints is open.
    pub(super) fn open(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(job) = self.jobs.get(&id) else { return Ok(()) };
        let (epoch, directory) = (job.kept.epoch, job.kept.checkpoints());
        if directory.is_none() {
            return self.begin(id, epoch, (SnapshotSpec::default(), None), false);
        }
        if job.kept.is_recovered() {
            self.await_master(id, epoch);
        }
        self.open_log(id, epoch, None);
        Ok(())
    }

    /// A job of an earlier JobManager is to get a JobMaster: what is found of it, and its slots, are for that.
    pub(super) fn await_master(&mut self, id: JobId, epoch: JobMasterEpoch) {
        self.jobmanager.awaiting.insert(id, Vec::new());
        let needs = [(ResourceProfile::ANY, 1)].into();
        self.manage(ManagerEvent::Declared(Declaration::new(id, epoch, needs).reconciling(true)));
    }

    /// A job gets a JobMaster.
    pub(super) fn begin(
        &mut self,
        id: JobId,
        epoch: JobMasterEpoch,
        (snapshots, keeper): (SnapshotSpec, Option<CheckpointKeeper>),
        is_away: bool,
    ) -> Result<(), Broken> {
        // One that was deposed while it claimed the log has read records that were right then.
        let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_past) else { return Ok(()) };
        let spec = job.kept.recover(epoch, JobSecret::from_bytes(self.random.bytes()), snapshots);
        let core = JobMasterCore::new(spec)
            .map_err(|error| Invariant::I8.broken(format!("job {id} cannot begin or go on: {error}")))?;
        let (is_cancelled, stopped_with) = (job.is_cancelled, job.kept.stopped_with.clone());
        let declared = Declaration::withdrawn(id, epoch);
        let master = Master {
            core,
            keeping: keeper.map(|keeper| Keeping::new(id, epoch, keeper)),
            has_ended: false,
            waits_since: None,
            savepoints: BTreeMap::new(),
            stops: None,
            stopped_with,
            declared,
            writes: Arc::default(),
            known: Known::default(),
            secret: None,
            is_away,
            heard: CheckpointId(0),
        };
        self.jobmanager.masters.insert(id, master);
        self.master(id, Event::Start);
        for (worker, epoch, message) in self.jobmanager.awaiting.remove(&id).unwrap_or_default() {
            self.master(id, Event::Worker { worker, epoch, message });
        }
        if is_cancelled {
            self.master(id, Event::Cancel);
        }
        Ok(())
    }
}
