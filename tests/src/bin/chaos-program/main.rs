//! Programs for the chaos runner: windows, joins, sessions and splits, over generated events, into files.
//!
//! What they write is a function of the multiset of the events, and the same in streaming and in batch mode: nothing depends on
//! processing time, on the order of results, or on how fast one source is beside another. Where a program's results depend on event
//! time, each of its sources is one subtask that reads in the order of time but for a bounded disorder, so that no event is ever
//! late.
//!
//! # Layout
//! - `arguments`: what it is told, as `PROGRAM [key=value…]`
//! - `event`: the events
//! - `paced`: a source of many splits that are read at a rate
//! - `programs`: what is computed

use std::process::ExitCode;

use flott::{Environment, ExecutionMode};

mod arguments;
mod event;
mod paced;
mod programs;

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::of_process() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(64);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> flott::Result<()> {
    let env = Environment::new();
    env.set_mode(if arguments.batch { ExecutionMode::Batch } else { ExecutionMode::Streaming });
    // That of a job that goes on with other parallelism must be the same.
    env.set_max_parallelism(64);
    arguments.program.build(&env, arguments);
    env.execute(arguments.program.name())?;
    Ok(())
}
