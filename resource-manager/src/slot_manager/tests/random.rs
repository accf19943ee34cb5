//! Random histories. After each step every index agrees and no slot is given twice; when all calms down, every job
//! that could be served is, and no worker is left that should not be.

use flott_core::resource::ResourceProfile;
use proptest::{collection::vec, prelude::*};

use super::bench::{Bench, GIB, job, size};
use crate::backend::{LossReason, Rejection};

#[derive(Debug, Clone)]
enum Step {
    Declare { job: u8, epoch: u64, small: u32, great: u32 },
    Wish { job: u8, needs: u32, wished: u32, welcome: u32 },
    Register { worker: u8, slots: usize, great: bool },
    RegisterStarted,
    Disconnect { worker: usize },
    Reconnect { worker: usize },
    Deafen { worker: usize },
    Refuse { worker: usize, refuses: bool },
    Forget { worker: usize },
    JobFrees { job: u8, count: usize },
    Crash { worker: usize },
    Leave { worker: usize },
    Reject { worker: usize },
    Pass { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..8usize;
    prop_oneof![
        4 => (0..5u8, 1..3u64, 0..5u32, 0..3u32)
            .prop_map(|(job, epoch, small, great)| Step::Declare { job, epoch, small, great }),
        1 => (0..5u8, 0..4u32, 0..3u32, 0..4u32)
            .prop_map(|(job, needs, wished, welcome)| Step::Wish { job, needs, wished, welcome }),
        2 => (0..4u8, 1..4usize, any::<bool>()).prop_map(|(worker, slots, great)| Step::Register { worker, slots, great }),
        3 => Just(Step::RegisterStarted),
        1 => worker.clone().prop_map(|worker| Step::Disconnect { worker }),
        1 => worker.clone().prop_map(|worker| Step::Reconnect { worker }),
        1 => worker.clone().prop_map(|worker| Step::Deafen { worker }),
        1 => (worker.clone(), any::<bool>()).prop_map(|(worker, refuses)| Step::Refuse { worker, refuses }),
        1 => worker.clone().prop_map(|worker| Step::Forget { worker }),
        1 => (0..5u8, 1..3usize).prop_map(|(job, count)| Step::JobFrees { job, count }),
        1 => worker.clone().prop_map(|worker| Step::Crash { worker }),
        1 => worker.clone().prop_map(|worker| Step::Leave { worker }),
        1 => worker.prop_map(|worker| Step::Reject { worker }),
        3 => (1..12_000u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn nth(bench: &Bench, worker: usize) -> Option<String> {
    let count = bench.workers.len();
    (count > 0).then(|| bench.workers.keys().nth(worker % count).expect("within the count").0.clone())
}

fn run(bench: &mut Bench, step: Step) {
    match step {
        Step::Declare { job, epoch, small, great } => {
            bench.declare(job, epoch, &[(ResourceProfile::ANY, small), (size(GIB), great)]);
        }
        Step::Wish { job, needs, wished, welcome } => bench.wish(job, needs, wished, welcome),
        Step::Register { worker, slots, great } => {
            let profile = size(if great { GIB } else { GIB / 2 });
            bench.register(&format!("w{worker}"), &vec![profile; slots]);
        }
        Step::RegisterStarted => bench.register_started(),
        Step::Disconnect { worker } => {
            if let Some(worker) = nth(bench, worker) {
                bench.disconnect(&worker);
            }
        }
        Step::Reconnect { worker } => {
            if let Some(worker) = nth(bench, worker) {
                bench.connect(&worker);
            }
        }
        Step::Deafen { worker } => {
            if let Some(worker) = nth(bench, worker) {
                bench.worker(&worker).deaf = true;
            }
        }
        Step::Refuse { worker, refuses } => {
            if let Some(worker) = nth(bench, worker) {
                bench.worker(&worker).refuses = refuses;
            }
        }
        Step::Forget { worker } => {
            if let Some(worker) = nth(bench, worker) {
                bench.worker(&worker).allocated.clear();
            }
        }
        Step::JobFrees { job, count } => bench.job_frees(job, count),
        Step::Crash { worker } => {
            if let Some(worker) = bench.backend.keys().nth(worker).cloned() {
                bench.crash(&worker.0, LossReason::Exited { code: 1 });
            }
        }
        Step::Leave { worker } => {
            if let Some(worker) = bench.backend.keys().nth(worker).cloned() {
                bench.leave(&worker.0, LossReason::Evicted("drained".into()));
            }
        }
        Step::Reject { worker } => {
            let unregistered = |worker: &&flott_core::id::WorkerId| !bench.workers.contains_key(*worker);
            if let Some(worker) = bench.backend.keys().filter(unregistered).nth(worker).cloned() {
                bench.backend.remove(&worker);
                let (rejection, message) = (Rejection::Unschedulable, "no room".into());
                let rejected = crate::BackendEvent::Rejected { worker, rejection, message };
                bench.event(crate::slot_manager::Event::Backend(rejected));
            }
        }
        Step::Pass { millis } => bench.pass_ms(millis),
    }
    bench.check_slots();
}

/// Faults end; workers that were started register as they come.
fn calm_down(bench: &mut Bench) {
    for worker in bench.leaving.clone() {
        bench.crash(&worker.0, LossReason::Evicted("drained".into()));
    }
    for worker in bench.workers.keys().cloned().collect::<Vec<_>>() {
        if let Some(worker) = bench.workers.get_mut(&worker) {
            worker.refuses = false;
        }
        bench.connect(&worker.0);
    }
    for _ in 0..40 {
        bench.register_started();
        bench.pass_ms(3000);
    }
}

/// `PROPTEST_CASES`, or few enough to be quick.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_well(
        starts in any::<bool>(),
        spread in any::<bool>(),
        steps in vec(step(), 1..60),
    ) {
        let mut bench = if starts {
            Bench::starting(|options| {
                options.workers_max = Some(12);
                options.spread = spread;
            })
        } else {
            Bench::standalone()
        };
        for step in steps {
            run(&mut bench, step);
        }
        calm_down(&mut bench);
        bench.check_slots();
        // The oldest job that could be served alone is served, or those that run keep it from it.
        let waiting: Vec<_> = (0..5).filter(|number| bench.core.is_served(&job(*number)) == Some(false)).collect();
        for number in &waiting {
            prop_assert!(!bench.pending[&job(*number)].is_empty());
        }
        // All jobs end, one after the other: whoever is left is served when it can be.
        for number in 0..5 {
            let served = bench.core.is_served(&job(number));
            prop_assert!(served != Some(true) || bench.count_of(number) > 0);
            bench.declare(number, 9, &[]);
            for _ in 0..5 {
                bench.register_started();
                bench.pass_ms(3000);
            }
            let others = (0..5).filter(|other| bench.core.is_served(&job(*other)) == Some(true)).count();
            let able = (0..5).filter(|other| {
                bench.core.is_served(&job(*other)) == Some(false) && bench.core.is_servable(&job(*other)) == Some(true)
            }).count();
            prop_assert!(able == 0 || others > 0, "jobs wait that could be served while nobody runs");
            prop_assert_eq!(bench.count_of(number), 0);
        }
        bench.pass_ms(70_000);
        prop_assert_eq!(bench.core.started_workers(), 0);
        prop_assert!(bench.backend.is_empty(), "left running: {:?}", bench.backend.keys());
        prop_assert!(bench.workers.values().all(|worker| worker.allocated.is_empty()));
    }
}
