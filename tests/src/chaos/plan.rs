//! What is done to a cluster and when, as data: equal seeds, equal plans.

use std::fmt;

use crate::{random::Random, sandbox::processes::Role};

/// Silence after which a process counts as lost, in milliseconds.
pub const HEARTBEAT_TIMEOUT_MS: u64 = 3_000;
/// In how many seconds a source gives its events if nothing holds it up.
pub const JOB_SECONDS: u64 = 9;
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
    /// Whether it is as seeds were before there were other parallelisms and barriers that overtake.
    pub is_plain: bool,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
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
    /// There is no room where checkpoints are written.
    FillStore {
        /// Until there is.
        for_ms: u64,
    },
    /// A file is where the directory of checkpoints was.
    BlockStore {
        /// Until the directory is back.
        for_ms: u64,
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
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut plan = Self { is_plain: false, ..Self::plain(seed) };
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
        let (unaligned, is_plain) = (None, true);
        Self { seed, program, parallelism, slots, workers, interval_ms, unaligned, is_plain, steps }
    }

    /// Whether checkpoints cannot be written at some time.
    pub fn breaks_store(&self) -> bool {
        let breaks = |step: &Step| matches!(step.what, Disturbance::FillStore { .. } | Disturbance::BlockStore { .. });
        self.steps.iter().any(breaks)
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
        86..93 => Disturbance::FillStore { for_ms: random.within(300..=3_000) },
        _ => Disturbance::BlockStore { for_ms: random.within(300..=3_000) },
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

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, program, parallelism, slots, workers, interval_ms, unaligned, is_plain, steps } = self;
        let (name, workers) = (
            program.name(),
            match workers {
                Workers::Backend => "process backend",
                Workers::Standalone => "standalone",
            },
        );
        write!(
            f,
            "seed {seed}: {name} -p {parallelism}, {slots} slots each, {workers}, a checkpoint every {interval_ms} ms"
        )?;
        if *is_plain {
            f.write_str(", plain")?;
        }
        if let Some(timeout_ms) = unaligned {
            write!(f, ", unaligned after {timeout_ms} ms")?;
        }
        steps.iter().try_for_each(|Step { at_ms, what }| write!(f, "\n  {at_ms:>6} ms  {what}"))
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { targets, away_ms } => {
                let targets: Vec<_> = targets.iter().map(Target::to_string).collect();
                write!(f, "kill {}, away for {away_ms} ms", targets.join(" and "))
            }
            Self::Freeze { target, for_ms } => write!(f, "freeze {target} for {for_ms} ms"),
            Self::Savepoint => f.write_str("savepoint"),
            Self::Stop { parallelism } => write!(f, "stop with a savepoint, go on with -p {parallelism}"),
            Self::Rescale { parallelism } => write!(f, "rescale to {parallelism}"),
            Self::Bound { upper } => write!(f, "between 1 and {upper} subtasks"),
            Self::FillStore { for_ms } => write!(f, "no room for checkpoints for {for_ms} ms"),
            Self::BlockStore { for_ms } => write!(f, "no directory for checkpoints for {for_ms} ms"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::JobManager => f.write_str("JobManager"),
            role => write!(f, "{role:?}[{}]", self.place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_have_equal_plans_and_others_have_others() {
        assert_eq!(Plan::new(7), Plan::new(7));
        assert_ne!(Plan::new(7).steps, Plan::new(11).steps);
    }

    #[test]
    fn a_few_hundred_seeds_have_everything_in_them() {
        let plans: Vec<_> = (0..300).map(Plan::new).collect();
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
            "no room",
            "no directory",
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
