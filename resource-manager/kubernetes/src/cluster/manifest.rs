//! The objects of a cluster.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
        batch::v1::{Job, JobSpec},
        core::v1::{
            ConfigMap, Container, ContainerPort, HTTPGetAction, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
            Secret, Service, ServicePort, ServiceSpec,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};

use super::{
    PORT,
    head::{CREATING, Head, MAKER},
    objects::Object,
    spec::{ClusterSpec, ImageProgram, Work},
};
use crate::{
    labels::{self, Component},
    pod::{self, CONFIG_FILE, WORK_DIR, append, extend, literal},
    template::MAIN_CONTAINER,
};

mod placement;

/// Where the last words of a container are read from.
const LAST_WORDS: &str = "/dev/termination-log";
/// A JobManager is started again for as long as its cluster is wanted, however often it was.
const RESTARTS_MAX: i32 = i32::MAX;

/// The head, asleep: nothing runs until it is woken. `maker` tells apart the clients that make one of this name.
pub fn head(spec: &ClusterSpec, maker: &str) -> Object {
    let mut metadata = metadata(spec, spec.id.jobmanager(), None);
    let annotations = [(CREATING, "true"), (MAKER, maker)];
    metadata.annotations = Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    match spec.work {
        Work::Session => Object::of(&deployment(spec, metadata)),
        Work::Awaited { .. } | Work::Program(_) => Object::of(&job(spec, metadata)),
    }
}

/// What wakes the head that has this `uid`, as a merge patch.
pub fn awakening(spec: &ClusterSpec, uid: &str) -> serde_json::Value {
    let awake = match spec.work {
        Work::Session => serde_json::json!({ "replicas": spec.replicas }),
        Work::Awaited { .. } | Work::Program(_) => serde_json::json!({ "suspend": false }),
    };
    serde_json::json!({ "metadata": { "uid": uid, "annotations": { CREATING: null } }, "spec": awake })
}

