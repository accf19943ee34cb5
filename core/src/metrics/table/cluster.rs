//! What the JobManager that leads knows of the cluster.

pub mod workers;

use crate::metrics::family::group;

pub use super::jobmanager::LABELS;

group! {
    "Cluster", "Served by the JobManager that leads.", LABELS;

    /// TaskManagers that are registered.
    REGISTERED = gauge("flott_jobmanager_numRegisteredTaskManagers", Count).flink("numRegisteredTaskManagers");

    /// TaskManagers that were asked of the backend, as pods are of Kubernetes, and have not registered yet.
    PENDING = gauge("flott_jobmanager_numPendingTaskManagers", Count).flink("numPendingTaskManagers");

    /// TaskManagers that the backend was told to stop and that are not known to be gone.
    STOPPING = gauge("flott_jobmanager_numStoppingTaskManagers", Count);

    /// Slots of registered TaskManagers.
    SLOTS_TOTAL = gauge("flott_jobmanager_taskSlotsTotal", Count).flink("taskSlotsTotal");

    /// Those of them that no job has.
    SLOTS_AVAILABLE = gauge("flott_jobmanager_taskSlotsAvailable", Count).flink("taskSlotsAvailable");

    /// Jobs that have not ended, those that wait for slots included.
    RUNNING_JOBS = gauge("flott_jobmanager_numRunningJobs", Count).flink("numRunningJobs");

    /// Jobs by state. Those that have ended are counted as long as they are remembered.
    JOBS = gauge("flott_jobmanager_numJobs", Count).by("status");
}
