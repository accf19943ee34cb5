//! What the process of a TaskManager does with its tasks.

use super::*;

impl FakeWorker {
    pub(super) fn host(&mut self, message: JobToHost) -> Vec<WorkerToJob> {
        if let Some(process) = &mut self.process {
            process.journal.told(&message);
        }
        match message {
            JobToHost::Deploy(deployment) => self.deploy(&deployment),
            JobToHost::Cancel(attempts) => attempts.into_iter().filter_map(|attempt| self.cancel(attempt)).collect(),
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                let splits = (0..self.profile.splits).map(|split| Bytes::from(format!("{source}/{split}")));
                let message = HostToJob::SplitsEnumerated { attempt, source, result: Ok(splits.collect()) };
                self.says(message).into_iter().collect()
            }
            JobToHost::GroupWatermark { attempt, watermark } => {
                self.aligned.insert(attempt, watermark);
                Vec::new()
            }
            JobToHost::AssignSplit { attempt, split, .. } => {
                if let Some(task) = self.task(attempt) {
                    task.asked = false;
                    match split {
                        Some(split) => {
                            task.read.push(split);
                            task.counted += 1;
                        }
                        None => task.exhausted = true,
                    }
                }
                Vec::new()
            }
            JobToHost::Snapshot { barrier, attempts, .. } => {
                self.profile.store.lock().unwrap().newest = Some(barrier.checkpoint);
                attempts.into_iter().filter_map(|attempt| self.snapshot(attempt, barrier.checkpoint)).collect()
            }
            JobToHost::AbortCheckpoints { first, last } => {
                self.given_up.push((first, last));
                Vec::new()
            }
            JobToHost::Commit { round, committables } => {
                self.committed.push(committables);
                let result = match self.commits.pop_front() {
                    Some(Outcome::Bad(failure)) => Err(failure),
                    Some(Outcome::Good) | None => {
                        let committed = self.committed.last().into_iter().flatten();
                        let data = committed.map(|committable| committable.data.clone());
                        self.profile.store.lock().unwrap().visible.extend(data);
                        Ok(std::mem::take(&mut self.tells))
                    }
                };
                self.says(HostToJob::Committed { round, result }).into_iter().collect()
            }
            JobToHost::Abort { kept } => {
                self.aborted += 1;
                self.kept = kept.into_values().flatten().collect();
                self.says(HostToJob::Aborted { result: Ok(()) }).into_iter().collect()
            }
        }
    }

    fn says(&mut self, message: HostToJob) -> Option<WorkerToJob> {
        let running = self.process.as_mut()?;
        running.journal.said(&message);
        let process = running.location.process;
        Some(WorkerToJob::Host { process, message })
    }

    fn task(&mut self, attempt: AttemptId) -> Option<&mut Task> {
        self.process.as_mut()?.tasks.get_mut(&attempt)
    }

    fn deploy(&mut self, deployment: &Deployment) -> Vec<WorkerToJob> {
        let Some(process) = &mut self.process else { return Vec::new() };
        for task in &deployment.tasks {
            if process.known.insert(task.attempt) {
                let state = ExecutionState::Deploying;
                let store = self.profile.store.lock().unwrap();
                let AttemptId { vertex, subtask, .. } = task.attempt;
                let restore = task.restore.as_deref();
                let had_finished = restore.is_some_and(|restore| restore.finished);
                // There may be fewer subtasks now, or more.
                let parts = store.at.iter().filter(|((checkpoint, of, part), _)| {
                    restore.is_some_and(|restore| restore.origin.checkpoint == *checkpoint)
                        && !had_finished
                        && (*of, part.0 % task.parallelism) == (vertex, subtask.0)
                });
                let read = parts.flat_map(|(_, read)| read.clone()).collect();
                let (barrier, exhausted) = (store.newest, had_finished);
                let task_state = Task { barrier, had_finished, state, read, counted: 0, asked: false, exhausted };
                process.tasks.insert(task.attempt, task_state);
            }
        }
        Vec::new()
    }

    fn cancel(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        if self.is_stuck {
            return None;
        }
        let process = self.process.as_mut()?;
        if !process.tasks.contains_key(&attempt) && process.known.contains(&attempt) {
            // It has said how it ended.
            return None;
        }
        self.ends(attempt, ExecutionState::Canceled, None)
    }

    /// What its tasks count, as a process says it of its own accord.
    pub fn figures(&mut self) -> Option<WorkerToJob> {
        let tasks = &self.process.as_ref()?.tasks;
        let figures = tasks.iter().map(|(attempt, task)| (*attempt, task.figures())).collect();
        self.says(HostToJob::Metrics(figures))
    }

    /// A task is gone, with this state.
    fn ends(&mut self, attempt: AttemptId, state: ExecutionState, failure: Option<Failure>) -> Option<WorkerToJob> {
        let report = self.report(attempt, state, failure);
        self.process.as_mut()?.tasks.remove(&attempt);
        report
    }

    fn report(&mut self, attempt: AttemptId, state: ExecutionState, failure: Option<Failure>) -> Option<WorkerToJob> {
        let metrics = self.task(attempt).map(|task| task.figures()).unwrap_or_default();
        self.says(HostToJob::TaskState(Box::new(TaskStateChange {
            attempt,
            state,
            failure,
            metrics,
            committables: Vec::new(),
            accumulators: BTreeMap::new(),
        })))
    }

    /// A task goes on by one step: it initializes, runs, asks for splits, and finishes when there are none left. Tasks
    /// that are not sources finish as soon as they run.
    pub fn work(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        let source = self.profile.sources.get(&attempt.vertex).copied();
        let newest = self.profile.store.lock().unwrap().newest;
        let task = self.task(attempt)?;
        match task.state {
            ExecutionState::Deploying => {
                task.state = ExecutionState::Initializing;
                self.report(attempt, ExecutionState::Initializing, None)
            }
            ExecutionState::Initializing => {
                task.state = ExecutionState::Running;
                self.report(attempt, ExecutionState::Running, None)
            }
            ExecutionState::Running => match source {
                None if !task.had_finished && task.barrier < newest => {
                    newest.and_then(|newest| self.snapshot(attempt, newest))
                }
                Some(source) if !task.exhausted => {
                    if task.asked {
                        return None;
                    }
                    task.asked = true;
                    self.says(HostToJob::RequestSplit { attempt, source })
                }
                Some(_) | None => self.finish(attempt),
            },
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Finished
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Failed
            | ExecutionState::Reconciling => None,
        }
    }

    /// A running task comes to a barrier.
    fn snapshot(&mut self, attempt: AttemptId, checkpoint: CheckpointId) -> Option<WorkerToJob> {
        let sink = self.profile.sinks.get(&attempt.vertex).copied();
        let is_orphan = self.is_orphan;
        let task = self.task(attempt).filter(|task| task.state == ExecutionState::Running)?;
        task.barrier = Some(checkpoint);
        let read = task.read.clone();
        if !is_orphan {
            self.profile.store.lock().unwrap().at.insert((checkpoint, attempt.vertex, attempt.subtask), read);
        }
        let committable = sink.map(|sink| self.committable(sink, attempt, &format!(" at {checkpoint}")));
        self.says(HostToJob::Snapshot(Box::new(SnapshotReport {
            attempt,
            checkpoint,
            result: Ok(SubtaskState::default()),
            committables: committable.map(|committable| (checkpoint, vec![committable])).into_iter().collect(),
            figures: SnapshotFigures::default(),
        })))
    }

    /// Something that nobody else prepares: attempts are counted anew where a job starts over under another JobMaster.
    fn committable(&self, sink: OperatorId, attempt: AttemptId, when: &str) -> Committable {
        let process = self.process.as_ref().map_or(ProcessId::from_bytes([0; 16]), |process| process.location.process);
        let data = Bytes::from(format!("{attempt} in {process}{when}"));
        let mut store = self.profile.store.lock().unwrap();
        store.prepared.entry((attempt, self.key.worker.clone())).or_default().push(data.clone());
        Committable { sink, attempt, data }
    }

    /// A task finishes: it tells which splits it has read, and what its sink has prepared; unless its subtask had finished before.
    pub fn finish(&mut self, attempt: AttemptId) -> Option<WorkerToJob> {
        let sink = self.profile.sinks.get(&attempt.vertex).copied();
        if self.task(attempt)?.had_finished {
            return self.ends(attempt, ExecutionState::Finished, None);
        }
        let task = self.process.as_mut()?.tasks.remove(&attempt)?;
        let read = task.read.iter().map(|split| String::from_utf8_lossy(split).into_owned()).collect();
        let committable = sink.map(|sink| self.committable(sink, attempt, ""));
        self.says(HostToJob::TaskState(Box::new(TaskStateChange {
            attempt,
            state: ExecutionState::Finished,
            failure: None,
            metrics: task.figures(),
            committables: committable.into_iter().collect(),
            accumulators: BTreeMap::from([("splits".to_owned(), Accumulator::List(read))]),
        })))
    }

    /// A task fails.
    pub fn fail(&mut self, attempt: AttemptId, failure: Failure) -> Option<WorkerToJob> {
        self.task(attempt)?;
        self.ends(attempt, ExecutionState::Failed, Some(failure))
    }
}
