//! What is done to a cluster and when, as data: equal seeds, equal plans.
//!
//! # Layout
//! - `shown`: how plans are told

mod shown;

use crate::{random::Random, sandbox::processes::Role};

/// Silence after which a process counts as lost, in milliseconds.
pub const HEARTBEAT_TIMEOUT_MS: u64 = 3_000;
/// In how many seconds a source gives its events if nothing holds it up.
pub const JOB_SECONDS: u64 = 9;
/// From one checkpoint in a bucket to the next, at least, in milliseconds.
const BUCKET_INTERVAL_MS: u64 = 400;
/// Nothing is planned behind this time, in milliseconds from the submission of the job.
const UNTIL_MS: u64 = 16_000;

/// A scenario before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// All else is drawn from this.
    pub seed: u64,
    /// What runs.
    pub program: Program,
    /// Of the job.
    pub parallelism: u64,
    /// Of each TaskManager.
    pub slots: u64,
    /// Who starts TaskManagers.
    pub workers: Workers,
    /// From one checkpoint to the next, in milliseconds.
    pub interval_ms: u64,
    /// Whether barriers overtake records, and after how many milliseconds.
    pub unaligned: Option<u64>,
    /// Where checkpoints and savepoints are.
    pub place: Place,
    /// Where the tasks have their state.
    pub state: State,
    /// How many JobManagers stand by.
    pub standbys: u64,
    /// How much of what there can be was drawn.
    pub scope: Scope,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
}

/// How much there can be in a plan. Seeds have other plans in each, though what is in a narrower one is in the wider ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// What there was at first: one parallelism, barriers that overtake nothing.
    Plain,
    /// Other parallelisms and barriers that overtake; one directory, state in memory, one JobManager.
    Local,
    /// Everything.
    All,
}

/// Where checkpoints and savepoints are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a directory on a small disk.
    Directory,
    /// In a bucket of an S3-compatible store.
    Bucket {
        /// If connections tear by themselves: after how many bytes at most.
        tears: Option<u64>,
    },
}

/// Where tasks have their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In memory.
    Memory,
    /// On disk, with less memory than there is state.
    Disk,
}

/// How the store of checkpoints goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// There is no room in the directory.
    Full,
    /// A file is where the directory was.
    Blocked,
    /// The bucket's server hears nothing and says nothing.
    Silent,
    /// It hangs up on everybody.
    Away,
}

/// How the network between a TaskManager and the JobManager goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Its connections tear; it can dial again at once.
    Torn,
    /// They tear, and it is hung up on.
    Away {
        /// Until it gets through.
        for_ms: u64,
    },
    /// Nothing arrives, and nobody hangs up.
    Silent {
        /// Until new connections carry something.
        for_ms: u64,
    },
}

/// Programs of `chaos-program`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Tumbling and sliding windows.
    Windows,
    /// An interval join and a window join.
    Joins,
    /// Sessions and timers.
    Sessions,
    /// Running counts over splits that anybody reads.
    Splits,
}

impl Program {
    const ALL: [Self; 4] = [Self::Windows, Self::Joins, Self::Sessions, Self::Splits];

    /// As the program is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Joins => "joins",
            Self::Sessions => "sessions",
            Self::Splits => "splits",
        }
    }
}

/// Who starts TaskManagers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// The JobManager. It also ends those that it takes for lost.
    Backend,
    /// The runner. One that was taken for lost comes back.
    Standalone,
}

/// Something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the submission of the job.
    pub at_ms: u64,
    /// What.
    pub what: Disturbance,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbance {
    /// SIGKILL for all of them at once.
    Kill {
        /// Whom.
        targets: Vec<Target>,
        /// When the runner starts again what nobody else does.
        away_ms: u64,
    },
    /// SIGSTOP, and SIGCONT later.
    Freeze {
        /// Whom.
        target: Target,
        /// Until it goes on.
        for_ms: u64,
    },
    /// A savepoint is asked for, and the job runs on.
    Savepoint,
    /// The job is stopped with a savepoint, and goes on from there.
    Stop {
        /// Of the next job.
        parallelism: u64,
    },
    /// Another parallelism is asked for.
    Rescale {
        /// Which.
        parallelism: u64,
    },
    /// From now on the job goes after the slots there are.
    Bound {
        /// At most so many subtasks.
        upper: u64,
    },
    /// Checkpoints cannot be written.
    BreakStore {
        /// Why not.
        how: Breakage,
        /// Until they can.
        for_ms: u64,
    },
    /// There is no room where the job writes its results.
    FillOutputs {
        /// Until there is.
        for_ms: u64,
    },
    /// A TaskManager does not reach the JobManager, nor the JobManager it.
    BreakNetwork {
        /// Which of those that the runner starts, modulo their number.
        place: u64,
        /// Why not.
        how: Outage,
    },
}

