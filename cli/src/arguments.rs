//! What may be written on the command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::exit::{Code, End};

mod old;
mod rescale;
mod snapshots;
pub mod state;

pub use rescale::Rescale;
pub use snapshots::{Cancel, Checkpoint, Restore, Savepoint, Stop};

/// Flott runs stateful stream and batch dataflow jobs.
#[derive(Debug, Parser)]
#[command(name = "flott", version, disable_help_subcommand = true, propagate_version = true)]
pub struct Arguments {
    /// Directory for everything that outlives a command: stores, staging, blobs, logs, history.
    #[arg(long, global = true, value_name = "DIR", env = "FLOTT_STATE_DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Configuration file instead of the one found in FLOTT_CONF_DIR or the user's configuration directory.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets a configuration key, for example `-D taskmanager.numberOfTaskSlots=4`. May be repeated.
    #[arg(short = 'D', global = true, value_name = "KEY=VALUE")]
    pub define: Vec<String>,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a program: in this process's machine, on a session cluster, or on a cluster of its own.
    Run(Box<Run>),
    /// Prints the plan of a program as JSON.
    Info(Plan),
    /// Writes the job graph of a program, as it would be submitted.
    Plan(WritePlan),
    /// Starts, ends or describes the session cluster of this user.
    #[command(subcommand)]
    Session(Session),
    /// Runs a JobManager in the foreground.
    Jobmanager(JobManager),
    /// Runs a TaskManager in the foreground.
    Taskmanager(TaskManager),
    /// Lists jobs.
    List(List),
    /// Cancels a job.
    Cancel(Cancel),
    /// Stops a job with a savepoint, from which it can be started again.
    Stop(Stop),
    /// Takes a savepoint of a job that runs on, or removes one.
    Savepoint(Savepoint),
    /// Takes a checkpoint of a job now.
    Checkpoint(Checkpoint),
    /// Changes the parallelism of a job that runs.
    Rescale(Rescale),
    /// Reads savepoints and checkpoints as data.
    #[command(subcommand)]
    State(state::State),
    /// Things to do with jobs.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Prints the logs of a job's processes.
    Logs(Logs),
    /// Prints generated references (command line, REST).
    #[command(hide = true)]
    Docs(Docs),
}

/// Which cluster.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// `local`, `cluster` (a cluster for this job alone; also `yarn-cluster`), or HOST:PORT of a JobManager. Without it:
    /// the configured address, else the running session of this user, else `local`.
    #[arg(short = 'm', long = "jobmanager", value_name = "WHERE")]
    pub jobmanager: Option<String>,
    /// Same as `-m`, in Flink's newer spelling: `local`, `remote`, `cluster`, and on Kubernetes `kubernetes-session` or
    /// `kubernetes-application`, of which `-D kubernetes.cluster-id=NAME` says which.
    #[arg(short = 't', long = "target", value_name = "TARGET", conflicts_with = "jobmanager")]
    pub deployment_target: Option<String>,
}

impl Target {
    /// What was named.
    pub fn named(&self) -> Option<&str> {
        self.jobmanager.as_deref().or(self.deployment_target.as_deref())
    }
}

/// A program with its arguments.
#[derive(Debug, Clone, Args)]
pub struct Program {
    /// Entry point, for programs that hold several; kept with the job.
    #[arg(short = 'c', long = "class", value_name = "ENTRY")]
    pub entry: Option<String>,
    /// Parallelism of operators that do not set their own.
    #[arg(short = 'p', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32768))]
    pub parallelism: Option<u32>,
    /// Name of the job instead of the program's own choice.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The program, an executable built with the `flott` crate, and its arguments. On a Kubernetes cluster of its own also
    /// `local:///PATH`, which is in the image.
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub program: Vec<OsString>,
}

