//! What is told of the TaskManager and its processes, and what it looks at from time to time: memory, figures, logs.

use std::time::Duration;

use flott_core::{
    id::JobId,
    message::{FromWorker, Heartbeat, LogChunk, LogRequest, Registration},
    view::WorkerMetrics,
};

use super::{Input, Service};
use crate::{
    logs,
    memory::{self, Resident, Room},
    metrics::Figures,
    process::JobProcess,
    state::Event,
    usage,
};

impl Service {
    pub(super) fn registration(&self) -> Registration {
        Registration {
            worker: self.options.worker.clone(),
            instance: self.instance,
            pid: std::process::id(),
            host: self.options.host.clone(),
            cpu_cores: usage::cores(),
            physical_memory: usage::physical_memory(),
            memory: self.options.memory,
            slots: self.options.slots.clone(),
            allocated: self.state.allocated(),
            started_at: self.started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(super) fn beat(&mut self) {
        let Some(leader) = self.state.leader() else { return };
        let own = std::process::id();
        let pids = || self.processes.values().filter_map(JobProcess::pid);
        let cpu: Duration = pids().filter_map(usage::cpu_of).sum();
        let metrics = WorkerMetrics {
            resident_bytes: usage::resident_of(own).unwrap_or(0),
            jobs_resident_bytes: pids().filter_map(usage::resident_of).sum(),
            cpu_ms: millis(usage::cpu_of(own).unwrap_or_default()),
            jobs_cpu_ms: millis(self.ended_cpu + cpu),
            processes: u32::try_from(pids().count()).unwrap_or(u32::MAX),
        };
        let heartbeat = Heartbeat { leader, allocated: self.state.allocated(), metrics };
        self.send(FromWorker::Heartbeat(heartbeat));
    }

    pub(super) fn figures(&self) -> Figures {
        let pid = |process: &JobProcess| Some((process.job(), process.pid()?));
        Figures {
            is_registered: self.state.is_registered(),
            slots: self.options.slots.len(),
            allocated: self.state.allocated().len(),
            ended_cpu: self.ended_cpu,
            processes: self.processes.values().filter_map(pid).collect(),
        }
    }

    pub(super) fn look_at_memory(&mut self) {
        if self.condemned.is_some() {
            return;
        }
        let residents: Vec<Resident> = self
            .processes
            .iter()
            .filter_map(|(id, process)| {
                let bytes = usage::held_by(process.pid()?)?;
                Some(Resident { process: *id, bytes, slots: self.state.slots_of(process.job()) })
            })
            .collect();
        let room = Room::found(self.options.memory, self.options.slots.len());
        if let Some((process, failure)) = memory::overweight(&residents, room) {
            tracing::warn!(%process, %failure, "job process is killed");
            self.condemned = Some(process);
            self.handle(Event::Condemned { process, failure });
        }
    }

    pub(super) fn read_log(&self, request: LogRequest) {
        let Some(leader) = self.leader else { return };
        let mailbox = self.launcher.mailbox.clone();
        let (dir, readers) = (self.options.log_dir.clone(), self.log_readers.clone());
        tokio::spawn(async move {
            let Ok(_permit) = readers.acquire_owned().await else {
                return;
            };
            let number = request.request;
            let chunk =
                tokio::task::spawn_blocking(move || logs::answer(&dir, &request)).await.unwrap_or_else(|error| {
                    LogChunk { request: number, result: Err(format!("log was not read: {error}")) }
                });
            // A service that is gone answers nobody.
            let _ = mailbox.send(Input::Log(leader, chunk)).await;
        });
    }

    pub(super) fn prune_logs(&self, next: JobId) {
        let live: Vec<JobId> = self.processes.values().map(JobProcess::job).chain([next]).collect();
        let (dir, files_max) = (self.options.log_dir.clone(), self.options.log_files_max);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = logs::prune(&dir, files_max, &live) {
                tracing::warn!(%error, "old logs of jobs were not removed");
            }
        });
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
