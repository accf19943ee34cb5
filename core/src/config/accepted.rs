/// Keys of other systems: what begins like this is accepted without effect.
pub(super) struct WithoutEffect {
    /// A key, or the beginning of keys when it ends in `.` or `-`.
    pub pattern: &'static str,
    pub reason: &'static str,
}

/// Keys of Flink's that ask for something which must not be left out silently.
pub(super) struct Refused {
    pub prefix: &'static str,
    pub reason: &'static str,
}

const JVM: &str = "there is no JVM to set up";
const YARN: &str = "there is no YARN; the cluster backend starts the workers";
const ONE_PORT: &str = "everything goes through the REST port (`rest.port`)";
const ONE_MEMORY: &str = "memory is one number per process (`taskmanager.memory.process.size`)";
const STATE_DIR: &str = "files lie under the state directory (`--state-dir`)";
const STORE: &str = "state on disk is in another store than RocksDB; checkpoints are always incremental";
const NETWORK: &str = "batches and credits adapt by themselves";

const ADAPTIVE: &str =
    "there is one scheduler: jobs with bounds go after the slots there are, from a checkpoint of that moment";

macro_rules! without_effect {
    ($($reason:ident: $($pattern:literal),+;)+) => {
        &[$($(WithoutEffect { pattern: $pattern, reason: $reason }),+),+]
    };
}

const CLIENTS: &str =
    "a job on a running cluster outlives its client; a cluster of its own sees by itself that its client is gone";
const SLOTS: &str = "a job keeps its slots until it ends";
const REPORTERS: &str = "there are no reporters to load: Prometheus reads `/metrics` of the REST port, and of TaskManagers where \
                         `taskmanager.metrics.port` is set";
const METRICS: &str = "metrics and their names are always the same";
const KUBERNETES: &str = "it sets up what Flink has and Flott has not";
const POD_LIMITS: &str = "a pod's limits are its requests";
const SERVICE: &str =
    "the cluster's Service has an address within Kubernetes only; an Ingress or a port-forward leads to it";

pub(super) static WITHOUT_EFFECT: &[WithoutEffect] = without_effect! {
    JVM: "env.java.", "env.hadoop.", "env.hbase.", "env.ssh.", "env.stdout-err.", "env.pid.dir", "classloader.",
        "akka.", "pekko.", "pipeline.jars", "pipeline.classpaths", "pipeline.object-reuse", "pipeline.generic-types",
        "pipeline.force-avro", "pipeline.force-kryo", "pipeline.serialization-config", "pipeline.registered-kryo-types",
        "pipeline.registered-pojo-types", "jobmanager.memory.jvm-", "taskmanager.memory.jvm-", "fs.hdfs.";
    YARN: "yarn.", "containerized.heap-cutoff-", "containerized.master.env.", "external-resource.";
    KUBERNETES: "kubernetes.client.", "kubernetes.decorator.", "kubernetes.entry.path", "kubernetes.flink.", "kubernetes.hadoop.",
        "kubernetes.node-name-label", "kubernetes.transactional-operation.", "kubernetes.artifacts.",
        "kubernetes.user.artifacts.", "kubernetes.leader-election.", "kubernetes.hostnetwork.enabled",
        "kubernetes.taskmanager.entrypoint.args", "kubernetes.jobmanager.entrypoint.args", "kubernetes.jobmanager.owner.reference";
    POD_LIMITS: "kubernetes.taskmanager.cpu.limit-factor", "kubernetes.taskmanager.memory.limit-factor",
        "kubernetes.jobmanager.cpu.limit-factor", "kubernetes.jobmanager.memory.limit-factor";
    SERVICE: "kubernetes.rest-service.";
    REPORTERS: "metrics.reporters", "metrics.reporter.";
    METRICS: "metrics.";
    CLIENTS: "client.heartbeat.";
    SLOTS: "slot.idle.timeout";
    ONE_PORT: "high-availability.jobmanager.port", "jobmanager.rpc.port", "jobmanager.bind-host", "jobmanager.rpc.bind-port", "rest.bind-port", "blob.",
        "taskmanager.rpc.port", "taskmanager.rpc.bind-port", "taskmanager.data.bind-port", "queryable-state.",
        "metrics.internal.query-service.port";
    ONE_MEMORY: "jobmanager.memory.flink.size", "jobmanager.memory.heap.size", "jobmanager.memory.off-heap.size",
        "jobmanager.memory.enable-jvm-direct-memory-limit", "taskmanager.memory.flink.size",
        "taskmanager.memory.framework.heap.size", "taskmanager.memory.framework.off-heap.size",
        "taskmanager.memory.framework.off-heap.batch-shuffle.size", "taskmanager.memory.task.heap.size",
        "taskmanager.memory.task.off-heap.size", "taskmanager.memory.managed.size",
        "taskmanager.memory.managed.fraction", "taskmanager.memory.managed.consumer-weights",
        "taskmanager.memory.network.min", "taskmanager.memory.network.max", "taskmanager.memory.network.fraction",
        "taskmanager.memory.segment-size", "taskmanager.memory.min-segment-size";
    ADAPTIVE: "jobmanager.scheduler", "jobmanager.adaptive-scheduler.rescale-trigger.",
        "jobmanager.adaptive-scheduler.min-parallelism-increase", "jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers";
    NETWORK: "taskmanager.network.", "execution.buffer-timeout", "execution.buffer-timeout.";
    STATE_DIR: "io.tmp.dirs", "web.tmpdir", "env.log.dir", "env.log.level", "env.log.max", "web.log.path",
        "process.working-dir", "process.jobmanager.working-dir", "process.taskmanager.working-dir",
        "taskmanager.log.path", "state.backend.rocksdb.localdir";
    STORE: "state.backend.rocksdb.memory.managed", "state.backend.rocksdb.memory.fixed-per-tm",
        "state.backend.rocksdb.memory.write-buffer-ratio", "state.backend.rocksdb.memory.high-prio-pool-ratio",
        "state.backend.rocksdb.memory.partitioned-index-filters", "state.backend.rocksdb.block.",
        "state.backend.rocksdb.bloom-filter.", "state.backend.rocksdb.use-bloom-filter", "state.backend.rocksdb.checkpoint.",
        "state.backend.rocksdb.compaction.", "state.backend.rocksdb.compression.", "state.backend.rocksdb.files.",
        "state.backend.rocksdb.log.", "state.backend.rocksdb.manual-compaction.", "state.backend.rocksdb.metrics.",
        "state.backend.rocksdb.options-factory", "state.backend.rocksdb.predefined-options", "state.backend.rocksdb.rescaling.",
        "state.backend.rocksdb.thread.", "state.backend.rocksdb.timer-service.", "state.backend.rocksdb.ttl.",
        "state.backend.rocksdb.write-batch-size", "state.backend.rocksdb.writebuffer.", "state.backend.incremental",
        "execution.checkpointing.incremental", "state.backend.latency-track.", "state.latency-track.";
};

