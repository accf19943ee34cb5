//! Checkpoints: from the barrier to the manifest, and which of them a job can start from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    checkpoint::{Behind, Origin, SnapshotKind, SnapshotReport},
    failure::Failure,
    id::{CheckpointId, OperatorId, SubtaskIndex, VertexId},
    job_graph::ExecutionMode,
    message::{Committable, JobToHost, JobToWorker},
    status::ExecutionState,
    view::RestoredView,
};
use flott_snapshot::{DataPath, Manifest, VertexState};

use super::{Action, JobMasterCore, Phase, Taken, manifest::Composer, promises::promise};
use crate::{
    checkpoints::{GivenUp, Pending, Purpose, SourceCut, Stored},
    commit::{Ending, Stop},
    error::JobMasterError,
    execution_graph::{ExecutionGraph, Host},
    index::{ExecutionIndex, RegionIndex},
    spec::JobSpec,
    time::Millis,
};

/// A checkpoint that tasks go back to.
#[derive(Debug, Clone, PartialEq)]
pub struct RestorePoint {
    /// What it consists of.
    pub manifest: Arc<Manifest>,
    /// Directory that paths of its files begin from, as a location.
    pub directory: String,
}

impl RestorePoint {
    /// As it is shown.
    pub(super) fn view(&self, now: Millis) -> RestoredView {
        let kind = kind_of(&self.manifest);
        let location = self.location();
        RestoredView { id: self.manifest.checkpoint, kind, restored_at: now.0, location, discarded: false }
    }

    /// Where it is, for people.
    pub(super) fn location(&self) -> String {
        let Self { manifest, directory } = self;
        match manifest.kind {
            flott_snapshot::SnapshotKind::Checkpoint => checkpoint_location(directory, manifest.checkpoint),
            flott_snapshot::SnapshotKind::Savepoint => directory.clone(),
        }
    }
}

/// What tasks begin from that begin from it.
pub(super) fn origin_of(manifest: &Manifest) -> Origin {
    Origin { job: manifest.job_id, kind: kind_of(manifest), checkpoint: manifest.checkpoint }
}

fn kind_of(manifest: &Manifest) -> SnapshotKind {
    match manifest.kind {
        flott_snapshot::SnapshotKind::Checkpoint => SnapshotKind::Checkpoint,
        flott_snapshot::SnapshotKind::Savepoint => SnapshotKind::Savepoint,
    }
}

/// Where a checkpoint of the job is whose checkpoints are in `directory`.
fn checkpoint_location(directory: &str, checkpoint: CheckpointId) -> String {
    format!("{directory}/chk-{checkpoint}")
}

/// Whether a job can start from a snapshot: each state and each result has an owner, and key groups are the same.
///
/// # Errors
/// When it cannot.
pub(super) fn check_fits(point: &RestorePoint, graph: &ExecutionGraph, spec: &JobSpec) -> Result<(), JobMasterError> {
    let vertices = spec.graph.vertices.iter().zip(graph.resolved().vertices.values());
    let owners: BTreeMap<OperatorId, _> =
        vertices.flat_map(|(spec, vertex)| spec.operators.iter().map(move |operator| (operator.id, vertex))).collect();
    for stored in &point.manifest.vertices {
        let has_state =
            stored.subtasks.iter().any(|subtask| !subtask.files.is_empty() || !subtask.in_flight.is_empty());
        let mut owned = stored.operators.iter().filter_map(|operator| owners.get(&operator.id)).peekable();
        if has_state && owned.peek().is_none() && !spec.snapshots.ignore_unclaimed {
            return Err(JobMasterError::Unclaimed { vertex: stored.name.clone() });
        }
        if let Some(vertex) = owned.find(|vertex| has_state && vertex.max_parallelism != stored.max_parallelism.get()) {
            let (stored, now) = (stored.max_parallelism.get(), vertex.max_parallelism);
            return Err(JobMasterError::KeyGroups { vertex: vertex.name.clone(), stored, now });
        }
    }
    let lost = point.manifest.committables.iter().find(|committable| !owners.contains_key(&committable.sink));
    match lost.filter(|_| !spec.snapshots.ignore_unclaimed) {
        Some(Committable { sink, .. }) => Err(JobMasterError::NoSink { sink: name_of(&point.manifest, *sink) }),
        None => Ok(()),
    }
}

