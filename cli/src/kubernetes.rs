//! Clusters on Kubernetes, seen from a client: which one is meant, how it is reached, started and removed.
//!
//! # Layout
//! - `launch`: makes one and waits until it answers
//! - `kept`: the Job that keeps its JobManager, which is told when the Flott job has not finished
//! - `lease`: how its JobManagers agree on who leads

use flott_core::{
    config::{
        Configuration,
        keys::{self, cluster::ClusterBackend},
    },
    id::JobId,
};
use flott_kubernetes::{
    ApiError, ClusterId, Connection, Error,
    cluster::{
        error::ClusterError,
        find,
        forward::Forward,
        head::{Head, HeadState},
        spec, startup, token,
    },
    error::Failure,
    settings,
};

mod kept;
mod launch;
mod lease;

pub use kept::KeptBy;
pub use launch::{Launched, launch};
pub use lease::KubernetesLease;

use crate::{
    cluster,
    ended::Ended,
    exit::{Code, CommandResult, End},
    rest::Client,
};

/// Whether a target is a cluster on Kubernetes; without a target, whether the configuration says so.
pub fn is_meant(target: Option<&str>, config: &Configuration) -> bool {
    let is_backend = config.get(&keys::cluster::BACKEND) == ClusterBackend::Kubernetes;
    let configured = config.get(&keys::execution::TARGET);
    match target.or(configured.as_deref()) {
        Some("kubernetes-session" | "kubernetes-application") => true,
        Some("cluster" | "yarn-cluster" | "yarn-per-job" | "yarn-application") => is_backend,
        Some(_) => false,
        None => is_backend && config.is_set(&keys::kubernetes::CLUSTER_ID) && !cluster::is_configured(config),
    }
}

/// The exit code of an error that came from Kubernetes.
pub fn code_of(error: &anyhow::Error) -> Option<Code> {
    let of_api = |error: &ApiError| match error.failure {
        Failure::Unreachable(_) | Failure::Busy(_) => Code::Unreachable,
        Failure::Unauthorized(_)
        | Failure::Forbidden(_)
        | Failure::Quota(_)
        | Failure::Admission(_)
        | Failure::Invalid(_)
        | Failure::Conflict(_)
        | Failure::NotFound(_)
        | Failure::Other(_) => Code::Usage,
    };
    if let Some(error) = error.downcast_ref::<ApiError>() {
        return Some(of_api(error));
    }
    if let Some(Error::Api(error)) = error.downcast_ref::<Error>() {
        return Some(of_api(error));
    }
    Some(match error.downcast_ref::<ClusterError>()? {
        ClusterError::Api(error) => of_api(error),
        ClusterError::Missing { .. } => Code::Unreachable,
        ClusterError::Remains { .. } => Code::TimedOut,
        ClusterError::Taken { .. }
        | ClusterError::Lost { .. }
        | ClusterError::Rights { .. }
        | ClusterError::Tls { .. } => Code::Usage,
    })
}

/// A cluster that is named.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The way to the API server.
    pub connection: Connection,
    /// The name.
    pub cluster: ClusterId,
}

impl Kubernetes {
    /// The one that the configuration names.
    pub async fn of(config: &Configuration) -> CommandResult<Self> {
        let cluster = settings::cluster_id(config)?;
        Ok(Self { connection: Connection::open(config).await?, cluster })
    }

    /// `HOST:PORT` as pods know it.
    pub fn address(&self) -> String {
        spec::address(&self.cluster, &self.connection.namespace)
    }

    /// A client of its JobManager.
    ///
    /// # Errors
    /// When there is no such cluster, or its one job has ended. That a JobManager answers is not said.
    pub async fn client(&self, config: &Configuration) -> CommandResult<Client> {
        let heads = find::heads(&self.connection, &self.cluster).await?;
        if let Some(ended) = self.ended_of(&heads).await? {
            let error = anyhow::anyhow!("cluster {} has ended: {}", self.cluster, told(&ended));
            return Err(End::new(Code::Unreachable, error));
        }
        // Charts call the heads of clusters otherwise.
        if heads.is_empty() && find::jobmanagers(&self.connection, &self.cluster).await?.is_empty() {
            return Err(self.missing().into());
        }
        if heads.iter().any(|head| head.state == HeadState::Creating) {
            let error = anyhow::anyhow!(
                "cluster {} is being made by another client; if none is there any more, `flott session stop` removes it",
                self.cluster
            );
            return Err(End::new(Code::Unreachable, error));
        }
        let token = match token::read(&self.connection, &self.cluster).await? {
            Some(token) => Some(token),
            None => cluster::token(config),
        };
        self.reach(token, config).await
    }

    /// The error for a cluster that is not there.
    pub fn missing(&self) -> ClusterError {
        ClusterError::Missing { cluster: self.cluster.clone(), namespace: self.connection.namespace.clone() }
    }

