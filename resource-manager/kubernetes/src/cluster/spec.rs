//! What a cluster is to be, read once from the configuration of its client.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use flott_core::config::{
    Configuration, environment, is_secret,
    keys::{self as all, high_availability::HighAvailabilityType, kubernetes as keys},
};

use super::PORT;
use crate::{
    error::Error,
    names::ClusterId,
    pod::{CONFIG_DIR, TLS_CA, TLS_DIR},
    settings::{self, PodSettings, SecretVariable, TlsSecret},
    template,
};

/// Keys that say how this client finds the API server, or that are files on its machine.
const OF_CLIENT: [&str; 5] = [
    "kubernetes.context",
    "kubernetes.config.file",
    "kubernetes.pod-template-file.default",
    "kubernetes.pod-template-file.jobmanager",
    "kubernetes.pod-template-file.taskmanager",
];
/// The file in the ConfigMap that TaskManager pods are made from.
pub const TASKMANAGER_TEMPLATE: &str = "taskmanager-pod-template.yaml";
/// The file in the ConfigMap with the configuration.
pub const CONFIG: &str = "config.yaml";
/// The token in the Secret.
pub const TOKEN: &str = "token";

/// How long a lost node keeps a JobManager whose place another may take at any time.
const NODE_LOSS: Duration = Duration::from_secs(30);

/// What the JobManager is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Any jobs, for as long as nobody stops it.
    Session,
    /// One job, after which it ends: this one, which its client submits when it runs.
    Awaited {
        /// Its id.
        job: String,
        /// How long it may be in coming.
        patience: Duration,
    },
    /// One job, after which it ends: that of a program in the image.
    Program(ImageProgram),
}

/// A program in the image, which the JobManager plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageProgram {
    /// Where it is in the image.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its entry.
    pub entry: Option<String>,
    /// The id that its job gets.
    pub job: String,
}

/// A cluster to be made.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Its name.
    pub id: ClusterId,
    /// Where.
    pub namespace: String,
    /// What it is for.
    pub work: Work,
    /// How the JobManager's pod looks.
    pub pod: PodSettings,
    /// Cores of the JobManager, in thousandths.
    pub cpu_millicores: u64,
    /// Bytes of the JobManager.
    pub memory: Option<u64>,
    /// How many JobManagers there are.
    pub replicas: u32,
    /// Whether they agree on who leads, so that two of one time do no harm.
    pub agreed: bool,
    /// Whether they stand for election with a Lease.
    pub elected: bool,
    /// Whether it makes a PodGroup of Volcano's.
    pub has_pod_group: bool,
    /// How long a JobManager stays on a node that is lost; none leaves it to the cluster.
    pub node_loss: Option<Duration>,
    /// The files of the ConfigMap.
    pub files: BTreeMap<String, String>,
    /// The entries of the Secret.
    pub secrets: BTreeMap<String, String>,
    /// How long what is left of a cluster of one job is kept.
    pub finished_ttl: Duration,
    /// What the user may want to know, a line each.
    pub notes: Vec<String>,
}

