//! Planning a program on the JobManager's side, for `/jars`: the program is run in plan mode in a sandboxed child and
//! leaves a job graph behind.
//!
//! The child is somebody's code, so it gets a clean environment, an empty directory, a process group of its own that is
//! killed as a whole, limits on CPU time, memory, files and the size of what it writes, and a bounded time. What it
//! prints is kept to a bounded tail, for the error.

mod arguments;
mod limits;
mod output;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use flott_core::{
    job_graph::{
        JobGraph,
        document::{self, DocumentError},
    },
    message::{EXIT_EXECUTED_TWICE, PlanRequest, environment},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::Command;

pub use arguments::split as split_arguments;

use crate::executable::{self, ExecutableError};

/// How long the output of a program that has ended is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file is not a program for this host.
    #[error("{name} cannot be planned: {cause}")]
    NotAProgram {
        /// Its name.
        name: String,
        /// What it is.
        cause: ExecutableError,
    },
    /// The program ended without leaving a job graph.
    #[error("{name} {how}{}", tail(.output))]
    Program {
        /// Its name.
        name: String,
        /// How it ended.
        how: String,
        /// The end of what it printed.
        output: String,
    },
    /// The program did not end.
    #[error("{name} did not finish planning within {} s and was killed{}", .after.as_secs_f64(), tail(.output))]
    TimedOut {
        /// Its name.
        name: String,
        /// How long was waited.
        after: Duration,
        /// The end of what it printed.
        output: String,
    },
    /// What it left is not a job graph.
    #[error("the program wrote a job graph that is refused: {0}")]
    Graph(#[from] DocumentError),
    /// The sandbox could not be set up.
    #[error("cannot {action} for planning: {cause}")]
    Sandbox {
        /// What failed.
        action: &'static str,
        /// Why.
        cause: std::io::Error,
    },
}

fn tail(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("; it printed:\n{}", output.trim_end()) }
}

/// A program to plan.
#[derive(Debug, Clone)]
pub struct PlanJob {
    /// The executable.
    pub program: PathBuf,
    /// The name that people know it by.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What is wanted of the plan.
    pub request: PlanRequest,
}

/// Plans programs, one child each, in directories under `scratch`.
#[derive(Debug, Clone)]
pub struct Planner {
    /// Where the children's directories are made.
    pub scratch: PathBuf,
    /// How long a child may take.
    pub timeout: Duration,
}

impl Planner {
    /// Runs `job`'s program in plan mode and reads the job graph that it leaves, with the bytes of its document.
    ///
    /// Cancel-safe: the child and its descendants are killed when the future is dropped.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn plan(&self, job: PlanJob) -> Result<(JobGraph, Vec<u8>), PlanError> {
        let (program, name) = (job.program.clone(), job.name.clone());
        let scratch = self.scratch.clone();
        let directory = tokio::task::spawn_blocking(move || {
            check_executable(&program, name)?;
            Directory::new(&scratch)
        })
        .await
        .map_err(|error| sandbox("look at the program")(std::io::Error::other(error)))??;

        let plan_file = directory.path.join("job.graph");
        self.run(&job, &directory.path, &plan_file).await?;
        tokio::task::spawn_blocking(move || {
            let document = read_bounded(&plan_file, &job.name)?;
            drop(directory);
            Ok((document::read(&document)?, document))
        })
        .await
        .map_err(|error| sandbox("read the plan")(std::io::Error::other(error)))?
    }

    async fn run(&self, job: &PlanJob, directory: &Path, plan_file: &Path) -> Result<(), PlanError> {
        let request = serde_json::to_string(&job.request)
            .map_err(|error| sandbox("write the plan request")(std::io::Error::other(error)))?;
        let mut command = Command::new(&job.program);
        command
            .args(&job.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", directory)
            .env("TMPDIR", directory)
            .env(environment::MODE, "plan")
            .env(environment::PLAN_OUTPUT, plan_file)
            .env(environment::PLAN_REQUEST, request)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        limits::apply(&mut command, self.timeout);
        let mut child = command.spawn().map_err(sandbox("start the program"))?;
        let group = Group(child.id());
        let printed = output::Tail::default();
        let mut reading = std::pin::pin!(printed.read(child.stdout.take(), child.stderr.take()));
        let mut drained = false;
        let ended = async {
            loop {
                tokio::select! {
                    status = child.wait() => return status,
                    () = &mut reading, if !drained => drained = true,
                }
            }
        };
        let ended = tokio::time::timeout(self.timeout, ended).await;
        // With all that it has left behind, which may hold the pipes open.
        drop(group);
        if !drained && tokio::time::timeout(LAST_WORDS, reading).await.is_err() {
            tracing::debug!(program = %job.name, "the output of a planning program does not end");
        }
        let name = || job.name.clone();
        let status = match ended {
            Ok(status) => status.map_err(sandbox("wait for the program"))?,
            Err(_) => {
                return Err(PlanError::TimedOut { name: name(), after: self.timeout, output: printed.text() });
            }
        };
        if !status.success() {
            if status.code() == Some(EXIT_EXECUTED_TWICE) {
                let how = "calls execute() twice: a program is one job, and the second would not run".to_owned();
                return Err(PlanError::Program { name: name(), how, output: String::new() });
            }
            let how = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
                (Some(code), _) => format!("ended with exit code {code} while planning"),
                (None, Some(signal)) => match Signal::try_from(signal) {
                    Ok(signal) => format!("was killed by {signal} while planning"),
                    Err(_) => format!("was killed by signal {signal} while planning"),
                },
                (None, None) => "ended abnormally while planning".to_owned(),
            };
            return Err(PlanError::Program { name: name(), how, output: printed.text() });
        }
        Ok(())
    }
}

/// Kills a process group when dropped: the child, if it still runs, and whatever it has left behind.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // ESRCH is the usual answer: nothing was left.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// A directory of a child, removed with all that it has written.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new(scratch: &Path) -> Result<Self, PlanError> {
        let path = scratch.join(format!("plan-{}", flott_core::id::ProcessId::random()));
        std::fs::create_dir_all(&path).map_err(sandbox("create a directory"))?;
        Ok(Self { path })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(directory = %self.path.display(), %error, "cannot remove a planning directory");
        }
    }
}

fn sandbox(action: &'static str) -> impl FnOnce(std::io::Error) -> PlanError {
    move |cause| PlanError::Sandbox { action, cause }
}

fn check_executable(program: &Path, name: String) -> Result<(), PlanError> {
    let mut head = Vec::new();
    File::open(program)
        .and_then(|file| file.take(executable::HEAD as u64).read_to_end(&mut head))
        .map_err(sandbox("read the program"))?;
    executable::check(&head).map_err(|cause| PlanError::NotAProgram { name, cause })
}

fn read_bounded(plan: &Path, name: &str) -> Result<Vec<u8>, PlanError> {
    let file = match File::open(plan) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let how = "ended without a plan: it never called execute()".to_owned();
            return Err(PlanError::Program { name: name.to_owned(), how, output: String::new() });
        }
        Err(cause) => return Err(sandbox("read the plan")(cause)),
    };
    let mut document = Vec::new();
    file.take(document::SIZE_MAX as u64 + 1).read_to_end(&mut document).map_err(sandbox("read the plan"))?;
    Ok(document)
}

#[cfg(test)]
mod tests;