fn name_of(manifest: &Manifest, operator: OperatorId) -> String {
    let mut operators = manifest.vertices.iter().flat_map(|stored| &stored.operators);
    operators.find(|stored| stored.id == operator).map_or_else(|| operator.to_string(), |stored| stored.name.clone())
}

/// What the sinks of a job are to make visible of a snapshot that it starts from. What is of others is left behind: nobody could.
pub(super) fn claimed(manifest: &Manifest, spec: &JobSpec) -> (CheckpointId, Vec<Committable>) {
    let sinks: BTreeSet<OperatorId> =
        spec.graph.vertices.iter().flat_map(|vertex| &vertex.operators).map(|operator| operator.id).collect();
    let claimed = manifest.committables.iter().filter(|committable| sinks.contains(&committable.sink));
    (manifest.checkpoint, claimed.cloned().collect())
}

/// How many key groups vertices had in a snapshot, where the job leaves that open. State cannot do with another number; what has
/// none may.
pub(super) fn key_groups(point: &RestorePoint, spec: &JobSpec) -> BTreeMap<VertexId, u32> {
    let mut found = BTreeMap::new();
    for vertex in spec.graph.vertices.iter().filter(|vertex| vertex.max_parallelism.is_none()) {
        let of_vertex = |stored: &&VertexState| {
            stored.operators.iter().any(|stored| vertex.operators.iter().any(|operator| operator.id == stored.id))
        };
        let has_state = |stored: &VertexState| stored.subtasks.iter().any(|subtask| !subtask.files.is_empty());
        let scaled = spec.scale.vertices.get(&vertex.id).map(|scale| scale.parallelism);
        let wanted = scaled.unwrap_or_else(|| vertex.parallelism.resolve(spec.default_parallelism));
        let stored = point.manifest.vertices.iter().filter(of_vertex);
        let stored = stored.filter(|stored| has_state(stored) || stored.max_parallelism.get() >= wanted);
        if let Some(stored) = stored.max_by_key(|stored| has_state(stored)) {
            found.insert(vertex.id, stored.max_parallelism.get());
        }
    }
    found
}

impl JobMasterCore {
    /// Begins the checkpoint that is due, and has the next one stored that is whole.
    pub(super) fn advance_checkpoints(&mut self) {
        self.abort_checkpoints();
        if self.checkpoint_due().is_some_and(|due| due <= self.now) {
            self.begin_checkpoint(Purpose::Periodic);
        }
        while self.store_next() {}
    }

    fn store_next(&mut self) -> bool {
        let Self { checkpoints, graph, spec, now, commits, .. } = self;
        let composer = Composer { graph, spec, now: *now, commits };
        let Some(manifest) = checkpoints.store_next(|pending| composer.manifest(pending)) else { return false };
        let checkpoint = manifest.checkpoint;
        let (retained, directory) = (checkpoints.retained_with(checkpoint), checkpoints.storing_directory(checkpoint));
        if directory.is_some() {
            self.promise_savepoint(&manifest);
            self.tell_past();
        }
        self.actions.push(Action::StoreCheckpoint { manifest, retained, directory });
        true
    }

    /// Tells the tasks of checkpoints that were given up: they would go on writing what nobody wants, and wait for a store for it.
    fn abort_checkpoints(&mut self) {
        let aborted = self.checkpoints.take_aborted();
        if aborted.is_empty() {
            return;
        }
        let hosts: Vec<_> = self.processes.hosts().cloned().collect();
        for host in &hosts {
            for &(first, last) in &aborted {
                self.send_host(host, JobToHost::AbortCheckpoints { first, last });
            }
        }
    }

