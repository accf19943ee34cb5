//! What the owner of a JobMaster does for it: it makes things durable, and starts another one.

use super::*;
use crate::checkpoints::found;

impl FakeCluster {
    /// Answers a manifest, if one was asked for.
    pub fn persist(&mut self, result: Result<(), Failure>) {
        self.persisted |= result.is_ok();
        self.tell(Event::CommitPersisted(result));
    }

    /// Asks for another parallelism.
    pub fn rescale(&mut self, number: u64, asked: RescaleRequest) {
        self.tell(Event::Rescale { request: RequestId(number), asked });
    }

    /// Answers the scale that is to be written down, if one is.
    pub fn persist_scale(&mut self, result: Result<(), Failure>) -> bool {
        let Some(scale) = self.scaling.pop_front() else { return false };
        if result.is_ok() {
            self.scale = scale;
        }
        self.tell(Event::ScalePersisted(result));
        true
    }

    /// Answers the checkpoint that is to be stored, if one is.
    pub fn store(&mut self, result: Result<(), Failure>) -> bool {
        let Some(manifest) = self.storing.front() else { return false };
        self.store_one(manifest.checkpoint, result)
    }

    /// Answers the one of this number, if it is to be stored.
    pub fn store_one(&mut self, checkpoint: CheckpointId, result: Result<(), Failure>) -> bool {
        let place = self.storing.iter().position(|manifest| manifest.checkpoint == checkpoint);
        let Some(manifest) = place.and_then(|place| self.storing.remove(place)) else { return false };
        if result.is_ok() {
            self.is_stored(Arc::clone(&manifest));
        }
        self.tell(Event::CheckpointStored { checkpoint: manifest.checkpoint, result });
        true
    }

    /// What a savepoint holds that no checkpoint has made certain is known to the next JobMaster before it may be complete.
    pub(super) fn check_promised(&mut self, savepoint: &Manifest) {
        let certain = self.stored.iter().filter(|stored| stored.kind == flott_snapshot::SnapshotKind::Checkpoint);
        let certain: BTreeSet<_> = certain.flat_map(|stored| &stored.committables).map(|of| &of.data).collect();
        let promised: BTreeSet<_> = self.past.promised.iter().map(|(_, data)| data).collect();
        let is_known = |of: &Committable| certain.contains(&of.data) || promised.contains(&of.data);
        if !savepoint.committables.iter().all(is_known) {
            self.faults.push(format!("what savepoint {} holds is not written down", savepoint.checkpoint));
        }
    }

    fn is_stored(&mut self, manifest: Arc<Manifest>) {
        self.profile.stored(&manifest);
        self.stored.push(manifest);
    }

    /// The JobMaster dies, and another follows that knows what is stored; messages on their way are lost. The checkpoint that is
    /// to be stored may be, though it was not told: if so, it `is_stored`. `spec` is what the first one was started with.
    ///
    /// # Panics
    /// When the spec is refused.
    pub fn replace_master(&mut self, spec: &JobSpec, is_stored: bool) {
        if let Some(manifest) = self.storing.pop_front().filter(|_| is_stored) {
            self.is_stored(manifest);
        }
        self.storing.clear();
        if let Some(scale) = self.scaling.pop_front().filter(|_| is_stored) {
            self.scale = scale;
        }
        self.scaling.clear();
        let checkpoints =
            self.stored.iter().filter(|manifest| manifest.kind == flott_snapshot::SnapshotKind::Checkpoint);
        let mut spec = JobSpec { recovered: true, epoch: self.core.spec().epoch.next(), ..spec.clone() };
        spec.scale.clone_from(&self.scale);
        spec.past.clone_from(&self.past);
        let checkpoints: BTreeMap<_, _> = checkpoints.map(|manifest| (manifest.checkpoint, manifest)).collect();
        if let Some(latest) = checkpoints.values().next_back() {
            let directory = spec.snapshots.directory.clone().unwrap_or_default();
            let kept = checkpoints.values().filter(|manifest| self.retained.contains(&manifest.checkpoint));
            let shown = kept.map(|manifest| found(manifest, format!("{directory}/chk-{}", manifest.checkpoint)));
            spec.snapshots.found = shown.collect();
            spec.snapshots.restore = Some(Arc::new(RestorePoint { manifest: Arc::clone(latest), directory }));
            // Behind the claim.
            spec.snapshots.next = latest.checkpoint.next().next();
        }
        if self.persisted {
            spec.restored_commit = self.manifests.last().cloned();
        }
        self.manifests.clear();
        self.to_master.clear();
        self.to_workers.values_mut().for_each(VecDeque::clear);
        self.busy.clear();
        self.wake = None;
        // Nor does the next ResourceManager know what the one before was told.
        (self.declared, self.wishes, self.idle, self.reconciling) = Default::default();
        self.core = JobMasterCore::new(spec).expect("the spec of a test is good");
        for (key, worker) in &mut self.workers {
            let epoch = worker.epoch();
            self.to_master.extend(worker.followed().map(|found| (key.clone(), epoch, found)));
        }
        self.alive.clear();
        self.profile.forget_barriers();
        self.unmatched = true;
        self.tell(Event::Start);
    }
}