    /// By its Service where this process is in the cluster too, else through the API server.
    async fn reach(&self, token: Option<String>, config: &Configuration) -> CommandResult<Client> {
        let address = self.address();
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            let client = Client::new(&address, token.clone(), config)?;
            if client.find("/v1/config").await.is_ok() {
                return Ok(client);
            }
        }
        let way = Forward::open(self.connection.clone(), self.cluster.clone()).await?;
        Ok(Client::through(way, &address, token, config)?)
    }

    /// How the one job of this cluster has ended, if it has.
    async fn ended(&self) -> CommandResult<Option<Ended>> {
        let heads = find::heads(&self.connection, &self.cluster).await?;
        self.ended_of(&heads).await
    }

    async fn ended_of(&self, heads: &[Head]) -> CommandResult<Option<Ended>> {
        if !heads.iter().any(|head| head.state == HeadState::Finished) {
            return Ok(None);
        }
        let pods = find::jobmanagers(&self.connection, &self.cluster).await?;
        let words = pods.iter().find_map(startup::done);
        Ok(words.and_then(|words| serde_json::from_str(&words).ok()))
    }
}

/// How a job ended whose JobManager is gone, in words.
pub fn told(ended: &Ended) -> String {
    match ended.status {
        Some(status) => format!("job {} is {status}", ended.job),
        None => format!("its job {} was never submitted to it", ended.job),
    }
}

/// How `job` ended, where its cluster on Kubernetes has ended with it.
pub async fn ended(target: Option<&str>, config: &Configuration, job: JobId) -> CommandResult<Option<Ended>> {
    if !is_meant(target, config) {
        return Ok(None);
    }
    Ok(Kubernetes::of(config).await?.ended().await?.filter(|ended| ended.job == job))
}

#[cfg(test)]
mod tests {
    use flott_core::{config::Loader, status::JobStatus};

    use super::*;

    #[track_caller]
    fn check(target: Option<&str>, settings: &[&str], expected: bool) {
        let config = Loader::new().overrides(settings).load().expect("known keys").config;
        assert_eq!(is_meant(target, &config), expected, "{target:?} with {settings:?}");
    }

    #[test]
    fn kubernetes_is_meant_by_its_targets_and_where_it_is_the_backend_of_a_named_cluster() {
        let backend = "cluster.backend=kubernetes";
        let named = [backend, "kubernetes.cluster-id=demo"];
        for target in ["kubernetes-session", "kubernetes-application"] {
            check(Some(target), &[], true);
            check(None, &[&format!("execution.target={target}")], true);
        }
        check(Some("cluster"), &[], false);
        check(Some("cluster"), &[backend], true);
        check(Some("host:8081"), &named, false);
        check(Some("local"), &named, false);
        check(None, &named, true);
        check(None, &[backend], false);
        check(None, &[named[0], named[1], "rest.address=host"], false);
        check(None, &["kubernetes.cluster-id=demo"], false);
    }

    #[test]
    fn a_cluster_that_is_away_is_told_apart_from_one_that_refuses() {
        let failed = |failure| ApiError { verb: "get", resource: "pods".to_owned(), failure };
        let code = |error: anyhow::Error| code_of(&error);
        let unreachable = || failed(Failure::Unreachable("no route".to_owned()));
        assert_eq!(code(unreachable().into()), Some(Code::Unreachable));
        assert_eq!(code(ClusterError::Api(unreachable()).into()), Some(Code::Unreachable));
        assert_eq!(code(Error::Api(unreachable()).into()), Some(Code::Unreachable));
        assert_eq!(code(failed(Failure::Forbidden("no".to_owned())).into()), Some(Code::Usage));
        let cluster = ClusterId::parse("demo").expect("a name");
        assert_eq!(code(ClusterError::Lost { cluster }.into()), Some(Code::Usage));
        assert_eq!(code(anyhow::anyhow!("something else")), None);
    }

    #[test]
    fn how_a_job_ended_is_told_in_words_and_codes() {
        let job: JobId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
        let check = |status, words: &str, code| {
            let ended = Ended { job, status };
            assert_eq!((told(&ended).as_str(), ended.code()), (words, code));
        };
        let finished = "job 0123456789abcdef0123456789abcdef is FINISHED";
        check(Some(JobStatus::Finished), finished, Code::Done);
        check(Some(JobStatus::Failed), "job 0123456789abcdef0123456789abcdef is FAILED", Code::JobFailed);
        check(Some(JobStatus::Canceled), "job 0123456789abcdef0123456789abcdef is CANCELED", Code::Cancelled);
        check(None, "its job 0123456789abcdef0123456789abcdef was never submitted to it", Code::Usage);
    }
}
