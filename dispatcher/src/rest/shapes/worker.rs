use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// TaskManagers.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskManagers {
    /// One per registered TaskManager.
    pub taskmanagers: Vec<TaskManagerInfo>,
}

/// A TaskManager. Flink splits memory into kinds; Flott has one number, which stands under heap and process.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerInfo {
    /// Its name.
    pub id: String,
    /// Its name, host and process id.
    pub path: String,
    /// Always -1: each job process has a data port of its own.
    pub data_port: i32,
    /// Always -1.
    pub jmx_port: i32,
    /// When it was heard last, in milliseconds since the epoch (Flink's name notwithstanding).
    pub time_since_last_heartbeat: u64,
    /// Its slots.
    pub slots_number: usize,
    /// Slots that no job has.
    pub free_slots: usize,
    /// Tasks that run on it.
    pub assigned_tasks: usize,
    /// All that its slots offer.
    pub total_resource: ResourceInfo,
    /// What its free slots offer.
    pub free_resource: ResourceInfo,
    /// Its machine.
    pub hardware: Hardware,
    /// Its memory in bytes.
    pub memory_configuration: MemoryConfiguration,
}

/// CPU and memory; memory in mebibytes.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    /// Cores.
    pub cpu_cores: f64,
    /// Memory of a slot.
    pub task_heap_memory: u64,
    /// Always 0.
    pub task_off_heap_memory: u64,
    /// Always 0.
    pub managed_memory: u64,
    /// Always 0.
    pub network_memory: u64,
    /// Always empty.
    pub extended_resources: BTreeMap<String, f64>,
}

/// A machine; memory in bytes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// Cores.
    pub cpu_cores: u32,
    /// Physical memory.
    pub physical_memory: u64,
    /// Of the TaskManager's memory, what is not resident.
    pub free_memory: u64,
    /// Always 0.
    pub managed_memory: u64,
}

/// Memory of a TaskManager in bytes.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryConfiguration {
    /// Always 0.
    pub framework_heap: u64,
    /// Memory of the slots.
    pub task_heap: u64,
    /// Always 0.
    pub framework_off_heap: u64,
    /// Always 0.
    pub task_off_heap: u64,
    /// Always 0.
    pub network_memory: u64,
    /// Always 0.
    pub managed_memory: u64,
    /// Always 0.
    pub jvm_metaspace: u64,
    /// Always 0.
    pub jvm_overhead: u64,
    /// The one memory number.
    pub total_flink_memory: u64,
    /// The same.
    pub total_process_memory: u64,
}

/// A TaskManager with its slots and gauges.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerDetails {
    /// As in the list.
    #[serde(flatten)]
    pub info: TaskManagerInfo,
    /// Slots that jobs have.
    pub allocated_slots: Vec<AllocatedSlot>,
    /// Gauges.
    pub metrics: TaskManagerMetrics,
}

/// A slot that a job has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllocatedSlot {
    /// The job.
    pub job_id: String,
    /// What the job asked for, or what the slot offers where it asked for any.
    pub resource: ResourceInfo,
    /// Tasks that run in it.
    pub assigned_tasks: usize,
}

/// Gauges of a TaskManager. Resident memory stands under heap (the TaskManager itself) and non-heap (its job
/// processes); what only a virtual machine has is 0.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagerMetrics {
    /// Resident bytes of the TaskManager.
    pub heap_used: u64,
    /// The same.
    pub heap_committed: u64,
    /// Its memory number.
    pub heap_max: u64,
    /// Resident bytes of its job processes.
    pub non_heap_used: u64,
    /// The same.
    pub non_heap_committed: u64,
    /// Its memory number.
    pub non_heap_max: u64,
    /// Always 0.
    pub direct_count: u64,
    /// Always 0.
    pub direct_used: u64,
    /// Always 0.
    pub direct_max: u64,
    /// Always 0.
    pub mapped_count: u64,
    /// Always 0.
    pub mapped_used: u64,
    /// Always 0.
    pub mapped_max: u64,
    /// Always 0.
    pub netty_shuffle_memory_segments_available: u64,
    /// Always 0.
    pub netty_shuffle_memory_segments_used: u64,
    /// Always 0.
    pub netty_shuffle_memory_segments_total: u64,
    /// Always 0.
    pub netty_shuffle_memory_available: u64,
    /// Always 0.
    pub netty_shuffle_memory_used: u64,
    /// Always 0.
    pub netty_shuffle_memory_total: u64,
    /// Always empty.
    pub garbage_collectors: Vec<String>,
}
