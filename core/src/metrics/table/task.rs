//! Subtasks.

use crate::metrics::family::group;

/// `task_id` is the vertex, `task_name` its name, cut at 256 characters; `host` is that of the TaskManager, as far as it is registered.
pub static LABELS: [&str; 8] =
    ["host", "tm_id", "job_id", "job_name", "task_id", "task_name", "task_attempt_num", "subtask_index"];

group! {
    "Tasks", "Served by the JobManager that leads, of each subtask of a job that has not ended, from the moment that its job process has told \
     of its current attempt. Job processes do so once a second, and when an attempt changes its state. Counters begin with the attempt.", LABELS;

    /// Records that came in over channels, or were read by a source.
    RECORDS_IN = counter("flott_taskmanager_job_task_numRecordsIn", Count).flink("job_task_numRecordsIn");

    /// Records that went out over channels.
    RECORDS_OUT = counter("flott_taskmanager_job_task_numRecordsOut", Count).flink("job_task_numRecordsOut");

    /// Bytes that came in over the network.
    BYTES_IN = counter("flott_taskmanager_job_task_numBytesIn", Bytes).flink("job_task_numBytesIn");

    /// Bytes that went out over the network.
    BYTES_OUT = counter("flott_taskmanager_job_task_numBytesOut", Bytes).flink("job_task_numBytesOut");

    /// Time of work. Its rate is Flink's `busyTimeMsPerSecond`.
    BUSY = counter("flott_taskmanager_job_task_accumulateBusyTimeMs", Milliseconds).flink("job_task_accumulateBusyTimeMs");

    /// Time without input. Its rate is Flink's `idleTimeMsPerSecond`.
    IDLE = counter("flott_taskmanager_job_task_accumulateIdleTimeMs", Milliseconds).flink("job_task_accumulateIdleTimeMs");

    /// Time with full output channels. Its rate is Flink's `backPressuredTimeMsPerSecond`.
    BACKPRESSURED = counter("flott_taskmanager_job_task_accumulateBackPressuredTimeMs", Milliseconds)
        .flink("job_task_accumulateBackPressuredTimeMs");

    /// Late records that windows, joins and patterns have dropped as no side output takes them; of all operators of the task together.
    LATE_RECORDS_DROPPED = counter("flott_taskmanager_job_task_numLateRecordsDropped", Count)
        .flink("job_task_operator_numLateRecordsDropped");

    /// The watermark that the input has come to; none before the first, and none of a source.
    INPUT_WATERMARK =
        gauge("flott_taskmanager_job_task_currentInputWatermark", Timestamp).flink("job_task_currentInputWatermark");

    /// The watermark that a source has come to; none before the first.
    OUTPUT_WATERMARK = gauge("flott_taskmanager_job_task_currentOutputWatermark", Timestamp)
        .flink("job_task_operator_currentOutputWatermark");
}
