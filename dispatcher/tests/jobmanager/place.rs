//! A state directory on which one JobManager follows another, and a directory of checkpoints that may be away.

use std::{path::PathBuf, sync::Arc};

use flott_core::id::{Digest, JobId};
use flott_dispatcher::stores::{JobStore, NewJob, SledStore};

use crate::{
    cluster::{Cluster, job},
    graph,
};

/// Such a place.
pub struct Place {
    /// All else is in it.
    pub state: Arc<tempfile::TempDir>,
    /// Where checkpoints go. Nobody has made it.
    pub root: PathBuf,
    settings: &'static [(&'static str, &'static str)],
}

impl Place {
    /// Where JobManagers have these settings.
    pub fn new(settings: &'static [(&'static str, &'static str)]) -> Self {
        let state = Arc::new(tempfile::tempdir().unwrap());
        let root = state.path().join("mounted");
        Self { state, root, settings }
    }

    /// A JobManager leads.
    pub async fn cluster(&self) -> Cluster {
        self.cluster_with(&[]).await
    }

    /// One that has more settings.
    pub async fn cluster_with(&self, more: &[(&str, &str)]) -> Cluster {
        let root = [("execution.checkpointing.dir", self.root.to_str().unwrap())];
        let settings: Vec<_> = root.iter().chain(self.settings).chain(more).copied().collect();
        let cluster = Cluster::on(self.state.clone(), &settings).await.unwrap();
        cluster.manager.dispatcher().ready().await.unwrap();
        cluster
    }

    /// Job 1 has begun, and its JobManager is gone.
    pub async fn begun(&self) {
        let cluster = self.cluster().await;
        cluster.run(job(1)).await;
        suspend(cluster).await;
    }

    /// A job is accepted, and its JobManager is gone before it has begun.
    pub fn accepted(&self, job: JobId, graph: Vec<u8>) {
        let new = NewJob { job, graph: graph.into(), program: Digest::of(&graph::program()), accepted_at: 1 };
        self.store().insert(&new).unwrap();
    }

    /// Where the program of jobs is kept.
    pub fn blob(&self) -> PathBuf {
        self.state.path().join("blobs").join(Digest::of(&graph::program()).to_string())
    }

    /// The store of jobs, while there is no JobManager.
    pub fn store(&self) -> SledStore {
        SledStore::open(&SledStore::directory(self.state.path())).unwrap()
    }
}

/// The JobManager ends, and its jobs do not.
pub async fn suspend(cluster: Cluster) {
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
}