/// All but the head.
pub fn others(spec: &ClusterSpec, head: &Head) -> Vec<Object> {
    let owner = head.reference();
    let config_map = ConfigMap {
        metadata: metadata(spec, spec.id.config_map(), Some(&owner)),
        data: Some(spec.files.clone()),
        ..ConfigMap::default()
    };
    let bytes = |(key, value): (&String, &String)| (key.clone(), ByteString(value.clone().into_bytes()));
    let secret = Secret {
        metadata: metadata(spec, spec.id.token_secret(), Some(&owner)),
        data: Some(spec.secrets.iter().map(bytes).collect()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    vec![Object::of(&config_map), Object::of(&secret), Object::of(&service(spec, &owner))]
}

fn metadata(spec: &ClusterSpec, name: String, owner: Option<&OwnerReference>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(spec.namespace.clone()),
        labels: Some(labels::of(&spec.id, Component::JobManager)),
        owner_references: owner.map(|owner| vec![owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// Headless: the JobManager has one port for clients and TaskManagers, and its name leads to it, ready or not, since a
/// name that leads nowhere would be remembered as such.
fn service(spec: &ClusterSpec, owner: &OwnerReference) -> Service {
    let port = ServicePort {
        name: Some("rest".to_owned()),
        port: i32::from(PORT),
        target_port: Some(IntOrString::Int(i32::from(PORT))),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(spec, spec.id.service(), Some(owner)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector(spec)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn selector(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut labels = labels::of(&spec.id, Component::JobManager);
    labels.remove(labels::MANAGED_BY);
    labels
}

fn deployment(spec: &ClusterSpec, metadata: ObjectMeta) -> Deployment {
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(0),
            strategy: Some(DeploymentStrategy { type_: Some(strategy(spec).to_owned()), rolling_update: None }),
            selector: LabelSelector { match_labels: Some(selector(spec)), match_expressions: None },
            template: pod_template(spec, "Always"),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// Two JobManagers of one cluster would keep each other out, unless they agree on who leads.
fn strategy(spec: &ClusterSpec) -> &'static str {
    if spec.replicas > 1 { "RollingUpdate" } else { "Recreate" }
}

/// A Job, since its work ends: it completes with the job, and is removed by itself after a while. Its container is started
/// again in its pod, which has kept the state directory; what an ended JobManager exits with is therefore always 0, and
/// how the Flott job ended is in the last words of the pod.
fn job(spec: &ClusterSpec, metadata: ObjectMeta) -> Job {
    Job {
        metadata,
        spec: Some(JobSpec {
            suspend: Some(true),
            backoff_limit: Some(RESTARTS_MAX),
            pod_replacement_policy: Some(replacement(spec).to_owned()),
            ttl_seconds_after_finished: i32::try_from(spec.finished_ttl.as_secs()).ok(),
            template: pod_template(spec, "OnFailure"),
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// The next JobManager begins when the last one has ended, which nobody knows of one whose node is lost; where they agree on
/// who leads, nobody needs to.
fn replacement(spec: &ClusterSpec) -> &'static str {
    if spec.agreed { "TerminatingOrFailed" } else { "Failed" }
}

fn pod_template(spec: &ClusterSpec, restart_policy: &str) -> PodTemplateSpec {
    let mut pod = spec.pod.template.clone();
    let metadata = &mut pod.metadata;
    let own = labels::of(&spec.id, Component::JobManager);
    extend(&mut metadata.labels, spec.pod.labels.clone().into_iter().chain(own));
    extend(&mut metadata.annotations, spec.pod.annotations.clone());
    let mut pod_spec = pod.spec.take().unwrap_or_default();
    pod::fill_spec(&mut pod_spec, &spec.pod);
    if let Some(patience) = spec.node_loss {
        placement::leave_lost_nodes(&mut pod_spec, patience);
    }
    if spec.replicas > 1 {
        placement::spread(&mut pod_spec, spec);
    }
    pod_spec.restart_policy = Some(restart_policy.to_owned());
    // It asks the API server for TaskManagers.
    pod_spec.automount_service_account_token = Some(true);
    fill_main(main_container(&mut pod_spec), spec);
    PodTemplateSpec { metadata: Some(pod.metadata), spec: Some(pod_spec) }
}

/// The container of Flott, first in its pod.
fn main_container(spec: &mut PodSpec) -> &mut Container {
    let place = spec.containers.iter().position(|container| container.name == MAIN_CONTAINER);
    let main = place.map_or_else(Container::default, |place| spec.containers.remove(place));
    spec.containers.insert(0, main);
    &mut spec.containers[0]
}

fn fill_main(main: &mut Container, spec: &ClusterSpec) {
    pod::fill_container(main, &spec.id, &spec.pod);
    main.args = Some(arguments(spec));
    let resources = main.resources.get_or_insert_with(ResourceRequirements::default);
    let cpu = ("cpu".to_owned(), Quantity(format!("{}m", spec.cpu_millicores)));
    let memory = spec.memory.map(|bytes| ("memory".to_owned(), Quantity(bytes.to_string())));
    extend(&mut resources.requests, memory.clone().into_iter().chain([cpu]));
    // A JobManager in a moment of much to decide may have what nobody else uses.
    extend(&mut resources.limits, memory);
    let port =
        ContainerPort { name: Some("rest".to_owned()), container_port: i32::from(PORT), ..ContainerPort::default() };
    append(&mut main.ports, [port]);
    main.readiness_probe.get_or_insert_with(|| probe(spec, "ready", 2, 3));
    main.liveness_probe.get_or_insert_with(|| probe(spec, "live", 10, 6));
    // Until then the others are not asked: to open a store may take a while.
    main.startup_probe.get_or_insert_with(|| probe(spec, "live", 1, 120));
}

fn probe(spec: &ClusterSpec, what: &str, period_s: i32, failures_max: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(format!("/flott/v1/health/{what}")),
            port: IntOrString::Int(i32::from(PORT)),
            scheme: spec.pod.tls.is_some().then(|| "HTTPS".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_s),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures_max),
        ..Probe::default()
    }
}

/// The arguments of `flott`, which is the image's entry point.
fn arguments(spec: &ClusterSpec) -> Vec<String> {
    let mut arguments =
        vec!["jobmanager".to_owned(), format!("--state-dir={WORK_DIR}"), format!("--config={CONFIG_FILE}")];
    match &spec.work {
        Work::Session => {}
        Work::Awaited { job, patience } => {
            arguments.push(format!("--await-job={job}"));
            arguments.push(format!("--patience={} ms", patience.as_millis()));
            arguments.push(format!("--outcome-file={LAST_WORDS}"));
        }
        Work::Program(ImageProgram { path, arguments: own, entry, job }) => {
            arguments.push(format!("--application={}", literal(path)));
            arguments.push(format!("--job-id={job}"));
            arguments.push(format!("--outcome-file={LAST_WORDS}"));
            arguments.extend(entry.iter().map(|entry| format!("--class={}", literal(entry))));
            arguments.push("--".to_owned());
            arguments.extend(own.iter().map(|argument| literal(argument)));
        }
    }
    arguments
}

#[cfg(test)]
mod tests;
