//! What the backend is told, read once from the configuration.

use std::{collections::BTreeMap, time::Duration};

use flott_core::config::{
    Configuration, is_secret,
    keys::{self as all, kubernetes as keys},
};
use k8s_openapi::api::core::v1::{Pod, Toleration};

use crate::{
    error::Error,
    fleet::Gang,
    names::ClusterId,
    pod::{TLS_CA, TLS_DIR},
    queue::Queue,
    template,
};

/// Everything that TaskManager pods and the requests about them depend on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster.
    pub cluster: ClusterId,
    /// How pods look.
    pub pods: PodSettings,
    /// How the API server is asked.
    pub requests: RequestSettings,
    /// The JobManager's own pod, if it runs in one.
    pub own_pod: Option<String>,
}

/// How TaskManager pods look.
#[derive(Debug, Clone)]
pub struct PodSettings {
    /// What they are made from.
    pub template: Pod,
    /// The image.
    pub image: String,
    /// When it is fetched.
    pub pull_policy: &'static str,
    /// Secrets for its registry.
    pub pull_secrets: Vec<String>,
    /// Service account.
    pub service_account: String,
    /// Added labels.
    pub labels: BTreeMap<String, String>,
    /// Added annotations.
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that they tolerate.
    pub tolerations: Vec<Toleration>,
    /// Secrets that are mounted, by name with their path.
    pub secrets: BTreeMap<String, String>,
    /// The certificates of the REST port.
    pub tls: Option<TlsSecret>,
    /// Variables from Secrets.
    pub secret_variables: Vec<SecretVariable>,
    /// Priority class.
    pub priority_class: Option<String>,
    /// Queue.
    pub queue: Queue,
    /// How long they may take to end.
    pub termination_grace: Duration,
    /// `HOST:PORT` that they dial.
    pub jobmanager: String,
    /// The ConfigMap with their configuration. Without it they are told on their command line.
    pub config_map: Option<String>,
    /// What they are told on their command line, by key.
    pub defines: BTreeMap<String, String>,
    /// Port on which they serve metrics, if they do and it is always the same.
    pub metrics_port: Option<u16>,
}

/// A variable from a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVariable {
    /// Name of the variable.
    pub name: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key in it.
    pub key: String,
}

/// A Secret with certificates of the REST port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSecret {
    /// Its name.
    pub secret: String,
    /// Whether certificate and key are mounted too, or only whom to trust.
    pub has_key: bool,
}

/// How the API server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSettings {
    /// Most requests under way.
    pub in_flight_max: usize,
    /// Most requests a second, over a burst of as many.
    pub per_second: u32,
    /// How long one may take.
    pub timeout: Duration,
    /// How long one is tried again.
    pub retry_timeout: Duration,
    /// How long a pod with a node may take to run.
    pub container_start_timeout: Duration,
}

/// What a JobManager knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `HOST:PORT` that workers dial.
    pub address: String,
    /// Its own pod, if it runs in one.
    pub pod: Option<String>,
}

