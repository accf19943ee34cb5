//! `flott run`.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use flott_core::{
    config::{Configuration, Origin, keys},
    id::{Digest, JobId},
    job_graph::document,
    message::{PlanRequest, environment, executed},
};

use serde_json::json;

use super::plan::{implied, job_configuration, planned};
use crate::{
    arguments::{Arguments, Run, Yarn},
    cluster::{self, Launch},
    exit::{Code, CommandResult, End},
    follow,
    interrupt::interrupted,
    kubernetes::Kubernetes,
    output,
    planner::{self, Planned},
    rest::Client,
    resumable,
    settings::Settings,
    state_dir::{ClusterDir, StateDir},
    submission::{self, Submission},
};

mod kubernetes;

/// Between two looks whether the JobManager of an attached run lives.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Where a job runs.
enum Where {
    Local,
    OwnCluster,
    Session(Client),
    /// A cluster of its own there.
    KubernetesApplication,
}

/// The path of a program that is in the image of a cluster.
fn in_image(options: &Run) -> Option<&str> {
    options.program.program.first()?.to_str()?.strip_prefix("local://")
}

pub async fn run(arguments: &Arguments, options: &Run) -> CommandResult {
    let mut more = implied(&options.program);
    more.extend(options.yarn.settings()?);
    let restore = options.restore.settings()?;
    more.extend(restore.iter().map(|(key, value)| format!("{key}={value}")));
    more.extend(options.program.name.iter().map(|name| format!("{}={name}", keys::pipeline::NAME.key())));
    let settings = Settings::load_with(arguments, &more)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let target = target(options, &settings, &state).await?;
    let is_application = matches!(target, Where::KubernetesApplication);
    if let Some(program) = in_image(options).filter(|_| !is_application) {
        return Err(anyhow!("local://{program} is in an image: that needs -t kubernetes-application").into());
    }
    // On another machine the same path may be something else.
    if !is_application && !matches!(&target, Where::Session(client) if !client.is_on_this_host()) {
        options.restore.check()?;
    }
    match target {
        Where::Local => local(options, &settings, &state).await,
        Where::OwnCluster if is_detached(options, &settings) => detached_cluster(options, &settings, &state).await,
        Where::OwnCluster => attached_cluster(options, &settings, &state).await,
        Where::KubernetesApplication => kubernetes::run(options, &settings, &state).await,
        Where::Session(client) => {
            let planned = prepared(options, &settings, &state).await?;
            session(&client, &planned, options, &settings).await
        }
    }
}

fn is_detached(options: &Run, settings: &Settings) -> bool {
    options.detached || !settings.config.get(&keys::execution::ATTACHED)
}

async fn target(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult<Where> {
    let config = &settings.config;
    let configured = config.get(&keys::execution::TARGET);
    let named = options.target.named().or(configured.as_deref());
    let on_kubernetes = crate::kubernetes::is_meant(named, config);
    Ok(match named {
        Some("kubernetes-session") => Where::Session(Kubernetes::of(config).await?.client(config).await?),
        Some("kubernetes-application") => Where::KubernetesApplication,
        Some("cluster" | "yarn-cluster" | "yarn-per-job" | "yarn-application") if on_kubernetes => {
            Where::KubernetesApplication
        }
        Some("local") => Where::Local,
        Some("cluster" | "yarn-cluster" | "yarn-per-job" | "yarn-application") => Where::OwnCluster,
        Some("remote") => Where::Session(Client::new(&cluster::configured(config), cluster::token(config), config)?),
        Some(address) if address.contains(':') => Where::Session(Client::new(address, cluster::token(config), config)?),
        Some(other) => {
            let error = "use local, cluster, kubernetes-session, kubernetes-application, or HOST:PORT of a JobManager";
            return Err(anyhow!("{other:?} is no target: {error}").into());
        }
        None if on_kubernetes => Where::Session(Kubernetes::of(config).await?.client(config).await?),
        None if cluster::is_configured(config) => {
            Where::Session(Client::new(&cluster::configured(config), cluster::token(config), config)?)
        }
        None => match cluster::session(state).await? {
            Some(client) => Where::Session(client),
            None => Where::Local,
        },
    })
}

/// The planned program, or the graph that was prepared before.
async fn prepared(options: &Run, settings: &Settings, state: &StateDir) -> anyhow::Result<Prepared> {
    let Some(path) = &options.job_graph else {
        let Planned { graph, document, program } = planned(&options.program, settings, state).await?;
        return Ok(Prepared { graph, document, program: Some(program) });
    };
    if !options.program.program.is_empty() {
        bail!(
            "with --job-graph the arguments are in the graph: give the executable as --program, and nothing after it"
        );
    }
    let shown = path.display();
    let document = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let mut graph = document::read(&document).with_context(|| format!("{shown} cannot be used"))?;
    let restore = options.restore.settings()?;
    let document = if restore.is_empty() {
        document
    } else {
        graph.configuration.extend(restore);
        document::write(&graph)
    };
    let program = options.graph_program.as_deref().map(planner::find_program).transpose()?;
    if let Some(program) = &program {
        let digest = Digest::of(&std::fs::read(program)?);
        if digest != graph.program.digest {
            let program = program.display();
            bail!(
                "{program} is not the program of {shown}, which was planned by another build of {}",
                graph.program.file_name
            );
        }
    }
    Ok(Prepared { graph, document, program })
}

struct Prepared {
    graph: flott_core::job_graph::JobGraph,
    document: Vec<u8>,
    program: Option<PathBuf>,
}

impl Prepared {
    fn submission(&self) -> Submission<'_> {
        Submission { graph: &self.graph, document: &self.document, program: self.program.as_deref() }
    }
}