    /// When the next checkpoint begins without further news.
    pub(super) fn checkpoint_due(&self) -> Option<Millis> {
        self.may_checkpoint().then(|| self.checkpoints.due(self.commits.is_full())).flatten()
    }

    /// Whether all that is not finished runs: barriers reach everything.
    pub(super) fn may_checkpoint(&self) -> bool {
        matches!(self.phase, Phase::Executing) && self.graph.all_run()
    }

    /// Someone asks for a snapshot.
    pub(super) fn snapshot_asked(&mut self, purpose: Purpose) {
        let refused = if !self.may_checkpoint() {
            Some("not all tasks of the job run; try again when they do")
        } else if self.checkpoints.is_stopping() {
            Some("the job is being stopped with a savepoint")
        } else if self.is_about_to_rescale() {
            Some("the job is being rescaled; try again when its tasks run")
        } else if self.spec.graph.mode == ExecutionMode::Batch {
            Some("a job in batch mode takes no snapshots")
        } else if self.spec.snapshots.directory.is_none() {
            Some("the job has no directory for checkpoints (execution.checkpointing.dir)")
        } else if purpose.kind() == SnapshotKind::Savepoint
            && purpose.behind() == Behind::GoOn
            && self.promises_enough()
        {
            Some(
                "what earlier savepoints hold is not visible yet, and comes to 16 MiB of names; a checkpoint (flott checkpoint) makes \
                 it visible, but for what the job has gone back behind; flott stop, and flott cancel without a savepoint, go through \
                 in any case",
            )
        } else {
            None
        };
        match (refused, purpose.request()) {
            (None, _) => {
                self.begin_checkpoint(purpose);
            }
            (Some(problem), Some(request)) => {
                let result = Err(Failure::environment(problem));
                self.actions.push(Action::SnapshotAnswered { request, result });
            }
            (Some(_), None) => {}
        }
    }

    pub(super) fn begin_checkpoint(&mut self, purpose: Purpose) -> CheckpointId {
        let (finished, awaited): (BTreeSet<_>, BTreeSet<_>) =
            self.graph.resolved().executions().partition(|execution| self.graph.execution(*execution).done);
        let next = self.checkpoints.next();
        let cut = |coordinator: &mut crate::splits::SplitCoordinator| {
            let (known, unassigned) = coordinator.cut(next);
            SourceCut { source: coordinator.source, known, unassigned }
        };
        let sources = self.splits.iter_mut().map(cut).collect();
        let mut attempts: BTreeMap<_, (Arc<Host>, Vec<_>)> = BTreeMap::new();
        let directory = purpose.directory().map(str::to_owned);
        for &execution in &awaited {
            let is_source = !self.graph.vertex_of(execution).sources.is_empty();
            let Some(host) = self.host_of(execution).filter(|_| is_source || directory.is_some()) else { continue };
            let attempt = is_source.then(|| self.graph.attempt_id(execution));
            attempts.entry(host.location.process).or_insert((host, Vec::new())).1.extend(attempt);
        }
        let barrier = self.checkpoints.begin(purpose, awaited, finished, sources, self.now);
        for (host, attempts) in attempts.into_values() {
            self.send_host(&host, JobToHost::Snapshot { barrier, attempts, directory: directory.clone() });
        }
        barrier.checkpoint
    }

