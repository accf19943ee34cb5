//! The object from which Volcano reads how many pods are let in together: `PodGroup` of `scheduling.volcano.sh/v1beta1`, of which
//! `minMember`, `minResources`, `queue` and `priorityClassName` are used
//! (<https://github.com/volcano-sh/volcano/blob/master/config/crd/volcano/bases/scheduling.volcano.sh_podgroups.yaml>).

use flott_resource_manager::WorkerSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    labels::{self, Component},
    names::ClusterId,
    settings::PodSettings,
};

/// The API group.
pub const GROUP: &str = "scheduling.volcano.sh";
/// What a JobManager needs to do with it, as in a role: it is applied, which is both.
pub const VERBS: [&str; 2] = ["create", "patch"];

/// Which API.
pub fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1beta1", "PodGroup"), "podgroups")
}

/// The group of all TaskManagers of a cluster, each like `worker`: so many are let in together as the gang has.
pub fn of(
    cluster: &ClusterId,
    settings: &PodSettings,
    owner: Option<&OwnerReference>,
    worker: &WorkerSpec,
) -> DynamicObject {
    let gang = u64::from(settings.queue.gang);
    let mut spec = json!({
        "minMember": settings.queue.gang,
        "minResources": {
            "cpu": format!("{}m", u64::from(worker.cpu_millicores) * gang),
            "memory": worker.memory.saturating_mul(gang).to_string(),
        },
    });
    for (field, name) in [("queue", &settings.queue.name), ("priorityClassName", &settings.priority_class)] {
        if let Some(name) = name {
            spec[field] = Value::from(name.as_str());
        }
    }
    let mut group = DynamicObject::new(&cluster.pod_group(), &resource()).data(json!({ "spec": spec }));
    group.metadata.labels = Some(labels::of(cluster, Component::TaskManager));
    group.metadata.owner_references = owner.map(|owner| vec![owner.clone()]);
    group
}

/// There is no such API, in words.
pub fn missing(message: &str) -> String {
    format!(
        "Volcano is not installed: there is no CustomResourceDefinition podgroups.{GROUP}, from which it reads \
         kubernetes.gang-minimum ({message})"
    )
}

#[cfg(test)]
mod tests {
    use flott_core::{config::Loader, id::WorkerId};
    use flott_resource_manager::WorkerShape;

    use super::*;
    use crate::settings::{Place, Settings};

    #[test]
    fn the_group_asks_for_the_gang_in_its_queue() {
        let keys = [
            "kubernetes.cluster-id=demo",
            "kubernetes.queue=team-a",
            "kubernetes.queue-system=volcano",
            "kubernetes.gang-minimum=3",
            "slotmanager.number-of-slots.min=3",
            "kubernetes.priority-class=high",
        ];
        let config = Loader::new().overrides(keys).load().expect("known keys").config;
        let settings = Settings::read(&config, Place { address: "jm:8081".into(), pod: None }).expect("settings");
        let shape = WorkerShape { slots: 1, memory: 1 << 30, cpu_millicores: 1500 };
        let worker = WorkerSpec::new(WorkerId("a-1".into()), shape);
        let group = of(&settings.cluster, &settings.pods, Some(&OwnerReference::default()), &worker);
        let group = serde_json::to_value(group).expect("JSON");
        assert_eq!(group["apiVersion"], "scheduling.volcano.sh/v1beta1");
        assert_eq!(group["kind"], "PodGroup");
        assert_eq!(group["metadata"]["name"], "demo-taskmanagers");
        assert_eq!(group["metadata"]["labels"]["app.kubernetes.io/instance"], "demo");
        assert_eq!(group["metadata"]["ownerReferences"].as_array().map(Vec::len), Some(1));
        let resources = json!({ "cpu": "4500m", "memory": "3221225472" });
        let spec = json!({ "minMember": 3, "queue": "team-a", "priorityClassName": "high", "minResources": resources });
        assert_eq!(group["spec"], spec);
    }
}
