//! What an earlier JobMaster knew, put together from the journals of its processes and the latest complete checkpoint.
//!
//! A task has either taken part in that checkpoint, or has begun from it: then its splits were handed out again. Of the former the
//! checkpoint holds what they had left, and journals tell what they were given since; of both, journals tell what their sinks have
//! prepared since. Anything else is a contradiction, and nothing is taken over.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    checkpoint::Origin,
    id::{CheckpointId, OperatorId, WorkerKey},
    journal::{Journal, ReaderJournal, TaskJournal},
    message::{Found, HostToJob, TaskStateChange},
    status::ExecutionState,
};
use flott_snapshot::{Manifest, SubtaskState, VertexState};

use super::{
    JobMasterCore, checkpointing::origin_of, promises::promise, reconciling::Reconciling, regions::RegionPhase,
};
use crate::{index::ExecutionIndex, slot_pool::HeldSlot, splits::TakenReader};

/// The newest attempt of each subtask, and where it was found.
type Tasks = BTreeMap<ExecutionIndex, (WorkerKey, TaskJournal)>;

/// Why nothing is taken over.
type Contradiction = &'static str;

impl JobMasterCore {
    /// Takes everything over. What has changed when it does not fit is for the caller to drop.
    pub(super) fn assemble(&mut self, reconciling: Reconciling) -> Result<(), Contradiction> {
        let Reconciling { found, journals, said, .. } = reconciling;
        let mut tasks = self.newest(&journals)?;
        self.check_regions(&tasks)?;
        if tasks.values().any(|(_, task)| task.is_stopping) {
            return Err("it was being stopped with a savepoint, and goes on from its latest checkpoint");
        }
        if journals.values().any(|journal| journal.completed > self.own_number()) {
            return Err("a later checkpoint was complete than is there");
        }
        self.check_origins(&tasks)?;
        self.adopt_processes(&found)?;
        for (execution, (worker, task)) in &tasks {
            let slot = self.slots.sharing().of(*execution);
            if !self.slots.adopt(slot, worker, task.allocation) {
                return Err("its slots are not as they were");
            }
            self.states.set_ready(slot, true);
            self.graph.execution_mut(*execution).attempt = task.attempt.attempt;
        }
        self.take_splits_over(&tasks, &journals)?;
        self.begin_executing();
        for region in self.regions.keys() {
            self.states.regions[region].phase = RegionPhase::Deployed;
            for slot in &self.states.regions[region].slots {
                self.slots.settle(*slot);
            }
        }
        for execution in tasks.keys() {
            self.place(*execution);
        }
        self.take_checkpoints_over(&mut tasks, &journals);
        tracing::info!(job = %self.spec.graph.job_id, tasks = tasks.len(), "tasks of an earlier JobMaster go on");
        let process_of = |worker: &WorkerKey| found.get(worker).map(|found| found.location.process);
        let mut ended = Vec::new();
        for (execution, (worker, mut task)) in tasks {
            let process = process_of(&worker).ok_or("a process of it is missing")?;
            let has_failed = |report: &mut TaskStateChange| {
                matches!(report.state, ExecutionState::Failed | ExecutionState::Canceled)
            };
            ended.extend(task.report.take_if(has_failed).map(|report| (execution, report)));
            let requests = task.readers.iter().flat_map(|(source, reader)| {
                let request = HostToJob::RequestSplit { attempt: task.attempt, source: *source };
                std::iter::repeat_n(request, reader.unanswered as usize)
            });
            for message in task.report.map(Box::new).map(HostToJob::TaskState).into_iter().chain(requests) {
                self.host_message(&worker, process, message);
            }
        }
        self.retell(ended);
        for (worker, process, message) in said {
            self.host_message(&worker, process, message);
        }
        self.settle_slots(&found);
        Ok(())
    }

