use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    checkpoint::SnapshotKind,
    id::{CheckpointId, InstanceId, JobId, VertexId, WorkerId},
    metrics::{Exposition, Format, Group, Kind, ReadFamily, read, table::GROUPS},
    resource::ResourceProfile,
    status::{ExecutionState, JobStatus},
    view::{
        AttemptView, CheckpointStatus, CheckpointView, CheckpointsView, Counters, JobView, PendingReason, RestoredView,
        SubtaskView, TaskMetrics, VertexView, WorkerMetrics, WorkerView,
    },
};
use flott_resource_manager::handle::Census;
use proptest::prelude::*;

use super::{facts::Facts, text};
use crate::dispatcher::{Measured, MeasuredJob, Stage};

const NOW: u64 = 1_000_000;
const MEMORY: u64 = 1 << 30;

fn facts(cluster: Option<Measured>) -> Facts {
    let stage = if cluster.is_some() { Stage::Leading } else { Stage::StandingBy };
    Facts { host: "jm".to_owned(), stage, now: NOW, cluster, asks_workers: false }
}

fn measured(registered: Vec<WorkerView>, jobs: Vec<MeasuredJob>) -> Measured {
    let statuses = jobs.iter().map(|job| job.view.status).chain([JobStatus::Finished]).collect();
    Measured { census: Census { registered, pending: 2, stopping: 1 }, statuses, jobs }
}

fn worker(name: &str, host: &str) -> WorkerView {
    let slot = ResourceProfile { cpu_millicores: 1000, memory_bytes: MEMORY / 2 };
    WorkerView {
        worker: WorkerId(name.to_owned()),
        instance: InstanceId::from_bytes([1; 16]),
        host: host.to_owned(),
        pid: 1,
        registered_at: 0,
        heard_at: NOW - 7,
        cpu_cores: 1,
        physical_memory: MEMORY,
        memory: MEMORY,
        slots: vec![slot; 2],
        allocated: vec![(job_id(1), slot)],
        metrics: WorkerMetrics {
            resident_bytes: 10,
            jobs_resident_bytes: 20,
            cpu_ms: 1500,
            jobs_cpu_ms: 250,
            processes: 1,
        },
    }
}