impl Settings {
    /// Reads `config` for a JobManager at `place`.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used.
    pub fn read(config: &Configuration, place: Place) -> Result<Self, Error> {
        let cluster = cluster_id(config)?;
        let specific = config.get(&keys::TASKMANAGER_POD_TEMPLATE).or_else(|| config.get(&keys::POD_TEMPLATE));
        let template = specific.map(|path| template::load(&path)).transpose()?.unwrap_or_default();
        let queue = queue(config);
        check_gang(config, &queue)?;
        let account = config.get(&keys::TASKMANAGER_SERVICE_ACCOUNT);
        let pods = PodSettings {
            template,
            image: config.get(&keys::IMAGE),
            pull_policy: config.get(&keys::PULL_POLICY).as_str(),
            pull_secrets: config.get(&keys::PULL_SECRETS),
            service_account: account.unwrap_or_else(|| config.get(&keys::SERVICE_ACCOUNT)),
            labels: config.map(&keys::TASKMANAGER_LABELS),
            annotations: config.map(&keys::TASKMANAGER_ANNOTATIONS),
            node_selector: config.map(&keys::TASKMANAGER_NODE_SELECTOR),
            tolerations: items(&keys::TASKMANAGER_TOLERATIONS, config, toleration)?,
            secrets: config.map(&keys::SECRETS),
            tls: config.get(&keys::TLS_SECRET).map(|secret| TlsSecret { secret, has_key: false }),
            secret_variables: items(&keys::ENV_SECRET_KEY_REF, config, secret_variable)?,
            priority_class: config.get(&keys::PRIORITY_CLASS),
            queue,
            termination_grace: config.get(&keys::TERMINATION_GRACE),
            jobmanager: place.address,
            config_map: place.pod.is_some().then(|| cluster.config_map()),
            defines: defines(config, place.pod.is_some()),
            // Each pod has its first port for itself.
            metrics_port: config.get(&all::taskmanager::METRICS_PORT).map(|ports| ports.first).filter(|port| *port > 0),
        };
        let requests = RequestSettings {
            in_flight_max: usize::try_from(config.get(&keys::REQUESTS_IN_FLIGHT)).unwrap_or(usize::MAX),
            per_second: config.get(&keys::REQUESTS_PER_SECOND),
            timeout: config.get(&keys::REQUEST_TIMEOUT),
            retry_timeout: config.get(&keys::RETRY_TIMEOUT),
            container_start_timeout: config.get(&keys::CONTAINER_START_TIMEOUT),
        };
        Ok(Self { cluster, pods, requests, own_pod: place.pod })
    }

    /// The pods that are let in together by a queue that counts them.
    pub fn gang(&self) -> Option<Gang> {
        let size = self.pods.queue.gang;
        (size > 0 && self.pods.queue.is_counted()).then(|| Gang { size, cluster: self.cluster.clone() })
    }
}

/// The configured name of the cluster.
///
/// # Errors
/// When it is missing, or none.
pub fn cluster_id(config: &Configuration) -> Result<ClusterId, Error> {
    let key = keys::CLUSTER_ID.key();
    let text = config.get(&keys::CLUSTER_ID).ok_or_else(|| Error::Setting { key, reason: "it must be set".into() })?;
    ClusterId::parse(&text).map_err(|error| Error::Setting { key, reason: error.to_string() })
}

/// Names of the variables that pods have from Secrets, by the configuration.
///
/// # Errors
/// Names the item that is none.
pub fn secret_variables(config: &Configuration) -> Result<Vec<String>, Error> {
    let variables = items(&keys::ENV_SECRET_KEY_REF, config, secret_variable)?;
    Ok(variables.into_iter().map(|variable| variable.name).collect())
}

/// The queue of TaskManagers.
pub(crate) fn queue(config: &Configuration) -> Queue {
    Queue {
        name: config.get(&keys::QUEUE),
        system: config.get(&keys::QUEUE_SYSTEM),
        gang: config.get(&keys::GANG_MINIMUM),
    }
}

/// A gang that is never asked for as a whole would wait for ever.
fn check_gang(config: &Configuration, queue: &Queue) -> Result<(), Error> {
    let slots = config.get(&all::taskmanager::NUMBER_OF_TASK_SLOTS);
    let asked = config.get(&all::slots::NUMBER_OF_SLOTS_MIN).div_ceil(slots);
    if asked >= queue.gang {
        return Ok(());
    }
    let (gang, wanted) = (queue.gang, u64::from(queue.gang) * u64::from(slots));
    let reason = format!(
        "a gang of {gang} TaskManagers is let in when all have been asked for, but {} asks for {asked} at once; set it to {wanted}",
        all::slots::NUMBER_OF_SLOTS_MIN.key(),
    );
    Err(Error::Setting { key: keys::GANG_MINIMUM.key(), reason })
}

