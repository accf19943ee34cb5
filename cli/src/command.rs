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
        Command::Docs(options) => return docs::run(options),
        _ => {}
    }
    end_with_the_pipe();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(client(&arguments));
    // Nothing that a client has left running matters any more.
    runtime.shutdown_background();
    code
}

/// A reader that has had enough (`flott list | head`) ends a client quietly, as it does other commands.
fn end_with_the_pipe() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default action is no handler of ours, and no other thread runs yet.
    if let Err(error) = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) } {
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
