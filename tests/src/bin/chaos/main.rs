//! The chaos runner: `chaos [plain|local] SEED [MINUTES]` or `chaos regressions`; `cargo xtask chaos` builds what it needs and starts it.

use std::{
    ffi::c_int,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use flott_tests::chaos::{INTERRUPTED, Plan, REGRESSIONS, replay, run};
use nix::sys::signal::{SigHandler, Signal, signal};

extern "C" fn interrupt(_: c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Which seeds, and for how long.
struct Given {
    /// What a seed's plan is.
    plan: fn(u64) -> Plan,
    seeds: Box<dyn Iterator<Item = u64>>,
    /// Before the next one is begun.
    bound: Duration,
    shows_plans: bool,
}

impl Given {
    fn read(arguments: &[String]) -> Option<Self> {
        let number = |text: &String| text.parse::<u64>().ok();
        Some(match arguments {
            [word] if word == "regressions" => {
                let seeds = Box::new(REGRESSIONS.iter().copied());
                Self { plan: Plan::plain, seeds, bound: Duration::MAX, shows_plans: false }
            }
            [word, rest @ ..] if word == "plain" => Self { plan: Plan::plain, ..Self::read(rest)? },
            [word, rest @ ..] if word == "local" => Self { plan: Plan::local, ..Self::read(rest)? },
            [seed] => {
                Self { plan: Plan::all, seeds: Box::new(number(seed)?..), bound: Duration::ZERO, shows_plans: true }
            }
            [seed, minutes] => {
                let bound = Duration::from_secs(number(minutes)?.saturating_mul(60));
                Self { plan: Plan::all, seeds: Box::new(number(seed)?..), bound, shows_plans: false }
            }
            _ => return None,
        })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some(Given { plan: plan_of, seeds, bound, shows_plans }) = Given::read(&arguments) else {
        eprintln!("arguments: [plain|local] SEED [MINUTES], or regressions");
        return ExitCode::from(64);
    };
    // What runs and stands still, and what is mounted, is to go in any case.
    for ending in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler does nothing but store into an atomic.
        if let Err(error) = unsafe { signal(ending, SigHandler::Handler(interrupt)) } {
            eprintln!("{ending} will leave processes behind: {error}");
        }
    }
    let began = Instant::now();
    let mut failed = Vec::new();
    for seed in seeds {
        let plan = plan_of(seed);
        if shows_plans {
            println!("{plan}");
        }
        match catch_unwind(AssertUnwindSafe(|| run(&plan))) {
            Ok(report) => println!("{report}"),
            Err(_) => {
                println!("seed {seed}: FAILED; replay: {}", replay(&plan));
                failed.push(seed);
            }
        }
        if INTERRUPTED.load(Ordering::Relaxed) || began.elapsed() >= bound {
            break;
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seeds that went wrong: {failed:?}");
    ExitCode::FAILURE
}
