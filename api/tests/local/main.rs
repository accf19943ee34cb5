//! Whole jobs within the test's process, against naive models.

mod alignment;
mod broadcast;
mod calls;
mod failing;
mod found_splits;
mod idle;
mod joins;
mod operator_state;
mod operators;
mod script;
mod sinks;
mod sources;
mod splits;
mod state;
mod time;
mod two_inputs;
#[path = "../model/versions.rs"]
mod versions;
mod windows;

use std::fmt::Debug;

use flott::{Data, Environment, ExecutionMode, JobResult, RestartStrategy, Stream};

const PARALLELISMS: [u32; 3] = [1, 2, 4];

fn env(parallelism: u32) -> Environment {
    let env = Environment::local();
    env.set_parallelism(parallelism);
    env.set_restart_strategy(RestartStrategy::None);
    env
}

fn batch(parallelism: u32) -> Environment {
    let env = env(parallelism);
    env.set_mode(ExecutionMode::Batch);
    env
}

/// Runs the job and gives what `stream` has, sorted.
#[track_caller]
fn sorted<T: Data + Ord>(stream: &Stream<T>, env: &Environment) -> Vec<T> {
    let collected = stream.collect();
    let result = env.execute("test").unwrap();
    let mut records = result.collected(&collected).unwrap();
    records.sort();
    records
}

/// Checks that `build` gives the records `expected`, in any order, whatever the parallelism.
#[track_caller]
fn check<T: Data + Ord + Debug>(build: impl Fn(&Environment) -> Stream<T>, mut expected: Vec<T>) {
    expected.sort();
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let records = sorted(&build(&env), &env);
        assert_eq!(records, expected, "parallelism {parallelism}");
    }
}

fn run(env: &Environment) -> JobResult {
    env.execute("test").unwrap()
}

fn run_error(env: &Environment) -> String {
    env.execute("test").unwrap_err().to_string()
}
