//! CPU and time per record of the data plane: `cargo bench -p flott-runtime --bench exchange [-- WORKLOAD…]`.
//!
//! `FLOTT_BENCH_RECORDS` sets the records of a run, `FLOTT_BENCH_RUNS` the runs, of which the least CPU is printed. CPU
//! is that of the whole process by `getrusage`, generator and kernel included: it holds on a busy machine, where time
//! does not.
//!
//! # The arithmetic
//! For a `(u64, u64)` on a core of 2.5 GHz, 0.4 ns a cycle:
//!
//! | step | cycles | why |
//! |---|---|---|
//! | generate | 6 | one multiplication and a few shifts in the hash that makes the value, a 16-byte store |
//! | each map or filter of a chain | 2 to 4 | a 16-byte load and store per pass over a batch that stays in L1 or L2 |
//! | route | 6 | two multiplications that overlap between records, a load from the table of key groups |
//! | scatter | 6 | load, bounds of a vector, 16-byte store |
//! | encode; decode | 3; 3 | two 8-byte loads and stores each |
//! | loopback TCP | 10 to 20 | the kernel copies 16 bytes in and out at some 4 bytes a cycle, the rest is per segment |
//!
//! So a chain of three operators should take about 6 ns. In a shuffle between two processes half the records cross: all
//! are generated, routed, scattered and read (20 cycles), half are encoded, sent, received and decoded (26 at most), 33
//! cycles or 13 ns on average. What is done per batch (a lock on either side, a wake-up, a share of a system call: some
//! 5 µs with the kernel's part) adds 5 ns at 1,024 records, and is why batches are that long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use flott_core::{
    codec,
    id::{EdgeIndex, OperatorId},
    job_graph::ShipStrategy,
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    channel::Partitioner,
    error::TaskResult,
    event::Event,
    output::{Chained, Operator, OperatorName, Output},
    program::JobProgram,
    source::{ReadStatus, Source, SplitReader},
    task::{OneInputHead, SourceHead, TaskInfo, TaskWiring},
};
use nix::sys::resource::{UsageWho, getrusage};

#[path = "../tests/harness/cluster.rs"]
mod cluster;

use cluster::{BuiltBy, Cluster, graph, operator_id, vertex_id};

type Record = (u64, u64);

/// Keys of the shuffles.
const KEYS: u64 = 1_000_000;
/// Records per second of the latency workload, and for how long.
const PACE: u64 = 50_000;
const PACED_SECONDS: u64 = 5;
/// Of which the first are not counted: connections and caches are cold.
const WARM_SECONDS: u64 = 1;

fn mix(number: u64) -> u64 {
    let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xbf58_476d_1ce4_e5b9;
    product as u64 ^ (product >> 64) as u64
}

