//! What the objects of a cluster are called.

use std::fmt;

use flott_core::id::WorkerId;

/// Longest name of a cluster. What is made of it still fits into the 63 characters of a DNS label.
const CLUSTER_ID_MAX: usize = 45;
/// Longest name of a pod that is also its host name.
const LABEL_MAX: usize = 63;
/// Characters of the digest that stands for what a name could not hold.
const DIGEST_CHARS: usize = 10;

/// The name of a cluster: a DNS label of RFC 1035 of at most 45 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(String);

/// A text is no name of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no cluster id: it must have 1 to {CLUSTER_ID_MAX} lower-case letters, digits and `-`, begin with a letter and \
     not end with `-`"
)]
pub struct NoClusterId(pub String);

impl ClusterId {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NoClusterId`] for anything but a DNS label of at most 45 characters.
    pub fn parse(text: &str) -> Result<Self, NoClusterId> {
        let begins = text.starts_with(|char: char| char.is_ascii_lowercase());
        if begins && text.len() <= CLUSTER_ID_MAX && is_plain(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoClusterId(text.to_owned()))
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JobManager's Deployment, or whatever else keeps it.
    pub fn jobmanager(&self) -> String {
        self.0.clone()
    }

    /// The headless Service that the JobManager is reached at.
    pub fn service(&self) -> String {
        self.0.clone()
    }

    /// The ConfigMap with `config.yaml`.
    pub fn config_map(&self) -> String {
        format!("{self}-config")
    }

    /// The Secret with `token`.
    pub fn token_secret(&self) -> String {
        format!("{self}-token")
    }

    /// The Lease that JobManagers stand for election with.
    pub fn lease(&self) -> String {
        format!("{self}-leader")
    }

    /// The PodGroup by which Volcano lets TaskManagers in together.
    pub fn pod_group(&self) -> String {
        format!("{self}-taskmanagers")
    }

    /// The pod of a worker. The same worker always has the same pod name, so that asking twice is harmless, and no two of
    /// those that one slot manager names share one.
    pub fn pod(&self, worker: &WorkerId) -> String {
        let name = worker.0.strip_prefix(&format!("{self}-")).unwrap_or(&worker.0);
        let name = name.strip_prefix("taskmanager-").unwrap_or(name);
        let plain = format!("{self}-taskmanager-{name}");
        // Names that begin otherwise are not the slot manager's, and might meet with what the prefixes hid.
        if is_plain(name) && plain.len() <= LABEL_MAX && worker.0.len() > name.len() {
            return plain;
        }
        let digest = &blake3::hash(worker.0.as_bytes()).to_hex()[..DIGEST_CHARS];
        format!("{self}-tm-{digest}")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is made of lower-case letters, digits and inner dashes.
fn is_plain(text: &str) -> bool {
    let chars = text.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-');
    chars && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_are_dns_labels_with_room_for_more() {
        for fine in ["a", "my-cluster-1", &"a".repeat(45)] {
            assert_eq!(ClusterId::parse(fine).map(|id| id.to_string()).as_deref(), Ok(fine));
        }
        for bad in ["", "1a", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(46)] {
            let error = ClusterId::parse(bad).expect_err(bad).to_string();
            assert!(error.contains("lower-case letters"), "{error}");
        }
    }

    #[track_caller]
    fn check(worker: &str, expected: &str) {
        let pod = ClusterId::parse("demo").expect("fits").pod(&WorkerId(worker.into()));
        assert_eq!(pod, expected);
        assert!(pod.len() <= LABEL_MAX && is_plain(&pod), "{pod}");
    }

    #[test]
    fn pods_are_called_after_cluster_and_worker() {
        check("taskmanager-k3x9q-1-12", "demo-taskmanager-k3x9q-1-12");
        check("demo-taskmanager-k3x9q-1-12", "demo-taskmanager-k3x9q-1-12");
        check("demo-k3x9q-1-12", "demo-taskmanager-k3x9q-1-12");
    }

    #[test]
    fn names_that_do_not_fit_become_digests() {
        let long = format!("taskmanager-{}", "x".repeat(100));
        let names = ["a", "A", "taskmanager-", "taskmanager-A", "taskmanager--", "demo-taskmanager-ä", &long];
        let cluster = ClusterId::parse("demo").expect("fits");
        let pods: std::collections::BTreeSet<_> =
            names.iter().map(|name| cluster.pod(&WorkerId((*name).into()))).collect();
        assert_eq!(pods.len(), names.len(), "{pods:?}");
        for pod in pods {
            assert!(pod.starts_with("demo-tm-") && is_plain(&pod) && pod.len() <= LABEL_MAX, "{pod}");
        }
    }
}
