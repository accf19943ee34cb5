//! A JobMaster that checkpoints, collects, and may die at any moment.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use flott_core::id::{CheckpointId, JobMasterEpoch};
use flott_snapshot::{Checkpoints, Directory, Error, Log, Manifest, SnapshotKind, StateFile, verify};

use crate::{
    chance::Chance,
    files::write_file,
    history::History,
    samples::{JOB, manifest},
};

/// State files after which a checkpoint has a base of its own again.
const FILES_MAX: usize = 4;

pub struct JobMaster {
    pub epoch: JobMasterEpoch,
    pub root: Directory,
    /// The same content without faults.
    pub truth: Directory,
    pub chance: Chance,
    pub history: History,
    pub tasks: Tasks,
    /// Whether it takes the tasks over that it finds, rather than that all start again.
    pub takes_over: bool,
    pub checkpoints: u32,
}

/// What the tasks of the job have stored: what they store next builds on it, whether a manifest names it or not.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<Vec<StateFile>>>);

impl Tasks {
    fn start_again(&self) {
        self.0.lock().unwrap().clear();
    }

    /// They have stored another file: all that they have now.
    fn store(&self, file: StateFile) -> Vec<StateFile> {
        let mut files = self.0.lock().unwrap();
        if files.len() >= FILES_MAX {
            files.clear();
        }
        files.push(file);
        files.clone()
    }
}

/// Why a JobMaster ends before its time.
pub enum End {
    Deposed,
    Failed,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        if matches!(error, Error::Deposed { .. }) { Self::Deposed } else { Self::Failed }
    }
}

impl JobMaster {
    /// Lives until it has made its checkpoints.
    pub async fn run(self) -> Result<(), End> {
        let checkpoints = Checkpoints::new(&self.root, JOB);
        let claimed = checkpoints.claim(self.epoch).await?;
        for damage in &claimed.damaged {
            // Of a request that came late, after everything about it was swept.
            if self.history.was_committed(damage.checkpoint) {
                self.history.violation(format!("{damage:?} was confirmed"));
            }
        }
        self.history.restored(self.epoch, claimed.restorable.as_ref().map(|manifest| manifest.checkpoint));
        let mut log = claimed.log;
        let mut retained: Vec<Manifest> = claimed.restorable.into_iter().collect();
        self.check(&retained).await;
        if !self.takes_over {
            self.tasks.start_again();
        }
        for _ in 0..self.checkpoints {
            tokio::time::sleep(Duration::from_millis(self.chance.below(5000))).await;
            let checkpoint = CheckpointId(log.next().0 + u64::from(self.chance.below(4) == 0));
            let Ok(file) = write_file(checkpoints.directory(), SnapshotKind::Checkpoint, checkpoint).await else {
                continue;
            };
            if self.history.leader() > Some(self.epoch) {
                // They are somebody else's by now.
                return Err(End::Failed);
            }
            let files = self.tasks.store(file);
            let manifest = manifest(SnapshotKind::Checkpoint, checkpoint, self.epoch.0, files);
            if !self.commit(&mut log, &manifest).await? {
                continue;
            }
            retained.push(manifest);
            let dropped = retained.len().saturating_sub(2);
            retained.drain(..dropped);
            let ids: BTreeSet<_> = retained.iter().map(|manifest| manifest.checkpoint).collect();
            let collected = log.collect(&ids).await;
            self.check(&retained).await;
            // What could not be removed is left for the next time.
            if let Err(error @ Error::Deposed { .. }) = collected {
                return Err(error.into());
            }
            if self.chance.below(2) == 0 {
                let swept = log.sweep().await;
                self.check(&retained).await;
                if let Err(error @ Error::Deposed { .. }) = swept {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Whether it was confirmed. One whose outcome is not known is tried again, or given up.
    async fn commit(&self, log: &mut Log, manifest: &Manifest) -> Result<bool, End> {
        loop {
            match log.commit(manifest).await {
                Ok(()) => {
                    self.history.committed(self.epoch, manifest.checkpoint);
                    return Ok(true);
                }
                Err(Error::Unknown { .. }) if self.chance.below(2) == 0 => {}
                Err(error @ Error::Deposed { .. }) => return Err(error.into()),
                Err(_) => return Ok(false),
            }
        }
    }

    /// What is retained is there, whole. Once somebody newer leads, it is for that one to retain.
    async fn check(&self, retained: &[Manifest]) {
        let directory = Checkpoints::new(&self.truth, JOB).directory().clone();
        for manifest in retained {
            match verify::deep(&directory, manifest).await {
                Ok(damages) if damages.is_empty() => {}
                _ if self.history.leader() > Some(self.epoch) => {}
                found => self.history.violation(format!("epoch {} retains {found:?}", self.epoch)),
            }
        }
    }
}
