//! JobMasters that depose each other over a store that fails, one history per seed. `FLOTT_SIM_SEED=N` replays one;
//! `FLOTT_SIM_SEEDS=N` runs that many.

use std::{sync::Arc, time::Duration};

use flott_core::id::JobMasterEpoch;
use flott_snapshot::Directory;

#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/faulty_store.rs"]
mod faulty_store;
#[path = "common/files.rs"]
mod files;
#[path = "simulation/history.rs"]
mod history;
#[path = "simulation/job_master.rs"]
mod job_master;
#[path = "common/samples.rs"]
mod samples;

use chance::Chance;
use faulty_store::FaultyStore;
use history::History;
use job_master::{JobMaster, Tasks};

const EPOCHS: u64 = 8;

/// Seeds whose histories once went wrong.
///
/// - 1: what a claimant had listed was collected before it was read, and it restored something older
/// - 141: a claim came into a hole below the newest checkpoint, because the log had gone on since it was listed
/// - 1441: what one that swept had listed was collected before it was read, by a newer one whose manifests named the files
const REGRESSIONS: &[u64] = &[1, 141, 1441];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")))
}

/// Several JobMasters one after the other, of which some overlap and some are killed; then one on a healthy store.
async fn history(seed: u64) -> History {
    let chance = Chance::new(seed, [0, 20, 100, 300][(seed % 4) as usize]);
    let store = FaultyStore::new(chance.clone());
    let truth = Directory::of_store(store.healthy(), "truth");
    let root = Directory::of_store(Arc::new(store), "store");
    let history = History::default();
    let mut living: Vec<tokio::task::JoinHandle<()>> = Vec::new();
    let tasks = Tasks::default();
    for epoch in 1..=EPOCHS {
        living.retain(|handle| !handle.is_finished());
        let master = JobMaster {
            epoch: JobMasterEpoch(epoch),
            root: root.clone(),
            truth: truth.clone(),
            chance: chance.clone(),
            history: history.clone(),
            tasks: tasks.clone(),
            takes_over: chance.below(2) == 0,
            checkpoints: 12,
        };
        living.push(tokio::spawn(async move { drop(master.run().await) }));
        tokio::time::sleep(Duration::from_millis(chance.below(60_000))).await;
        if chance.below(2) == 0 {
            living.iter().for_each(tokio::task::JoinHandle::abort);
        }
    }
    let last = JobMaster {
        epoch: JobMasterEpoch(EPOCHS + 1),
        root: truth.clone(),
        truth,
        chance,
        history: history.clone(),
        tasks,
        takes_over: true,
        checkpoints: 3,
    };
    let (before, _) = history.counts();
    if last.run().await.is_err() {
        history.violation("nobody can claim and commit though all is well".to_owned());
    }
    if history.counts().0 != before + 3 {
        history.violation("the last JobMaster did not make its checkpoints".to_owned());
    }
    history
}

fn run(seed: u64) -> History {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(history(seed))
}

#[test]
fn whoever_claims_knows_all_that_was_confirmed() {
    let seeds: Vec<u64> = match number("FLOTT_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("FLOTT_SIM_SEEDS").unwrap_or(100)).chain(REGRESSIONS.iter().copied()).collect(),
    };
    let (mut wrong, mut committed, mut claimed) = (0, 0, 0);
    for seed in seeds {
        let history = run(seed);
        let violations = history.violations();
        for violation in &violations {
            let replay = "cargo test -p flott-snapshot --test simulation";
            eprintln!("seed {seed}: {violation}\n  FLOTT_SIM_SEED={seed} {replay}");
        }
        wrong += usize::from(!violations.is_empty());
        let counts = history.counts();
        (committed, claimed) = (committed + counts.0, claimed + counts.1);
    }
    println!("{committed} checkpoints, {claimed} claims");
    assert_eq!(wrong, 0, "so many histories went wrong");
    assert!(committed > 0 && claimed > 0);
}
