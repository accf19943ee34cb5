//! Where JobManagers are put, and how long they stay there.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{PodSpec, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::selector;
use crate::{cluster::spec::ClusterSpec, pod::append};

/// What a node is tainted with that is lost, or thought to be.
const LOST: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const EVICTING: &str = "NoExecute";

/// Has a lost node keep the pod for `patience` only, where nothing else is said about that.
pub(super) fn leave_lost_nodes(pod: &mut PodSpec, patience: Duration) {
    let said = pod.tolerations.clone().unwrap_or_default();
    let unsaid = LOST.into_iter().filter(|taint| !said.iter().any(|one| is_about(one, taint)));
    let tolerations = unsaid.map(|taint| Toleration {
        key: Some(taint.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(EVICTING.to_owned()),
        toleration_seconds: i64::try_from(patience.as_millis().div_ceil(1000)).ok(),
        value: None,
    });
    append(&mut pod.tolerations, tolerations);
}

fn is_about(toleration: &Toleration, taint: &str) -> bool {
    toleration.key.as_deref().is_none_or(|key| key == taint)
        && toleration.effect.as_deref().is_none_or(|effect| effect == EVICTING)
}

/// Puts JobManagers on different nodes as far as there are some, where nothing else is said about that.
pub(super) fn spread(pod: &mut PodSpec, spec: &ClusterSpec) {
    pod.topology_spread_constraints.get_or_insert_with(|| {
        vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector { match_labels: Some(selector(spec)), match_expressions: None }),
            ..TopologySpreadConstraint::default()
        }]
    });
}
