//! Queues of batch schedulers: what labels tell Kueue, YuniKorn and Volcano which queue a pod waits in, and how many pods
//! are let in together.

use std::collections::BTreeMap;

use flott_core::config::keys::kubernetes::QueueSystem;
use flott_resource_manager::WorkerSpec;
use serde_json::json;

use crate::names::ClusterId;

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
    /// What the pod of a worker is marked with; nothing when there is neither a queue nor a gang.
    pub fn marks(&self, cluster: &ClusterId, worker: &WorkerSpec) -> QueueMarks {
        let mut marks = QueueMarks::default();
        if self.name.is_none() && self.gang == 0 {
            return marks;
        }
        let all = self.system == QueueSystem::All;
        if all || self.system == QueueSystem::Kueue {
            self.mark_for_kueue(&mut marks, cluster, worker);
        }
        if all || self.system == QueueSystem::YuniKorn {
            self.mark_for_yunikorn(&mut marks, cluster, worker);
        }
        if all || self.system == QueueSystem::Volcano {
            self.mark_for_volcano(&mut marks);
        }
        marks.scheduler = match self.system {
            QueueSystem::YuniKorn => Some("yunikorn"),
            QueueSystem::Volcano => Some("volcano"),
            QueueSystem::All | QueueSystem::Kueue => None,
        };
        marks
    }

    /// Kueue counts the pods of a group exactly, so only the first workers of a JobManager are one; those that come later, in
    /// their place or beside them, wait by themselves.
    fn mark_for_kueue(&self, marks: &mut QueueMarks, cluster: &ClusterId, worker: &WorkerSpec) {
        if let Some(name) = &self.name {
            marks.label("kueue.x-k8s.io/queue-name", name);
        }
        if let Some((life, number)) = ordinal(&worker.worker.0).filter(|(_, number)| *number <= self.gang) {
            debug_assert!(number > 0, "workers are numbered from 1");
            marks.label("kueue.x-k8s.io/pod-group-name", &group(cluster, life));
            marks.annotate("kueue.x-k8s.io/pod-group-total-count", &self.gang.to_string());
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

    fn mark_for_volcano(&self, marks: &mut QueueMarks) {
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

/// A worker's name as the life of the JobManager that named it, and the worker's number there.
fn ordinal(worker: &str) -> Option<(&str, u32)> {
    let (life, number) = worker.rsplit_once('-')?;
    Some((life, number.parse().ok()?))
}

/// The group of the first workers of one JobManager's life, as a label can hold it.
fn group(cluster: &ClusterId, life: &str) -> String {
    format!("{cluster}-{}", &blake3::hash(life.as_bytes()).to_hex()[..10])
}

#[cfg(test)]
mod tests {
    use flott_core::id::WorkerId;
    use flott_resource_manager::WorkerShape;

    use super::*;

    fn marks(system: QueueSystem, gang: u32, worker: &str) -> QueueMarks {
        let queue = Queue { name: Some("team-a".into()), system, gang };
        let spec =
            WorkerSpec::new(WorkerId(worker.into()), WorkerShape { slots: 2, memory: 1 << 30, cpu_millicores: 1500 });
        queue.marks(&ClusterId::parse("demo").expect("fits"), &spec)
    }

    #[test]
    fn without_a_queue_and_a_gang_nothing_is_marked() {
        let queue = Queue { name: None, system: QueueSystem::All, gang: 0 };
        let spec = WorkerSpec::new(WorkerId("a-1".into()), WorkerShape::default());
        assert_eq!(queue.marks(&ClusterId::parse("demo").expect("fits"), &spec), QueueMarks::default());
    }

    #[test]
    fn a_queue_is_told_to_every_system() {
        let marks = marks(QueueSystem::All, 0, "w-1");
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
    fn kueue_groups_the_first_workers_of_a_life_alone() {
        let first = marks(QueueSystem::Kueue, 2, "taskmanager-x-1-1");
        let second = marks(QueueSystem::Kueue, 2, "taskmanager-x-1-2");
        let group = |marks: &QueueMarks| marks.labels.get("kueue.x-k8s.io/pod-group-name").cloned();
        assert!(group(&first).is_some() && group(&first) == group(&second));
        assert_eq!(group(&marks(QueueSystem::Kueue, 2, "taskmanager-x-1-3")), None);
        assert_ne!(group(&marks(QueueSystem::Kueue, 2, "taskmanager-y-1-1")), group(&first));
        assert_eq!(first.annotations.get("kueue.x-k8s.io/pod-group-total-count").map(String::as_str), Some("2"));
    }

    #[test]
    fn yunikorn_is_told_the_fewest() {
        let yunikorn = marks(QueueSystem::YuniKorn, 3, "w-1");
        let groups = yunikorn.annotations.get("yunikorn.apache.org/task-groups").expect("groups");
        let groups: serde_json::Value = serde_json::from_str(groups).expect("json");
        assert_eq!(groups[0]["minMember"], 3);
        assert_eq!(groups[0]["minResource"]["cpu"], "1500m");
        assert_eq!(yunikorn.scheduler, Some("yunikorn"));
        assert_eq!(marks(QueueSystem::Volcano, 0, "w-1").scheduler, Some("volcano"));
    }
}
