//! Programs that are no proper job, or not the same one twice.

use std::{process::exit, str::FromStr};

use flott::Environment;

use crate::{arguments::Arguments, build, trouble};

/// What is odd.
#[derive(Debug, Clone, Copy)]
pub enum OddPlan {
    /// `execute` is not called.
    None,
    /// It is called twice.
    Twice,
    /// Each planning gives another plan.
    Random,
    /// `main` panics.
    Panic,
    /// `main` crashes.
    Segfault,
    /// `main` ends the process with a code of its own.
    Exit,
    /// `main` never gets to `execute`.
    Spin,
}

impl FromStr for OddPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "none" => Self::None,
            "twice" => Self::Twice,
            "random" => Self::Random,
            "panic" => Self::Panic,
            "segfault" => Self::Segfault,
            "exit" => Self::Exit,
            "spin" => Self::Spin,
            other => return Err(format!("there is no plan {other:?}")),
        })
    }
}

/// Does it.
pub fn run(odd: OddPlan, arguments: &Arguments) -> flott::Result<()> {
    let env = Environment::new();
    match odd {
        OddPlan::None => build(&env, arguments, "counts"),
        OddPlan::Twice => {
            build(&env, arguments, "counts");
            env.execute("first")?;
            env.execute("second")?;
        }
        OddPlan::Random => {
            build(&env, arguments, &format!("counts of process {}", std::process::id()));
            env.execute(&arguments.name)?;
        }
        OddPlan::Panic => panic!("main has had enough"),
        OddPlan::Segfault => trouble::segfault(),
        OddPlan::Exit => exit(7),
        OddPlan::Spin => trouble::spin(),
    }
    Ok(())
}
