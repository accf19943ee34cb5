//! `flott run` on a Kubernetes cluster of its own: a JobManager that waits for its one job, or plans it from its image.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use flott_core::{
    config::{Configuration, Origin, keys},
    id::JobId,
};
use flott_kubernetes::cluster::{
    spec::{ImageProgram, Work},
    startup::{self, Startup},
};
use reqwest::Method;

use super::{Prepared, in_image, is_detached, prepared, print_submitted, submitted};
use crate::{
    arguments::Run,
    ended::Ended,
    exit::{Code, CommandResult, End},
    follow,
    interrupt::interrupted,
    kubernetes::{self, Kubernetes, Launched, launch},
    rest::Client,
    settings::Settings,
    state_dir::StateDir,
    submission,
};

/// How long a job may take to be cancelled before its cluster goes all the same.
const CANCEL_MAX: Duration = Duration::from_secs(30);
/// How long a JobManager that has stopped answering may take to end.
const END_MAX: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Characters of a job's id in the name of a cluster that was given none.
const ID_CHARS: usize = 16;

/// What the cluster is made for.
struct Application {
    id: JobId,
    /// What is sent to it; nothing if it is in the image.
    job: Option<Prepared>,
}

pub async fn run(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult {
    let (application, work) = application(options, settings, state).await?;
    let config = with_cluster_id(&settings.config, application.id)?;
    let launched = launch(&config, work).await?;
    let client = match &launched.client {
        Ok(client) => client.clone(),
        Err(words) => {
            let code = over(words);
            launched.remove().await?;
            return code;
        }
    };
    if is_detached(options, settings) {
        return detached(&application, &client, &launched, options, settings).await;
    }
    attached(&application, &client, &launched, options, settings).await
}

async fn application(options: &Run, settings: &Settings, state: &StateDir) -> CommandResult<(Application, Work)> {
    if let Some(path) = in_image(options) {
        let id = JobId::random();
        let own = options.program.program.iter().skip(1).map(|argument| argument.to_str().map(str::to_owned));
        let arguments: Option<Vec<_>> = own.collect();
        let arguments = arguments.ok_or_else(|| anyhow!("the arguments of a program in an image must be UTF-8"))?;
        let entry = options.program.entry.clone();
        let work = Work::Program(ImageProgram { path: path.to_owned(), arguments, entry, job: id.to_string() });
        return Ok((Application { id, job: None }, work));
    }
    let job = prepared(options, settings, state).await?;
    if job.program.is_none() {
        return Err(anyhow!("a cluster of its own needs the executable: give --program").into());
    }
    let id = job.graph.job_id;
    let patience = settings.config.get(&keys::kubernetes::JOBMANAGER_START_TIMEOUT);
    Ok((Application { id, job: Some(job) }, Work::Awaited { job: id.to_string(), patience }))
}

/// A name for a cluster that was given none.
fn with_cluster_id(config: &Configuration, job: JobId) -> anyhow::Result<Configuration> {
    let mut config = config.clone();
    if !config.is_set(&keys::kubernetes::CLUSTER_ID) {
        let id = format!("flott-{}", &job.to_string()[..ID_CHARS]);
        config.set_text(keys::kubernetes::CLUSTER_ID.key(), &id, Origin::CommandLine)?;
    }
    Ok(config)
}

/// Says how a job ended that was quicker than this client.
fn over(words: &str) -> CommandResult {
    let ended: Ended = serde_json::from_str(words)
        .map_err(|_| anyhow!("the JobManager has ended, and does not say how its job did: {words:?}"))?;
    println!("{}", kubernetes::told(&ended));
    Ok(ended.code())
}

async fn submit(application: &Application, client: &Client) -> CommandResult<()> {
    if let Some(job) = &application.job {
        submission::submit(client, &job.submission()).await?;
    }
    Ok(())
}

/// The same, until the job has begun.
async fn begin(application: &Application, client: &Client, settings: &Settings) -> CommandResult<()> {
    submit(application, client).await?;
    follow::until_begun(client, application.id, settings.config.get(&keys::client::TIMEOUT)).await
}

/// Returns when the job has begun. The cluster ends with it.
async fn detached(
    application: &Application,
    client: &Client,
    launched: &Launched,
    options: &Run,
    settings: &Settings,
) -> CommandResult {
    let begun = tokio::select! {
        begun = begin(application, client, settings) => begun,
        () = interrupted() => Err(End::new(Code::Cancelled, anyhow!("interrupted before the job had begun"))),
    };
    if let Err(end) = begun {
        // A short job may be over before it was seen to begin.
        if let Fate::Failed(end) = why(end, application, launched).await {
            launched.remove().await?;
            return Err(end);
        }
    }
    let id = application.id;
    if options.json.json {
        print_submitted(id, client)?;
    } else {
        println!("Job has been submitted with JobID {id}");
        println!("Cluster: {} in namespace {}", launched.kubernetes.cluster, launched.kubernetes.connection.namespace);
        println!("Web address: {}", client.url());
    }
    Ok(Code::Done)
}

/// Follows the job to its end, and removes the cluster.
async fn attached(
    application: &Application,
    client: &Client,
    launched: &Launched,
    options: &Run,
    settings: &Settings,
) -> CommandResult {
    let work = async {
        if application.job.is_none() {
            // It is planned first.
            begin(application, client, settings).await?;
        } else {
            submit(application, client).await?;
        }
        submitted(client, application.id, options, settings).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = interrupted() => {
            eprintln!("flott: interrupted; cancelling the job and removing its cluster");
            if let Err(error) = cancel(client, application.id).await {
                eprintln!("flott: warning: the job goes without being cancelled first: {error}");
            }
            Err(End::new(Code::Cancelled, anyhow!("job {} was cancelled by an interrupt", application.id)))
        }
    };
    let outcome = match outcome {
        Ok(code) => Ok(code),
        Err(end) => match why(end, application, launched).await {
            Fate::Over(words) => over(&words),
            Fate::Failed(end) if end.code() == Code::Unreachable => {
                let Kubernetes { cluster, .. } = &launched.kubernetes;
                eprintln!(
                    "flott: warning: cluster {cluster} is left as it is: `flott jobs wait` follows its job, `flott session stop` removes it"
                );
                return Err(end);
            }
            Fate::Failed(end) => Err(end),
        },
    };
    launched.remove().await?;
    outcome
}

/// What has become of a JobManager.
enum Fate {
    /// It has ended with its job, and these are its last words.
    Over(String),
    /// It has ended without, or cannot be reached.
    Failed(End),
}

/// What is known of a JobManager that does not answer any more, or gives a job up that it plans itself. It is given a
/// moment to end.
async fn why(end: End, application: &Application, launched: &Launched) -> Fate {
    let is_its_own = end.code() == Code::Usage && application.job.is_none();
    if !is_its_own && end.code() != Code::Unreachable {
        return Fate::Failed(end);
    }
    let Kubernetes { connection, cluster } = &launched.kubernetes;
    let deadline = Instant::now() + END_MAX;
    loop {
        match startup::look(connection, cluster, &launched.head).await {
            Ok(Startup::Crashed { pod, how, words }) => {
                let error = anyhow!("the JobManager (pod {pod}) ended: {how}; its last words:\n{words}");
                return Fate::Failed(End::new(Code::Usage, error));
            }
            Ok(Startup::Done { words, .. }) => return Fate::Over(words),
            Ok(Startup::Waiting { pod, reason, .. }) => {
                let error = anyhow!("{end}; its pod {pod} is pending because of {reason}");
                return Fate::Failed(End::new(Code::Unreachable, error));
            }
            Ok(Startup::Running { .. }) if Instant::now() < deadline => {}
            Ok(Startup::NoPod(_) | Startup::Running { .. }) | Err(_) => return Fate::Failed(end),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

async fn cancel(client: &Client, job: JobId) -> CommandResult<()> {
    client.send(client.request(Method::PATCH, &format!("/v1/jobs/{job}?mode=cancel"))).await?;
    let deadline = Instant::now() + CANCEL_MAX;
    while follow::result(client, job).await?.is_none() {
        if Instant::now() >= deadline {
            return Err(anyhow!("it had not ended after {} s", CANCEL_MAX.as_secs()).into());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}