    /// Has slots be what TaskManagers say that the job has. What an earlier JobMaster had and nothing runs in goes back: it was about to
    /// deploy into it, or to rescale; it would count as the job's, and nobody would use it. What a task was placed in before it was
    /// taken back is lost, which that JobMaster did not hear any more.
    fn settle_slots(&mut self, found: &BTreeMap<WorkerKey, Found>) {
        let mut unused = Vec::new();
        for (worker, found) in found {
            let held = self.slots.allocations_on(worker);
            for allocation in held.iter().filter(|allocation| !found.slots.contains(allocation)) {
                self.slot_lost(worker, *allocation, "the TaskManager does not have it any more");
            }
            for allocation in found.slots.iter().filter(|allocation| !held.contains(allocation)) {
                // It may be on offer at this moment.
                self.slots.forget(*allocation);
                unused.push(HeldSlot { allocation: *allocation, worker: worker.clone() });
            }
        }
        self.return_slots(unused);
    }

    /// What counts of all journals.
    fn newest(&mut self, journals: &BTreeMap<WorkerKey, Journal>) -> Result<Tasks, Contradiction> {
        let resolved = self.graph.resolved();
        let (mut tasks, mut retired) = (Tasks::new(), None);
        let has_ended = |task: &TaskJournal| task.report.as_ref().is_some_and(|report| report.state.is_terminal());
        for (worker, journal) in journals {
            for task in journal.tasks() {
                let vertex = resolved.by_id.get(&task.attempt.vertex).map(|vertex| &resolved.vertices[*vertex]);
                if vertex.is_some_and(|vertex| vertex.parallelism != task.parallelism) {
                    if has_ended(task) {
                        // What a rescaling has left behind.
                        retired = retired.max(Some(task.attempt.attempt));
                        continue;
                    }
                    return Err("tasks of another parallelism of it run");
                }
                let execution = vertex.and_then(|vertex| vertex.execution(task.attempt.subtask.0));
                let execution = execution.ok_or("a task of it is none of the job graph")?;
                let Some((_, known)) = tasks.get(&execution) else {
                    tasks.insert(execution, (worker.clone(), task.clone()));
                    continue;
                };
                if known.attempt == task.attempt {
                    return Err("one attempt was found twice");
                }
                let is_newer = known.attempt < task.attempt;
                if !has_ended(if is_newer { known } else { task }) {
                    return Err("an attempt of it runs that another has taken the place of");
                }
                if is_newer {
                    tasks.insert(execution, (worker.clone(), task.clone()));
                }
            }
        }
        if tasks.len() < resolved.subtasks as usize {
            return Err("a task of it is missing");
        }
        if let Some(attempt) = retired {
            self.graph.note_retired(attempt);
        }
        Ok(tasks)
    }

    /// The tasks of a region start over together. If some have not heard of it, the others wait for them in vain.
    fn check_regions(&self, tasks: &Tasks) -> Result<(), Contradiction> {
        for region in self.regions.keys() {
            let members = self.regions.members(region).iter().filter_map(|member| tasks.get(member));
            let mut attempts = members.map(|(_, task)| task.attempt.attempt);
            let first = attempts.next();
            if !attempts.all(|attempt| Some(attempt) == first) {
                return Err("some tasks of a region of it have started over, and others not");
            }
        }
        Ok(())
    }

    fn adopt_processes(&mut self, found: &BTreeMap<WorkerKey, Found>) -> Result<(), Contradiction> {
        let mut secrets = found.values().map(|found| found.secret);
        self.setup.secret = secrets.next().ok_or("nothing of it was found")?;
        if secrets.any(|secret| secret != self.setup.secret) {
            return Err("its processes do not know of each other");
        }
        let configuration = self.setup.configuration_digest();
        if found.values().any(|found| found.configuration != configuration) {
            return Err("it was started with another configuration");
        }
        for (worker, found) in found {
            self.processes.adopt(worker, found.location.clone());
        }
        Ok(())
    }

    // ------------------------------------------------------------ the latest checkpoint