/// One of the processes of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Of which role.
    pub role: Role,
    /// Which one of those that live then, modulo their number.
    pub place: u64,
}

impl Plan {
    /// That of a seed, of which everything may be part. Programs must be built to reach buckets and to keep state on disk.
    pub fn all(seed: u64) -> Self {
        let mut plan = Self { scope: Scope::All, ..Self::local(seed) };
        let mut random = Random::new(seed ^ 0x6275_636b_6574);
        if random.per_mille(400) {
            plan.state = State::Disk;
        }
        if random.per_mille(400) {
            let tears = random.per_mille(500).then(|| random.within(15_000..=60_000));
            plan.place = Place::Bucket { tears };
            // Whose server takes its time for each object.
            plan.interval_ms = plan.interval_ms.max(BUCKET_INTERVAL_MS);
            for step in &mut plan.steps {
                if let Disturbance::BreakStore { how, .. } = &mut step.what {
                    *how = if *how == Breakage::Full { Breakage::Silent } else { Breakage::Away };
                }
            }
        }
        if random.per_mille(300) {
            plan.standbys = random.within(1..=2);
        }
        if random.per_mille(300) {
            let (at_ms, for_ms) = (random.within(500..=UNTIL_MS), random.within(300..=3_000));
            plan.steps.push(Step { at_ms, what: Disturbance::FillOutputs { for_ms } });
        }
        let mut random = Random::new(seed ^ 0x006e_6574_776f_726b);
        // Those that the JobManager starts are told where it is, and dial it straight.
        if plan.workers == Workers::Standalone && random.per_mille(600) {
            for _ in 0..random.within(1..=4) {
                let (at_ms, place) = (random.within(300..=UNTIL_MS), random.within(0..=11));
                let what = Disturbance::BreakNetwork { place, how: outage(&mut random) };
                plan.steps.push(Step { at_ms, what });
            }
        }
        plan.steps.sort_by_key(|step| step.at_ms);
        plan
    }

    /// That of a seed, of which everything may be part that needs no other builds of programs: one directory, state in
    /// memory, one JobManager.
    pub fn local(seed: u64) -> Self {
        let mut plan = Self { scope: Scope::Local, ..Self::plain(seed) };
        let mut random = Random::new(seed ^ 0x0072_6573_6361_6c65);
        if random.per_mille(300) {
            plan.unaligned = Some(if random.per_mille(500) { 0 } else { random.within(10..=200) });
        }
        if random.per_mille(250) {
            let at_ms = random.within(200..=4_000);
            plan.steps.push(Step { at_ms, what: Disturbance::Bound { upper: random.within(2..=4) } });
        }
        if random.per_mille(500) {
            for _ in 0..random.within(1..=4) {
                let at_ms = random.within(300..=UNTIL_MS);
                plan.steps.push(Step { at_ms, what: Disturbance::Rescale { parallelism: random.within(1..=4) } });
            }
        }
        plan.steps.sort_by_key(|step| step.at_ms);
        plan
    }

    /// The same without other parallelisms, and without barriers that overtake: what seeds were at first.
    pub fn plain(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x0063_6861_6f73);
        // In turn, so that few seeds in a row have all of them.
        let program = Program::ALL[(seed % Program::ALL.len() as u64) as usize];
        let workers = if random.per_mille(400) { Workers::Standalone } else { Workers::Backend };
        let (parallelism, slots) = (random.within(2..=3), random.within(1..=2));
        let interval_ms = random.within(80..=400);
        let steps = steps(&mut random);
        Self {
            seed,
            program,
            parallelism,
            slots,
            workers,
            interval_ms,
            unaligned: None,
            place: Place::Directory,
            state: State::Memory,
            standbys: 0,
            scope: Scope::Plain,
            steps,
        }
    }

    /// Whether checkpoints cannot be written at some time.
    pub fn breaks_store(&self) -> bool {
        let breaks = |step: &Step| matches!(step.what, Disturbance::BreakStore { .. });
        matches!(self.place, Place::Bucket { tears: Some(_) }) || self.steps.iter().any(breaks)
    }
}