impl ClusterSpec {
    /// Reads the `config` of a client. `token` is what the cluster's REST endpoint asks for.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn read(config: &Configuration, namespace: &str, work: Work, token: &str) -> Result<Self, Error> {
        let id = settings::cluster_id(config)?;
        if let Work::Program(program) = &work {
            check_path(&program.path)?;
        }
        let mut secrets = BTreeMap::from([(TOKEN.to_owned(), token.to_owned())]);
        let mut secret_variables = settings::items(&keys::ENV_SECRET_KEY_REF, config, settings::secret_variable)?;
        let mut notes = Vec::new();
        let is_token = |key: &str| key == all::security::TOKEN.key();
        for (key, value) in config.entries().filter(|(key, _)| is_secret(key) && !is_token(key)) {
            if environment::is_key(key) {
                secrets.insert(key.to_owned(), value.to_owned());
                let (name, secret) = (environment::variable_of(key), id.token_secret());
                secret_variables.push(SecretVariable { name, secret, key: key.to_owned() });
            } else {
                notes.push(format!(
                    "{key} is left out: a secret is not put into a ConfigMap; kubernetes.env.secretKeyRef has others"
                ));
            }
        }
        let common = config.get(&keys::POD_TEMPLATE);
        let template: Option<PathBuf> = config.get(&keys::JOBMANAGER_POD_TEMPLATE).or_else(|| common.clone());
        let taskmanagers: Option<PathBuf> = config.get(&keys::TASKMANAGER_POD_TEMPLATE).or(common);
        let mut files = BTreeMap::new();
        if let Some(path) = &taskmanagers {
            files.insert(TASKMANAGER_TEMPLATE.to_owned(), checked_template(path)?);
        }
        let mut in_cluster = in_cluster(config, &id, namespace, taskmanagers.is_some());
        let agreed = config.get(&all::high_availability::TYPE) != HighAvailabilityType::None;
        let is_shared = config.is_set(&all::checkpointing::DIR) || agreed;
        if !is_shared {
            notes.extend(without_checkpoints(config, &mut in_cluster)?);
        }
        files.insert(CONFIG.to_owned(), yaml(&in_cluster));
        let account = config.get(&keys::JOBMANAGER_SERVICE_ACCOUNT);
        let pod = PodSettings {
            template: template.map(|path| template::load(&path)).transpose()?.unwrap_or_default(),
            image: config.get(&keys::IMAGE),
            pull_policy: config.get(&keys::PULL_POLICY).as_str(),
            pull_secrets: config.get(&keys::PULL_SECRETS),
            service_account: account.unwrap_or_else(|| config.get(&keys::SERVICE_ACCOUNT)),
            labels: config.map(&keys::JOBMANAGER_LABELS),
            annotations: config.map(&keys::JOBMANAGER_ANNOTATIONS),
            node_selector: config.map(&keys::JOBMANAGER_NODE_SELECTOR),
            tolerations: settings::items(&keys::JOBMANAGER_TOLERATIONS, config, settings::toleration)?,
            secrets: config.map(&keys::SECRETS),
            tls: tls_secret(config)?,
            secret_variables,
            priority_class: config.get(&keys::PRIORITY_CLASS),
            queue: crate::queue::Queue { name: None, system: config.get(&keys::QUEUE_SYSTEM), gang: 0 },
            termination_grace: config.get(&keys::TERMINATION_GRACE),
            jobmanager: address(&id, namespace),
            config_map: Some(id.config_map()),
            defines: BTreeMap::new(),
            metrics_port: None,
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            pod,
            // The range of the key keeps it within.
            cpu_millicores: (config.get(&keys::JOBMANAGER_CPU) * 1000.0).round() as u64,
            memory: config.get(&all::jobmanager::MEMORY_PROCESS_SIZE).map(|size| size.bytes()),
            replicas: replicas(config, &work)?,
            agreed,
            node_loss: config.get(&keys::JOBMANAGER_NODE_LOSS).or(agreed.then_some(NODE_LOSS)),
            elected: config.get(&all::high_availability::TYPE) == HighAvailabilityType::Kubernetes,
            has_pod_group: settings::queue(config).has_pod_group(),
            work,
            files,
            secrets,
            finished_ttl: config.get(&keys::FINISHED_TTL),
            notes,
            id,
        })
    }
}

/// How many JobManagers: several only where they agree on who leads, and where there is no end to wait for.
fn replicas(config: &Configuration, work: &Work) -> Result<u32, Error> {
    let (key, replicas) = (keys::JOBMANAGER_REPLICAS.key(), config.get(&keys::JOBMANAGER_REPLICAS));
    let kind = config.get(&all::high_availability::TYPE);
    if kind != HighAvailabilityType::None && !config.is_set(&all::high_availability::STORAGE_DIR) {
        let key = all::high_availability::STORAGE_DIR.key();
        let reason =
            format!("{} is {kind}, which needs a directory that all pods reach", all::high_availability::TYPE.key());
        return Err(Error::Setting { key, reason });
    }
    if replicas > 1 && kind == HighAvailabilityType::None {
        let needed = all::high_availability::TYPE.key();
        let reason = format!("{replicas} JobManagers must agree on who leads: set {needed} to kubernetes");
        return Err(Error::Setting { key, reason });
    }
    if replicas > 1 && !matches!(work, Work::Session) {
        let reason = "a cluster of one job has one JobManager, which Kubernetes starts again where it ends".to_owned();
        return Err(Error::Setting { key, reason });
    }
    Ok(replicas)
}

/// Pods share no directory by themselves, so without a place for checkpoints there are none.
fn without_checkpoints(
    config: &Configuration,
    in_cluster: &mut BTreeMap<String, String>,
) -> Result<Option<String>, Error> {
    let (key, dir) = (all::checkpointing::INTERVAL.key(), all::checkpointing::DIR.key());
    if !config.is_set(&all::checkpointing::INTERVAL) {
        in_cluster.insert(key.to_owned(), "0 ms".to_owned());
        return Ok(Some(format!("no checkpoints are taken by themselves: {dir} names no place that all pods reach")));
    }
    if config.get(&all::checkpointing::INTERVAL).is_zero() {
        return Ok(None);
    }
    let reason = format!("checkpoints need a place that all pods reach, an object store or a volume: set {dir}");
    Err(Error::Setting { key, reason })
}

