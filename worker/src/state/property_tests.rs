//! Random walks: whatever comes, in whatever order, and however often, the rules hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use flott_core::{
    failure::Failure,
    id::{JobMasterEpoch, LeaderEpoch, ProcessId},
    message::{JobToHost, JobToWorker},
};
use proptest::prelude::*;

use super::{
    Action, Ending, Event, State,
    tests::{SECOND, allocation, grant, job, location, settings, setup},
};

const SLOTS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Allocate {
        slot: u32,
        allocation: u8,
        job: u8,
        epoch: u64,
    },
    TakeBack(u8),
    Accept {
        job: u8,
        epoch: u64,
        allocation: u8,
    },
    Free {
        job: u8,
        epoch: u64,
        allocation: u8,
    },
    Start {
        job: u8,
        epoch: u64,
    },
    Forget {
        job: u8,
        epoch: u64,
    },
    Cancel {
        job: u8,
        epoch: u64,
    },
    Leader(u64),
    Disconnect,
    Resume,
    GiveUp,
    /// The n-th process that lives goes on with its life.
    Spawned(usize),
    Ready(usize),
    Dies(usize),
    Condemned(usize),
    Time(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (job, epoch, allocation) = (1..4u8, 1..4u64, 1..8u8);
    prop_oneof![
        6 => (0..SLOTS + 1, allocation.clone(), job.clone(), epoch.clone())
            .prop_map(|(slot, allocation, job, epoch)| Step::Allocate { slot, allocation, job, epoch }),
        1 => allocation.clone().prop_map(Step::TakeBack),
        2 => (job.clone(), epoch.clone(), allocation.clone())
            .prop_map(|(job, epoch, allocation)| Step::Accept { job, epoch, allocation }),
        2 => (job.clone(), epoch.clone(), allocation)
            .prop_map(|(job, epoch, allocation)| Step::Free { job, epoch, allocation }),
        4 => (job.clone(), epoch.clone()).prop_map(|(job, epoch)| Step::Start { job, epoch }),
        1 => (job.clone(), epoch.clone()).prop_map(|(job, epoch)| Step::Forget { job, epoch }),
        1 => (job, epoch).prop_map(|(job, epoch)| Step::Cancel { job, epoch }),
        1 => (1..4u64).prop_map(Step::Leader),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Resume),
        1 => Just(Step::GiveUp),
        3 => (0..4usize).prop_map(Step::Spawned),
        3 => (0..4usize).prop_map(Step::Ready),
        1 => (0..4usize).prop_map(Step::Dies),
        1 => (0..4usize).prop_map(Step::Condemned),
        3 => (1..40u32).prop_map(Step::Time),
    ]
}

