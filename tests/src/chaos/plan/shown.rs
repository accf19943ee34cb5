//! How plans are told.

use std::fmt;

use super::{Breakage, Disturbance, Outage, Place, Plan, Scope, State, Step, Target, Workers};
use crate::sandbox::processes::Role;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, parallelism, slots, interval_ms, .. } = self;
        let (name, workers) = (
            self.program.name(),
            match self.workers {
                Workers::Backend => "process backend",
                Workers::Standalone => "standalone",
            },
        );
        write!(
            f,
            "seed {seed}: {name} -p {parallelism}, {slots} slots each, {workers}, a checkpoint every {interval_ms} ms"
        )?;
        match self.scope {
            Scope::Plain => f.write_str(", plain")?,
            Scope::Local => f.write_str(", local")?,
            Scope::All => {}
        }
        match self.place {
            Place::Directory => {}
            Place::Bucket { tears: None } => f.write_str(", in a bucket")?,
            Place::Bucket { tears: Some(bytes) } => {
                write!(f, ", in a bucket on a network that tears after {bytes} bytes")?
            }
        }
        if self.state == State::Disk {
            f.write_str(", state on disk")?;
        }
        if self.standbys > 0 {
            write!(f, ", {} stand by", self.standbys)?;
        }
        if let Some(timeout_ms) = self.unaligned {
            write!(f, ", unaligned after {timeout_ms} ms")?;
        }
        self.steps.iter().try_for_each(|Step { at_ms, what }| write!(f, "\n  {at_ms:>6} ms  {what}"))
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
            Self::BreakStore { how, for_ms } => write!(f, "{how} for {for_ms} ms"),
            Self::FillOutputs { for_ms } => write!(f, "no room for results for {for_ms} ms"),
            Self::BreakNetwork { place, how } => write!(f, "TaskManager[{place}] {how}"),
        }
    }
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no room for checkpoints",
            Self::Blocked => "no directory for checkpoints",
            Self::Silent => "no answer from the bucket",
            Self::Away => "no way to the bucket",
        })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("has a network that tears"),
            Self::Away { for_ms } => write!(f, "is cut off for {for_ms} ms"),
            Self::Silent { for_ms } => write!(f, "is not heard for {for_ms} ms"),
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
