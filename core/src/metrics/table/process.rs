//! Job processes.

use crate::metrics::family::group;

/// A job has one process on a TaskManager, but while one takes the place of another.
pub static LABELS: [&str; 3] = ["host", "tm_id", "job_id"];

group! {
    "Job processes", "Served by each TaskManager of its job processes where `taskmanager.metrics.port` is set; those of one job together.",
    LABELS;

    /// Resident memory of the job's processes on the TaskManager.
    MEMORY_RESIDENT = gauge("flott_taskmanager_job_Process_Memory_Resident", Bytes);

    /// CPU time that they have taken since they began.
    CPU_SECONDS = counter("flott_taskmanager_job_Process_CPU_Seconds", Seconds);

    /// Their threads.
    THREADS = gauge("flott_taskmanager_job_Process_Threads_Count", Count);
}