/// A number below `bound` out of a random word, without a division.
fn below(bound: u64, word: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

struct Generator<F>(F);

struct Reader<F> {
    next: u64,
    end: u64,
    make: F,
}

impl<F: Fn(u64) -> Record + Copy + Send + Sync + 'static> Source for Generator<F> {
    type Item = Record;
    type Split = (u64, u64);

    fn enumerate(&self, _: u32) -> TaskResult<Vec<Self::Split>> {
        Ok(Vec::new())
    }

    fn open(&self, (next, end): Self::Split, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Record, Self::Split>>> {
        Ok(Box::new(Reader { next, end, make: self.0 }))
    }
}

impl<F: Fn(u64) -> Record + Send> SplitReader<Record, (u64, u64)> for Reader<F> {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<Record>) -> Poll<TaskResult<ReadStatus>> {
        let to = self.end.min(self.next + BATCH_RECORDS as u64);
        batch.records.extend((self.next..to).map(&self.make));
        self.next = to;
        Poll::Ready(Ok(if to == self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next, self.end)
    }
}

struct Map<F> {
    function: F,
    out: Batch<Record>,
}

impl<F: FnMut(Record) -> Record + Send> Operator<Record, Record> for Map<F> {
    fn process(&mut self, input: &mut Batch<Record>, out: &mut dyn Output<Record>) -> TaskResult {
        self.out.records.extend(input.records.drain(..).map(&mut self.function));
        out.collect(&mut self.out)
    }
}

struct Filter<F>(F);

impl<F: FnMut(&Record) -> bool + Send> Operator<Record, Record> for Filter<F> {
    fn process(&mut self, input: &mut Batch<Record>, out: &mut dyn Output<Record>) -> TaskResult {
        input.records.retain(&mut self.0);
        out.collect(input)
    }
}

/// Counts records and adds up values, so that no work is for nothing.
struct Discard {
    count: u64,
    sum: u64,
    total: Arc<AtomicU64>,
}

impl Discard {
    fn boxed(total: &Arc<AtomicU64>) -> Box<dyn Output<Record>> {
        Box::new(Self { count: 0, sum: 0, total: total.clone() })
    }
}

impl Output<Record> for Discard {
    fn collect(&mut self, batch: &mut Batch<Record>) -> TaskResult {
        self.count += batch.len() as u64;
        self.sum = batch.records.drain(..).fold(self.sum, |sum, (_, value)| sum.wrapping_add(value));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        if event == Event::End {
            std::hint::black_box(self.sum);
            self.total.fetch_add(self.count, Relaxed);
        }
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

fn operator(name: &str) -> OperatorName {
    OperatorName { id: operator_id(1), name: name.into() }
}

fn chain(total: Arc<AtomicU64>) -> Arc<dyn JobProgram> {
    Arc::new(BuiltBy(move |mut wiring: TaskWiring| {
        let task = wiring.info().clone();
        let last = Map { function: |(a, b): Record| (a + 1, b ^ a), out: Batch::default() };
        let last = Chained::open(operator("map 2"), last, Discard::boxed(&total), &task)?;
        let filter = Filter(|record: &Record| record.1 & 3 != 0);
        let filter = Chained::open(operator("filter"), filter, Box::new(last), &task)?;
        let first = Map { function: |(a, b): Record| (a, b.wrapping_mul(31) + 7), out: Batch::default() };
        let first = Chained::open(operator("map 1"), first, Box::new(filter), &task)?;
        let source = Generator(|number| (number, mix(number) >> 8));
        SourceHead::new(Arc::new(source), operator("source"), None, Box::new(first), &mut wiring)
    }))
}

fn by_key(wiring: &mut TaskWiring) -> TaskResult<Box<dyn Output<Record>>> {
    wiring.writer(EdgeIndex(0), Partitioner::hash(|record: &Record| record.0))
}

fn shuffle(total: Arc<AtomicU64>) -> Arc<dyn JobProgram> {
    Arc::new(BuiltBy(move |mut wiring: TaskWiring| {
        if wiring.info().vertex == vertex_id(1) {
            let out = by_key(&mut wiring)?;
            let source = Generator(|number| (below(KEYS, mix(number)), number & 0xffff));
            SourceHead::new(Arc::new(source), operator("source"), None, out, &mut wiring)
        } else {
            let gate = wiring.input_gate::<Record>(0)?;
            Ok(OneInputHead::new(gate, Discard::boxed(&total), &mut wiring))
        }
    }))
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel keeps account");
    let time = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    time(usage.user_time()) + time(usage.system_time())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

struct Shape {
    name: &'static str,
    hosts: usize,
    slots: u32,
    parallelism: u32,
    exchange: bool,
}

fn throughput(shape: &Shape) {
    let records = setting("FLOTT_BENCH_RECORDS", 50_000_000);
    let (mut least_cpu, mut least_time) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..setting("FLOTT_BENCH_RUNS", 5) {
        let total = Arc::new(AtomicU64::new(0));
        let (vertices, edges, program) = if shape.exchange {
            let vertices = vec![("source", shape.parallelism), ("sink", shape.parallelism)];
            (vertices, vec![(1, 2, ShipStrategy::Hash)], shuffle(total.clone()))
        } else {
            (vec![("source", shape.parallelism)], Vec::new(), chain(total.clone()))
        };
        let graph = graph(&vertices, &edges);
        let cluster = Cluster::with_slots(shape.hosts, shape.slots, &graph, program);
        let share = records / u64::from(shape.parallelism);
        let split = |reader| Bytes::from(codec::to_vec(&(reader * share, (reader + 1) * share)).expect("two numbers"));
        let (cpu_before, start) = (cpu(), Instant::now());
        cluster.deploy(0);
        cluster.finish((0..u64::from(shape.parallelism)).map(split));
        let (cpu, time) = (cpu() - cpu_before, start.elapsed());
        let given = share * u64::from(shape.parallelism);
        let arrived = total.load(Relaxed);
        assert!(if shape.exchange { arrived == given } else { arrived < given && arrived > given / 2 });
        least_cpu = least_cpu.min(cpu.as_secs_f64() * 1e9 / given as f64);
        least_time = least_time.min(time.as_secs_f64() * 1e9 / given as f64);
    }
    let rate = 1e3 / least_time;
    println!("{:<28} {least_cpu:6.2} ns CPU a record {least_time:6.2} ns a record {rate:7.1} M records/s", shape.name);
}

/// Records are due every millisecond and carry when they were due, so that a late source counts as latency too.
struct Paced {
    began: Instant,
}

struct PacedReader {
    began: Instant,
    readers: u64,
    step: u64,
    steps: u64,
    woken: Arc<Alarm>,
}

/// Wakes readers at the millisecond. Timers of the executor are a millisecond coarse, which would be all that is seen.
#[derive(Default)]
struct Alarm(parking_lot::Mutex<Vec<(Instant, Waker)>>);

static ALARM: std::sync::OnceLock<Arc<Alarm>> = std::sync::OnceLock::new();

fn alarm(began: Instant) -> Arc<Alarm> {
    let start = || {
        let alarm = Arc::new(Alarm::default());
        let own = alarm.clone();
        std::thread::spawn(move || {
            // Else the kernel may wake this thread 50 µs late, to save wake-ups.
            nix::sys::prctl::set_timerslack(1).expect("this thread has a timer slack");
            for step in 0.. {
                let due = began + Duration::from_millis(step);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let mut waiting = own.0.lock();
                let ready: Vec<_> = waiting.extract_if(.., |(due, _)| *due <= Instant::now()).collect();
                drop(waiting);
                ready.into_iter().for_each(|(_, waker)| waker.wake());
            }
        });
        alarm
    };
    ALARM.get_or_init(start).clone()
}

impl Source for Paced {
    type Item = (u64, u64, u64);
    type Split = u64;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<u64>> {
        Ok(Vec::new())
    }

    fn open(&self, steps: u64, task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Self::Item, u64>>> {
        let (began, readers) = (self.began, task.parallelism.into());
        Ok(Box::new(PacedReader { began, readers, step: 0, steps, woken: alarm(began) }))
    }
}

impl SplitReader<(u64, u64, u64), u64> for PacedReader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<(u64, u64, u64)>) -> Poll<TaskResult<ReadStatus>> {
        let due = Duration::from_millis(self.step);
        if self.began.elapsed() < due {
            self.woken.0.lock().push((self.began + due, cx.waker().clone()));
            return Poll::Pending;
        }
        let count = PACE / 1000 / self.readers;
        let first = self.step * count;
        let due = due.as_nanos() as u64;
        batch.records.extend((first..first + count).map(|number| (below(KEYS, mix(number)), number, due)));
        self.step += 1;
        Poll::Ready(Ok(if self.step == self.steps { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> u64 {
        self.steps - self.step
    }
}

struct Recorder {
    began: Instant,
    micros: Vec<u32>,
    all: Arc<parking_lot::Mutex<Vec<u32>>>,
}

impl Output<(u64, u64, u64)> for Recorder {
    fn collect(&mut self, batch: &mut Batch<(u64, u64, u64)>) -> TaskResult {
        for (_, _, due) in batch.records.drain(..) {
            if due >= WARM_SECONDS * 1_000_000_000 {
                let now = self.began.elapsed().as_nanos() as u64;
                self.micros.push(((now - due) / 1000) as u32);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        if event == Event::End {
            self.all.lock().append(&mut self.micros);
        }
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

fn latency() {
    let began = Instant::now() + Duration::from_millis(200);
    let all = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let results = all.clone();
    let program = BuiltBy(move |mut wiring: TaskWiring| {
        if wiring.info().vertex == vertex_id(1) {
            let partitioner = Partitioner::hash(|record: &(u64, u64, u64)| record.0);
            let out = wiring.writer(EdgeIndex(0), partitioner)?;
            SourceHead::new(Arc::new(Paced { began }), operator("source"), None, out, &mut wiring)
        } else {
            let gate = wiring.input_gate::<(u64, u64, u64)>(0)?;
            let recorder = Recorder { began, micros: Vec::with_capacity(1 << 20), all: all.clone() };
            Ok(OneInputHead::new(gate, Box::new(recorder), &mut wiring))
        }
    });
    let graph = graph(&[("source", 2), ("recorder", 2)], &[(1, 2, ShipStrategy::Hash)]);
    let cluster = Cluster::with_slots(2, 1, &graph, Arc::new(program));
    let before = cpu();
    cluster.deploy(0);
    let split = Bytes::from(codec::to_vec(&(PACED_SECONDS * 1000)).expect("a number"));
    cluster.finish([split.clone(), split]);
    let cores = (cpu() - before).as_secs_f64() / PACED_SECONDS as f64;
    let mut micros = std::mem::take(&mut *results.lock());
    micros.sort_unstable();
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    println!(
        "{:<28} p50 {} µs, p99 {} µs, p99.9 {} µs, most {} µs at {PACE} records/s, {cores:.3} cores",
        "latency between processes",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn main() {
    // Cargo adds an argument of its own.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let shapes = [
        Shape { name: "chain", hosts: 1, slots: 1, parallelism: 1, exchange: false },
        Shape { name: "shuffle in a process, 1", hosts: 1, slots: 1, parallelism: 1, exchange: true },
        Shape { name: "shuffle in a process, 2", hosts: 1, slots: 2, parallelism: 2, exchange: true },
        Shape { name: "shuffle between processes", hosts: 2, slots: 1, parallelism: 2, exchange: true },
    ];
    shapes.iter().filter(|shape| is_wanted(shape.name)).for_each(throughput);
    if is_wanted("latency") {
        latency();
    }
}