fn steps(random: &mut Random) -> Vec<Step> {
    let mut at_ms = random.within(0..=2_500);
    let mut steps = Vec::new();
    for _ in 0..random.within(3..=8) {
        if at_ms > UNTIL_MS {
            break;
        }
        steps.push(Step { at_ms, what: disturbance(random) });
        // While whatever was hurt recovers, or when it may have.
        at_ms += if random.per_mille(300) { random.within(5..=400) } else { random.within(400..=3_500) };
    }
    steps
}

fn disturbance(random: &mut Random) -> Disturbance {
    match random.within(0..=99) {
        0..48 => {
            let count = if random.per_mille(250) { 2 } else { 1 };
            let targets = (0..count).map(|_| target(random)).collect();
            let away_ms = if random.per_mille(500) { 0 } else { random.within(100..=3_000) };
            Disturbance::Kill { targets, away_ms }
        }
        48..66 => Disturbance::Freeze { target: target(random), for_ms: silence(random) },
        66..76 => Disturbance::Savepoint,
        76..86 => Disturbance::Stop { parallelism: random.within(1..=4) },
        86..93 => Disturbance::BreakStore { how: Breakage::Full, for_ms: random.within(300..=3_000) },
        _ => Disturbance::BreakStore { how: Breakage::Blocked, for_ms: random.within(300..=3_000) },
    }
}

fn target(random: &mut Random) -> Target {
    let role = match random.within(0..=9) {
        0..4 => Role::JobProcess,
        4..7 => Role::TaskManager,
        _ => Role::JobManager,
    };
    Target { role, place: random.within(0..=11) }
}

/// Below the heartbeat timeout or above it, but not so near that nobody can tell.
fn silence(random: &mut Random) -> u64 {
    if random.per_mille(500) {
        random.within(100..=HEARTBEAT_TIMEOUT_MS / 2)
    } else {
        random.within(HEARTBEAT_TIMEOUT_MS + 1_000..=HEARTBEAT_TIMEOUT_MS + 4_000)
    }
}

fn outage(random: &mut Random) -> Outage {
    match random.within(0..=2) {
        0 => Outage::Torn,
        1 => Outage::Away { for_ms: silence(random) },
        _ => Outage::Silent { for_ms: silence(random) },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equal_seeds_have_equal_plans_and_others_have_others() {
        assert_eq!(Plan::all(7), Plan::all(7));
        assert_ne!(Plan::all(7).steps, Plan::all(11).steps);
    }

    #[test]
    fn a_narrower_plan_is_part_of_a_wider_one() {
        for seed in 0..50 {
            let (plain, local, all) = (Plan::plain(seed), Plan::local(seed), Plan::all(seed));
            assert!(plain.steps.iter().all(|step| local.steps.contains(step)), "{plain}\n{local}");
            let times = |plan: &Plan| plan.steps.iter().map(|step| step.at_ms).collect::<BTreeSet<_>>();
            assert!(times(&local).is_subset(&times(&all)), "{local}\n{all}");
            assert_eq!((local.program, local.workers, local.slots), (all.program, all.workers, all.slots));
        }
    }

    #[test]
    fn a_few_hundred_seeds_have_everything_in_them() {
        let plans: Vec<_> = (0..300).map(Plan::all).collect();
        let texts: String = plans.iter().map(Plan::to_string).collect();
        let kinds = [
            "windows",
            "joins",
            "sessions",
            "splits",
            "standalone",
            "backend",
            "kill JobManager",
            "kill TaskManager",
            "kill JobProcess",
            " and ",
            "freeze JobManager",
            "freeze TaskManager",
            "freeze JobProcess",
            "savepoint\n",
            "stop with",
            "rescale to",
            "between 1 and",
            "unaligned after 0 ms",
            "no room for checkpoints",
            "no room for results",
            "no directory",
            "in a bucket",
            "that tears",
            "no answer",
            "no way",
            "state on disk",
            "2 stand by",
            "tears\n",
            "is cut off",
            "is not heard",
        ];
        for kind in kinds {
            assert!(texts.contains(kind), "{kind}");
        }
        for plan in plans {
            assert!(!plan.steps.is_empty());
            assert!(plan.steps.is_sorted_by_key(|step| step.at_ms), "{plan}");
        }
    }
}
