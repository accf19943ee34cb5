//! Keyed state on disk, of more than fits into its memory: `cargo bench -p flott-runtime --features disk --bench disk`.
//!
//! `FLOTT_BENCH_KEYS` sets how many keys there are (2 million), of about 110 bytes each, `FLOTT_BENCH_MEMORY_MB` what the backend
//! has (32), `FLOTT_BENCH_SECONDS` how long each workload goes on (5), and `TMPDIR` where the files are. With
//! `FLOTT_BENCH_HEAP=1` the same is done in memory. What the system keeps of files is not in the figures of memory: to have
//! reads come from the disk, run it in a control group with a limit.
//!
//! # The arithmetic
//! An access to an entry in memory is that of the heap, 10 ns, and a call, and a mark. One that is on disk reads a block of
//! 4 kB, checks and unpacks it (some 3 µs), looks in 5 to 7 files' filters (0.1 µs each), and drives out another entry, which is
//! written to the tree in memory (1 µs) and from there, over the levels, some 10 times to disk: 1 kB, 2 to 5 µs of another thread.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use flott_core::key_group::{KeyGroupRange, MaxParallelism};
use flott_runtime::{
    error::TaskResult,
    state::{Backend, Content, Disk, Extent, GroupSpace, KeyHash, KeyedStates, Progress, StateMeta, ValueState},
};

/// Bytes that are taken of a snapshot at a time, as tasks do.
const STEP_BYTES: usize = 256 << 10;

type States = (KeyedStates<u64>, ValueState<String>);
type Run = (StateMeta, Content, usize, Vec<u8>);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Resident memory now and at most, in MB.
fn resident() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb >> 10)
    };
    ["VmRSS:", "VmHWM:"].map(|name| figure(name).unwrap_or_default())
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (number ^ (number >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ (number >> 32)
}

/// A hundred bytes, of which half cannot be compressed.
fn value(key: u64, round: u64) -> String {
    let random = mix(key ^ (round << 40));
    format!("{random:016x}{:016x}{:016x}{key:052}", mix(random), mix(random + 1))
}

fn said(what: &str, count: u64, since: Instant) {
    let (taken, [now, most]) = (since.elapsed().as_secs_f64(), resident());
    let rate = count as f64 / taken / 1e3;
    println!("{what:<34} {count:>9} in {taken:>6.2} s {rate:>8.1} k/s   resident {now:>5} MB, at most {most:>5} MB");
}

fn access(states: &mut States, key: u64, update: Option<u64>) -> TaskResult {
    let (keyed, handle) = states;
    keyed.set_key(KeyHash::of(&key), key);
    match update {
        Some(round) => {
            handle.update(keyed, |held| *held = value(key, round))?;
        }
        None => _ = black_box(handle.get(keyed)?),
    }
    Ok(())
}

fn for_seconds(what: &str, states: &mut States, keys: u64, hot: bool, update: bool) -> TaskResult {
    let (begun, lasts) = (Instant::now(), Duration::from_secs(setting("FLOTT_BENCH_SECONDS", 5)));
    let (mut count, mut random) = (0, 1);
    while count % 1024 != 0 || begun.elapsed() < lasts {
        random = mix(random + count);
        // Hot: nine of ten go to one key in a hundred.
        let among = if hot && random % 10 != 0 { keys / 100 } else { keys };
        access(states, (random >> 8) % among.max(1), update.then_some(count))?;
        count += 1;
    }
    said(what, count, begun);
    Ok(())
}

/// Takes a snapshot as a task does but for the records in between: the longest step is what a record would wait.
fn snapshot(what: &str, keyed: &mut KeyedStates<u64>, extent: Extent, mut runs: Option<&mut Vec<Run>>) -> TaskResult {
    let max = MaxParallelism::new(128).expect("it is in range");
    let begun = Instant::now();
    keyed.begin_snapshot(extent, GroupSpace { max, held: KeyGroupRange::all(max) })?;
    let cut = begun.elapsed();
    let (mut bytes, mut entries, mut steps) = (0, 0, Vec::new());
    loop {
        let step = Instant::now();
        let progress = keyed.advance_snapshot(STEP_BYTES, &mut |meta, run| {
            (bytes, entries) = (bytes + run.bytes.len(), entries + run.count as u64);
            if let Some(runs) = &mut runs {
                runs.push((meta.clone(), run.content, run.count, run.bytes.to_vec()));
            }
            Ok(())
        })?;
        steps.push(step.elapsed());
        if progress == Progress::Done {
            break;
        }
    }
    said(what, entries, begun);
    steps.sort();
    let [longest, mostly] = [steps.len() - 1, (steps.len() * 99) / 100].map(|n| steps[n]);
    println!(
        "    {} MB; cut {cut:.1?}, {} steps, longest {longest:.1?}, 99 % at most {mostly:.1?}",
        bytes >> 20,
        steps.len()
    );
    Ok(())
}

fn states(backend: &Backend) -> TaskResult<States> {
    let mut keyed = KeyedStates::default();
    keyed.keep_in(backend);
    let handle = keyed.value("value")?;
    Ok((keyed, handle))
}

fn run() -> TaskResult {
    let (keys, memory) = (setting("FLOTT_BENCH_KEYS", 2_000_000), setting("FLOTT_BENCH_MEMORY_MB", 32));
    let backend = if setting("FLOTT_BENCH_HEAP", 0) == 1 {
        Backend::Heap
    } else {
        Backend::Disk(Disk::start(&std::env::temp_dir(), (memory as usize) << 20)?)
    };
    println!("{keys} keys, {memory} MB, {}", if matches!(backend, Backend::Heap) { "heap" } else { "disk" });
    let mut tested = states(&backend)?;
    let begun = Instant::now();
    for key in 0..keys {
        let (keyed, handle) = &mut tested;
        keyed.set_key(KeyHash::of(&key), key);
        handle.set(keyed, value(key, 0))?;
    }
    said("new keys", keys, begun);
    for_seconds("reads, all keys alike", &mut tested, keys, false, false)?;
    for_seconds("reads, nine of ten of 1 % of keys", &mut tested, keys, true, false)?;
    for_seconds("updates, all keys alike", &mut tested, keys, false, true)?;
    for_seconds("updates, nine of ten of 1 %", &mut tested, keys, true, true)?;
    // Snapshots that are kept take memory that is not the backend's.
    let mut runs = (setting("FLOTT_BENCH_RESTORE", 0) == 1).then(Vec::new);
    snapshot("snapshot of all", &mut tested.0, Extent::Whole, runs.as_mut())?;
    for key in (0..keys).step_by(100) {
        access(&mut tested, key, Some(7))?;
    }
    snapshot("snapshot, 1 % changed", &mut tested.0, Extent::Changed, None)?;
    for_seconds("updates, all alike, noted", &mut tested, keys, false, true)?;
    snapshot("snapshot of those", &mut tested.0, Extent::Changed, None)?;
    drop(tested);
    if let Some(runs) = runs {
        let begun = Instant::now();
        let mut restored = states(&backend)?;
        for (meta, content, count, bytes) in &runs {
            restored.0.restore(meta, *content, *count, bytes)?;
        }
        said("restored", keys, begun);
    }
    Ok(())
}

fn main() {
    if let Err(failure) = run() {
        eprintln!("{}", failure.report());
        std::process::exit(1);
    }
}
