//! What sources ask for: splits, and how far their alignment group has come.

use flott_core::{failure::Failure, id::OperatorId, message::JobToHost, status::ExecutionState};

use super::JobMasterCore;
use crate::{index::ExecutionIndex, splits::Assignment};

impl JobMasterCore {
    pub(super) fn coordinator(&self, execution: ExecutionIndex, source: OperatorId) -> Option<usize> {
        let vertex = self.graph.execution(execution).vertex;
        let mut candidates = self.splits_of.get(&vertex)?.iter().copied();
        candidates.find(|place| self.splits[*place].source == source)
    }

    /// A reader runs: if nobody has listed its sources' splits, it could.
    pub(super) fn want_listing(&mut self, execution: ExecutionIndex) {
        let vertex = self.graph.execution(execution).vertex;
        for &place in self.splits_of.get(&vertex).into_iter().flatten() {
            if self.splits[place].wants_listing() {
                self.unlisted.insert(place);
            }
        }
    }

    /// Asks the lowest subtask that runs for the list of splits, of each source that has none.
    pub(super) fn ask_for_splits(&mut self) {
        for place in std::mem::take(&mut self.unlisted) {
            let coordinator = &self.splits[place];
            if !coordinator.wants_listing() {
                continue;
            }
            let vertex = &self.graph.resolved().vertices[coordinator.vertex];
            let in_state =
                |wanted| vertex.executions().find(|execution| self.graph.execution(*execution).state == wanted);
            let lister = in_state(ExecutionState::Running).or_else(|| in_state(ExecutionState::Initializing));
            let Some(lister) = lister else { continue };
            self.splits[place].asked(self.graph.attempt_id(lister));
            self.send_listing(place, lister);
        }
    }

    pub(super) fn send_listing(&mut self, place: usize, lister: ExecutionIndex) {
        let source = self.splits[place].source;
        let (attempt, parallelism) = (self.graph.attempt_id(lister), self.graph.vertex_of(lister).parallelism);
        if let Some(host) = self.host_of(lister) {
            self.send_host(&host, JobToHost::EnumerateSplits { attempt, source, parallelism });
        }
    }

    pub(super) fn request_split(&mut self, execution: ExecutionIndex, source: OperatorId) {
        let reads = self.reads(execution);
        let Some(place) = self.coordinator(execution, source).filter(|_| reads) else { return };
        let attempt = self.graph.attempt_id(execution);
        match self.splits[place].request(attempt) {
            Some(assignment) => self.send_split(source, assignment),
            None => {
                self.unlisted.insert(place);
            }
        }
    }

    fn send_split(&mut self, source: OperatorId, assignment: Assignment) {
        let Assignment { attempt, split, share } = assignment;
        if let Some(host) = self.graph.current(attempt).and_then(|execution| self.host_of(execution)) {
            self.send_host(&host, JobToHost::AssignSplit { attempt, source, split, share });
        }
    }

    pub(super) fn splits_listed(
        &mut self,
        execution: ExecutionIndex,
        source: OperatorId,
        result: Result<Vec<bytes::Bytes>, Failure>,
    ) {
        let Some(place) = self.coordinator(execution, source) else { return };
        let attempt = self.graph.attempt_id(execution);
        match self.splits[place].listed(attempt, result) {
            Ok(assignments) => {
                for assignment in assignments {
                    self.send_split(source, assignment);
                }
            }
            Err(failure) => self.task_failed(execution, failure),
        }
    }

    /// An attempt has ended: it neither lists nor waits for splits any more, and nobody waits for its watermark.
    pub(super) fn end_reader(&mut self, execution: ExecutionIndex) {
        self.alignment.forget(execution);
        let attempt = self.graph.attempt_id(execution);
        for &place in self.splits_of.get(&self.graph.execution(execution).vertex).into_iter().flatten() {
            if self.splits[place].ended(attempt) {
                self.unlisted.insert(place);
            }
        }
    }

    // ------------------------------------------------------------ alignment

    /// A source says how far it has come, and hears of its group.
    pub(super) fn source_watermark(&mut self, execution: ExecutionIndex, group: &str, watermark: Option<i64>) {
        if !self.reads(execution) {
            return;
        }
        let watermark = self.alignment.report(execution, group, watermark);
        let attempt = self.graph.attempt_id(execution);
        if let Some(host) = self.host_of(execution) {
            self.send_host(&host, JobToHost::GroupWatermark { attempt, watermark });
        }
    }

    /// Whether an attempt may be reading.
    pub(super) fn reads(&self, execution: ExecutionIndex) -> bool {
        match self.graph.execution(execution).state {
            ExecutionState::Deploying | ExecutionState::Initializing | ExecutionState::Running => true,
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Finished
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Failed
            | ExecutionState::Reconciling => false,
        }
    }
}
