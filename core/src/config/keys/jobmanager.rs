//! The JobManager: failover, memory, and the jobs it remembers.

use crate::{
    config::{
        option::{key, section},
        value::{BareSeconds, config_enum},
    },
    units::ByteSize,
};

config_enum! {
    /// Which tasks restart when one fails.
    FailoverStrategy {
        /// Those connected with it.
        Region = "region",
        /// All.
        Full = "full",
    }
}

section! {
    "JobManager",
    "The process that takes jobs, schedules them and answers for them.";

    /// Which tasks restart when one fails: those connected with it by pipelined exchanges (`region`), or all (`full`).
    FAILOVER_STRATEGY: FailoverStrategy = key("jobmanager.execution.failover-strategy").default("region");

    /// Memory that a backend sets aside for a JobManager that it starts. Unset, it sets none aside and sets no limit.
    MEMORY_PROCESS_SIZE: Option<ByteSize> = key("jobmanager.memory.process.size").range("32 mb", "16 tb");

    /// How many failures of a job are kept to be shown, over restarts of its JobManager too; the oldest go first.
    EXCEPTION_HISTORY_SIZE: u32 = key("web.exception-history-size").default("16").range("1", "256");

    /// How many finished jobs are kept to be listed and asked about; the oldest go first.
    JOB_STORE_CAPACITY: u32 =
        key("jobstore.max-capacity").default("1000").range("1", "1000000").deprecated(&["web.history"]);

    /// How long a finished job is kept to be listed and asked about. A bare number is seconds, as in Flink.
    JOB_STORE_EXPIRATION: BareSeconds =
        key("jobstore.expiration-time").default("30 d").range("1 s", "36500 d");
}
