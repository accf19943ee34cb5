//! TaskManagers, by themselves.

use crate::metrics::family::group;

pub use super::cluster::workers::LABELS;

group! {
    "TaskManagers", "Served by each TaskManager of itself where `taskmanager.metrics.port` is set; else by the JobManager that leads, as \
     of the latest heartbeat.", LABELS;

    /// `taskmanager.memory.process.size`: what the TaskManager and its job processes may take together.
    MEMORY_LIMIT = gauge("flott_taskmanager_Status_Process_Memory_Limit", Bytes).flink("Status_Flink_Memory_…");

    /// Resident memory of the TaskManager itself.
    MEMORY_RESIDENT = gauge("flott_taskmanager_Status_Process_Memory_Resident", Bytes).flink("Status_JVM_Memory_Heap_Used");

    /// CPU time that the TaskManager itself has taken, user and system.
    CPU_SECONDS = counter("flott_taskmanager_Status_Process_CPU_Seconds", Seconds).flink("Status_JVM_CPU_Time (in ns)");

    /// Job processes that run.
    PROCESSES = gauge("flott_taskmanager_Status_JobProcesses_Count", Count);

    /// Resident memory of its job processes.
    JOBS_MEMORY_RESIDENT =
        gauge("flott_taskmanager_Status_JobProcesses_Memory_Resident", Bytes).flink("Status_JVM_Memory_Heap_Used");

    /// CPU time that its job processes have taken, those included that have ended.
    JOBS_CPU_SECONDS =
        counter("flott_taskmanager_Status_JobProcesses_CPU_Seconds", Seconds).flink("Status_JVM_CPU_Time (in ns)");
}

/// What a TaskManager alone knows.
pub mod own {
    use super::LABELS;
    use crate::metrics::family::group;

    group! {
        "TaskManagers, by themselves alone", "Served by each TaskManager of itself where `taskmanager.metrics.port` is set.", LABELS;

        /// Whether the TaskManager is registered with a JobManager whose connection is up.
        REGISTERED = gauge("flott_taskmanager_registered", Truth);

        /// Slots of the TaskManager.
        SLOTS_TOTAL = gauge("flott_taskmanager_taskSlotsTotal", Count);

        /// Those of them that no job has.
        SLOTS_AVAILABLE = gauge("flott_taskmanager_taskSlotsAvailable", Count);

        /// Threads of the TaskManager itself.
        THREADS = gauge("flott_taskmanager_Status_Process_Threads_Count", Count).flink("Status_JVM_Threads_Count");
    }
}