/// Carries actions out as the service would, and checks each.
struct World {
    state: State,
    now: Instant,
    /// Started and not ended, with the hardest order so far.
    alive: BTreeMap<ProcessId, Option<Ending>>,
    jobs: BTreeMap<ProcessId, u8>,
    stopped: bool,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: State::new(settings(SLOTS as usize), 3),
            now: Instant::now(),
            alive: BTreeMap::new(),
            jobs: BTreeMap::new(),
            stopped: false,
        };
        world.on(Event::Registered { leader: LeaderEpoch(1) });
        world
    }

    fn on(&mut self, event: Event) {
        let actions = self.state.handle(self.now, event);
        for action in actions {
            self.carry_out(action);
        }
        let grants = self.state.allocated();
        let slots: BTreeSet<_> = grants.iter().map(|grant| grant.slot).collect();
        let allocations: BTreeSet<_> = grants.iter().map(|grant| grant.allocation).collect();
        assert_eq!(slots.len(), grants.len(), "a slot was given twice");
        assert_eq!(allocations.len(), grants.len(), "an allocation has two slots");
        let unordered = self.alive.iter().filter(|(_, order)| order.is_none()).map(|(process, _)| self.jobs[process]);
        let unordered: Vec<u8> = unordered.collect();
        let distinct: BTreeSet<u8> = unordered.iter().copied().collect();
        assert_eq!(distinct.len(), unordered.len(), "a job has two processes");
        for of in distinct {
            assert!(grants.iter().any(|grant| grant.job == job(of)), "a process runs on without a slot");
        }
        assert!(self.state.deadline().is_none_or(|deadline| deadline > self.now), "a deadline was passed over");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start { process, setup } => {
                assert!(!self.jobs.contains_key(&process), "a process id was used twice");
                self.jobs.insert(process, setup.job.as_bytes()[0]);
                self.alive.insert(process, None);
            }
            Action::End { process, how } => {
                let order = self.alive.get_mut(&process).expect("only a living process is ended");
                assert!(order.is_none_or(|before| before < how), "orders only get harder");
                *order = Some(how);
            }
            Action::Deliver { process, .. } => assert_eq!(self.alive.get(&process), Some(&None)),
            Action::Stopped { .. } => {
                assert!(self.alive.is_empty(), "processes are left behind");
                assert!(!self.stopped);
                self.stopped = true;
            }
            Action::Send(_) => {}
        }
    }

    fn process(&self, n: usize) -> Option<ProcessId> {
        self.alive.keys().nth(n).copied()
    }

    fn says(&mut self, of: u8, epoch: u64, message: JobToWorker) {
        self.on(Event::Job { job: job(of), epoch: JobMasterEpoch(epoch), message });
    }

    fn dies(&mut self, process: ProcessId) {
        self.alive.remove(&process);
        self.on(Event::Ended { process, failure: Failure::user("exit") });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Allocate { slot, allocation, job, epoch } => {
                self.on(Event::Allocate(grant(slot, allocation, job, epoch)));
            }
            Step::TakeBack(n) => self.on(Event::FreeSlot { allocation: allocation(n), reason: String::new() }),
            Step::Accept { job, epoch, allocation: n } => {
                self.says(job, epoch, JobToWorker::AcceptSlots(vec![allocation(n)]));
            }
            Step::Free { job, epoch, allocation: n } => {
                self.says(job, epoch, JobToWorker::FreeSlots(vec![allocation(n)]));
            }
            Step::Start { job, epoch } => self.says(job, epoch, JobToWorker::StartProcess(setup(job))),
            Step::Forget { job, epoch } => self.says(job, epoch, JobToWorker::Forget),
            Step::Cancel { job, epoch } => {
                let process = self.jobs.iter().rev().find(|(_, of)| **of == job).map(|(process, _)| *process);
                if let Some(process) = process {
                    self.says(job, epoch, JobToWorker::Host { process, message: JobToHost::Cancel(Vec::new()) });
                }
            }
            Step::Leader(leader) => self.on(Event::Registered { leader: LeaderEpoch(leader) }),
            Step::Disconnect => self.on(Event::Disconnected),
            Step::Resume => self.on(Event::Resumed),
            Step::GiveUp => self.on(Event::GivenUp),
            Step::Spawned(n) => {
                if let Some(process) = self.process(n) {
                    self.on(Event::Spawned { process });
                }
            }
            Step::Ready(n) => {
                if let Some(process) = self.process(n) {
                    self.on(Event::Ready { location: location(process) });
                }
            }
            Step::Dies(n) => {
                if let Some(process) = self.process(n) {
                    self.dies(process);
                }
            }
            Step::Condemned(n) => {
                if let Some(process) = self.process(n) {
                    self.on(Event::Condemned { process, failure: Failure::user("unfit") });
                }
            }
            Step::Time(seconds) => {
                self.now += seconds * SECOND;
                self.on(Event::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_hold_on_every_walk_and_everything_ends(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.on(Event::Stop { reason: "end".into() });
        world.now += 10 * SECOND;
        world.on(Event::Tick);
        prop_assert!(world.alive.values().all(|order| *order == Some(Ending::Kill)));
        while let Some(process) = world.process(0) {
            world.dies(process);
        }
        prop_assert!(world.stopped);
        prop_assert!(world.state.allocated().is_empty());
        prop_assert_eq!(world.state.deadline(), None);
    }

    #[test]
    fn stale_epochs_change_nothing(steps in prop::collection::vec(step(), 1..60), of in 1..4u8, slot in 0..SLOTS) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        // A JobMaster newer than any in the walk makes all of theirs stale.
        world.says(of, 9, JobToWorker::AcceptSlots(Vec::new()));
        let before = format!("{:?}", world.state);
        for message in [
            JobToWorker::FreeSlots((1..8).map(allocation).collect()),
            JobToWorker::AcceptSlots((1..8).map(allocation).collect()),
            JobToWorker::StartProcess(setup(of)),
            JobToWorker::Forget,
        ] {
            let event = Event::Job { job: job(of), epoch: JobMasterEpoch(8), message };
            prop_assert_eq!(world.state.handle(world.now, event), []);
        }
        world.on(Event::Allocate(grant(slot, 99, of, 8)));
        prop_assert_eq!(before, format!("{:?}", world.state));
    }
}
