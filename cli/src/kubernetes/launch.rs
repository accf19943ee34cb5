//! Makes a cluster and waits until its JobManager answers. Whatever keeps it from that, nothing is left of it.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use flott_core::{
    config::{
        Configuration,
        keys::{kubernetes as keys, security},
    },
    id::JobId,
};
use flott_kubernetes::{
    ClusterId,
    cluster::{
        create::{self, Progress},
        find,
        head::Head,
        remove, rights,
        spec::{ClusterSpec, Work},
        startup::{self, Startup},
        tls,
    },
};

use super::Kubernetes;
use crate::{
    exit::{Code, CommandResult, End},
    interrupt::interrupted,
    rest::Client,
};

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(150);
/// What every pod goes through is told when it lasts so long.
const USUAL_MAX: Duration = Duration::from_secs(3);

/// A cluster whose JobManager answers.
pub struct Launched {
    /// The cluster.
    pub kubernetes: Kubernetes,
    /// Its head.
    pub head: Head,
    /// Reaches its JobManager. Absent when that has done its work already, whose last words are told instead.
    pub client: Result<Client, String>,
}

impl Launched {
    /// Removes it, and waits until nothing is left.
    pub async fn remove(&self) -> CommandResult<()> {
        let Kubernetes { connection, cluster } = &self.kubernetes;
        remove::behead(connection, &self.head).await?;
        Ok(remove::until_gone(connection, cluster).await?)
    }
}

/// Makes the cluster that `config` describes. An interrupt undoes it.
pub async fn launch(config: &Configuration, work: Work) -> CommandResult<Launched> {
    let kubernetes = Kubernetes::of(config).await?;
    let token = config.get(&security::TOKEN).unwrap_or_else(random);
    let spec = ClusterSpec::read(config, &kubernetes.connection.namespace, work, &token)?;
    let maker = random();
    let outcome = tokio::select! {
        outcome = begin(&kubernetes, config, &spec, &maker, token) => outcome,
        () = interrupted() => {
            Err(End::new(Code::Cancelled, anyhow!("interrupted before cluster {} was there", spec.id)))
        }
    };
    match outcome {
        Ok((head, client)) => {
            for note in &spec.notes {
                eprintln!("flott: note: {note}");
            }
            Ok(Launched { kubernetes, head, client })
        }
        Err(end) => {
            undo(&kubernetes, &spec.id, &maker).await?;
            Err(end)
        }
    }
}

/// Nobody guesses it.
fn random() -> String {
    format!("{}{}", JobId::random(), JobId::random())
}

async fn begin(
    kubernetes: &Kubernetes,
    config: &Configuration,
    spec: &ClusterSpec,
    maker: &str,
    token: String,
) -> CommandResult<(Head, Result<Client, String>)> {
    let deadline = Instant::now() + config.get(&keys::JOBMANAGER_START_TIMEOUT);
    rights::check(&kubernetes.connection, spec).await?;
    tls::check(&kubernetes.connection, spec).await?;
    let head = create::create(&kubernetes.connection, spec, maker, |progress| tell(progress, &spec.id)).await?;
    let client = kubernetes.reach(Some(token), config).await?;
    let client = until_it_answers(kubernetes, &head, client, deadline).await?;
    Ok((head, client))
}

fn tell(progress: Progress, cluster: &ClusterId) {
    match progress {
        Progress::OtherMaker => {
            eprintln!("flott: another client is making cluster {cluster}, or has left it half made")
        }
        Progress::Abandoned => eprintln!("flott: removing what a client has left of cluster {cluster}"),
        Progress::Leftovers => eprintln!("flott: waiting until an earlier cluster {cluster} is gone"),
    }
}

/// Removes what was made here, if anything was; what others have made is left alone.
async fn undo(kubernetes: &Kubernetes, cluster: &ClusterId, maker: &str) -> CommandResult<()> {
    let Kubernetes { connection, .. } = kubernetes;
    let Ok(heads) = find::heads(connection, cluster).await else {
        // What kept it from being made keeps it from being undone; that is told.
        return Ok(());
    };
    for head in heads.iter().filter(|head| head.maker.as_deref() == Some(maker)) {
        remove::behead(connection, head).await?;
        remove::until_gone(connection, cluster).await?;
    }
    Ok(())
}

async fn until_it_answers(
    kubernetes: &Kubernetes,
    head: &Head,
    client: Client,
    deadline: Instant,
) -> CommandResult<Result<Client, String>> {
    let Kubernetes { connection, cluster } = kubernetes;
    let mut told = Told::default();
    loop {
        match startup::look(connection, cluster, head).await {
            Ok(Startup::Running { pod }) => {
                if client.find("/v1/config").await.is_ok() {
                    return Ok(Ok(client));
                }
                told.look(format!("pod {pod} runs and does not answer yet"), true);
            }
            Ok(Startup::Waiting { pod, reason, is_usual }) => {
                told.look(format!("pod {pod} is pending because of {reason}"), is_usual);
            }
            Ok(Startup::NoPod(why)) => {
                let is_usual = why.is_none();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                told.look(format!("it has no pod yet{why}"), is_usual);
            }
            Ok(Startup::Done { words, .. }) => return Ok(Err(words)),
            Ok(Startup::Crashed { pod, how, words }) => {
                let error = anyhow!(
                    "the JobManager of cluster {cluster} (pod {pod}) ended before it answered: {how}; its last words:\n{words}"
                );
                return Err(End::new(Code::Usage, error));
            }
            // Asked again until the time is up.
            Err(error) if error.is_passing() => told.look(error.to_string(), false),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            let (key, latest) = (keys::JOBMANAGER_START_TIMEOUT.key(), told.latest());
            let error = anyhow!("the JobManager of cluster {cluster} did not answer in time ({key}): {latest}");
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Tells what is waited for, once each time it changes.
#[derive(Debug, Default)]
struct Told {
    seen: Option<(String, Instant)>,
    is_told: bool,
}

impl Told {
    fn look(&mut self, what: String, is_usual: bool) {
        let now = Instant::now();
        match &self.seen {
            Some((seen, _)) if *seen == what => {}
            Some(_) | None => (self.seen, self.is_told) = (Some((what.clone(), now)), false),
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        if !self.is_told && (!is_usual || now.duration_since(since) >= USUAL_MAX) {
            eprintln!("flott: waiting for the JobManager: {what}");
            self.is_told = true;
        }
    }

    fn latest(&self) -> &str {
        self.seen.as_ref().map_or("nothing was seen of it", |(what, _)| what)
    }
}