/// `HOST:PORT` at which pods and others in the cluster reach the JobManager.
pub fn address(id: &ClusterId, namespace: &str) -> String {
    format!("{}:{PORT}", host(id, namespace))
}

fn host(id: &ClusterId, namespace: &str) -> String {
    format!("{}.{namespace}", id.service())
}

/// What JobManager and TaskManagers read: the client's settings, without what is of its own machine and without secrets.
fn in_cluster(config: &Configuration, id: &ClusterId, namespace: &str, has_template: bool) -> BTreeMap<String, String> {
    let kept = config.entries().filter(|(key, _)| !OF_CLIENT.contains(key) && !is_secret(key));
    let mut entries: BTreeMap<_, _> = kept.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut set = |key: &str, value: String| entries.insert(key.to_owned(), value);
    set(all::cluster::BACKEND.key(), "kubernetes".to_owned());
    set(all::cluster::ID.key(), id.to_string());
    set(keys::CLUSTER_ID.key(), id.to_string());
    set(keys::NAMESPACE.key(), namespace.to_owned());
    set(all::rest::ADDRESS.key(), host(id, namespace));
    set(all::rest::PORT.key(), PORT.to_string());
    set(all::rest::BIND_ADDRESS.key(), "0.0.0.0".to_owned());
    set(all::taskmanager::BIND_HOST.key(), "0.0.0.0".to_owned());
    if config.is_set(&keys::TLS_SECRET) {
        set(all::security::SSL_REST_CERTIFICATE.key(), format!("{TLS_DIR}/tls.crt"));
        set(all::security::SSL_REST_KEY.key(), format!("{TLS_DIR}/tls.key"));
        set(all::security::SSL_REST_CA.key(), format!("{TLS_DIR}/{TLS_CA}"));
        // Those that stand by reach the one that leads by the address of its pod.
        let name = config.get(&all::security::SSL_REST_SERVER_NAME);
        set(all::security::SSL_REST_SERVER_NAME.key(), name.unwrap_or_else(|| host(id, namespace)));
    }
    if has_template {
        set(keys::TASKMANAGER_POD_TEMPLATE.key(), format!("{CONFIG_DIR}/{TASKMANAGER_TEMPLATE}"));
    }
    entries
}

/// Where the certificates of a REST port that speaks TLS are: files of this machine are not in pods.
fn tls_secret(config: &Configuration) -> Result<Option<TlsSecret>, Error> {
    let enabled = all::security::SSL_REST_ENABLED.key();
    let (key, secret) = (keys::TLS_SECRET.key(), config.get(&keys::TLS_SECRET));
    match (config.get(&all::security::SSL_REST_ENABLED), secret) {
        (false, None) => Ok(None),
        (true, Some(secret)) => Ok(Some(TlsSecret { secret, has_key: true })),
        (true, None) => Err(Error::Setting {
            key,
            reason: format!(
                "it must be set, since {enabled} is true: the Secret with tls.crt, tls.key and ca.crt for the pods"
            ),
        }),
        (false, Some(_)) => {
            Err(Error::Setting { key, reason: format!("set {enabled} to true with it, or leave it out") })
        }
    }
}

/// JSON strings are YAML strings, whatever is in them.
fn yaml(entries: &BTreeMap<String, String>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    entries.iter().map(|(key, value)| format!("{}: {}\n", quoted(key), quoted(value))).collect()
}

fn checked_template(path: &Path) -> Result<String, Error> {
    template::load(path)?;
    let unread = |error: std::io::Error| template::TemplateError {
        name: path.display().to_string(),
        reason: format!("cannot be read: {error}"),
    };
    Ok(std::fs::read_to_string(path).map_err(unread)?)
}

/// The path of a `local://` program.
fn check_path(path: &str) -> Result<(), Error> {
    let is_path = path.starts_with('/') && path.len() > 1 && !path.ends_with('/');
    let reason = || format!("{path:?} is no program in the image: write local:///PATH, with three slashes");
    if is_path { Ok(()) } else { Err(Error::Setting { key: "program", reason: reason() }) }
}

#[cfg(test)]
mod tests;
