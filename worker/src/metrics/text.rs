//! From figures to families.

use std::{collections::BTreeMap, time::Duration};

use flott_core::{
    id::JobId,
    metrics::{
        Exposition, Family, Format, Labels, Value,
        table::{process, taskmanager},
    },
};

use super::{Figures, Subject};
use crate::usage;

/// What the processes of a job take together. One that has ended meanwhile takes nothing.
#[derive(Debug, Default)]
struct Taken {
    resident: u64,
    cpu: Duration,
    threads: u64,
}

pub(super) fn written(subject: &Subject, figures: &Figures, format: Format) -> String {
    let mut written = String::new();
    let mut text = Exposition::new(format, |piece: String| {
        written.push_str(&piece);
        true
    });
    write(subject, figures, &mut text);
    text.finish();
    written
}

fn write<S: FnMut(String) -> bool>(subject: &Subject, figures: &Figures, text: &mut Exposition<S>) {
    let Subject { worker, host, memory } = subject;
    let (own, pid) = (Labels::new(&taskmanager::LABELS, [host, &worker.0]), std::process::id());
    let by_job = taken(&figures.processes);
    let total = by_job.values().fold(Taken::default(), |mut total, taken| {
        total.resident += taken.resident;
        total.cpu += taken.cpu;
        total
    });
    let mut of = |family: &Family, value: Option<Value>| text.plain(family, value.map(|value| (&own, value)));
    of(&taskmanager::MEMORY_LIMIT, Some((*memory).into()));
    of(&taskmanager::MEMORY_RESIDENT, usage::resident_of(pid).map(Into::into));
    of(&taskmanager::CPU_SECONDS, usage::cpu_of(pid).map(|time| time.as_secs_f64().into()));
    of(&taskmanager::PROCESSES, Some(figures.processes.len().into()));
    of(&taskmanager::JOBS_MEMORY_RESIDENT, Some(total.resident.into()));
    of(&taskmanager::JOBS_CPU_SECONDS, Some((figures.ended_cpu + total.cpu).as_secs_f64().into()));
    of(&taskmanager::own::REGISTERED, Some(figures.is_registered.into()));
    of(&taskmanager::own::SLOTS_TOTAL, Some(figures.slots.into()));
    of(&taskmanager::own::SLOTS_AVAILABLE, Some(figures.slots.saturating_sub(figures.allocated).into()));
    of(&taskmanager::own::THREADS, usage::threads_of(pid).map(Into::into));

    let jobs: Vec<_> = by_job
        .iter()
        .map(|(job, taken)| (Labels::new(&process::LABELS, [host, &worker.0, &job.to_string()]), taken))
        .collect();
    let mut of = |family: &Family, figure: fn(&Taken) -> Value| {
        text.plain(family, jobs.iter().map(|(labels, taken)| (labels, figure(taken))));
    };
    of(&process::MEMORY_RESIDENT, |taken| taken.resident.into());
    of(&process::CPU_SECONDS, |taken| taken.cpu.as_secs_f64().into());
    of(&process::THREADS, |taken| taken.threads.into());
}

fn taken(processes: &[(JobId, u32)]) -> BTreeMap<JobId, Taken> {
    let mut by_job: BTreeMap<JobId, Taken> = BTreeMap::new();
    for (job, pid) in processes {
        let taken = by_job.entry(*job).or_default();
        taken.resident += usage::resident_of(*pid).unwrap_or(0);
        taken.cpu += usage::cpu_of(*pid).unwrap_or_default();
        taken.threads += usage::threads_of(*pid).unwrap_or(0);
    }
    by_job
}

#[cfg(test)]
mod tests {
    use flott_core::{
        id::WorkerId,
        metrics::{read, table::GROUPS},
    };

    use super::*;

    #[test]
    fn all_that_a_task_manager_serves_is_there_once() {
        let subject = Subject { worker: WorkerId("tm \"1\"\n".to_owned()), host: "h\\".to_owned(), memory: 7 };
        let own = std::process::id();
        // Two processes of one job, and one that has just ended.
        let jobs = [1, 1, 2].map(|n| JobId::from_bytes([n; 16]));
        let figures = Figures {
            is_registered: true,
            slots: 4,
            allocated: 3,
            ended_cpu: Duration::from_secs(1000),
            processes: jobs.into_iter().zip([own, own, u32::MAX]).collect(),
        };
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let text = written(&subject, &figures, format);
            let families = read(&text, format).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let served = [&taskmanager::GROUP, &taskmanager::own::GROUP, &process::GROUP];
            assert!(served.iter().all(|group| GROUPS.iter().any(|known| known.title == group.title)));
            let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
            let wanted: Vec<_> = served.iter().flat_map(|group| group.families).map(|family| family.name).collect();
            assert_eq!(names, wanted);
            let value = |name: &str, at: usize| {
                let family = families.iter().find(|family| family.name == format!("flott_taskmanager_{name}")).unwrap();
                let sample = &family.samples[at];
                assert_eq!((sample.label("tm_id"), sample.label("host")), (Some("tm \"1\"\n"), Some("h\\")));
                sample.value
            };
            assert_eq!(
                (value("taskSlotsTotal", 0), value("taskSlotsAvailable", 0), value("registered", 0)),
                (4.0, 1.0, 1.0)
            );
            assert_eq!((value("Status_JobProcesses_Count", 0), value("Status_Process_Memory_Limit", 0)), (3.0, 7.0));
            assert!(value("Status_JobProcesses_CPU_Seconds", 0) >= 1000.0);
            let both = value("job_Process_Memory_Resident", 0);
            assert!(both > 0.0 && value("job_Process_Memory_Resident", 1) == 0.0);
            assert_eq!(value("Status_JobProcesses_Memory_Resident", 0), both);
        }
    }
}