/// The program runs itself, and all of a cluster in its own process.
async fn local(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult {
    if options.job_graph.is_some() {
        return Err(
            anyhow!("a prepared graph needs a cluster: give -m cluster, or -m HOST:PORT of one that runs").into()
        );
    }
    if options.detached {
        return Err(anyhow!("a detached job needs a cluster: give -m cluster, or start a session").into());
    }
    let (name, arguments) = options.program.program.split_first().context(
        "which program? give the path of an executable built with the flott crate, and after it the program's arguments",
    )?;
    let program = planner::find_program(Path::new(name))?;
    let mut command = Command::new(&program);
    command.args(arguments);
    // Not as variables of the keys: free keys have none.
    let request = PlanRequest { configuration: job_configuration(&settings.config), ..PlanRequest::default() };
    command.env(environment::PLAN_REQUEST, serde_json::to_string(&request)?);
    let notes = Notes::new(state)?;
    command.env(environment::EXECUTED, &notes.0);
    let mut child = command.spawn().with_context(|| format!("{} cannot be run", program.display()))?;
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    let (called, begun) = notes.read();
    let shown = program.display();
    if called > 1 {
        return Err(anyhow!("{shown} calls execute() twice: a program is one job, and only the first has run").into());
    }
    if status.success() {
        return match called {
            0 => Err(anyhow!("{shown} ended without calling execute(): is it a Flott program?").into()),
            _ => Ok(Code::Done),
        };
    }
    // A program whose job fails has said why; one that crashes has had no time to.
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by {}", planner::signal_name(signal)),
        (None, None) => "ended in an unknown way".to_owned(),
    };
    if begun == 0 {
        return Err(anyhow!("{shown} {how} before its job began").into());
    }
    Err(End::new(Code::JobFailed, anyhow!("{shown} {how}")))
}

/// A file in which a program that runs by itself notes when it calls `execute`. Removed when dropped.
struct Notes(PathBuf);

impl Notes {
    fn new(state: &StateDir) -> anyhow::Result<Self> {
        let staging = state.staging()?;
        let path = staging.join(format!("{}.executed", JobId::random()));
        std::fs::write(&path, []).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }

    /// How often `execute` was called, and how often a job began.
    fn read(&self) -> (usize, usize) {
        let notes = std::fs::read(&self.0).unwrap_or_default();
        let count = |what: u8| notes.iter().filter(|note| **note == what).count();
        (count(executed::CALLED), count(executed::BEGUN))
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        // Best effort: what is left behind is one small file.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Submits to a cluster that runs, and follows the job unless detached.
async fn session(client: &Client, job: &Prepared, options: &Run, settings: &Settings) -> CommandResult {
    let id = submission::submit(client, &job.submission()).await?;
    submitted(client, id, options, settings).await
}

/// Follows a job that was submitted, unless detached.
async fn submitted(client: &Client, id: JobId, options: &Run, settings: &Settings) -> CommandResult {
    let as_json = options.json.json;
    if !as_json {
        println!("Job has been submitted with JobID {id}");
    }
    if is_detached(options, settings) {
        follow::until_begun(client, id, settings.config.get(&keys::client::TIMEOUT)).await?;
        if as_json {
            print_submitted(id, client)?;
        } else {
            eprintln!("flott: the job's web address is {}/jobs/{id}", client.url());
        }
        return Ok(Code::Done);
    }
    let result = follow::to_end(client, id, as_json, None).await?;
    let resumable = if result.code() == Code::Done { None } else { resumable::of_job(client, id).await };
    if as_json {
        let mut value = json!({
            "jobid": id,
            "status": result.application_status,
            "runtime": result.net_runtime,
            "accumulators": result.accumulator_results,
        });
        resumable.iter().for_each(|path| value["checkpoint"] = json!(path));
        output::json(&value)?;
    }
    // With JSON, only what is no data.
    if !as_json || result.code() != Code::Done {
        follow::print_end(id, &result);
        resumable.iter().for_each(|path| eprintln!("{}", resumable::line(path)));
    }
    Ok(result.code())
}

fn print_submitted(job: JobId, client: &Client) -> anyhow::Result<()> {
    output::json(&json!({ "jobid": job, "address": client.address(), "url": format!("{}/jobs/{job}", client.url()) }))
}

/// Configuration of a cluster for one job: its port is any free one unless the user chose one.
fn own_cluster_config(settings: &Settings) -> anyhow::Result<Configuration> {
    let mut config = settings.config.clone();
    if !settings.given.is_set(&keys::rest::PORT) {
        config.set_text(keys::rest::PORT.key(), "0", Origin::CommandLine)?;
    }
    Ok(config)
}

/// A JobManager for the job's file, which outlives this client and ends with the job.
async fn detached_cluster(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult {
    let job = prepared(options, settings, state).await?;
    let id = job.graph.job_id;
    let program =
        job.program.as_deref().ok_or_else(|| anyhow!("a cluster of its own needs the executable: give --program"))?;
    let dir = cluster_dir(state, settings, id);
    let begun = Begun::new(&dir);
    let (graph_file, program_file) = stage(&dir, &job, program)?;
    let arguments: Vec<OsString> =
        vec!["--job-graph".into(), graph_file.into(), "--program".into(), program_file.into()];
    let launch = Launch { arguments, ends_with_client: false };
    let (client, mut child) = cluster::launch(&dir, &own_cluster_config(settings)?, launch).await?;
    begun.done();
    job_begun(&client, &mut child, &dir, state, id, settings.config.get(&keys::client::TIMEOUT)).await?;
    if options.json.json {
        print_submitted(id, &client)?;
    } else {
        println!("Job has been submitted with JobID {id}");
        println!("Web address: {}", client.url());
    }
    Ok(Code::Done)
}

/// Waits until the job of a cluster of its own has left INITIALIZING. A short one may be over, and its cluster gone,
/// before it was seen to begin.
async fn job_begun(
    client: &Client,
    child: &mut Child,
    dir: &ClusterDir,
    state: &StateDir,
    job: JobId,
    timeout: Duration,
) -> CommandResult<()> {
    let begun = tokio::select! {
        begun = follow::until_begun(client, job, timeout) => begun,
        ended = cluster::ended(child) => ended,
    };
    match begun {
        Err(end) if end.code() != Code::Unreachable => return Err(end),
        Ok(()) | Err(_) => {}
    }
    if child.try_wait()?.is_none() || super::wait::ended(state, job).is_some() {
        return Ok(());
    }
    Err(anyhow!("the JobManager ended before the job began: {}", cluster::last_words(dir)).into())
}

fn cluster_dir(state: &StateDir, settings: &Settings, job: JobId) -> ClusterDir {
    let id = settings.config.get(&keys::cluster::ID).unwrap_or_else(|| format!("job-{job}"));
    state.cluster(&id)
}

/// The directory of a cluster that is being started. Unless that is done, it goes when this is dropped.
struct Begun<'a> {
    dir: &'a ClusterDir,
    is_new: bool,
    is_done: bool,
}

impl<'a> Begun<'a> {
    fn new(dir: &'a ClusterDir) -> Self {
        Self { dir, is_new: !dir.path().exists(), is_done: false }
    }

    /// The JobManager has it.
    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // One that was there before may hold what another cluster of that name left, or still has.
        if !self.is_done && self.is_new {
            self.dir.abandon();
        }
    }
}

/// Puts graph and program where the JobManager finds them, whatever becomes of the user's files.
fn stage(dir: &ClusterDir, job: &Prepared, program: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let staging = dir.path().join("staging");
    crate::state_dir::private_dir(&staging)?;
    let graph_file = staging.join("job.graph");
    std::fs::write(&graph_file, &job.document).with_context(|| format!("cannot write {}", graph_file.display()))?;
    let program_file = staging.join("program");
    std::fs::copy(program, &program_file).with_context(|| format!("cannot write {}", program_file.display()))?;
    Ok((graph_file, program_file))
}

/// A session cluster for this client alone: it goes away with it.
async fn attached_cluster(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult {
    let job = prepared(options, settings, state).await?;
    let dir = cluster_dir(state, settings, job.graph.job_id);
    let launch = Launch { arguments: Vec::new(), ends_with_client: true };
    let begun = Begun::new(&dir);
    let (client, mut child) = cluster::launch(&dir, &own_cluster_config(settings)?, launch).await?;
    begun.done();
    let outcome = tokio::select! {
        outcome = session(&client, &job, options, settings) => outcome,
        () = interrupted() => {
            eprintln!("flott: interrupted; cancelling the job and ending its cluster");
            Err(End::new(Code::Cancelled, anyhow!("job {} was cancelled by an interrupt", job.graph.job_id)))
        }
        status = died(&mut child) => {
            let (id, logs) = (job.graph.job_id, dir.logs());
            let error = anyhow!("the JobManager of job {id} ended ({}) before the job; its log is in {}", status?, logs.display());
            Err(End::new(Code::Unreachable, error))
        }
    };
    end(&client, &mut child).await?;
    outcome
}

/// Waits until a JobManager has ended that nobody has told to.
async fn died(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

async fn end(client: &Client, child: &mut Child) -> CommandResult<()> {
    cluster::stop(client).await?;
    cluster::ended(child).await
}

impl Yarn {
    /// The old options as settings, with a warning line for each that has no meaning here.
    fn settings(&self) -> anyhow::Result<Vec<String>> {
        let mut settings = Vec::new();
        if let Some(id) = &self.application_id {
            bail!("-yid {id}: there are no YARN applications here; name a running cluster with -m HOST:PORT");
        }
        let slots = self.slots.unwrap_or(1);
        if let Some(containers) = self.containers {
            let all = containers.checked_mul(slots).filter(|all| *all > 0);
            let all = all.with_context(|| format!("-yn {containers} -ys {slots} is no number of slots"))?;
            settings.push(format!("{}={all}", keys::slots::NUMBER_OF_SLOTS_MIN.key()));
            settings.push(format!("{}={all}", keys::slots::NUMBER_OF_SLOTS_MAX.key()));
        }
        if let Some(slots) = self.slots {
            settings.push(format!("{}={slots}", keys::taskmanager::NUMBER_OF_TASK_SLOTS.key()));
        }
        if let Some(memory) = &self.task_manager_memory {
            settings.push(format!("{}={}", keys::taskmanager::MEMORY_PROCESS_SIZE.key(), megabytes(memory)));
        }
        if let Some(memory) = &self.job_manager_memory {
            settings.push(format!("{}={}", keys::jobmanager::MEMORY_PROCESS_SIZE.key(), megabytes(memory)));
        }
        if let Some(name) = &self.application_name {
            settings.push(format!("{}={name}", keys::pipeline::NAME.key()));
        }
        if let Some(queue) = &self.queue {
            eprintln!("flott: warning: queue {queue:?} is ignored: the backends of this build have no queues");
        }
        if self.streaming {
            eprintln!("flott: warning: -yst is ignored: jobs are streaming unless they say otherwise");
        }
        settings.extend(self.properties.iter().cloned());
        Ok(settings)
    }
}

/// Numbers without a unit were megabytes.
fn megabytes(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}m") } else { text.to_owned() }
}