    fn origin(&self) -> Option<Origin> {
        self.latest.as_ref().map(|point| origin_of(&point.manifest))
    }

    /// The latest checkpoint, if it is one of this job: its tasks may have taken part in it.
    fn own_latest(&self) -> Option<&Manifest> {
        let manifest = &self.latest.as_ref()?.manifest;
        let is_own =
            manifest.job_id == self.spec.graph.job_id && manifest.kind == flott_snapshot::SnapshotKind::Checkpoint;
        is_own.then_some(manifest)
    }

    /// Its number; 0 if there is none.
    pub(super) fn own_number(&self) -> CheckpointId {
        self.own_latest().map_or(CheckpointId(0), |manifest| manifest.checkpoint)
    }

    /// What `execution` has left in the latest checkpoint, if it took part in it.
    fn part_of(&self, execution: ExecutionIndex, task: &TaskJournal) -> Option<&SubtaskState> {
        let manifest = self.own_latest().filter(|_| task.origin != self.origin())?;
        let vertex = self.graph.vertex_of(execution).id;
        let stored = manifest.vertices.iter().find(|stored| stored.id == vertex)?;
        stored.subtasks.get(task.attempt.subtask.0 as usize)
    }

    /// Whether each task has begun from the latest checkpoint, or has taken part in it.
    fn check_origins(&self, tasks: &Tasks) -> Result<(), Contradiction> {
        let (own, latest) = (self.own_latest(), self.origin());
        for (execution, (_, task)) in tasks {
            if task.origin == latest {
                continue;
            }
            let Some(manifest) = own else { return Err("a task of it has begun from what is not there") };
            // A barrier has a number of its own, whoever sent it: who has reported it is the one that the checkpoint knows.
            let had_finished = || {
                let part = self.part_of(*execution, task);
                let is_finished = |report: &TaskStateChange| report.state == ExecutionState::Finished;
                part.is_some_and(|part| part.finished) && task.report.as_ref().is_some_and(is_finished)
            };
            if !task.reported.contains(&manifest.checkpoint) && !had_finished() {
                return Err("a task of it has neither begun from its latest checkpoint nor taken part in it");
            }
            let vertex = self.graph.vertex_of(*execution);
            let is_same = |stored: &VertexState| stored.id == vertex.id && stored.parallelism == vertex.parallelism;
            if !manifest.vertices.iter().any(is_same) {
                return Err("its latest checkpoint is of another parallelism");
            }
        }
        Ok(())
    }

    fn take_checkpoints_over(&mut self, tasks: &mut Tasks, journals: &BTreeMap<WorkerKey, Journal>) {
        let complete = self.own_number();
        let held: BTreeSet<_> = self.own_latest().into_iter().flat_map(|own| &own.committables).map(promise).collect();
        let savepoint = journals.values().filter_map(|journal| journal.savepoint).max();
        let mut barrier = journals.values().map(|journal| journal.barrier).max().unwrap_or_default();
        for (execution, (_, task)) in tasks.iter_mut() {
            if self.part_of(*execution, task).is_some_and(|state| state.finished)
                && let Some(report) = &mut task.report
            {
                // The checkpoint has them.
                report.committables.clear();
                report.accumulators.clear();
                report.metrics.counters.clear();
            }
            let mut prepared = std::mem::take(&mut task.prepared);
            // What was reported too late for the checkpoint becomes visible with the next one.
            prepared.iter_mut().for_each(|(_, committables)| committables.retain(|of| !held.contains(&promise(of))));
            prepared.retain(|(_, committables)| !committables.is_empty());
            if savepoint > Some(complete) {
                // It may hold what had finished by then.
                self.promise_all(task.report.iter().flat_map(|report| &report.committables).map(promise));
            }
            for (checkpoint, committables) in &prepared {
                barrier = barrier.max(*checkpoint);
                if Some(*checkpoint) <= savepoint {
                    self.promise_all(committables.iter().map(promise));
                }
            }
            self.graph.execution_mut(*execution).prepared = prepared;
        }
        let rounds = journals.values().map(|journal| journal.round);
        self.commits.after_round(rounds.max().unwrap_or_default());
        self.checkpoints.take_over(barrier, complete);
    }

