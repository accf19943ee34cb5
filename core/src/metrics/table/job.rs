//! Jobs.

use crate::metrics::family::group;

/// `job_name` is cut at 256 characters.
pub static LABELS: [&str; 3] = ["host", "job_id", "job_name"];

group! {
    "Jobs", "Served by the JobManager that leads, of each job that has not ended. Of checkpoints, what is called last is the latest that is \
     complete, savepoints included; there is none before the first.", LABELS;

    /// The state of the job: 1 for the one that it is in, 0 for the others.
    STATUS = gauge("flott_jobmanager_job_status", Truth).by("status").flink("job_<status>State");

    /// How long the job runs without interruption; only while it is RUNNING.
    UPTIME = gauge("flott_jobmanager_job_uptime", Milliseconds).flink("job_uptime");

    /// How often tasks of the job were started again after failures.
    RESTARTS = counter("flott_jobmanager_job_numRestarts", Count).flink("job_numRestarts");

    /// Subtasks by the state of their current attempts.
    TASKS = gauge("flott_jobmanager_job_numTasks", Count).by("status");

    /// Reasons why the job waits for slots; 0 when it does not. What they are is told by `/flott/v1/jobs/{jobid}/pending`.
    PENDING_REASONS = gauge("flott_jobmanager_job_numPendingReasons", Count);

    /// Slots that the job wants and has not.
    SLOTS_MISSING = gauge("flott_jobmanager_job_numSlotsMissing", Count);

    /// Checkpoints that were begun.
    CHECKPOINTS = counter("flott_jobmanager_job_totalNumberOfCheckpoints", Count).flink("job_totalNumberOfCheckpoints");

    /// Checkpoints that were completed.
    COMPLETED = counter("flott_jobmanager_job_numberOfCompletedCheckpoints", Count).flink("job_numberOfCompletedCheckpoints");

    /// Checkpoints that were given up.
    FAILED = counter("flott_jobmanager_job_numberOfFailedCheckpoints", Count).flink("job_numberOfFailedCheckpoints");

    /// Checkpoints under way.
    IN_PROGRESS = gauge("flott_jobmanager_job_numberOfInProgressCheckpoints", Count).flink("job_numberOfInProgressCheckpoints");

    /// Number of the last checkpoint.
    LAST_ID = gauge("flott_jobmanager_job_lastCompletedCheckpointId", Count).flink("job_lastCompletedCheckpointId");

    /// When it was complete.
    LAST_COMPLETED_AT =
        gauge("flott_jobmanager_job_lastCheckpointCompletedTimestamp", Timestamp).flink("job_lastCheckpointCompletedTimestamp");

    /// Time from its beginning until it was complete.
    LAST_DURATION = gauge("flott_jobmanager_job_lastCheckpointDuration", Milliseconds).flink("job_lastCheckpointDuration");

    /// Bytes that were stored for it.
    LAST_SIZE = gauge("flott_jobmanager_job_lastCheckpointSize", Bytes).flink("job_lastCheckpointSize");

    /// Bytes of all files that it needs.
    LAST_FULL_SIZE = gauge("flott_jobmanager_job_lastCheckpointFullSize", Bytes).flink("job_lastCheckpointFullSize");

    /// Bytes of records that were processed for it between the first barrier of an input and the last.
    LAST_PROCESSED = gauge("flott_jobmanager_job_lastCheckpointProcessedData", Bytes).flink("job_lastCheckpointProcessedData");

    /// Bytes of records that its barriers have overtaken.
    LAST_PERSISTED = gauge("flott_jobmanager_job_lastCheckpointPersistedData", Bytes).flink("job_lastCheckpointPersistedData");

    /// When tasks went back to a checkpoint or savepoint last; none before they have.
    LAST_RESTORED_AT =
        gauge("flott_jobmanager_job_lastCheckpointRestoreTimestamp", Timestamp).flink("job_lastCheckpointRestoreTimestamp");
}
