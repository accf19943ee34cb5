//! What `execute` does in each mode.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flott_core::{
    config::Configuration,
    failure::Failure,
    id::{Digest, JobId},
    job_graph::{JobGraph, Program, document, host_target},
    message::{HostSetup, PlanRequest, environment, executed},
};
use flott_runtime::host_process;

use super::{Environment, Launch, local, rehearsal};
use crate::{
    error::{Error, PlanError, Result},
    graph::{JobSettings, StreamGraph, first_difference, translate},
    program::PlannedProgram,
    result::JobResult,
};

/// A plan on its way to become a job.
struct Planned {
    graph: StreamGraph,
    settings: JobSettings,
    config: Configuration,
}

impl Environment {
    /// Runs what was put together as the job `name`.
    ///
    /// A program is one job. By itself the job runs within the process, and `execute` returns when it has ended. When
    /// the program hosts tasks, `execute` ends the process. When it is planned, `execute` returns an empty result to a
    /// process that can compute and no more, to see whether `execute` is called again; whatever it tries that would reach
    /// the outside ends it. So what comes after `execute` happens only where the program was started by itself. Only the
    /// first `execute` of a program could ever run on a cluster, and a second one is therefore an error everywhere, but
    /// for environments made by [`local`](Self::local).
    ///
    /// # Errors
    /// When what was put together is no job, or the job failed or was cancelled.
    ///
    /// # Panics
    /// Never for reasons of its own; panics of user functions fail their tasks.
    pub fn execute(&self, name: &str) -> Result<JobResult> {
        self.only_once()?;
        match &self.shared.launch {
            launch @ (Launch::Run { .. } | Launch::Unclear { .. }) => {
                let configuration = launch.configuration()?;
                let planned = self.plan(name, configuration)?;
                self.note(executed::BEGUN);
                self.run(name, planned)
            }
            Launch::Plan { output, request } => {
                let unknown = self.write_plan(name, output, request)?;
                rehearsal::begin();
                Ok(unknown)
            }
            Launch::Host { setup, graph } => process::exit(self.host(name, setup, graph)),
        }
    }

    fn only_once(&self) -> Result<(), PlanError> {
        static EXECUTED: AtomicBool = AtomicBool::new(false);
        self.note(executed::CALLED);
        let again = std::mem::replace(&mut self.shared.state.lock().executed, true);
        if again || (!self.shared.always_local && EXECUTED.swap(true, Ordering::Relaxed)) {
            if let Launch::Plan { .. } = self.shared.launch {
                rehearsal::called_again();
            }
            return Err(PlanError::ExecutedTwice);
        }
        Ok(())
    }

    /// Writes down for `flott run -m local` what happens.
    fn note(&self, what: u8) {
        if self.shared.always_local || !matches!(self.shared.launch, Launch::Run { .. }) {
            return;
        }
        let Some(file) = std::env::var_os(environment::EXECUTED) else { return };
        let written = fs::File::options().append(true).open(&file).and_then(|mut file| file.write_all(&[what]));
        if let Err(error) = written {
            tracing::warn!(%error, file = %file.display(), "cannot be written to");
        }
    }

    fn plan(&self, name: &str, configuration: &BTreeMap<String, String>) -> Result<Planned, PlanError> {
        let (plan, settings) = {
            let mut state = self.shared.state.lock();
            (std::mem::take(&mut state.plan), std::mem::take(&mut state.settings))
        };
        let (settings, config) = settings.resolve(configuration, self.shared.launch.directory(), plan.is_bounded())?;
        let graph = translate(plan, &settings, name)?;
        Ok(Planned { graph, settings, config })
    }

    /// The job within this process.
    fn run(&self, name: &str, planned: Planned) -> Result<JobResult> {
        let Planned { graph, settings, config } = planned;
        let name = settings.name().unwrap_or(name).to_owned();
        let job_graph = graph.job_graph(JobId::random(), name, no_program(), &settings)?;
        let clock = self.shared.state.lock().clock.clone();
        let collected = graph.operators();
        let program = Arc::new(PlannedProgram::new(job_graph.job_id, graph));
        let view = local::run(job_graph, program, &config, clock)?;
        Ok(JobResult::new(view, self.id(), collected))
    }

    /// The plan as a job whose tasks the caller runs.
    pub(crate) fn rehearsed(&self, job: JobId, name: &str) -> Result<(JobGraph, PlannedProgram), PlanError> {
        let Planned { graph, settings, .. } = self.plan(name, &BTreeMap::new())?;
        let job_graph = graph.job_graph(job, name.to_owned(), no_program(), &settings)?;
        Ok((job_graph, PlannedProgram::new(job, graph)))
    }

