//! The TaskManager: where it listens, what it offers, how it ends tasks.

use std::time::Duration;

use crate::{
    config::{
        option::{ConfigMap, key, section},
        value::PortRange,
    },
    units::ByteSize,
};

section! {
    "TaskManager",
    "The processes that hold slots and supervise job processes.";

    /// Host name or address under which other TaskManagers reach the job processes of this one. Unset, it is the bind
    /// address.
    HOST: Option<String> = key("taskmanager.host");

    /// Address on which job processes listen for records of their peers.
    BIND_HOST: String = key("taskmanager.bind-host").default("127.0.0.1");

    /// Port on which a job process listens for records of its peers. 0 takes a free one for each job process; any other
    /// fits only one job process on a host.
    DATA_PORT: u16 = key("taskmanager.data.port").default("0");

    /// Port on which a TaskManager serves `/metrics`, on `taskmanager.bind-host`: one port, a range of which the first free one is
    /// taken, as several TaskManagers on one host need it, or 0 for any free one. Unset, the JobManager serves what it hears of
    /// TaskManagers.
    METRICS_PORT: Option<PortRange> = key("taskmanager.metrics.port");

    /// Slots that a TaskManager offers.
    NUMBER_OF_TASK_SLOTS: u32 = key("taskmanager.numberOfTaskSlots").default("1").range("1", "1024");

    /// Cores of a TaskManager, split evenly over its slots. Unset, one for each slot.
    CPU_CORES: Option<f64> =
        key("taskmanager.cpu.cores").fallback(&["kubernetes.taskmanager.cpu.amount"]).range("0.001", "65536");

    /// Memory of a TaskManager and its job processes together, which is the limit of a container. Slots share it evenly, and
    /// job processes what the TaskManager itself leaves of it.
    MEMORY_PROCESS_SIZE: ByteSize =
        key("taskmanager.memory.process.size").default("1728 mb").range("64 mb", "16 tb");

    /// How long a TaskManager tries to register with a JobManager before it gives up and ends.
    REGISTRATION_TIMEOUT: Duration = key("taskmanager.registration.timeout").default("5 min").range("1 s", "365 d");

    /// Identity of the TaskManager, the same after a restart. Unset, it takes a random one.
    RESOURCE_ID: Option<String> = key("taskmanager.resource-id");

    /// How long a cancelled task may take to end before its job process is killed.
    CANCELLATION_TIMEOUT: Duration = key("task.cancellation.timeout").default("30 s").range("1 ms", "1 d");

    /// Size at which the captured log of a job process loses its older half; standard output and standard error each.
    LOG_MAX_SIZE: ByteSize = key("flott.log.max-size").default("16 mb").range("64 kb", "16 gb");
}

/// Variables of the processes that programs run in, by name.
pub static PROGRAM_ENV: ConfigMap = ConfigMap::new(
    "containerized.taskmanager.env",
    "Variables of the processes that programs run in: a TaskManager's own for all jobs, and a job's, which win. Also \
     `containerized.taskmanager.env: A:b,C:d`. Names with `FLOTT_` are Flott's own and stay out, as does everything else of the \
     TaskManager's environment but what `kubernetes.env.secretKeyRef` names.",
);
