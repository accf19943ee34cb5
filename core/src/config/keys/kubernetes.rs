//! Pods as workers: where they run, what they look like, and how the API server is asked for them.

use std::{path::PathBuf, time::Duration};

use crate::config::{
    option::{ConfigMap, key, section},
    value::config_enum,
};

config_enum! {
    /// When a node fetches an image.
    PullPolicy {
        /// When it does not have it.
        IfNotPresent = "IfNotPresent",
        /// Before every start.
        Always = "Always",
        /// Never: it must be there.
        Never = "Never",
    }
}

config_enum! {
    /// Whose labels tell the queue of a pod.
    QueueSystem {
        /// Everyone's.
        All = "all",
        /// Kueue.
        Kueue = "kueue",
        /// Apache YuniKorn.
        YuniKorn = "yunikorn",
        /// Volcano.
        Volcano = "volcano",
    }
}

section! {
    "Kubernetes",
    "What the `kubernetes` backend needs to know. See [kubernetes.md](kubernetes.md).";

    /// Name of the cluster: its Deployment and Service are called so, and its pods' names begin with it. Lower-case
    /// letters, digits and `-`, beginning with a letter, 45 characters at most.
    CLUSTER_ID: Option<String> = key("kubernetes.cluster-id");

    /// Namespace of everything that belongs to the cluster. Unset, it is that of the kubeconfig's context, or of the
    /// JobManager's own pod.
    NAMESPACE: Option<String> = key("kubernetes.namespace");

    /// Context of the kubeconfig. Unset, the current one.
    CONTEXT: Option<String> = key("kubernetes.context");

    /// The kubeconfig. Unset, `$KUBECONFIG`, else `~/.kube/config`, else the service account of the pod that this runs in.
    CONFIG_FILE: Option<PathBuf> = key("kubernetes.config.file");

    /// Image of JobManager and TaskManagers; its entry point is the `flott` binary.
    IMAGE: String = key("kubernetes.container.image.ref").default("flott:latest").deprecated(&["kubernetes.container.image"]);

    /// When a node fetches the image.
    PULL_POLICY: PullPolicy = key("kubernetes.container.image.pull-policy").default("IfNotPresent");

    /// Names of Secrets with the credentials for the image's registry.
    PULL_SECRETS: Vec<String> = key("kubernetes.container.image.pull-secrets").default("");

    /// Secret of the kind `kubernetes.io/tls` with `tls.crt`, `tls.key` and `ca.crt`, for a REST port that speaks TLS
    /// (`security.ssl.rest.enabled`): JobManagers get all of it, TaskManagers `ca.crt` alone. A client that makes a cluster needs it; its
    /// own `security.ssl.rest.ca` is a file where it runs. The certificate must be for the host of the cluster's Service,
    /// `<cluster-id>.<namespace>`, or for `security.ssl.rest.server-name`.
    TLS_SECRET: Option<String> = key("kubernetes.tls.secret");

    /// Service account of all pods, where no more special one is set. TaskManagers are given no token of it.
    SERVICE_ACCOUNT: String = key("kubernetes.service-account").default("default");

    /// Service account of TaskManager pods. Unset, `kubernetes.service-account`.
    TASKMANAGER_SERVICE_ACCOUNT: Option<String> = key("kubernetes.taskmanager.service-account");

    /// Service account of the JobManager's pod, which makes the TaskManagers' pods with it. Unset,
    /// `kubernetes.service-account`. It must be there, with the rights that [kubernetes.md](kubernetes.md#rights) lists.
    JOBMANAGER_SERVICE_ACCOUNT: Option<String> = key("kubernetes.jobmanager.service-account");

    /// How many JobManagers a session has: one leads, the others stand by. More than one needs `high-availability.type`.
    JOBMANAGER_REPLICAS: u32 = key("kubernetes.jobmanager.replicas").default("1").range("1", "100");

    /// Taints that the JobManager's pod tolerates, as `key:K,operator:Equal,value:V,effect:NoSchedule`.
    JOBMANAGER_TOLERATIONS: Vec<String> = key("kubernetes.jobmanager.tolerations").default("");

    /// How long the JobManager's pod stays on a node that does not answer, or is not ready, before another pod takes its
    /// place; counted in whole seconds, rounded up. Unset, it is 30 s with `high-availability.type`, and without it what the cluster says: five minutes as a rule.
    JOBMANAGER_NODE_LOSS: Option<Duration> = key("kubernetes.jobmanager.node-loss-timeout").range("0 ms", "1 d");

    /// Cores of the JobManager's pod. Its memory is `jobmanager.memory.process.size`.
    JOBMANAGER_CPU: f64 = key("kubernetes.jobmanager.cpu.amount").default("1.0").range("0.001", "65536");

    /// How long a JobManager that a client starts may take until it answers, its image's download included. After that
    /// the client gives up and removes what it has made.
    JOBMANAGER_START_TIMEOUT: Duration = key("kubernetes.jobmanager.start-timeout").default("5 min").range("1 s", "1 d");

    /// How long a cluster of one job is kept after its end, with how that ended, before Kubernetes removes all of it.
    FINISHED_TTL: Duration = key("kubernetes.finished-ttl").default("5 min").range("0 ms", "365 d");

    /// Taints that TaskManager pods tolerate, as `key:K,operator:Equal,value:V,effect:NoSchedule`.
    TASKMANAGER_TOLERATIONS: Vec<String> = key("kubernetes.taskmanager.tolerations").default("");

    /// A pod in YAML that every pod of the cluster is made from: affinity, volumes, side containers and the like. The
    /// container of Flott is the one called `flott`. Fields that Flott computes are refused.
    POD_TEMPLATE: Option<PathBuf> = key("kubernetes.pod-template-file.default");

    /// The same for the JobManager's pod alone.
    JOBMANAGER_POD_TEMPLATE: Option<PathBuf> = key("kubernetes.pod-template-file.jobmanager");

    /// The same for TaskManager pods alone.
    TASKMANAGER_POD_TEMPLATE: Option<PathBuf> = key("kubernetes.pod-template-file.taskmanager");

    /// Variables from Secrets, as `env:NAME,secret:SECRET,key:KEY`. Programs see them too, but for those whose names begin with
    /// `FLOTT_`.
    ENV_SECRET_KEY_REF: Vec<String> = key("kubernetes.env.secretKeyRef").default("");

    /// Priority class of the pods.
    PRIORITY_CLASS: Option<String> = key("kubernetes.priority-class");

    /// Queue that TaskManager pods wait in, where the cluster has Kueue, YuniKorn or Volcano.
    QUEUE: Option<String> = key("kubernetes.queue");

    /// Whose labels tell the queue. With `yunikorn` and `volcano` the pods are also left to that scheduler.
    QUEUE_SYSTEM: QueueSystem = key("kubernetes.queue-system").default("all");

    /// So many TaskManagers are let in by the queue together or not at all. `slotmanager.number-of-slots.min` must ask for
    /// as many from the start. With `volcano` the JobManager makes a PodGroup, for which it needs rights; with `all`, Volcano lets in
    /// each by itself. 0: each by itself.
    GANG_MINIMUM: u32 = key("kubernetes.gang-minimum").default("0").range("0", "100000");

    /// How long a pod that has a node may wait for its image, its volumes or its container before it is given up. A pod
    /// without a node is kept for as long as a job waits for it.
    CONTAINER_START_TIMEOUT: Duration = key("kubernetes.container-start.timeout").default("2 min").range("0 ms", "1 d");

    /// How long a TaskManager pod may take to end after it was told to.
    TERMINATION_GRACE: Duration = key("kubernetes.taskmanager.termination-grace").default("30 s").range("1 s", "1 d");

    /// Most requests about pods that are under way at a time.
    REQUESTS_IN_FLIGHT: u32 = key("kubernetes.request.parallelism").default("16").range("1", "1024");

    /// Most requests about pods a second, over a burst of as many.
    REQUESTS_PER_SECOND: u32 = key("kubernetes.request.rate").default("100").range("1", "10000");

    /// How long one request to the API server may take.
    REQUEST_TIMEOUT: Duration = key("kubernetes.request.timeout").default("10 s").range("10 ms", "1 h");

    /// How long a request that fails for no fault of its own is tried again before it is given up.
    RETRY_TIMEOUT: Duration = key("kubernetes.request.retry-timeout").default("1 min").range("0 ms", "1 d");
}