/// `flott run`
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub target: Target,
    /// Returns once the job is accepted and has begun.
    #[arg(short = 'd', long)]
    pub detached: bool,
    /// A prepared graph, written by `flott plan`, instead of planning a program now.
    #[arg(long, value_name = "FILE")]
    pub job_graph: Option<PathBuf>,
    /// The executable of a prepared graph; without it, the cluster must already have it.
    #[arg(long = "program", value_name = "PROGRAM", requires = "job_graph")]
    pub graph_program: Option<PathBuf>,
    /// Ends the session's job when this client ends; the default of an attached run.
    #[arg(long = "shutdownOnAttachedExit", hide = true)]
    pub shutdown_on_attached_exit: bool,
    #[command(flatten)]
    pub restore: Restore,
    #[command(flatten)]
    pub json: Json,
    #[command(flatten)]
    pub yarn: Yarn,
    #[command(flatten)]
    pub program: Program,
}

/// Options of Flink's YARN client, with their old meaning.
#[derive(Debug, Clone, Default, Args)]
pub struct Yarn {
    /// Number of TaskManagers (`-yn`).
    #[arg(long = "yarncontainer", value_name = "N", hide = true)]
    pub containers: Option<u32>,
    /// Slots per TaskManager (`-ys`).
    #[arg(long = "yarnslots", value_name = "N", hide = true)]
    pub slots: Option<u32>,
    /// Memory per TaskManager, MB without a unit (`-ytm`).
    #[arg(long = "yarntaskManagerMemory", value_name = "MEMORY", hide = true)]
    pub task_manager_memory: Option<String>,
    /// Memory of the JobManager, MB without a unit (`-yjm`).
    #[arg(long = "yarnjobManagerMemory", value_name = "MEMORY", hide = true)]
    pub job_manager_memory: Option<String>,
    /// Name of the application (`-ynm`).
    #[arg(long = "yarnname", value_name = "NAME", hide = true)]
    pub application_name: Option<String>,
    /// Queue (`-yqu`, `-yarnqueue`).
    #[arg(long = "yarnqueue", value_name = "QUEUE", hide = true)]
    pub queue: Option<String>,
    /// Streaming mode of the old client (`-yst`); it has no other.
    #[arg(long = "yarnstreaming", hide = true)]
    pub streaming: bool,
    /// A configuration key (`-yD`).
    #[arg(long = "yarnproperty", value_name = "KEY=VALUE", hide = true)]
    pub properties: Vec<String>,
    /// A running YARN application (`-yid`); refused, there is none.
    #[arg(long = "yarnapplicationId", value_name = "ID", hide = true)]
    pub application_id: Option<String>,
}

/// `flott info`
#[derive(Debug, Args)]
pub struct Plan {
    /// Accepted for the sake of scripts: the plan is JSON in any case.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub program: Program,
}

/// `flott plan`
#[derive(Debug, Args)]
pub struct WritePlan {
    /// Where the job graph is written to. Also understood right behind the program or at the end, as `-o FILE`; a
    /// program with such an option of its own comes after `--`, or after an `-o` for the graph.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "job.graph")]
    pub output: PathBuf,
    #[command(flatten)]
    pub json: Json,
    #[command(flatten)]
    pub program: Program,
}

/// `flott session …`
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Starts the session cluster and returns when it answers.
    Start(SessionStart),
    /// Cancels its jobs and ends it. On Kubernetes it removes any cluster of that id, whole or half made.
    Stop(SessionNamed),
    /// Says whether it runs, and where.
    Status(SessionNamed),
}

/// Where a session cluster is.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Backend {
    /// `process` (a session of this user on this host) or `kubernetes` (of which `-D kubernetes.cluster-id=NAME` says
    /// which); the same as `-D cluster.backend=…`.
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<SessionBackend>,
}

/// A backend that a session is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SessionBackend {
    /// Processes of this host.
    Process,
    /// Pods.
    Kubernetes,
}

