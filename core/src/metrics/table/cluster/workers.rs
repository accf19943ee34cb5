//! TaskManagers as the JobManager sees them.

use crate::metrics::family::group;

/// `host` is the TaskManager's.
pub static LABELS: [&str; 2] = ["host", "tm_id"];

group! {
    "TaskManagers, as the JobManager sees them", "Served by the JobManager that leads, of each registered TaskManager.", LABELS;

    /// Slots of the TaskManager.
    SLOTS_TOTAL = gauge("flott_jobmanager_taskmanager_taskSlotsTotal", Count);

    /// Those of them that no job has.
    SLOTS_AVAILABLE = gauge("flott_jobmanager_taskmanager_taskSlotsAvailable", Count);

    /// Time since the TaskManager was heard last.
    SILENCE = gauge("flott_jobmanager_taskmanager_timeSinceLastHeartbeat", Milliseconds);
}