/// Labels of the JobManager's pod.
pub static JOBMANAGER_LABELS: ConfigMap = ConfigMap::new(
    "kubernetes.jobmanager.labels",
    "Labels of the JobManager's pod; also `kubernetes.jobmanager.labels: a:b,c:d`.",
);

/// Annotations of the JobManager's pod.
pub static JOBMANAGER_ANNOTATIONS: ConfigMap = ConfigMap::new(
    "kubernetes.jobmanager.annotations",
    "Annotations of the JobManager's pod; also `kubernetes.jobmanager.annotations: a:b,c:d`.",
);

/// Labels that a node must have to run the JobManager's pod.
pub static JOBMANAGER_NODE_SELECTOR: ConfigMap = ConfigMap::new(
    "kubernetes.jobmanager.node-selector",
    "Labels that a node must have to run the JobManager's pod; also `kubernetes.jobmanager.node-selector: a:b,c:d`.",
);

/// Labels of TaskManager pods.
pub static TASKMANAGER_LABELS: ConfigMap = ConfigMap::new(
    "kubernetes.taskmanager.labels",
    "Labels of TaskManager pods; also `kubernetes.taskmanager.labels: a:b,c:d`.",
);

/// Annotations of TaskManager pods.
pub static TASKMANAGER_ANNOTATIONS: ConfigMap = ConfigMap::new(
    "kubernetes.taskmanager.annotations",
    "Annotations of TaskManager pods; also `kubernetes.taskmanager.annotations: a:b,c:d`.",
);

/// Labels that a node must have to run TaskManager pods.
pub static TASKMANAGER_NODE_SELECTOR: ConfigMap = ConfigMap::new(
    "kubernetes.taskmanager.node-selector",
    "Labels that a node must have to run TaskManager pods; also `kubernetes.taskmanager.node-selector: a:b,c:d`.",
);

/// Secrets that are mounted, by name with their path.
pub static SECRETS: ConfigMap = ConfigMap::new(
    "kubernetes.secrets",
    "Secrets that are mounted into the pods, by name with their path; also `kubernetes.secrets: name:/path,other:/path`.",
);
