use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{AllocationId, JobId, WorkerId},
    resource::ResourceProfile,
    view::{JobView, WorkerView},
};

use crate::rest::shapes::{
    AllocatedSlot, Hardware, MemoryConfiguration, ResourceInfo, TaskManagerDetails, TaskManagerInfo, TaskManagerMetrics,
};

/// Unfinished tasks by TaskManager, job and slot.
pub type AssignedTasks = BTreeMap<WorkerId, BTreeMap<(JobId, Option<AllocationId>), usize>>;

/// Counts the unfinished tasks of `jobs` where they are.
pub fn assigned_tasks(jobs: &[Arc<JobView>]) -> AssignedTasks {
    let mut assigned = AssignedTasks::new();
    for job in jobs {
        for subtask in job.vertices.iter().flat_map(|vertex| &vertex.subtasks) {
            let attempt = &subtask.current;
            if let Some(worker) = attempt.worker.as_ref().filter(|_| !attempt.state.is_terminal()) {
                *assigned.entry(worker.clone()).or_default().entry((job.job, attempt.allocation)).or_default() += 1;
            }
        }
    }
    assigned
}

fn resource<'a>(profiles: impl IntoIterator<Item = &'a ResourceProfile>) -> ResourceInfo {
    let total = profiles.into_iter().fold(ResourceProfile::ANY, |sum, profile| sum.saturating_add(profile));
    ResourceInfo {
        cpu_cores: f64::from(total.cpu_millicores) / 1000.0,
        task_heap_memory: total.memory_bytes >> 20,
        ..ResourceInfo::default()
    }
}

/// A TaskManager in the list.
pub fn task_manager(view: &WorkerView, assigned: &AssignedTasks) -> TaskManagerInfo {
    let free_slots = view.slots.len().saturating_sub(view.allocated.len());
    let tasks = assigned.get(&view.worker).map_or(0, |slots| slots.values().sum());
    let resident = view.metrics.resident_bytes.saturating_add(view.metrics.jobs_resident_bytes);
    let slots_memory = view.slots.iter().fold(0u64, |sum, slot| sum.saturating_add(slot.memory_bytes));
    TaskManagerInfo {
        id: view.worker.to_string(),
        path: format!("flott://{}/{}/{}", view.host, view.worker, view.pid),
        data_port: -1,
        jmx_port: -1,
        time_since_last_heartbeat: view.heard_at,
        slots_number: view.slots.len(),
        free_slots,
        assigned_tasks: tasks,
        total_resource: resource(&view.slots),
        free_resource: resource(view.slots.iter().take(free_slots)),
        hardware: Hardware {
            cpu_cores: view.cpu_cores,
            physical_memory: view.physical_memory,
            free_memory: view.memory.saturating_sub(resident),
            managed_memory: 0,
        },
        memory_configuration: MemoryConfiguration {
            task_heap: slots_memory,
            total_flink_memory: view.memory,
            total_process_memory: view.memory,
            ..MemoryConfiguration::default()
        },
    }
}

/// A TaskManager with its slots and gauges.
pub fn task_manager_details(view: &WorkerView, assigned: &AssignedTasks) -> TaskManagerDetails {
    // The ResourceManager does not say which allocation a slot has: the slots of a job are matched in order.
    let mut by_job: BTreeMap<JobId, Vec<usize>> = BTreeMap::new();
    for ((job, _), tasks) in assigned.get(&view.worker).into_iter().flatten() {
        by_job.entry(*job).or_default().push(*tasks);
    }
    let any = view.slots.first().copied().unwrap_or_default();
    let slot = |(job, profile): &(JobId, ResourceProfile)| AllocatedSlot {
        job_id: job.to_string(),
        resource: resource([if *profile == ResourceProfile::ANY { &any } else { profile }]),
        assigned_tasks: by_job.get_mut(job).and_then(Vec::pop).unwrap_or(0),
    };
    let (own, jobs) = (view.metrics.resident_bytes, view.metrics.jobs_resident_bytes);
    TaskManagerDetails {
        info: task_manager(view, assigned),
        allocated_slots: view.allocated.iter().map(slot).collect(),
        metrics: TaskManagerMetrics {
            heap_used: own,
            heap_committed: own,
            heap_max: view.memory,
            non_heap_used: jobs,
            non_heap_committed: jobs,
            non_heap_max: view.memory,
            ..TaskManagerMetrics::default()
        },
    }
}