    /// A task has taken part in a checkpoint, or could not.
    pub(super) fn snapshotted(&mut self, execution: ExecutionIndex, mut report: SnapshotReport) {
        // What comes later is a repetition, or is dropped with the attempt: it would do no harm, and be kept for nothing.
        if self.graph.execution(execution).state != ExecutionState::Running {
            return;
        }
        self.graph.execution_mut(execution).prepared.extend(std::mem::take(&mut report.committables));
        if let Ok(state) = &report.result
            && let Some(file) =
                state.files.iter().chain(&state.in_flight).find(|file| file.path.parse::<DataPath>().is_err())
        {
            let message = format!("a task named a state file {:?}, which is no path in the job's directory", file.path);
            report.result = Err(Failure::internal(message));
        }
        let given_up = self.checkpoints.reported(execution, report, self.now);
        self.gave_up(given_up.map(|given_up| self.named(execution, given_up)));
    }

    fn named(&self, execution: ExecutionIndex, given_up: GivenUp) -> GivenUp {
        GivenUp { failure: self.graph.locate(execution, given_up.failure), ..given_up }
    }

    /// A checkpoint has failed: when that is one too many, the tasks go back to the last good one.
    fn gave_up(&mut self, given_up: Option<GivenUp>) {
        let Some(GivenUp { purpose, checkpoint, failure }) = given_up else { return };
        if let Some(request) = purpose.request() {
            self.actions.push(Action::SnapshotAnswered { request, result: Err(failure.clone()) });
        }
        if purpose.behind() != Behind::GoOn {
            // Its sources stand still, and may have said that time has ended: they go back.
            let cause =
                Failure::environment("the job was to stop with a savepoint, which has failed").because(&failure);
            self.fail_regions(self.live_regions(), cause);
            return;
        }
        if !self.checkpoints.too_many_failed() {
            return;
        }
        let cause = Failure::environment(format!(
            "checkpoint {checkpoint} has failed, and more in a row than are tolerated \
             (execution.checkpointing.tolerable-failed-checkpoints)"
        ));
        self.fail_regions(self.live_regions(), cause.because(&failure));
    }

    fn live_regions(&self) -> BTreeSet<RegionIndex> {
        self.regions.keys().filter(|region| self.states.regions[*region].live > 0).collect()
    }

    /// Tasks have failed or are ended: what is under way will never be complete.
    pub(super) fn give_up_checkpoints(&mut self, failure: &Failure) {
        for GivenUp { purpose, failure, .. } in self.checkpoints.give_up_collecting(failure, self.now) {
            if let Some(request) = purpose.request() {
                self.actions.push(Action::SnapshotAnswered { request, result: Err(failure) });
            }
        }
    }

    /// The job ends without knowing whether the checkpoint that is being stored is complete, and so whether somebody can start from it.
    pub(super) fn give_up_storing(&mut self, failure: &Failure) {
        let held: Vec<_> = self.checkpoints.storing_committables().map(promise).collect();
        self.promise_all(held);
        for GivenUp { purpose, failure, .. } in self.checkpoints.give_up_storing(failure, self.now) {
            if let Some(request) = purpose.request() {
                self.actions.push(Action::SnapshotAnswered { request, result: Err(failure) });
            }
        }
    }

    pub(super) fn expire_checkpoints(&mut self) {
        for given_up in self.checkpoints.expire(self.now) {
            self.gave_up(Some(given_up));
        }
    }

