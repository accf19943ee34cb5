//! Queues of batch schedulers: what labels tell Kueue, YuniKorn and Volcano which queue a pod waits in, and how many pods
//! are let in together.

use std::collections::BTreeMap;

use flott_core::config::keys::kubernetes::QueueSystem;
use flott_resource_manager::WorkerSpec;
use serde_json::json;

use crate::{fleet::Group, names::ClusterId};

/// The label by which Kueue knows which pods belong together.
pub const KUEUE_GROUP: &str = "kueue.x-k8s.io/pod-group-name";
/// The annotation that tells Kueue how many they are.
pub const KUEUE_GROUP_TOTAL: &str = "kueue.x-k8s.io/pod-group-total-count";

/// Which queue, told to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: Option<String>,
    /// Whose labels.
    pub system: QueueSystem,
    /// How many pods are let in together; 0 for each by itself.
    pub gang: u32,
}

/// What a queue adds to a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueMarks {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The scheduler that the pod is left to.
    pub scheduler: Option<&'static str>,
}

impl Queue {
    /// Whether Kueue is told, which counts the pods of a group exactly.
    pub const fn is_counted(&self) -> bool {
        matches!(self.system, QueueSystem::All | QueueSystem::Kueue)
    }

    /// Whether there is a PodGroup, from which Volcano reads how many pods are let in together. It is an object of Volcano's own, so
    /// that it is made only where pods are left to that.
    pub fn has_pod_group(&self) -> bool {
        self.gang > 0 && self.system == QueueSystem::Volcano
    }

    /// What the pod of a worker is marked with, which Kueue counts to `group`; nothing when there is neither a queue nor a gang.
    pub fn marks(&self, cluster: &ClusterId, worker: &WorkerSpec, group: Option<&Group>) -> QueueMarks {
        let mut marks = QueueMarks::default();
        if self.name.is_none() && self.gang == 0 {
            return marks;
        }
        let all = self.system == QueueSystem::All;
        if self.is_counted() {
            self.mark_for_kueue(&mut marks, group);
        }
        if all || self.system == QueueSystem::YuniKorn {
            self.mark_for_yunikorn(&mut marks, cluster, worker);
        }
        if all || self.system == QueueSystem::Volcano {
            self.mark_for_volcano(&mut marks, cluster);
        }
        marks.scheduler = match self.system {
            QueueSystem::YuniKorn => Some("yunikorn"),
            QueueSystem::Volcano => Some("volcano"),
            QueueSystem::All | QueueSystem::Kueue => None,
        };
        marks
    }

    fn mark_for_kueue(&self, marks: &mut QueueMarks, group: Option<&Group>) {
        if let Some(name) = &self.name {
            marks.label("kueue.x-k8s.io/queue-name", name);
        }
        if let Some(group) = group {
            marks.label(KUEUE_GROUP, &group.name);
            marks.annotate(KUEUE_GROUP_TOTAL, &group.total.to_string());
        }
    }

    fn mark_for_yunikorn(&self, marks: &mut QueueMarks, cluster: &ClusterId, worker: &WorkerSpec) {
        marks.label("applicationId", cluster.as_str());
        if let Some(name) = &self.name {
            marks.label("queue", name);
        }
        if self.gang > 0 {
            let groups = json!([{
                "name": "taskmanager",
                "minMember": self.gang,
                "minResource": {
                    "cpu": format!("{}m", worker.cpu_millicores),
                    "memory": worker.memory.to_string(),
                },
            }]);
            marks.annotate("yunikorn.apache.org/task-group-name", "taskmanager");
            marks.annotate("yunikorn.apache.org/task-groups", &groups.to_string());
        }
    }

    /// All pods are of the PodGroup: it says how many there must be at least, and others may come later.
    fn mark_for_volcano(&self, marks: &mut QueueMarks, cluster: &ClusterId) {
        if self.has_pod_group() {
            marks.annotate("scheduling.k8s.io/group-name", &cluster.pod_group());
        }
        if let Some(name) = &self.name {
            marks.label("scheduling.volcano.sh/queue-name", name);
            marks.annotate("scheduling.volcano.sh/queue-name", name);
        }
    }
}

impl QueueMarks {
    fn label(&mut self, key: &str, value: &str) {
        self.labels.insert(key.to_owned(), value.to_owned());
    }

    fn annotate(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use flott_core::id::WorkerId;
    use flott_resource_manager::WorkerShape;

    use super::*;

    fn marks(system: QueueSystem, gang: u32, group: Option<&Group>) -> QueueMarks {
        let queue = Queue { name: Some("team-a".into()), system, gang };
        let spec =
            WorkerSpec::new(WorkerId("w-1".into()), WorkerShape { slots: 2, memory: 1 << 30, cpu_millicores: 1500 });
        queue.marks(&ClusterId::parse("demo").expect("fits"), &spec, group)
    }

    #[test]
    fn without_a_queue_and_a_gang_nothing_is_marked() {
        let queue = Queue { name: None, system: QueueSystem::All, gang: 0 };
        let spec = WorkerSpec::new(WorkerId("a-1".into()), WorkerShape::default());
        assert_eq!(queue.marks(&ClusterId::parse("demo").expect("fits"), &spec, None), QueueMarks::default());
    }

    #[test]
    fn a_queue_is_told_to_every_system() {
        let marks = marks(QueueSystem::All, 0, None);
        let labels: Vec<_> = marks.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            labels,
            [
                "applicationId=demo",
                "kueue.x-k8s.io/queue-name=team-a",
                "queue=team-a",
                "scheduling.volcano.sh/queue-name=team-a"
            ]
        );
        assert_eq!(marks.scheduler, None);
    }

    #[test]
    fn kueue_is_told_the_group_and_nobody_else() {
        let group = Group { name: "demo-1".into(), total: 2 };
        let of_group = marks(QueueSystem::Kueue, 2, Some(&group));
        assert_eq!(of_group.labels.get(KUEUE_GROUP).map(String::as_str), Some("demo-1"));
        assert_eq!(of_group.annotations.get(KUEUE_GROUP_TOTAL).map(String::as_str), Some("2"));
        assert_eq!(marks(QueueSystem::Kueue, 2, None).labels.get(KUEUE_GROUP), None);
        assert_eq!(marks(QueueSystem::YuniKorn, 2, Some(&group)).labels.get(KUEUE_GROUP), None);
    }

    #[test]
    fn volcano_alone_is_told_of_its_pod_group() {
        let group = |system, gang| marks(system, gang, None).annotations.get("scheduling.k8s.io/group-name").cloned();
        assert_eq!(group(QueueSystem::Volcano, 2).as_deref(), Some("demo-taskmanagers"));
        assert_eq!((group(QueueSystem::Volcano, 0), group(QueueSystem::All, 2)), (None, None));
    }

    #[test]
    fn yunikorn_is_told_the_fewest() {
        let yunikorn = marks(QueueSystem::YuniKorn, 3, None);
        let groups = yunikorn.annotations.get("yunikorn.apache.org/task-groups").expect("groups");
        let groups: serde_json::Value = serde_json::from_str(groups).expect("json");
        assert_eq!(groups[0]["minMember"], 3);
        assert_eq!(groups[0]["minResource"]["cpu"], "1500m");
        assert_eq!(yunikorn.scheduler, Some("yunikorn"));
        assert_eq!(marks(QueueSystem::Volcano, 0, None).scheduler, Some("volcano"));
    }
}