/// Keys that a TaskManager without the cluster's file reads, and that are no secrets.
fn defines(config: &Configuration, has_file: bool) -> BTreeMap<String, String> {
    let read = |key: &str| {
        ["taskmanager.", "task.", "heartbeat.", "flott.log.", "security.ssl.rest."]
            .iter()
            .any(|prefix| key.starts_with(prefix))
            // Which of its variables are meant for programs.
            || [all::security::INSECURE.key(), keys::ENV_SECRET_KEY_REF.key()].contains(&key)
            || (all::taskmanager::PROGRAM_ENV.entry_of(key).is_some() && !is_secret(key))
    };
    // Those are of one TaskManager, or of this process.
    let own = [
        all::taskmanager::RESOURCE_ID.key(),
        all::taskmanager::HOST.key(),
        all::security::SSL_REST_CERTIFICATE.key(),
        all::security::SSL_REST_KEY.key(),
    ];
    let told = config.entries().filter(|(key, _)| !has_file && read(key) && !own.contains(key));
    let mut defines: BTreeMap<_, _> = told.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if !has_file && config.is_set(&keys::TLS_SECRET) {
        defines.insert(all::security::SSL_REST_CA.key().to_owned(), format!("{TLS_DIR}/{TLS_CA}"));
    }
    if !config.is_set(&all::taskmanager::BIND_HOST) {
        // Peers are in other pods.
        defines.insert(all::taskmanager::BIND_HOST.key().to_owned(), "0.0.0.0".to_owned());
    }
    defines
}

type ListOption = flott_core::config::ConfigOption<Vec<String>>;

/// Reads every item of a list of maps.
pub(crate) fn items<T>(
    option: &'static ListOption,
    config: &Configuration,
    read: fn(&BTreeMap<&str, &str>) -> Result<T, String>,
) -> Result<Vec<T>, Error> {
    let item = |text: &String| {
        let fields = text.split(',').map(str::trim).filter(|field| !field.is_empty());
        let fields: Option<BTreeMap<_, _>> =
            fields.map(|field| field.split_once(':').map(|(key, value)| (key.trim(), value.trim()))).collect();
        let fields = fields.ok_or_else(|| "it is not like key:value,key:value".to_owned());
        fields.and_then(|fields| read(&fields)).map_err(|reason| Error::Setting {
            key: option.key(),
            reason: format!("{text:?} cannot be used: {reason}"),
        })
    };
    config.get(option).iter().map(item).collect()
}

fn known_fields(fields: &BTreeMap<&str, &str>, known: &[&str]) -> Result<(), String> {
    match fields.keys().find(|key| !known.contains(key)) {
        Some(key) => Err(format!("there is no {key:?}; there are {}", known.join(", "))),
        None => Ok(()),
    }
}

pub(crate) fn toleration(fields: &BTreeMap<&str, &str>) -> Result<Toleration, String> {
    known_fields(fields, &["key", "operator", "value", "effect", "tolerationSeconds"])?;
    let text = |name: &str| fields.get(name).map(|text| (*text).to_owned());
    let seconds = fields.get("tolerationSeconds").map(|text| text.parse());
    let toleration_seconds = seconds.transpose().map_err(|_| "tolerationSeconds is no whole number".to_owned())?;
    if !matches!(fields.get("operator").copied(), None | Some("Equal" | "Exists")) {
        return Err("operator is neither Equal nor Exists".to_owned());
    }
    Ok(Toleration {
        key: text("key"),
        operator: text("operator"),
        value: text("value"),
        effect: text("effect"),
        toleration_seconds,
    })
}

pub(crate) fn secret_variable(fields: &BTreeMap<&str, &str>) -> Result<SecretVariable, String> {
    known_fields(fields, &["env", "secret", "key"])?;
    let text = |name: &str| fields.get(name).map(|text| (*text).to_owned()).ok_or_else(|| format!("{name} is missing"));
    Ok(SecretVariable { name: text("env")?, secret: text("secret")?, key: text("key")? })
}