    /// The result is that of a job which has not run.
    fn write_plan(&self, name: &str, output: &Path, request: &PlanRequest) -> Result<JobResult> {
        let Planned { graph, settings, .. } = self.plan(name, &request.configuration)?;
        let job = request.job.unwrap_or_else(JobId::random);
        let name = request.name.as_deref().or(settings.name()).unwrap_or(name).to_owned();
        let job_graph = graph.job_graph(job, name.clone(), this_program(request.entry.clone())?, &settings)?;
        let write = |error| Error::File { action: "write", path: output.to_owned(), error };
        fs::write(output, document::write(&job_graph)).map_err(write)?;
        Ok(JobResult::unknown(job, name, self.id(), graph.operators()))
    }

    /// Hosts tasks of the job of `graph`; the answer is the exit code of the process.
    fn host(&self, name: &str, setup: &HostSetup, graph: &JobGraph) -> i32 {
        // A second subscriber is one that the program has set up for itself.
        let _ = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).with_target(false).try_init();
        let outcome = match self.plan_again(name, graph) {
            Ok(program) => host_process::run(setup.clone(), Arc::new(graph.clone()), Arc::new(program)),
            Err(failure) => {
                eprintln!("{}", failure.report());
                return i32::from(host_process::refuse(failure).is_err()) + 1;
            }
        };
        match outcome {
            Ok(()) => 0,
            Err(failure) => {
                eprintln!("{}", failure.report());
                1
            }
        }
    }

    /// Plans as when the job was submitted, and compares.
    fn plan_again(&self, name: &str, submitted: &JobGraph) -> Result<PlannedProgram, Failure> {
        let refused = |error: &dyn std::error::Error| {
            let message = format!("the program of job {:?} cannot be planned again to host its tasks", submitted.name);
            Failure::user(message).because(error).fatal()
        };
        let Planned { graph, settings, .. } =
            self.plan(name, &submitted.configuration).map_err(|error| refused(&error))?;
        let planned = graph
            .job_graph(submitted.job_id, submitted.name.clone(), submitted.program.clone(), &settings)
            .map_err(|error| refused(&error))?;
        if planned.fingerprint == submitted.fingerprint {
            return Ok(PlannedProgram::new(submitted.job_id, graph));
        }
        let message = "the program's plan is not deterministic: planned again to host tasks, it differs from what was \
                       submitted; it must not depend on time, chance, the machine or its environment";
        let failure = Failure::user(message).fatal();
        Err(match first_difference(&submitted.fingerprint_lines, &planned.fingerprint_lines) {
            Some((submitted, planned)) => {
                failure.because(format!("submitted: {submitted}")).because(format!("planned again: {planned}"))
            }
            None => failure,
        })
    }
}

/// What stands for the program where nobody fetches it, because it is this process.
fn no_program() -> Program {
    Program {
        digest: Digest::of(b""),
        size: 0,
        target: host_target(),
        file_name: "program".to_owned(),
        entry: None,
        arguments: Vec::new(),
    }
}

/// The executable of this process, as a job graph names it.
fn this_program(entry: Option<String>) -> Result<Program> {
    let read = |path: PathBuf, error| Error::File { action: "read", path, error };
    let path = std::env::current_exe().map_err(|error| read("/proc/self/exe".into(), error))?;
    let mut hasher = blake3::Hasher::new();
    let file = fs::File::open(&path).and_then(|file| hasher.update_reader(file).map(|hasher| hasher.count()));
    let size = file.map_err(|error| read(path.clone(), error))?;
    let text = |text: std::ffi::OsString| {
        text.into_string().map_err(|text| Error::Environment {
            variable: "arguments".to_owned(),
            problem: format!("{:?} is not UTF-8", text.to_string_lossy()),
        })
    };
    let file_name = path.file_name().map_or_else(|| "program".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(Program {
        digest: Digest::from_bytes(*hasher.finalize().as_bytes()),
        size,
        target: host_target(),
        file_name,
        entry,
        arguments: std::env::args_os().skip(1).map(text).collect::<Result<_>>()?,
    })
}

#[cfg(test)]
impl Environment {
    /// The job graph that this plan becomes.
    pub(crate) fn job_graph(&self, configuration: &[(&str, &str)]) -> Result<JobGraph, PlanError> {
        let configuration = configuration.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let Planned { graph, settings, .. } = self.plan("test", &configuration)?;
        graph.job_graph(JobId::from_bytes([7; 16]), "test".to_owned(), no_program(), &settings)
    }
}