/// `flott session stop|status`
#[derive(Debug, Clone, Copy, Args)]
pub struct SessionNamed {
    #[command(flatten)]
    pub backend: Backend,
    #[command(flatten)]
    pub json: Json,
}

/// `flott session start`
#[derive(Debug, Args)]
pub struct SessionStart {
    /// TaskManagers to start at once and keep; more come as jobs need them.
    #[arg(short = 'n', long, value_name = "N")]
    pub workers: Option<u32>,
    /// Slots per TaskManager.
    #[arg(short = 's', long, value_name = "N")]
    pub slots: Option<u32>,
    #[command(flatten)]
    pub backend: Backend,
    #[command(flatten)]
    pub json: Json,
}

/// `--json`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Json {
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// `flott jobmanager`
#[derive(Debug, Args)]
pub struct JobManager {
    /// Directory of the cluster; the session's when absent.
    #[arg(long, value_name = "DIR")]
    pub cluster_dir: Option<PathBuf>,
    /// Runs this one job and ends with it.
    #[arg(long, value_name = "FILE")]
    pub job_graph: Option<PathBuf>,
    /// The executable of the job graph.
    #[arg(long, value_name = "FILE", requires = "job_graph")]
    pub program: Option<PathBuf>,
    /// Logs to the cluster's log directory instead of standard error.
    #[arg(long, hide = true)]
    pub log_to_file: bool,
    /// Whoever starts this JobManager starts it again until its job has ended, so SIGTERM leaves the job to the next one
    /// (exit code 143) instead of cancelling it. The state of the ended job stays, and the exit code says how it ended:
    /// 0 finished, 2 failed, 4 cancelled; with `--outcome-file` it is 0, and the file says that.
    #[arg(long, requires = "job_graph")]
    pub supervised: bool,
    /// Ends when standard input does: with the client of an attached run, who holds its other end.
    #[arg(long, hide = true)]
    pub ends_with_client: bool,
    /// Waits for this job to be submitted over REST, runs it, and ends with it. Whoever starts this JobManager starts it again
    /// until that is so: SIGTERM leaves the job to the next one (exit code 143).
    #[arg(long, value_name = "JOB-ID", conflicts_with_all = ["job_graph", "application"])]
    pub await_job: Option<String>,
    /// How long that job may be in coming.
    #[arg(long, value_name = "DURATION", default_value = "5 min", requires = "await_job")]
    pub patience: String,
    /// Plans this program, runs its job and ends with it; started again as with `--await-job`. Its arguments come last.
    #[arg(long, value_name = "FILE", requires = "job_id", conflicts_with = "job_graph")]
    pub application: Option<PathBuf>,
    /// The id that the program's job gets.
    #[arg(long, value_name = "JOB-ID", requires = "application")]
    pub job_id: Option<String>,
    /// The program's entry, if it has several.
    #[arg(long, value_name = "ENTRY", requires = "application")]
    pub class: Option<String>,
    /// Where to write how the one job has ended, as JSON.
    #[arg(long, value_name = "FILE")]
    pub outcome_file: Option<PathBuf>,
    /// The Job of Kubernetes whose pod this JobManager runs in: it is to fail when the one job has failed or was cancelled, which
    /// the exit code would not tell it. Needs the right to `patch` its `jobs/status`.
    #[arg(long, value_name = "NAME", requires = "outcome_file", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub outcome_job: Option<String>,
    /// Arguments of the program.
    #[arg(value_name = "ARGUMENTS", last = true, requires = "application")]
    pub arguments: Vec<String>,
}

/// `flott taskmanager`
#[derive(Debug, Args)]
pub struct TaskManager {
    /// HOST:PORT of the JobManager.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "jobmanager_file")]
    pub jobmanager: Option<String>,
    /// File that holds the address of the JobManager; read again on every try.
    #[arg(long, value_name = "FILE", conflicts_with = "jobmanager")]
    pub jobmanager_file: Option<PathBuf>,
    /// Working directory: blobs, logs, sockets of job processes.
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Logs to a file in the working directory instead of standard error.
    #[arg(long, hide = true)]
    pub log_to_file: bool,
}

