//! A JobManager, whether it leads or not.

use crate::metrics::family::group;

/// `host` is the address that clients use, without its port.
pub static LABELS: [&str; 1] = ["host"];

group! {
    "JobManager", "Served by every JobManager of itself, whether it leads or stands by.", LABELS;

    /// The version that runs. Always 1.
    VERSION = gauge("flott_jobmanager_version", Truth).by("version");

    /// How far the JobManager is: LEADING, STANDING_BY, OPENING (its store) or ENDING.
    STAGE = gauge("flott_jobmanager_stage", Truth).by("stage");

    /// Resident memory of the JobManager.
    MEMORY_RESIDENT = gauge("flott_jobmanager_Status_Process_Memory_Resident", Bytes).flink("Status_JVM_Memory_Heap_Used");

    /// CPU time that the JobManager has taken, user and system.
    CPU_SECONDS = counter("flott_jobmanager_Status_Process_CPU_Seconds", Seconds).flink("Status_JVM_CPU_Time (in ns)");

    /// Threads of the JobManager.
    THREADS = gauge("flott_jobmanager_Status_Process_Threads_Count", Count).flink("Status_JVM_Threads_Count");
}
