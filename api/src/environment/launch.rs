//! The mode that a program was started in.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use flott_core::{
    config::Loader,
    job_graph::{JobGraph, document},
    message::{EXIT_OTHER_PROTOCOL, HOST_PROTOCOL, HostSetup, PlanRequest, environment as variables},
};

use crate::{error::Error, graph::directory_of};

/// How the program was started.
pub(super) enum Launch {
    /// By itself.
    Run { configuration: BTreeMap<String, String> },
    /// To write its job graph to `output`.
    Plan { output: PathBuf, request: PlanRequest },
    /// To host tasks of the job of `graph`.
    Host { setup: Box<HostSetup>, graph: Box<JobGraph> },
    /// To do something that cannot be made out; kept for `execute`.
    Unclear { variable: String, problem: String },
}

impl Launch {
    /// By itself, whatever the process's environment says.
    pub fn run() -> Self {
        Self::Run { configuration: BTreeMap::new() }
    }

    /// As the process's environment says.
    pub fn of_process() -> Self {
        let launch = match env::var(variables::MODE).as_deref() {
            Err(env::VarError::NotPresent) => by_itself(),
            Ok("plan") => plan(),
            Ok("host") => host(),
            Ok(other) => Err(unclear(variables::MODE, format!("{other:?} is neither \"plan\" nor \"host\""))),
            Err(error) => Err(unclear(variables::MODE, error)),
        };
        launch.unwrap_or_else(|unclear| unclear)
    }

    /// What the job is submitted with. For tasks that are hosted it is what the plan was made with, and not what the
    /// cluster adds, so that planning again sees the same.
    ///
    /// # Errors
    /// When the mode is unclear.
    pub fn configuration(&self) -> Result<&BTreeMap<String, String>, Error> {
        match self {
            Self::Run { configuration } => Ok(configuration),
            Self::Plan { request, .. } => Ok(&request.configuration),
            Self::Host { graph, .. } => Ok(&graph.configuration),
            Self::Unclear { variable, problem } => {
                Err(Error::Environment { variable: variable.clone(), problem: problem.clone() })
            }
        }
    }

    /// The directory that relative paths start from: the current one when the program was planned.
    pub fn directory(&self) -> Option<String> {
        match self {
            Self::Host { graph, .. } => directory_of(&graph.fingerprint_lines).map(str::to_owned),
            Self::Run { .. } | Self::Plan { .. } | Self::Unclear { .. } => {
                env::current_dir().ok().and_then(|directory| directory.into_os_string().into_string().ok())
            }
        }
    }
}

fn unclear(variable: &str, problem: impl ToString) -> Launch {
    Launch::Unclear { variable: variable.to_owned(), problem: problem.to_string() }
}

fn variable(name: &str) -> Result<String, Launch> {
    env::var(name).map_err(|error| unclear(name, error))
}

/// What `flott run -m local` has worked out, else what the environment says.
fn by_itself() -> Result<Launch, Launch> {
    if env::var_os(variables::PLAN_REQUEST).is_some() {
        return Ok(Launch::Run { configuration: request()?.configuration });
    }
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = Loader::new().environment(variables).load().map_err(|error| unclear("configuration", error))?;
    let configuration = loaded.config.entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Launch::Run { configuration })
}

fn plan() -> Result<Launch, Launch> {
    Ok(Launch::Plan { output: variable(variables::PLAN_OUTPUT)?.into(), request: request()? })
}

fn request() -> Result<PlanRequest, Launch> {
    match env::var(variables::PLAN_REQUEST) {
        Err(env::VarError::NotPresent) => Ok(PlanRequest::default()),
        Err(error) => Err(unclear(variables::PLAN_REQUEST, error)),
        Ok(json) => serde_json::from_str(&json).map_err(|error| unclear(variables::PLAN_REQUEST, error)),
    }
}

fn host() -> Result<Launch, Launch> {
    let spoken = env::var(variables::HOST_PROTOCOL).unwrap_or_else(|_| "none that it tells".to_owned());
    if spoken != HOST_PROTOCOL.to_string() {
        // Nothing can be said to it by any other way.
        eprintln!(
            "the TaskManager speaks version {spoken} of the protocol with job processes, and this program {HOST_PROTOCOL}: build it with the \
             version of Flott that the cluster has"
        );
        std::process::exit(EXIT_OTHER_PROTOCOL);
    }
    let file = variable(variables::HOST_SETUP)?;
    let json = fs::read(&file).map_err(|error| unclear(&file, error))?;
    let setup: HostSetup = serde_json::from_slice(&json).map_err(|error| unclear(&file, error))?;
    let document = fs::read(&setup.graph_file).map_err(|error| unclear(&setup.graph_file, error))?;
    let graph = document::read(&document).map_err(|error| unclear(&setup.graph_file, error))?;
    Ok(Launch::Host { setup: Box::new(setup), graph: Box::new(graph) })
}
