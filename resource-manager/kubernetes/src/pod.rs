//! The pod of a worker: the template, and under it everything that is computed.

use std::collections::BTreeMap;

use flott_resource_manager::WorkerSpec;
use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
        KeyToPath, LocalObjectReference, ObjectFieldSelector, Pod, PodSecurityContext, PodSpec, ResourceRequirements,
        SeccompProfile, SecretKeySelector, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};

use crate::{
    fleet::Group,
    labels::{self, Component},
    names::ClusterId,
    settings::PodSettings,
    template::MAIN_CONTAINER,
};

/// Where JobManager and workers keep what they work on; an empty directory of the pod, unless a template says otherwise.
pub const WORK_DIR: &str = "/var/lib/flott";
/// The volume that is mounted there.
pub const WORK_VOLUME: &str = "flott-work";
/// Where the cluster's configuration is mounted.
pub const CONFIG_DIR: &str = "/etc/flott";
/// The file in it.
pub const CONFIG_FILE: &str = "/etc/flott/config.yaml";
/// Where certificates of the REST port are mounted.
pub const TLS_DIR: &str = "/etc/flott-tls";
/// Whom to trust, in that directory and in the Secret that is mounted there.
pub const TLS_CA: &str = "ca.crt";

/// Makes the pod of a worker, which is let in with those of `group`, if there is one.
pub fn taskmanager(
    cluster: &ClusterId,
    settings: &PodSettings,
    owner: Option<&OwnerReference>,
    worker: &WorkerSpec,
    group: Option<&Group>,
) -> Pod {
    let mut pod = settings.template.clone();
    let marks = settings.queue.marks(cluster, worker, group);
    let metadata = &mut pod.metadata;
    metadata.name = Some(cluster.pod(&worker.worker));
    metadata.owner_references = owner.map(|owner| vec![owner.clone()]);
    let own_labels = labels::of(cluster, Component::TaskManager)
        .into_iter()
        .chain([(labels::WORKER.to_owned(), labels::worker_value(&worker.worker))]);
    // The last one wins: nothing takes away the labels that the cluster is found by.
    extend(&mut metadata.labels, settings.labels.clone().into_iter().chain(marks.labels).chain(own_labels));
    let shape = serde_json::to_string(worker).unwrap_or_default();
    let own_annotations = [(labels::WORKER_SPEC.to_owned(), shape)];
    extend(
        &mut metadata.annotations,
        settings.annotations.clone().into_iter().chain(marks.annotations).chain(own_annotations),
    );

    let spec = pod.spec.get_or_insert_with(PodSpec::default);
    fill_spec(spec, settings);
    if spec.scheduler_name.is_none() {
        spec.scheduler_name = marks.scheduler.map(str::to_owned);
    }
    let place = spec.containers.iter().position(|container| container.name == MAIN_CONTAINER);
    let mut main = match place {
        Some(place) => spec.containers.remove(place),
        None => Container::default(),
    };
    fill_main(&mut main, cluster, settings, worker);
    spec.containers.insert(0, main);
    pod
}

pub(crate) fn fill_spec(spec: &mut PodSpec, settings: &PodSettings) {
    spec.restart_policy = Some("Never".to_owned());
    spec.service_account_name = Some(settings.service_account.clone());
    spec.automount_service_account_token = Some(false);
    spec.enable_service_links.get_or_insert(false);
    spec.priority_class_name.clone_from(&settings.priority_class);
    spec.termination_grace_period_seconds = i64::try_from(settings.termination_grace.as_secs()).ok();
    extend(&mut spec.node_selector, settings.node_selector.clone());
    append(&mut spec.tolerations, settings.tolerations.iter().cloned());
    let secrets = settings.pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() });
    append(&mut spec.image_pull_secrets, secrets);
    // What the restricted profile of pod security asks for; a template may say otherwise.
    let security = spec.security_context.get_or_insert_with(PodSecurityContext::default);
    security.run_as_non_root.get_or_insert(true);
    security
        .seccomp_profile
        .get_or_insert_with(|| SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None });
    let is_given = spec.volumes.iter().flatten().any(|volume| volume.name == WORK_VOLUME);
    // A template's own takes the place of the directory that goes with the pod.
    append(&mut spec.volumes, volumes(settings).into_iter().filter(|volume| !is_given || volume.name != WORK_VOLUME));
}

fn volumes(settings: &PodSettings) -> Vec<Volume> {
    let empty = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let mut volumes = vec![empty(WORK_VOLUME), empty("flott-tmp")];
    if let Some(name) = &settings.config_map {
        let config_map = ConfigMapVolumeSource { name: name.clone(), ..ConfigMapVolumeSource::default() };
        volumes.push(Volume { name: "flott-config".to_owned(), config_map: Some(config_map), ..Volume::default() });
    }
    if let Some(tls) = &settings.tls {
        let trusted = KeyToPath { key: TLS_CA.to_owned(), path: TLS_CA.to_owned(), mode: None };
        let secret = SecretVolumeSource {
            secret_name: Some(tls.secret.clone()),
            // Programs of users run beside TaskManagers: the key is nothing for them.
            items: (!tls.has_key).then(|| vec![trusted]),
            ..SecretVolumeSource::default()
        };
        volumes.push(Volume { name: "flott-tls".to_owned(), secret: Some(secret), ..Volume::default() });
    }
    for (index, name) in settings.secrets.keys().enumerate() {
        let secret = SecretVolumeSource { secret_name: Some(name.clone()), ..SecretVolumeSource::default() };
        volumes.push(Volume { name: format!("flott-secret-{index}"), secret: Some(secret), ..Volume::default() });
    }
    volumes
}