    /// The manifest of a checkpoint was committed, or surely was not.
    pub(super) fn checkpoint_stored(&mut self, checkpoint: CheckpointId, result: Result<(), Failure>) {
        let savepoint = self.checkpoints.storing_directory(checkpoint);
        let is_savepoint = savepoint.is_some();
        let location = savepoint.unwrap_or_else(|| self.location_of(checkpoint));
        let surely_not = result.is_err() && !self.checkpoints.may_be_there(checkpoint);
        if is_savepoint {
            self.settle_promises(surely_not);
        }
        let Stored { pending, manifest, superseded } =
            match self.checkpoints.stored(checkpoint, location.clone(), result, self.now) {
                None => return,
                Some(Err(given_up)) => {
                    self.gave_up(Some(given_up));
                    return;
                }
                Some(Ok(stored)) => stored,
            };
        let Pending { purpose, .. } = &pending;
        let (request, behind) = (purpose.request(), purpose.behind());
        // Who has asked for an older checkpoint gets this one.
        for request in superseded.iter().filter_map(Purpose::request).chain(request) {
            let result = Ok(Taken { checkpoint, location: location.clone() });
            self.actions.push(Action::SnapshotAnswered { request, result });
        }
        if pending.is_savepoint() {
            // It is somebody else's now: what is prepared becomes visible with the next checkpoint, unless the job ends here.
            match behind {
                Behind::GoOn => {}
                Behind::Stop | Behind::Drain => self.stop_with(&manifest),
            }
            return;
        }
        let workers: Vec<_> = self.processes.hosts().map(|host| host.worker.clone()).collect();
        for worker in workers {
            self.send(&worker, JobToWorker::Completed { checkpoint });
        }
        self.keep_promises(&manifest.committables);
        self.note_overtaken(checkpoint);
        for execution in self.graph.resolved().executions() {
            let finished = pending.finished.contains(&execution);
            self.graph.execution_mut(execution).committed(checkpoint, finished);
        }
        let mut left: BTreeMap<OperatorId, BTreeMap<SubtaskIndex, Vec<_>>> = BTreeMap::new();
        for (execution, state) in pending.states {
            let subtask = self.graph.execution(execution).subtask;
            for (source, splits) in state.splits {
                left.entry(source).or_default().insert(subtask, splits);
            }
        }
        for coordinator in &mut self.splits {
            coordinator.completed(checkpoint, left.remove(&coordinator.source).unwrap_or_default());
        }
        self.commits.push(checkpoint, manifest.committables.clone());
        let directory = self.spec.snapshots.directory.clone().unwrap_or_default();
        self.latest = Some(Arc::new(RestorePoint { manifest, directory }));
        self.rescale_checkpointed(checkpoint);
    }

    fn location_of(&self, checkpoint: CheckpointId) -> String {
        checkpoint_location(self.spec.snapshots.directory.as_deref().unwrap_or_default(), checkpoint)
    }

    /// Notes what savepoints hold of what `by` makes certain, and of what was so before: it is not told apart later.
    fn note_overtaken(&mut self, by: CheckpointId) {
        let Self { checkpoints, graph, commits, .. } = self;
        for savepoint in checkpoints.overtaken(by) {
            let executions = graph.resolved().executions();
            let own = executions.flat_map(|execution| {
                let finished = savepoint.finished.contains(&execution);
                graph.execution(execution).to_commit(savepoint.barrier.checkpoint, finished)
            });
            let own: Vec<_> = own.map(|committable| promise(&committable)).collect();
            savepoint.certain.get_or_insert_with(|| commits.open().map(promise).collect()).extend(own);
        }
    }

    /// The job ends with a savepoint: what it holds becomes visible, and the tasks have done their work.
    ///
    /// It is promised until it is: what is to be committed and what is promised are written apart from each other, and should only that
    /// there is no promise be there when this JobMaster dies, the next one runs the job on and may remove what the savepoint holds.
    fn stop_with(&mut self, manifest: &Manifest) {
        for execution in self.graph.resolved().executions() {
            self.graph.execution_mut(execution).committed(manifest.checkpoint, true);
        }
        // It has all that an earlier checkpoint has which may be complete yet.
        self.commits.push_last(manifest.checkpoint, manifest.committables.clone());
        // If it ends already, it does so as it was told to. If tasks have failed meanwhile, they are not needed any more.
        if matches!(self.phase, Phase::Executing) {
            // Before the tasks have ended: should this JobMaster die meanwhile, the next one is not to run the job on.
            self.stop = Some(Stop::Persisting);
            self.actions.push(Action::PersistCommit(manifest.committables.clone()));
            self.stop_tasks(Ending::Stopped);
        }
    }
}
