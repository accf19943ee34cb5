//! Where the tasks of a host store what they give at barriers, and find what they start from.
//!
//! One thread with an executor of its own does it all: it waits for a store, which must not hold up tasks, and is not
//! held up by them.
//!
//! # Layout
//! - `store`: writes what is given
//! - `chain`: the files that snapshots of a task consist of
//! - `preparations`: what sinks have prepared, until it is reported
//! - `restore`: reads them

mod chain;
mod preparations;
mod restore;
mod store;

use std::{collections::HashMap, sync::Arc};

use flott_core::{
    checkpoint::{Barrier, TaskRestore},
    config::{Configuration, keys::checkpointing},
    failure::Failure,
    id::{AttemptId, CheckpointId, SubtaskIndex, VertexId},
    job_graph::JobGraph,
    key_group::KeyGroupRange,
    message::{HostToJob, JobSetup},
};
use flott_snapshot::{Directory, S3Options};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::TaskResult,
    snapshot::{Cut, Piece, RestoredTask, SnapshotPort},
    state::Extent,
    task::wiring::Report,
};
use chain::Chains;
use preparations::Preparations;
use restore::Belongs;
use store::{Store, Writing};

/// Savepoints whose directories are remembered.
const SAVEPOINTS_MAX: usize = 64;

/// Stores and restores the state of tasks.
pub(super) struct Snapshots {
    store: Arc<Store>,
    writing: Mutex<HashMap<AttemptId, Writing>>,
    /// Cuts of each attempt that are not reported yet.
    unreported: Arc<watch::Sender<HashMap<AttemptId, usize>>>,
    report: Report,
    runtime: Handle,
    /// Ends the thread.
    _ended: DropGuard,
}

impl Snapshots {
    /// Starts the thread. It ends when this is dropped.
    pub fn start(setup: &JobSetup, report: Report) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        // A configuration is checked where it is taken in: what cannot be read is not there.
        let configuration = Configuration::try_from(setup.configuration.clone()).unwrap_or_default();
        let s3 = S3Options::of(&configuration);
        let root = configuration.get(&checkpointing::DIR);
        let store = Arc::new(Store {
            root: root.map(|root| Directory::open(&root, &s3).map_err(refused)),
            s3,
            job: setup.job,
            savepoints: watch::Sender::default(),
            chains: Chains::default(),
            preparations: Preparations::default(),
        });
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        std::thread::Builder::new().name("flott-snapshots".into()).spawn(move || {
            runtime.block_on(ended.cancelled());
            // A write that hangs must not hold up the end.
            runtime.shutdown_background();
        })?;
        let (writing, unreported) = (Mutex::default(), Arc::default());
        Ok(Self { store, writing, unreported, report, runtime: handle, _ended: guard })
    }

    /// Whether state could be stored at all: a task that never will be part of a checkpoint must not begin.
    pub fn check(&self) -> TaskResult {
        self.store.root.as_ref().map_or(Ok(()), |root| root.as_ref().map(drop).map_err(|failure| failure.clone()))
    }

    /// The state of savepoint `checkpoint` goes to `directory`.
    pub fn savepoint(&self, checkpoint: CheckpointId, directory: String) {
        self.store.savepoints.send_modify(|known| {
            // One that is asked for again, or was given up, may be among them; few are under way.
            while known.len() >= SAVEPOINTS_MAX && known.pop_first().is_some() {}
            known.insert(checkpoint, directory);
        });
    }

    /// Waits until all that `attempt` has given at barriers is stored and reported. What its sinks have prepared there must be
    /// known before it says that it has finished.
    pub async fn reported(&self, attempt: AttemptId) {
        let mut unreported = self.unreported.subscribe();
        // The sender is here as well.
        let _ = unreported.wait_for(|unreported| !unreported.contains_key(&attempt)).await;
    }

    /// The attempt has ended.
    pub fn forget(&self, attempt: AttemptId) {
        self.writing.lock().remove(&attempt);
        self.store.chains.forget(attempt);
        self.store.preparations.forget(attempt);
    }

    /// Reads what a task of `vertex` starts from. Blocks.
    pub fn restore(
        &self,
        restore: &TaskRestore,
        groups: KeyGroupRange,
        (vertex, graph): (VertexId, Arc<JobGraph>),
        subtask: SubtaskIndex,
        parallelism: u32,
    ) -> TaskResult<RestoredTask> {
        let (sender, answer) = std::sync::mpsc::channel();
        let (restore, s3) = (restore.clone(), self.store.s3.clone());
        self.runtime.spawn(async move {
            // Who asks may have gone.
            let belong = |operator| Belongs::to(vertex, &graph, operator);
            let _ = sender.send(restore::read(&restore, groups, belong, subtask, parallelism, &s3).await);
        });
        answer.recv().map_err(|_| Failure::internal("the thread that reads snapshots is gone"))?
    }
}