fn mounts(settings: &PodSettings) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![mount(WORK_VOLUME, WORK_DIR, false), mount("flott-tmp", "/tmp", false)];
    if settings.config_map.is_some() {
        mounts.push(mount("flott-config", CONFIG_DIR, true));
    }
    if settings.tls.is_some() {
        mounts.push(mount("flott-tls", TLS_DIR, true));
    }
    for (index, path) in settings.secrets.values().enumerate() {
        mounts.push(mount(&format!("flott-secret-{index}"), path, true));
    }
    mounts
}

fn fill_main(main: &mut Container, cluster: &ClusterId, settings: &PodSettings, worker: &WorkerSpec) {
    fill_container(main, cluster, settings);
    main.args = Some(arguments(settings, worker));
    // By its name, PodMonitors find it.
    let port = settings.metrics_port.map(|port| ContainerPort {
        name: Some("metrics".to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    });
    append(&mut main.ports, port);
    let resources = main.resources.get_or_insert_with(ResourceRequirements::default);
    for amounts in [&mut resources.requests, &mut resources.limits] {
        let cpu = Quantity(format!("{}m", worker.cpu_millicores));
        extend(amounts, [("memory".to_owned(), Quantity(worker.memory.to_string())), ("cpu".to_owned(), cpu)]);
    }
}

/// What the containers of JobManager and TaskManagers have in common.
pub(crate) fn fill_container(main: &mut Container, cluster: &ClusterId, settings: &PodSettings) {
    main.name = MAIN_CONTAINER.to_owned();
    main.image = Some(settings.image.clone());
    main.image_pull_policy = Some(settings.pull_policy.to_owned());
    // What it says last is how it ended.
    main.termination_message_policy.get_or_insert_with(|| "FallbackToLogsOnError".to_owned());
    let security = main.security_context.get_or_insert_with(SecurityContext::default);
    security.allow_privilege_escalation.get_or_insert(false);
    security.read_only_root_filesystem.get_or_insert(true);
    security.capabilities.get_or_insert_with(|| Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) });
    append(&mut main.env, environment(cluster, settings));
    append(&mut main.volume_mounts, mounts(settings));
}

fn environment(cluster: &ClusterId, settings: &PodSettings) -> Vec<EnvVar> {
    let field = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: None, field_path: path.to_owned() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let secret = |name: &str, secret: &str, key: &str, optional: bool| EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                optional: optional.then_some(true),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let mut variables = vec![
        field("FLOTT_POD_NAME", "metadata.name"),
        field("FLOTT_POD_NAMESPACE", "metadata.namespace"),
        field("FLOTT_POD_IP", "status.podIP"),
        EnvVar { name: "FLOTT_STATE_DIR".to_owned(), value: Some(WORK_DIR.to_owned()), ..EnvVar::default() },
        // A cluster that nobody can reach may do without.
        secret("FLOTT_TOKEN", &cluster.token_secret(), "token", true),
    ];
    variables.extend(settings.secret_variables.iter().map(|one| secret(&one.name, &one.secret, &one.key, false)));
    variables
}

/// The arguments of `flott`, which is the image's entry point.
fn arguments(settings: &PodSettings, worker: &WorkerSpec) -> Vec<String> {
    let mut arguments = vec!["taskmanager".to_owned(), "--jobmanager".to_owned(), literal(&settings.jobmanager)];
    if settings.config_map.is_some() {
        arguments.extend(["--config".to_owned(), CONFIG_FILE.to_owned()]);
    }
    arguments.extend(["--work-dir".to_owned(), format!("{WORK_DIR}/taskmanager")]);
    let mut defines: BTreeMap<_, _> =
        settings.defines.iter().map(|(key, value)| (key.as_str(), literal(value))).collect();
    let cores = f64::from(worker.cpu_millicores) / 1000.0;
    defines.extend([
        ("taskmanager.resource-id", literal(&worker.worker.0)),
        ("taskmanager.numberOfTaskSlots", worker.slots.to_string()),
        ("taskmanager.memory.process.size", format!("{} b", worker.memory)),
        ("taskmanager.cpu.cores", cores.to_string()),
        // The kubelet fills in the address at which peers reach this pod.
        ("taskmanager.host", "$(FLOTT_POD_IP)".to_owned()),
    ]);
    for (key, value) in defines {
        arguments.extend(["-D".to_owned(), format!("{key}={value}")]);
    }
    arguments
}

/// Text that the kubelet does not take for a reference to a variable.
pub(crate) fn literal(text: &str) -> String {
    text.replace("$(", "$$(")
}

pub(crate) fn extend<V>(map: &mut Option<BTreeMap<String, V>>, more: impl IntoIterator<Item = (String, V)>) {
    let mut more = more.into_iter().peekable();
    if more.peek().is_some() {
        map.get_or_insert_default().extend(more);
    }
}

pub(crate) fn append<T>(list: &mut Option<Vec<T>>, more: impl IntoIterator<Item = T>) {
    let mut more = more.into_iter().peekable();
    if more.peek().is_some() {
        list.get_or_insert_default().extend(more);
    }
}

#[cfg(test)]
mod tests;