fn job_id(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn vertex_id(n: u8) -> VertexId {
    VertexId::from_bytes([n; 16])
}

fn counters() -> Counters {
    let mut counters = Counters::default();
    [("numLateRecordsDropped", 12), ("of the program", 13)].iter().for_each(|(name, sum)| counters.add(name, *sum));
    counters
}

fn subtask(state: ExecutionState, worker: Option<&str>, watermark: Option<i64>) -> SubtaskView {
    use ExecutionState::{Canceled, Created, Deploying, Finished, Running, Scheduled};
    let all = [Created, Scheduled, Deploying, Running, Finished, Canceled];
    SubtaskView {
        current: AttemptView {
            attempt: 3,
            state,
            entered: all.iter().filter(|one| **one <= state).map(|one| (*one, 1)).collect(),
            allocation: None,
            worker: worker.map(|worker| WorkerId(worker.to_owned())),
            endpoint: None,
            metrics: if state < Deploying {
                TaskMetrics::default()
            } else {
                TaskMetrics {
                    records_in: 5,
                    records_out: 6,
                    bytes_in: 7,
                    bytes_out: 8,
                    records_read: 100,
                    busy_ms: 9,
                    idle_ms: 10,
                    backpressured_ms: 11,
                    watermark,
                    counters: counters(),
                }
            },
            failure: None,
        },
        previous: Vec::new(),
    }
}

fn vertex(n: u8, name: &str, subtasks: Vec<SubtaskView>) -> VertexView {
    VertexView {
        id: vertex_id(n),
        name: name.to_owned(),
        parallelism: subtasks.len() as u32,
        max_parallelism: 128,
        bounds: None,
        slot_sharing_group: "default".to_owned(),
        subtasks,
    }
}

fn job(n: u8, name: &str, status: JobStatus, vertices: Vec<VertexView>) -> MeasuredJob {
    let mut view = JobView::ended(job_id(n), name.to_owned(), status, 0, NOW - 100);
    (view.ended_at, view.vertices) = (None, vertices);
    MeasuredJob { view: Arc::new(view), sources: [vertex_id(1)].into() }
}

#[track_caller]
fn written(facts: &Facts, format: Format) -> Vec<ReadFamily> {
    let mut written = String::new();
    let mut exposition = Exposition::new(format, |piece: String| {
        written.push_str(&piece);
        true
    });
    text::write(facts, &mut exposition);
    assert!(exposition.finish());
    let families = read(&written, format).unwrap_or_else(|error| panic!("{error}\n{written}"));
    families.iter().for_each(|family| check_declared(family, format));
    families
}

/// A family is as it was declared, with the labels of its group on all of its series.
#[track_caller]
fn check_declared(found: &ReadFamily, format: Format) {
    let mut all = GROUPS.iter().flat_map(|group: &&Group| group.families);
    let declared = all.find(|family| family.name == found.name).unwrap_or_else(|| panic!("{}", found.name));
    let kind = match (declared.kind, format) {
        (Kind::Gauge, _) => "gauge",
        (Kind::Counter, Format::Prometheus) => "counter",
        (Kind::Counter, Format::OpenMetrics) => "unknown",
    };
    assert_eq!((found.kind.as_str(), found.help.as_str()), (kind, declared.help.trim()), "{}", found.name);
    let wanted: Vec<_> = declared.labels.iter().chain(&declared.by).copied().collect();
    for sample in &found.samples {
        let labels: Vec<_> = sample.labels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(labels, wanted, "{}", found.name);
    }
}

/// Values of a family, by the labels that are asked for.
fn values(families: &[ReadFamily], name: &str, labels: &[&str]) -> BTreeMap<String, f64> {
    let samples = families.iter().filter(|family| family.name == name).flat_map(|family| &family.samples);
    let key = |label: &&str, sample: &flott_core::metrics::ReadSample| sample.label(label).unwrap().to_owned();
    samples
        .map(|sample| (labels.iter().map(|label| key(label, sample)).collect::<Vec<_>>().join(" "), sample.value))
        .collect()
}

#[track_caller]
fn check(families: &[ReadFamily], name: &str, labels: &[&str], expected: &[(&str, f64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
    assert_eq!(values(families, name, labels), expected, "{name}");
}

#[test]
fn one_that_stands_by_tells_of_itself_alone() {
    let families = written(&facts(None), Format::Prometheus);
    let stages = [("STANDING_BY", 1.0), ("LEADING", 0.0), ("OPENING", 0.0), ("ENDING", 0.0)];
    check(&families, "flott_jobmanager_stage", &["stage"], &stages);
    check(&families, "flott_jobmanager_version", &["host", "version"], &[("jm 0.1.0", 1.0)]);
    assert!(values(&families, "flott_jobmanager_Status_Process_Memory_Resident", &["host"])["jm"] > 1e6);
    assert!(values(&families, "flott_jobmanager_Status_Process_Threads_Count", &["host"])["jm"] >= 1.0);
    assert_eq!(families.len(), 5, "and nothing of the cluster");
}

#[test]
fn a_cluster_without_jobs_is_counted() {
    let workers = vec![worker("tm1", "h1"), worker("tm2", "h2")];
    let mut facts = facts(Some(measured(workers, Vec::new())));
    let families = written(&facts, Format::Prometheus);
    for (name, value) in [
        ("numRegisteredTaskManagers", 2.0),
        ("numPendingTaskManagers", 2.0),
        ("numStoppingTaskManagers", 1.0),
        ("taskSlotsTotal", 4.0),
        ("taskSlotsAvailable", 2.0),
        ("numRunningJobs", 0.0),
    ] {
        check(&families, &format!("flott_jobmanager_{name}"), &["host"], &[("jm", value)]);
    }
    assert_eq!(values(&families, "flott_jobmanager_numJobs", &["status"])["FINISHED"], 1.0);
    let both = |value| [("h1 tm1", value), ("h2 tm2", value)];
    for (name, value) in [
        ("jobmanager_taskmanager_timeSinceLastHeartbeat", 7.0),
        ("jobmanager_taskmanager_taskSlotsAvailable", 1.0),
        ("taskmanager_Status_Process_Memory_Limit", MEMORY as f64),
        ("taskmanager_Status_Process_CPU_Seconds", 1.5),
        ("taskmanager_Status_JobProcesses_CPU_Seconds", 0.25),
        ("taskmanager_Status_JobProcesses_Memory_Resident", 20.0),
    ] {
        check(&families, &format!("flott_{name}"), &["host", "tm_id"], &both(value));
    }
    assert!(families.iter().all(|family| !family.name.contains("_job_")));
    // What TaskManagers tell themselves is not told twice.
    facts.asks_workers = true;
    let families = written(&facts, Format::OpenMetrics);
    assert!(families.iter().all(|family| !family.name.starts_with("flott_taskmanager")));
    check(&families, "flott_jobmanager_taskmanager_taskSlotsTotal", &["host", "tm_id"], &both(2.0));
}

#[test]
fn what_is_not_known_is_not_there() {
    use ExecutionState::{Created, Finished, Running, Scheduled};
    let vertices = vec![
        vertex(1, "same", vec![subtask(Running, Some("tm1"), Some(42)), subtask(Running, Some("tm1"), None)]),
        // Its TaskManager is gone, or not known yet.
        vertex(2, "same", vec![subtask(Finished, Some("tm9"), Some(i64::MAX)), subtask(Scheduled, None, None)]),
    ];
    let jobs = vec![
        job(1, "a", JobStatus::Running, vertices),
        job(2, "b", JobStatus::Restarting, vec![vertex(1, "c", vec![subtask(Created, None, None)])]),
    ];
    let families = written(&facts(Some(measured(vec![worker("tm1", "h1")], jobs))), Format::Prometheus);
    check(&families, "flott_jobmanager_job_uptime", &["job_name"], &[("a", 100.0)]);
    let status = values(&families, "flott_jobmanager_job_status", &["job_name", "status"]);
    let in_it: Vec<_> = status.iter().filter(|(_, value)| **value == 1.0).map(|(key, _)| key.as_str()).collect();
    assert_eq!(in_it, ["a RUNNING", "b RESTARTING"]);
    assert_eq!(status.len(), 2 * JobStatus::ALL.len());
    check(&families, "flott_jobmanager_job_numberOfCompletedCheckpoints", &["job_name"], &[("a", 0.0), ("b", 0.0)]);
    check(&families, "flott_jobmanager_job_lastCheckpointSize", &["job_name"], &[]);
    check(&families, "flott_jobmanager_job_lastCheckpointRestoreTimestamp", &["job_name"], &[]);
    let tasks = values(&families, "flott_jobmanager_job_numTasks", &["job_name", "status"]);
    assert_eq!((tasks["a RUNNING"], tasks["a FINISHED"], tasks["b CREATED"]), (2.0, 1.0, 1.0));

    let [source, sink] = [1, 2].map(|n| vertex_id(n).to_string());
    let labels = ["host", "tm_id", "task_id", "subtask_index", "task_attempt_num"];
    let keys = [format!("h1 tm1 {source} 0 3"), format!("h1 tm1 {source} 1 3"), format!(" tm9 {sink} 0 3")];
    for (name, value) in [
        ("numRecordsIn", 105.0),
        ("numRecordsOut", 6.0),
        ("numBytesIn", 7.0),
        ("numBytesOut", 8.0),
        ("accumulateBusyTimeMs", 9.0),
        ("accumulateIdleTimeMs", 10.0),
        ("accumulateBackPressuredTimeMs", 11.0),
        ("numLateRecordsDropped", 12.0),
    ] {
        let expected: Vec<_> = keys.iter().map(|key| (key.as_str(), value)).collect();
        check(&families, &format!("flott_taskmanager_job_task_{name}"), &labels, &expected);
    }
    check(&families, "flott_taskmanager_job_task_currentOutputWatermark", &labels, &[(&keys[0], 42.0)]);
    check(&families, "flott_taskmanager_job_task_currentInputWatermark", &labels, &[(&keys[2], i64::MAX as f64)]);
}

fn complete(id: u64, kind: SnapshotKind, size: u64) -> CheckpointView {
    CheckpointView {
        id: CheckpointId(id),
        kind,
        status: CheckpointStatus::Completed,
        triggered_at: NOW - 50,
        ended_at: Some(NOW - 20),
        latest_report_at: None,
        tasks: 1,
        reported: 1,
        stored_bytes: size,
        state_bytes: 10 * size,
        alignment_ms_max: 0,
        sync_ms_max: 0,
        async_ms_max: 0,
        processed_bytes: 2,
        persisted_bytes: 3,
        unaligned: false,
        location: None,
        discarded: false,
        vertices: Vec::new(),
        failure: None,
    }
}

#[test]
fn the_latest_checkpoint_is_the_last_whatever_it_was_for() {
    let mut job = job(1, "a", JobStatus::Created, Vec::new());
    let view = Arc::get_mut(&mut job.view).unwrap();
    view.restarts = 4;
    let reason = PendingReason {
        slots_missing: 3,
        profile: ResourceProfile::ANY,
        since: 0,
        reason: "quota".to_owned(),
        unattainable: false,
    };
    view.pending = vec![reason.clone(), reason];
    view.checkpoints = CheckpointsView {
        completed: 5,
        failed: 2,
        in_progress: 1,
        latest_completed: Some(complete(7, SnapshotKind::Checkpoint, 100)),
        latest_savepoint: Some(complete(8, SnapshotKind::Savepoint, 200)),
        latest_restored: Some(RestoredView {
            id: CheckpointId(3),
            kind: SnapshotKind::Checkpoint,
            restored_at: 77,
            location: String::new(),
            discarded: false,
        }),
        ..CheckpointsView::default()
    };
    let families = written(&facts(Some(measured(Vec::new(), vec![job]))), Format::Prometheus);
    for (name, value) in [
        ("numRestarts", 4.0),
        ("numPendingReasons", 2.0),
        ("numSlotsMissing", 6.0),
        ("totalNumberOfCheckpoints", 8.0),
        ("numberOfCompletedCheckpoints", 5.0),
        ("numberOfFailedCheckpoints", 2.0),
        ("numberOfInProgressCheckpoints", 1.0),
        ("lastCompletedCheckpointId", 8.0),
        ("lastCheckpointCompletedTimestamp", NOW as f64 - 20.0),
        ("lastCheckpointDuration", 30.0),
        ("lastCheckpointSize", 200.0),
        ("lastCheckpointFullSize", 2000.0),
        ("lastCheckpointProcessedData", 2.0),
        ("lastCheckpointPersistedData", 3.0),
        ("lastCheckpointRestoreTimestamp", 77.0),
    ] {
        check(&families, &format!("flott_jobmanager_job_{name}"), &["host", "job_name"], &[("jm a", value)]);
    }
}

#[test]
fn endless_names_are_cut() {
    let job = job(1, &"ä".repeat(300), JobStatus::Running, Vec::new());
    let families = written(&facts(Some(measured(Vec::new(), vec![job]))), Format::Prometheus);
    check(&families, "flott_jobmanager_job_numRestarts", &["job_name"], &[(&"ä".repeat(256), 0.0)]);
}

fn states() -> impl Strategy<Value = ExecutionState> {
    proptest::sample::select(ExecutionState::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever jobs, vertices and TaskManagers are called, and however many of them have one name: the text can be read, by the
    /// rules that `read` has, and no series is there twice.
    #[test]
    fn every_cluster_can_be_read(
        names in proptest::collection::vec(any::<String>(), 1..4),
        hosts in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        shapes in proptest::collection::vec((0..4usize, proptest::collection::vec(proptest::collection::vec((states(), any::<Option<i64>>()), 0..4), 0..4)), 0..4),
        asks_workers in any::<bool>(),
    ) {
        let workers: Vec<_> = hosts.iter().map(|(name, host)| worker(name, host)).collect();
        let jobs = shapes.iter().zip(1..).map(|((name, vertices), n)| {
            let name = &names[name % names.len()];
            let subtasks = |of: &Vec<(ExecutionState, Option<i64>)>| {
                of.iter().map(|(state, watermark)| subtask(*state, hosts.keys().next().map(String::as_str), *watermark)).collect()
            };
            let vertices = vertices.iter().zip(1..).map(|(of, n)| vertex(n, name, subtasks(of))).collect();
            job(n, name, JobStatus::Running, vertices)
        });
        let facts = Facts { asks_workers, ..facts(Some(measured(workers, jobs.collect()))) };
        let [plain, open] = [Format::Prometheus, Format::OpenMetrics].map(|format| written(&facts, format));
        prop_assert_eq!(plain.len(), open.len());
    }
}