    // ------------------------------------------------------------ splits

    fn take_splits_over(
        &mut self,
        tasks: &Tasks,
        journals: &BTreeMap<WorkerKey, Journal>,
    ) -> Result<(), Contradiction> {
        let barrier = journals.values().map(|journal| journal.barrier).max().unwrap_or_default();
        for place in 0..self.splits.len() {
            let (source, vertex) = (self.splits[place].source, self.splits[place].vertex);
            let mut readers = Vec::new();
            for execution in self.graph.resolved().vertices[vertex].executions() {
                readers.extend(tasks.get(&execution).map(|(_, task)| self.taken_reader(execution, task, source)));
            }
            let splits = self.unbegun(source, tasks, journals)?;
            if !self.splits[place].take_over(splits, readers, barrier) {
                return Err("its list of splits is not the one that its readers were given of");
            }
        }
        let known = |source: &OperatorId| self.splits.iter().any(|splits| splits.source == *source);
        if !tasks.values().flat_map(|(_, task)| task.readers.keys()).all(known) {
            return Err("a reader of it reads another source");
        }
        Ok(())
    }

    fn taken_reader(&self, execution: ExecutionIndex, task: &TaskJournal, source: OperatorId) -> TakenReader {
        let part = self.part_of(execution, task);
        let since = if part.is_some() { self.own_number() } else { CheckpointId(0) };
        let ReaderJournal { given, is_dismissed, .. } = task.readers.get(&source).cloned().unwrap_or_default();
        let given = given.into_iter().filter(|(after, _)| *after >= since);
        TakenReader {
            attempt: task.attempt,
            given: given.flat_map(|(after, marks)| marks.into_iter().map(move |mark| (after, mark))).collect(),
            left: part.map(|part| part.left_of(source).to_vec()).unwrap_or_default(),
            is_dismissed,
        }
    }

    /// The splits of a source that nobody had begun at the latest checkpoint, with those that were handed out again since; or its list.
    /// Nothing if that is not known.
    fn unbegun(
        &self,
        source: OperatorId,
        tasks: &Tasks,
        journals: &BTreeMap<WorkerKey, Journal>,
    ) -> Result<Option<Vec<bytes::Bytes>>, Contradiction> {
        let manifest = self.latest.as_ref().map(|point| &point.manifest);
        let stored = manifest.and_then(|manifest| manifest.sources.iter().find(|stored| stored.source == source));
        if let (Some(manifest), Some(stored)) = (manifest, stored.filter(|stored| stored.known)) {
            let took_part = |execution: &ExecutionIndex| {
                tasks.get(execution).is_some_and(|(_, task)| self.part_of(*execution, task).is_some())
            };
            let handed_out = manifest.vertices.iter().flat_map(|stored| {
                let current = self.graph.resolved().by_id.get(&stored.id);
                let vertex = current.map(|vertex| &self.graph.resolved().vertices[*vertex]);
                (0..).zip(&stored.subtasks).filter(move |(subtask, _)| {
                    !vertex.and_then(|vertex| vertex.execution(*subtask)).is_some_and(|execution| took_part(&execution))
                })
            });
            let handed_out = handed_out.flat_map(|(_, state)| state.left_of(source));
            return Ok(Some(handed_out.chain(&stored.splits).cloned().collect()));
        }
        let listings = journals.values().flat_map(Journal::listings).filter(|(listed, _)| *listed == source);
        let mut lists = listings.filter_map(|(_, listing)| listing.splits.clone());
        // Should an answer still come, it is that of somebody who was not asked.
        let list = lists.next();
        if lists.any(|other| list.as_ref() != Some(&other)) {
            return Err("there are two lists of its splits");
        }
        Ok(list)
    }
}
