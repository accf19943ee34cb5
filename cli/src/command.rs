//! One file per verb.

use crate::{
    arguments::{Arguments, Command},
    exit::{Code, CommandResult},
};

mod cancel;
mod checkpoint;
mod docs;
mod holder;
mod jobmanager;
mod list;
mod logs;
mod plan;
mod rescale;
mod run;
mod savepoint;
mod session;
mod state;
mod stop;
mod taskmanager;
mod wait;

/// Runs the command that was given.
pub fn run(arguments: Arguments) -> CommandResult {
    match &arguments.command {
        Command::Jobmanager(options) => return jobmanager::run(&arguments, options),
        Command::Taskmanager(options) => return taskmanager::run(&arguments, options),
        _ => {}
    }
    end_with_the_pipe();
    if let Command::Docs(options) = &arguments.command {
        return docs::run(options);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(client(&arguments));
    // Nothing that a client has left running matters any more.
    runtime.shutdown_background();
    code
}

/// A reader that has had enough (`flott list | head`) ends a client quietly, as it does other commands. A server that closes its
/// connection does not: it is known by the output, which is still read.
fn end_with_the_pipe() {
    use std::os::fd::BorrowedFd;

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::signal::{SigHandler, Signal, raise, signal},
    };

    extern "C" fn broken(_: i32) {
        // SAFETY: they are open as long as the process.
        let outputs = unsafe { [BorrowedFd::borrow_raw(1), BorrowedFd::borrow_raw(2)] };
        // Without flags that are waited for, poll tells of errors alone: nobody reads any more.
        let mut outputs = outputs.map(|output| PollFd::new(output, PollFlags::empty()));
        if matches!(poll(&mut outputs, PollTimeout::ZERO), Ok(broken) if broken > 0) {
            // SAFETY: the default action is no handler of ours. It takes place when this one has returned.
            let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.and_then(|_| raise(Signal::SIGPIPE));
        }
    }

    // SAFETY: what the handler calls, `poll`, `signal` and `raise`, may be called by one.
    if let Err(error) = unsafe { signal(Signal::SIGPIPE, SigHandler::Handler(broken)) } {
        eprintln!("flott: warning: SIGPIPE keeps its handler: {error}");
    }
}

async fn client(arguments: &Arguments) -> CommandResult {
    match &arguments.command {
        Command::Run(options) => run::run(arguments, options).await,
        Command::Info(options) => plan::info(arguments, options).await,
        Command::Plan(options) => plan::write(arguments, options).await,
        Command::Session(options) => session::run(arguments, options).await,
        Command::List(options) => list::run(arguments, options).await,
        Command::Cancel(options) => cancel::run(arguments, options).await,
        Command::Stop(options) => stop::run(arguments, options).await,
        Command::Savepoint(options) => savepoint::run(arguments, options).await,
        Command::Checkpoint(options) => checkpoint::run(arguments, options).await,
        Command::Rescale(options) => rescale::run(arguments, options).await,
        Command::State(options) => state::run(arguments, options).await,
        Command::Jobs(options) => wait::run(arguments, options).await,
        Command::Logs(options) => logs::run(arguments, options).await,
        Command::Jobmanager(_) | Command::Taskmanager(_) | Command::Docs(_) => Ok(Code::Done),
    }
}
