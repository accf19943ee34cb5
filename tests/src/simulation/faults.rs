//! What goes wrong, and when.

use flott_core::{
    failure::Failure,
    id::{JobId, WorkerKey},
};
use flott_resource_manager::backend::LossReason;

use super::{
    check::Broken,
    machines::HostStep,
    world::{Happening, World},
};

/// A kind of fault that comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Machine,
    Process,
    Connection,
    Stall,
    Cancel,
    JobManager,
    /// No fault, but it comes in between.
    Ask,
}

impl Fault {
    pub const ALL: [Self; 7] =
        [Self::Machine, Self::Process, Self::Connection, Self::Stall, Self::Cancel, Self::JobManager, Self::Ask];
}

impl World {
    /// Whether things go wrong yet.
    pub(super) fn has_faults(&self) -> bool {
        self.now < self.began_at + self.plan.faults.until_ms
    }

    pub(super) fn plan_has_faults(&self) -> bool {
        self.plan.faults.until_ms > 0
    }

    /// Draws when a kind of fault happens next.
    pub(super) fn expect_fault(&mut self, fault: Fault) {
        let faults = &self.plan.faults;
        let every = match fault {
            Fault::Machine => faults.machine_every_ms,
            Fault::Process => faults.process_every_ms,
            Fault::Connection => faults.connection_every_ms,
            Fault::Stall => faults.stall_every_ms,
            Fault::Cancel => faults.cancel_every_ms,
            Fault::JobManager => faults.jobmanager_every_ms,
            Fault::Ask => faults.ask_every_ms,
        };
        if every > 0 && self.has_faults() {
            let pause = self.random.within(1..=2 * every);
            self.at(self.now + pause, Happening::Fault(fault));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), Broken> {
        if !self.has_faults() {
            return Ok(());
        }
        match fault {
            Fault::Machine => {
                if let Some(worker) = self.any_machine() {
                    let noticed = self.random.per_mille(700);
                    self.switch_off(&worker, LossReason::Killed { signal: 9 }, noticed);
                }
            }
            Fault::Process => self.kill_process(),
            Fault::Connection => {
                if let Some(number) = self.any_connection() {
                    let (here, there) = (self.random.within(0..=100), self.random.within(0..=1500));
                    self.break_connection(number, here, there);
                }
            }
            Fault::Stall => {
                let until = self.now + self.random.within(100..=20_000);
                if let Some(connection) = self.any_connection().and_then(|number| self.connections.get_mut(&number)) {
                    connection.stalled_until = until;
                }
            }
            Fault::JobManager => self.jobmanager_fails(),
            Fault::Cancel => {
                if let Some(job) = self.any_job() {
                    self.cancel(job)?;
                }
            }
            Fault::Ask => {
                if let Some(job) = self.any_job() {
                    self.ask(job);
                }
            }
        }
        self.expect_fault(fault);
        Ok(())
    }

    fn any_job(&mut self) -> Option<JobId> {
        let live: Vec<_> = self.jobs.iter().filter(|(_, job)| job.kept.end.is_none()).map(|(id, _)| *id).collect();
        self.random.choose(live.into_iter())
    }

    fn any_machine(&mut self) -> Option<WorkerKey> {
        let machines = self.machines.values();
        self.random.choose(machines.map(|machine| machine.key.clone()))
    }

    fn any_connection(&mut self) -> Option<u64> {
        self.random.choose(self.connections.keys().copied())
    }

    fn kill_process(&mut self) {
        let busy: Vec<_> = self
            .machines
            .values()
            .flat_map(|machine| machine.hosts.keys().map(|process| (machine.key.clone(), *process)))
            .collect();
        if let Some((worker, process)) = self.random.choose(busy.into_iter()) {
            let step = HostStep::End(Some(Failure::environment("killed by signal 11")));
            self.host_step(&worker, process, step);
        }
    }
}