#[cfg(test)]
mod tests {
    use flott_core::config::Loader;

    use super::*;

    fn read(settings: &[&str], pod: Option<&str>) -> Result<Settings, Error> {
        let config = Loader::new().overrides(settings).load().expect("known keys").config;
        Settings::read(&config, Place { address: "jm:8081".into(), pod: pod.map(str::to_owned) })
    }

    #[track_caller]
    fn check_error(settings: &[&str], expected: &str) {
        let all: Vec<_> = ["kubernetes.cluster-id=demo"].iter().chain(settings).copied().collect();
        assert_eq!(read(&all, None).expect_err(expected).to_string(), expected);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_key() {
        assert_eq!(read(&[], None).expect_err("no id").to_string(), "kubernetes.cluster-id: it must be set");
        let error = read(&["kubernetes.cluster-id=A"], None).expect_err("no id").to_string();
        assert!(error.starts_with("kubernetes.cluster-id: \"A\" is no cluster id"), "{error}");
        check_error(
            &["kubernetes.taskmanager.tolerations=key:a,op:Equal"],
            "kubernetes.taskmanager.tolerations: \"key:a,op:Equal\" cannot be used: there is no \"op\"; there are key, operator, \
             value, effect, tolerationSeconds",
        );
        check_error(
            &["kubernetes.env.secretKeyRef=env:A,secret:b"],
            "kubernetes.env.secretKeyRef: \"env:A,secret:b\" cannot be used: key is missing",
        );
        check_error(
            &["kubernetes.gang-minimum=3", "taskmanager.numberOfTaskSlots=2", "slotmanager.number-of-slots.min=4"],
            "kubernetes.gang-minimum: a gang of 3 TaskManagers is let in when all have been asked for, but \
             slotmanager.number-of-slots.min asks for 2 at once; set it to 6",
        );
    }

    #[test]
    fn maps_and_lists_are_read_as_flink_writes_them() {
        let settings = read(
            &[
                "kubernetes.cluster-id=demo",
                "kubernetes.taskmanager.labels=team:a,tier:b",
                "kubernetes.taskmanager.tolerations=key:k,operator:Exists,effect:NoSchedule;key:l",
                "kubernetes.secrets=certs:/etc/certs",
            ],
            Some("demo-0"),
        )
        .expect("settings");
        assert_eq!(settings.pods.labels.get("tier").map(String::as_str), Some("b"));
        assert_eq!(settings.pods.tolerations.len(), 2);
        assert_eq!(settings.pods.secrets.get("certs").map(String::as_str), Some("/etc/certs"));
        assert_eq!(settings.pods.config_map.as_deref(), Some("demo-config"));
    }

    #[test]
    fn without_a_file_of_the_cluster_workers_are_told_what_they_read_and_no_secret() {
        let told = [
            "kubernetes.cluster-id=demo",
            "security.token=t",
            "security.insecure=true",
            "task.cancellation.timeout=3 s",
            "kubernetes.env.secretKeyRef=env:WORD,secret:words,key:word",
            "containerized.taskmanager.env.LEVEL=9",
            "containerized.taskmanager.env.PASSWORD=p",
        ];
        let outside = read(&told, None).expect("settings").pods;
        let keys: Vec<_> = outside.defines.keys().map(String::as_str).collect();
        let expected = [
            "containerized.taskmanager.env.LEVEL",
            "kubernetes.env.secretKeyRef",
            "security.insecure",
            "task.cancellation.timeout",
            "taskmanager.bind-host",
        ];
        assert_eq!(keys, expected);
        assert_eq!(outside.config_map, None);
        let inside = read(&told, Some("demo-0")).expect("settings").pods;
        assert_eq!(inside.defines.keys().collect::<Vec<_>>(), ["taskmanager.bind-host"]);
    }
}