/// `flott list`
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub target: Target,
    /// Running jobs.
    #[arg(short, long)]
    pub running: bool,
    /// Jobs that wait for slots.
    #[arg(short, long)]
    pub scheduled: bool,
    /// All jobs, ended ones too.
    #[arg(short, long)]
    pub all: bool,
    #[command(flatten)]
    pub json: Json,
}

/// `flott jobs …`
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Waits until a job has ended; the exit code says how.
    Wait(Wait),
}

/// `flott jobs wait`
#[derive(Debug, Args)]
pub struct Wait {
    #[command(flatten)]
    pub target: Target,
    /// Gives up after this long, for example `30 s`.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// The job.
    #[arg(value_name = "JOB-ID")]
    pub job: String,
    #[command(flatten)]
    pub json: Json,
}

/// `flott logs`
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub target: Target,
    /// Goes on printing what is added until the job ends.
    #[arg(short, long)]
    pub follow: bool,
    /// Standard output of the job's processes instead of their logs.
    #[arg(long)]
    pub stdout: bool,
    /// The job.
    #[arg(value_name = "JOB-ID")]
    pub job: String,
    #[command(flatten)]
    pub json: Json,
}

/// `flott docs`
#[derive(Debug, Args)]
pub struct Docs {
    /// Which reference: `cli`, `rest` or `openapi`.
    #[arg(value_name = "WHICH")]
    pub which: String,
}

/// Parses the command line; the error is the help, the version, or what is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, End> {
    let given: Vec<OsString> = arguments.into_iter().collect();
    Arguments::try_parse_from(old::rewrite(&command(), given.iter().cloned())).map_err(|error| {
        if !error.use_stderr() {
            return End::text(error.render().to_string());
        }
        let text = unknown_option(&error, &given).unwrap_or_else(|| {
            let text = error.render().to_string();
            text.trim_end().strip_prefix("error: ").unwrap_or(text.trim_end()).to_owned()
        });
        End::new(Code::Usage, anyhow::anyhow!(text))
    })
}

/// The command line, with every option in its place.
fn command() -> clap::Command {
    use clap::CommandFactory;
    let mut command = Arguments::command();
    command.build();
    command
}

/// One line for an option that there is not, as it was written, with the one that may be meant.
fn unknown_option(error: &clap::Error, given: &[OsString]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let invalid = text(ContextKind::InvalidArg)
        .filter(|option| error.kind() == ErrorKind::UnknownArgument && option.starts_with('-'))?;
    // Of `-abc` clap names the letter that it does not know.
    let written = given.iter().filter_map(|argument| argument.to_str()).find(|argument| argument.starts_with(&invalid));
    let written = written.map_or(invalid.as_str(), |written| written.split_once('=').map_or(written, |(name, _)| name));
    let meant = text(ContextKind::SuggestedArg).or_else(|| old::nearest(written).map(str::to_owned));
    let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    Some(format!("unknown option {written}{meant}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_unknown_option_is_named_with_the_nearest_one() {
        #[track_caller]
        fn check(line: &str, expected: &str) {
            let end = parse(line.split_whitespace().map(OsString::from)).expect_err("it is unknown");
            assert_eq!((end.code(), end.to_string().as_str()), (Code::Usage, expected));
        }
        check("flott run -yfoo X", "unknown option -yfoo");
        check("flott run -yst1 X", "unknown option -yst1 (did you mean -yst?)");
        check("flott run --nosuch X", "unknown option --nosuch");
        check("flott run --detachd X", "unknown option --detachd (did you mean --detached?)");
        check("flott info --paralelism=2 X", "unknown option --paralelism (did you mean --parallelism?)");
        check("flott plan -z X", "unknown option -z");
        check("flott list --runing", "unknown option --runing (did you mean --running?)");
    }
}
