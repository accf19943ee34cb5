//! CPU per record of windows: `cargo bench -p flott --bench windows [-- WORKLOAD…]`.
//!
//! `FLOTT_BENCH_RECORDS` sets the records of a run, `FLOTT_BENCH_RUNS` the runs, of which the least CPU is printed. CPU is
//! that of the whole process by `getrusage`, generator, shuffle and kernel included: take the line `keyed` off the others.
//!
//! # The arithmetic
//! For a session of a `(u64, i64)` on a core of 2.5 GHz: the key's entry lies in a table of some megabytes, and its load,
//! begun for the whole batch at once, costs 10 to 20 ns; comparing the window with the one that is there, growing it, and
//! asking the trigger are some 60 instructions without a division, 10 ns; moving the record into the fold 2 ns. Timers cost a
//! search in a tree, a clone of the key and an allocation, 200 to 300 ns together, but once per gap and key and not per
//! record. So 30 to 50 ns where keys are busy, and the budget of 150 ns is for a timer with every other record.

use std::{hint::black_box, time::Duration};

use flott::{
    Environment, EventTimeSessionWindows, ExecutionMode, KeyedStream, SlidingEventTimeWindows, Stream,
    TumblingEventTimeWindows, WatermarkStrategy,
};
use nix::sys::resource::{UsageWho, getrusage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Record = (u64, i64);

/// Records of a millisecond.
const PER_MILLI: u64 = 100;

fn mix(number: u64) -> u64 {
    let product = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xbf58_476d_1ce4_e5b9;
    product as u64 ^ (product >> 64) as u64
}

fn keyed(env: &Environment, records: u64, keys: u64) -> KeyedStream<u64, Record> {
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|record: &Record| record.1);
    env.generate(records, move |number| (mix(number) % keys, (number / PER_MILLI) as i64))
        .assign_timestamps_and_watermarks(strategy)
        .key_by(|record| record.0)
}

type Workload = fn(&KeyedStream<u64, Record>) -> Stream<(u64, u64)>;

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Name, keys and what is done.
const WORKLOADS: [(&str, u64, Workload); 8] = [
    ("keyed", 10_000, |keyed| keyed.count()),
    ("tumbling-1s", 10_000, |keyed| keyed.window(TumblingEventTimeWindows::of(millis(1_000))).count()),
    ("sliding-10s-2s", 10_000, |keyed| {
        keyed.window(SlidingEventTimeWindows::of(millis(10_000), millis(2_000))).count()
    }),
    // A record of a key each 100 ms.
    ("session-long", 10_000, |keyed| keyed.window(EventTimeSessionWindows::with_gap(millis(1_000))).count()),
    ("session-short", 10_000, |keyed| keyed.window(EventTimeSessionWindows::with_gap(millis(100))).count()),
    ("session-many-keys", 1_000_000, |keyed| keyed.window(EventTimeSessionWindows::with_gap(millis(30_000))).count()),
    ("count-100", 10_000, |keyed| keyed.count_window(100).count()),
    ("apply-1s", 10_000, |keyed| {
        keyed
            .window(TumblingEventTimeWindows::of(millis(1_000)))
            .apply(|key, _, records, out| out.emit((*key, records.len() as u64)))
    }),
];

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process's usage");
    let time =
        |time: nix::sys::time::TimeVal| Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64);
    time(usage.user_time()) + time(usage.system_time())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let (records, runs) = (setting("FLOTT_BENCH_RECORDS", 10_000_000), setting("FLOTT_BENCH_RUNS", 3));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!("{records} records, least CPU of {runs} runs");
    for (name, keys, workload) in WORKLOADS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let run = || {
            let env = Environment::local();
            env.set_parallelism(1);
            env.set_mode(ExecutionMode::Streaming);
            let mut results = 0u64;
            workload(&keyed(&env, records, keys)).for_each(move |result| {
                results += 1;
                black_box((result, results));
            });
            let before = cpu();
            env.execute(name).expect("the job");
            cpu() - before
        };
        let least = (0..runs).map(|_| run()).min().unwrap_or_default();
        println!("{name:20} {:6.1} ns a record", least.as_nanos() as f64 / records as f64);
    }
}
