//! Where checkpoints and savepoints are written, and how that goes wrong.
//!
//! # Layout
//! - `directory`: on a small disk of its own
//! - `bucket`: in an S3-compatible store, on a network that tears

mod bucket;
mod directory;

use std::path::Path;

use flott_core::id::JobId;
use flott_kubernetes_lab::skipped;
use flott_snapshot::{S3Options, Snapshot};
use tokio::runtime::{Builder, Runtime};

use self::{bucket::Bucket, directory::LocalDirectory};
use super::plan::{Breakage, Place, Plan};
use crate::{binaries::text, moto::Moto};

/// The store of a scenario.
#[derive(Debug)]
pub struct Store {
    within: Within,
    /// What can reach it whatever has happened to it.
    s3: S3Options,
    runtime: Runtime,
}

#[derive(Debug)]
enum Within {
    Directory(LocalDirectory),
    Bucket(Bucket),
}

impl Store {
    /// That of a plan, with whatever is local in `sandbox`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(sandbox: &Path, plan: &Plan) -> Self {
        let (within, s3) = match plan.place {
            Place::Bucket { .. } if !Moto::is_there() => {
                skipped::aloud("buckets of plans", "moto_server is not installed: the store is a directory");
                (Within::Directory(LocalDirectory::new(sandbox)), S3Options::default())
            }
            Place::Directory => (Within::Directory(LocalDirectory::new(sandbox)), S3Options::default()),
            Place::Bucket { tears } => {
                let bucket = Bucket::new(plan.seed, tears);
                let s3 = bucket.options();
                (Within::Bucket(bucket), s3)
            }
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        Self { within, s3, runtime }
    }

    /// For `execution.checkpointing.dir`.
    pub fn checkpoints(&self) -> String {
        match &self.within {
            Within::Directory(directory) => text(&directory.checkpoints()),
            Within::Bucket(_) => format!("{}/checkpoints", bucket::LOCATION),
        }
    }

    /// Another directory for savepoints for each number.
    pub fn savepoints(&self, number: u64) -> String {
        match &self.within {
            Within::Directory(directory) => text(&directory.savepoints(number)),
            Within::Bucket(_) => format!("{}/savepoints-{number}", bucket::LOCATION),
        }
    }

    /// Lines of the configuration by which it is reached.
    pub fn configuration(&self) -> String {
        match &self.within {
            Within::Directory(_) => String::new(),
            Within::Bucket(bucket) => bucket.configuration(),
        }
    }

    /// Breaks it, until it is [mended](Self::mend). `false` where it cannot be broken so.
    pub fn break_by(&self, how: Breakage) -> bool {
        match (&self.within, how) {
            (Within::Directory(directory), Breakage::Full) => return directory.fill(),
            (Within::Directory(directory), Breakage::Blocked) => directory.block(),
            (Within::Bucket(bucket), Breakage::Silent) => bucket.fall_silent(),
            (Within::Bucket(bucket), Breakage::Away) => bucket.go_away(),
            (Within::Directory(_), Breakage::Silent | Breakage::Away)
            | (Within::Bucket(_), Breakage::Full | Breakage::Blocked) => return false,
        }
        true
    }

    /// It is as before.
    pub fn mend(&self) {
        match &self.within {
            Within::Directory(directory) => directory.mend(),
            Within::Bucket(bucket) => bucket.mend(),
        }
    }

    /// Objects that are left of the checkpoints of a job.
    ///
    /// # Panics
    /// When they cannot be listed.
    pub fn left_of(&self, job: &str) -> Vec<String> {
        let job: JobId = job.parse().expect("jobs have ids");
        let listed = self.runtime.block_on(async {
            let root = flott_snapshot::Directory::open(&self.checkpoints(), &self.s3)?;
            root.of_job(job).list("").await
        });
        let listed = listed.unwrap_or_else(|error| panic!("checkpoints cannot be listed: {error}"));
        listed.into_iter().map(|object| object.path).collect()
    }

    /// The newest savepoint in a directory that is complete.
    pub fn complete_in(&self, directory: &str) -> Option<String> {
        self.runtime.block_on(async {
            let listed = flott_snapshot::Directory::open(directory, &self.s3).ok()?.list("").await.ok()?;
            let mut newest = None;
            for object in listed {
                let Some((name, "_metadata")) = object.path.rsplit_once('/') else { continue };
                let location = format!("{directory}/{name}");
                if let Ok(snapshot) = Snapshot::load(&location, &self.s3).await {
                    newest = newest.max(Some((snapshot.manifest.completed_ms, location)));
                }
            }
            newest.map(|(_, location)| location)
        })
    }
}