impl SnapshotPort for Snapshots {
    fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent {
        let extent = self.store.chains.begin(attempt, barrier);
        let (writing, stored) = self.store.open(attempt, barrier, extent);
        let (report, unreported) = (Arc::clone(&self.report), Arc::clone(&self.unreported));
        unreported.send_modify(|unreported| *unreported.entry(attempt).or_default() += 1);
        self.runtime.spawn(async move {
            if let Some(stored) = stored.await {
                report(HostToJob::Snapshot(Box::new(stored)));
            }
            unreported.send_modify(|unreported| {
                if let Some(count) = unreported.get_mut(&attempt) {
                    *count -= 1;
                    if *count == 0 {
                        unreported.remove(&attempt);
                    }
                }
            });
        });
        self.writing.lock().insert(attempt, writing);
        extent
    }

    fn give(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(writing) = self.writing.lock().get(&attempt).filter(|_| !pieces.is_empty()) {
            writing.give(pieces);
        }
    }

    fn give_in_flight(&self, attempt: AttemptId, pieces: Vec<Piece>) {
        if let Some(writing) = self.writing.lock().get(&attempt) {
            writing.give_in_flight(pieces);
        }
    }

    fn has_room(&self, attempt: AttemptId) -> bool {
        self.writing.lock().get(&attempt).is_none_or(Writing::has_room)
    }

    fn store(&self, attempt: AttemptId, mut cut: Cut) {
        if let Some(writing) = self.writing.lock().remove(&attempt) {
            // At once, as later snapshots may be stored before this one is.
            self.store.preparations.note(attempt, cut.barrier.checkpoint, std::mem::take(&mut cut.prepared));
            writing.finish(cut);
        }
    }
}

fn refused(error: flott_snapshot::Error) -> Box<Failure> {
    Box::new(Failure::from(error))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::mpsc, time::Duration};

    use bytes::Bytes;
    use flott_core::{
        checkpoint::{Behind, Overtaking, SnapshotKind, SnapshotReport},
        id::{AttemptNumber, Digest, JobId, JobSecret, OperatorId},
    };

    use super::*;
    use crate::{
        snapshot::{Chunk, Section, SectionSort},
        state::Spread,
    };

    /// A task whose snapshots are stored in `checkpoints`.
    fn start(checkpoints: &std::path::Path) -> (Snapshots, mpsc::Receiver<SnapshotReport>) {
        let (sender, reports) = mpsc::channel();
        let setup = JobSetup {
            job: JobId::from_bytes([1; 16]),
            name: "job".to_owned(),
            graph: Digest::of(b""),
            program: Digest::of(b""),
            program_name: "program".to_owned(),
            arguments: Vec::new(),
            secret: JobSecret::random(),
            configuration: [(checkpointing::DIR.key().to_owned(), checkpoints.display().to_string())].into(),
        };
        let report = move |message| {
            if let HostToJob::Snapshot(report) = message {
                let _ = sender.send(*report);
            }
        };
        (Snapshots::start(&setup, Arc::new(report)).unwrap(), reports)
    }

    /// The task comes to a barrier, gives state, and a sink of it prepares something.
    fn cut(snapshots: &Snapshots, attempt: AttemptId, checkpoint: u64, kind: SnapshotKind) {
        let barrier =
            Barrier { checkpoint: CheckpointId(checkpoint), kind, behind: Behind::GoOn, overtaking: Overtaking::Never };
        let operator = OperatorId::from_bytes([3; 16]);
        let extent = snapshots.begin(attempt, barrier);
        let section = Section { name: "state".into(), sort: SectionSort::Elements(Spread::Split), schema: None };
        let chunk = Chunk { group: None, removed: false, count: 1, bytes: vec![1].into() };
        snapshots.give(attempt, vec![(operator, section, chunk)]);
        let mut cut = Cut::new(barrier, extent, Duration::ZERO);
        cut.prepared.push((operator, Bytes::from(format!("at {checkpoint}"))));
        snapshots.store(attempt, cut);
    }

    fn prepared(report: &SnapshotReport) -> BTreeMap<u64, Vec<Bytes>> {
        assert!(report.result.is_ok(), "{:?}", report.result);
        let all = report.committables.iter();
        all.map(|(id, all)| (id.0, all.iter().map(|committable| committable.data.clone()).collect())).collect()
    }

    #[test]
    fn a_checkpoint_that_overtakes_a_savepoint_tells_what_was_prepared_before_both() {
        let directory = tempfile::tempdir().unwrap();
        let (snapshots, reports) = start(&directory.path().join("checkpoints"));
        let vertex = VertexId::from_bytes([2; 16]);
        let attempt = AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
        // Nobody has said yet where the savepoint goes.
        cut(&snapshots, attempt, 1, SnapshotKind::Savepoint);
        cut(&snapshots, attempt, 2, SnapshotKind::Checkpoint);
        let next = || reports.recv_timeout(Duration::from_secs(30)).expect("a report");
        let checkpoint = next();
        assert_eq!(checkpoint.checkpoint, CheckpointId(2));
        assert_eq!(prepared(&checkpoint), [(1, vec!["at 1".into()]), (2, vec!["at 2".into()])].into());
        let savepoints = directory.path().join("savepoint");
        std::fs::create_dir(&savepoints).unwrap();
        snapshots.savepoint(CheckpointId(1), savepoints.display().to_string());
        let savepoint = next();
        assert_eq!(savepoint.checkpoint, CheckpointId(1));
        assert_eq!(prepared(&savepoint), BTreeMap::new());
    }
}
