//! How large a simulation is, and what goes wrong in it.

use crate::random::Random;

/// A simulation before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All else is drawn from this.
    pub seed: u64,
    /// TaskManagers: there from the start, or the most that the backend starts.
    pub machines: u32,
    /// Slots of each.
    pub slots: u32,
    /// Whether a backend starts and replaces them. Else they register by themselves, and come back after a loss.
    pub backend: bool,
    /// Jobs that arrive.
    pub jobs: u32,
    /// Time over which they arrive, in milliseconds.
    pub arrivals_ms: u64,
    /// Greatest parallelism of a vertex.
    pub parallelism_max: u32,
    /// Longest time that a task runs, in milliseconds.
    pub work_ms_max: u64,
    /// Whether jobs go after the slots there are.
    pub reactive: bool,
    /// Whether jobs read splits, take checkpoints and make results visible, and all of that is looked after.
    pub durable: bool,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong. Times are milliseconds between two faults of a kind on average; 0 is never. Shares are in a
/// thousand.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Time after which nothing goes wrong any more.
    pub until_ms: u64,
    /// A machine loses power.
    pub machine_every_ms: u64,
    /// A job process is killed.
    pub process_every_ms: u64,
    /// A connection breaks.
    pub connection_every_ms: u64,
    /// A machine's network stalls for up to 20 s.
    pub stall_every_ms: u64,
    /// A job is cancelled.
    pub cancel_every_ms: u64,
    /// A job is asked for a savepoint or another parallelism.
    pub ask_every_ms: u64,
    /// A JobManager is killed, or does not reach the lease for up to 15 s.
    pub jobmanager_every_ms: u64,
    /// Tasks that fail.
    pub tasks: u32,
    /// Tasks that do not stop when they are told to.
    pub stuck: u32,
    /// Job processes that do not come up.
    pub processes: u32,
    /// Machines that the backend rejects, that die at once, or that never register: as many of each.
    pub starts: u32,
    /// Tasks that fail when another one of their process has just finished.
    pub spoils: u32,
    /// Messages of workers and answers of stores that come once more, later.
    pub repeated: u32,
    /// Moments at which something is said once more that could do harm just then.
    pub recalled: u32,
    /// Messages that reach a JobMaster though they are meant for another of its job.
    pub astray: u32,
    /// Messages of workers that others overtake.
    pub overtaken: u32,
    /// Requests to the object store that go wrong, and checkpoints and scales for which there is no room.
    pub stores: u32,
    /// Jobs whose checkpoints a JobManager that begins does not see as they are.
    pub volumes: u32,
    /// Commits that fail when they are half done.
    pub commits: u32,
    /// Commits that take up to 2 s.
    pub slow: u32,
}

impl Plan {
    /// A thousand TaskManagers with ten slots each, and what the seed makes of it.
    pub fn thousand(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x0074_686f_7573_616e);
        Self {
            seed,
            machines: 1000,
            slots: 10,
            backend: seed % 2 == 1,
            jobs: random.within(30..=60) as u32,
            arrivals_ms: 40_000,
            parallelism_max: 2000,
            work_ms_max: 20_000,
            reactive: false,
            durable: false,
            faults: Faults {
                until_ms: 50_000,
                machine_every_ms: random.within(300..=3000),
                process_every_ms: random.within(300..=3000),
                connection_every_ms: random.within(200..=2000),
                stall_every_ms: random.within(1000..=5000),
                cancel_every_ms: random.within(5000..=20_000),
                tasks: 1,
                stuck: 10,
                processes: 10,
                starts: 20,
                repeated: 20,
                astray: 300,
                overtaken: 50,
                ..Faults::default()
            },
        }
    }

    /// A few TaskManagers and jobs that do not fit at once: quick, and full of waiting.
    pub fn small(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x0073_6d61_6c6c);
        Self {
            seed,
            machines: random.within(2..=12) as u32,
            slots: random.within(1..=4) as u32,
            backend: seed % 2 == 1,
            jobs: random.within(2..=15) as u32,
            arrivals_ms: 30_000,
            parallelism_max: 8,
            work_ms_max: 15_000,
            reactive: false,
            durable: false,
            faults: Faults {
                until_ms: 60_000,
                machine_every_ms: random.within(1000..=20_000),
                process_every_ms: random.within(1000..=20_000),
                connection_every_ms: random.within(1000..=10_000),
                stall_every_ms: random.within(5000..=30_000),
                cancel_every_ms: random.within(5000..=30_000),
                tasks: 20,
                stuck: 50,
                processes: 50,
                starts: 50,
                repeated: 50,
                astray: 300,
                overtaken: 100,
                ..Faults::default()
            },
        }
    }

    /// The same, with jobs that go after the slots there are.
    pub fn reactive(seed: u64) -> Self {
        Self { reactive: true, ..Self::small(seed) }
    }

    /// A few TaskManagers, jobs that take checkpoints, and JobManagers that die or are deposed; in every third history jobs go after the slots
    /// there are.
    pub fn durable(seed: u64) -> Self {
        let small = Self::small(seed);
        let mut random = Random::new(seed ^ 0x6475_7261_626c_6500);
        let faults = Faults {
            ask_every_ms: random.within(500..=5000),
            jobmanager_every_ms: random.within(1000..=10_000),
            stores: [0, 20, 200][random.within(0..=2) as usize],
            commits: [0, 20, 200][random.within(0..=2) as usize],
            slow: random.within(0..=300) as u32,
            tasks: 5,
            spoils: random.within(0..=100) as u32,
            repeated: random.within(50..=500) as u32,
            recalled: random.within(50..=500) as u32,
            volumes: [0, 300, 600][random.within(0..=2) as usize],
            ..small.faults
        };
        Self { durable: true, reactive: seed.is_multiple_of(3), jobs: small.jobs.min(8), faults, ..small }
    }

    /// The same with tasks that fail again and again, and much that comes once more when other attempts are there.
    pub fn stale(seed: u64) -> Self {
        let durable = Self::durable(seed);
        let mut random = Random::new(seed ^ 0x7374_616c_6500);
        let faults = Faults {
            // Few by themselves: what is said again does no harm to a task that fails at once.
            tasks: random.within(0..=4) as u32,
            spoils: random.within(200..=800) as u32,
            repeated: 800,
            recalled: 800,
            commits: random.within(100..=500) as u32,
            slow: random.within(200..=800) as u32,
            machine_every_ms: random.within(5000..=30_000),
            process_every_ms: random.within(3000..=20_000),
            jobmanager_every_ms: random.within(5000..=30_000),
            ..durable.faults
        };
        Self { jobs: durable.jobs.min(5), faults, ..durable }
    }

    /// Slots that there are, or can be.
    pub fn slots_max(&self) -> u32 {
        self.machines * self.slots
    }
}