const CHECKPOINTS: &str = "this version does not have that part of checkpointing";
const UNALIGNED: &str = "this version does not have that part of unaligned checkpoints";
const BACKEND: &str = "state is in memory or on disk (`state.backend.type`), and in no other backend";
const ZOOKEEPER: &str =
    "there is no ZooKeeper; JobManagers agree by the shared directory or by Kubernetes (`high-availability.type`)";
const TLS: &str = "connections between the tasks of a job have no TLS: keep them within a network that is trusted; `security.ssl.rest.*` is of the REST port";
const JAVA_STORES: &str = "certificates and keys are PEM files: `security.ssl.rest.certificate`, `security.ssl.rest.key`, `security.ssl.rest.ca`";
const NAMES: &str =
    "the name in a certificate is always checked: `security.ssl.rest.server-name` is another one than the host's";
const CLIENT_CERTIFICATES: &str = "clients show a token (`security.token`), and no certificates of their own";
const CIPHERS: &str = "TLS 1.2 and 1.3 are spoken, with the ciphers that are sound";
const KERBEROS: &str = "there is no Kerberos login";
const SQL: &str = "this version has no SQL";

pub(super) static REFUSED: &[Refused] = &[
    Refused { prefix: "execution.checkpointing.unaligned.forced", reason: UNALIGNED },
    Refused { prefix: "execution.checkpointing.unaligned.interruptible-timers.", reason: UNALIGNED },
    Refused { prefix: "execution.checkpointing.unaligned.max-subtasks-per-channel-state-file", reason: UNALIGNED },
    Refused { prefix: "execution.checkpointing.unaligned.during-recovery.", reason: UNALIGNED },
    Refused { prefix: "execution.checkpointing.storage", reason: CHECKPOINTS },
    Refused { prefix: "execution.checkpointing.local-backup.", reason: CHECKPOINTS },
    Refused { prefix: "execution.checkpointing.interval-during-backlog", reason: CHECKPOINTS },
    Refused { prefix: "execution.checkpointing.checkpoints-after-tasks-finish", reason: CHECKPOINTS },
    Refused { prefix: "state.backend.forst.", reason: BACKEND },
    Refused { prefix: "state.changelog.", reason: BACKEND },
    Refused { prefix: "state.checkpoint-storage", reason: CHECKPOINTS },
    Refused { prefix: "high-availability.zookeeper.", reason: ZOOKEEPER },
    Refused { prefix: "security.ssl.rest.authentication-enabled", reason: CLIENT_CERTIFICATES },
    Refused { prefix: "security.ssl.rest.cert.fingerprint", reason: CLIENT_CERTIFICATES },
    Refused { prefix: "security.ssl.rest.key-password", reason: JAVA_STORES },
    Refused { prefix: "security.ssl.rest.keystore", reason: JAVA_STORES },
    Refused { prefix: "security.ssl.rest.truststore", reason: JAVA_STORES },
    Refused { prefix: "security.ssl.key", reason: JAVA_STORES },
    Refused { prefix: "security.ssl.truststore", reason: JAVA_STORES },
    Refused { prefix: "security.ssl.algorithms", reason: CIPHERS },
    Refused { prefix: "security.ssl.protocol", reason: CIPHERS },
    Refused { prefix: "security.ssl.provider", reason: CIPHERS },
    Refused { prefix: "security.ssl.verify-hostname", reason: NAMES },
    Refused { prefix: "security.ssl.internal.", reason: TLS },
    Refused { prefix: "security.kerberos.", reason: KERBEROS },
    Refused { prefix: "table.", reason: SQL },
    Refused { prefix: "sql-gateway.", reason: SQL },
    Refused { prefix: "sql-client.", reason: SQL },
];

/// Why a key has no effect, if it is one of those that are accepted all the same.
pub(super) fn without_effect(key: &str) -> Option<&'static str> {
    WITHOUT_EFFECT.iter().find(|entry| entry.covers(key)).map(|entry| entry.reason)
}

/// Why a key is refused, if it is one of those that are refused by name.
pub(super) fn refused(key: &str) -> Option<&'static str> {
    REFUSED.iter().find(|entry| key.starts_with(entry.prefix)).map(|entry| entry.reason)
}

impl WithoutEffect {
    /// Whether this covers all keys that begin like it.
    pub fn is_prefix(&self) -> bool {
        self.pattern.ends_with(['.', '-'])
    }

    fn covers(&self, key: &str) -> bool {
        key == self.pattern || (self.is_prefix() && key.starts_with(self.pattern))
    }
}
