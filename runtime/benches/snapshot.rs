//! Snapshots of large tables: `cargo bench -p flott-runtime --bench snapshot [-- TABLE…]`.
//!
//! `FLOTT_BENCH_KEYS` sets the keys, `FLOTT_BENCH_RUNS` the runs, of which the least time is printed.
//!
//! # The arithmetic
//! 10 million entries of 24 bytes in 16.8 million places are 470 MB, and 8 MB of marks. A cut touches none of them. To give
//! an entry: a step of a nearly sequential walk through the table, 2 ns of hash, 10 ns to copy it to one of 128 runs.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use flott_core::{
    codec,
    key_group::{KeyGroupRange, MaxParallelism},
};
use flott_runtime::{
    batch::Data,
    error::TaskResult,
    state::{Content, Extent, FoldTable, GroupEntries, GroupSpace, HeapTable, KeyHash, Progress, Snapshot},
};
use nix::sys::resource::{UsageWho, getrusage};

/// Bytes of a step.
const STEP_BYTES: usize = 64 << 10;

/// The CPU time of this thread so far: what others do on the machine does not count.
fn now() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the thread knows its own usage");
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn since(start: Duration) -> Duration {
    now().saturating_sub(start)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// What a snapshot took: the cut and the steps by the clock, all in CPU time, which comes in ticks.
struct Taken {
    cut: Duration,
    /// Of a thousand steps, all but one took no longer.
    long: Duration,
    longest: Duration,
    all: Duration,
    steps: usize,
    bytes: usize,
}

fn take(table: &mut dyn Snapshot, extent: Extent, mut sink: impl FnMut(GroupEntries<'_>)) -> TaskResult<Taken> {
    let max = MaxParallelism::new(128).expect("128 are allowed");
    let groups = GroupSpace { max, held: KeyGroupRange::all(max) };
    let (start, begin) = (now(), Instant::now());
    table.begin(extent, groups)?;
    let (cut, mut steps, mut bytes) = (begin.elapsed(), Vec::new(), 0);
    loop {
        let step = Instant::now();
        let progress = table.advance(STEP_BYTES, &mut |entries| {
            bytes += entries.bytes.len();
            sink(entries);
            Ok(())
        })?;
        steps.push(step.elapsed());
        if progress == Progress::Done {
            break;
        }
    }
    let all = since(start);
    steps.sort_unstable();
    let at = |part: usize| steps.get(part.saturating_sub(1)).copied().unwrap_or_default();
    let long = at((steps.len() * 999).div_ceil(1000));
    Ok(Taken { cut, long, longest: at(steps.len()), all, steps: steps.len(), bytes })
}

fn print(name: &str, what: &str, runs: &[Taken]) {
    let least = |of: fn(&Taken) -> Duration| runs.iter().map(of).min().unwrap_or_default().as_secs_f64() * 1000.0;
    let Some(first) = runs.first() else { return };
    println!(
        "{name:<12} {what:<10} {:>8.1} MB {:>6} steps  cut {:>6.3} ms  steps {:>6.3} ms, longest {:>6.3} ms  \
         all {:>8.1} ms",
        first.bytes as f64 / 1e6,
        first.steps,
        least(|taken| taken.cut),
        least(|taken| taken.long),
        least(|taken| taken.longest),
        least(|taken| taken.all),
    );
}

/// Whether something of this name shall be measured.
fn wanted(name: &str) -> bool {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    only.is_empty() || only.iter().any(|wanted| wanted == name)
}

fn measure<T: Snapshot + Default>(name: &str, keys: u64, mut write: impl FnMut(&mut T, u64)) -> TaskResult {
    if !wanted(name) {
        return Ok(());
    }
    let runs = setting("FLOTT_BENCH_RUNS", 3);
    let (mut firsts, mut wholes, mut changes, mut quiet, mut stored) = (vec![], vec![], vec![], vec![], vec![]);
    let mut writes = [f64::MAX; 3];
    let hundredth = keys / 100;
    let spread = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys;
    for _ in 0..runs {
        let mut table = T::default();
        (0..keys).for_each(|n| write(&mut table, n));
        let mut time = |table: &mut T, index: usize| {
            let start = now();
            (0..hundredth).for_each(|n| write(table, spread(n)));
            writes[index] = since(start).as_nanos() as f64 / hundredth as f64;
        };
        time(&mut table, 0);
        firsts.push(take(&mut table, Extent::Whole, |entries| _ = black_box(entries.count))?);
        time(&mut table, 1);
        changes.push(take(&mut table, Extent::Changed, |entries| _ = black_box(entries.count))?);
        quiet.push(take(&mut table, Extent::Changed, |entries| _ = black_box(entries.count))?);
        stored.clear();
        wholes.push(take(&mut table, Extent::Whole, |entries| {
            stored.push((entries.content, entries.count, entries.bytes.to_vec()));
        })?);
        // While the next is given, all that is changed is kept aside first.
        let groups = MaxParallelism::new(128).expect("128 are allowed");
        table.begin(Extent::Whole, GroupSpace { max: groups, held: KeyGroupRange::all(groups) })?;
        time(&mut table, 2);
    }
    print(name, "first", &firsts);
    print(name, "whole", &wholes);
    print(name, "changed 1%", &changes);
    print(name, "changed 0%", &quiet);
    let [never, after, during] = writes;
    println!(
        "{name:<12} writes     {never:.1} ns without a snapshot, {after:.1} ns after one, {during:.1} ns during one"
    );
    for expected in [0, keys as usize] {
        let mut least = Duration::MAX;
        for _ in 0..runs {
            let mut table = T::default();
            let start = now();
            table.expect(expected)?;
            for (content, count, bytes) in &stored {
                match content {
                    Content::Values => table.restore(*count, bytes)?,
                    Content::Removed => table.forget(*count, bytes)?,
                }
            }
            least = least.min(since(start));
        }
        let how = if expected > 0 { "with" } else { "without" };
        println!("{name:<12} restored   {:>8.1} ms {how} the number known", least.as_secs_f64() * 1000.0);
    }
    Ok(())
}

fn heap<V: Data>(name: &str, keys: u64, value: impl Fn(u64) -> V) -> TaskResult {
    if !wanted(name) {
        return Ok(());
    }
    let mut table = HeapTable::default();
    (0..keys).for_each(|key| table.set(KeyHash::of(&key), &key, value(key)));
    let (start, mut bytes, mut all) = (now(), Vec::with_capacity(2 * STEP_BYTES), 0);
    for entry in table.iter() {
        codec::encode(&entry, &mut bytes).expect("it can be encoded");
        if bytes.len() > STEP_BYTES {
            all += black_box(&bytes).len();
            bytes.clear();
        }
    }
    let took = since(start).as_secs_f64() * 1000.0;
    println!("{name:<12} encoded    {:>8.1} MB one after the other: {took:.1} ms", (all + bytes.len()) as f64 / 1e6);
    drop(table);
    measure(name, keys, |table: &mut HeapTable<u64, V>, key| table.set(KeyHash::of(&key), &key, value(key)))
}

fn main() -> TaskResult {
    let keys = setting("FLOTT_BENCH_KEYS", 10_000_000);
    heap("heap-16", keys, |key| [key; 2])?;
    heap("heap-64", keys, |key| [key; 8])?;
    heap("heap-string", keys / 4, |key| format!("{key:>100}"))?;
    measure("fold-16", keys, |table: &mut FoldTable<u64, [u64; 2]>, key| {
        let add = |(): &mut (), held: &mut [u64; 2], key| *held = [key; 2];
        table.fold(KeyHash::of(&key), key, key, &mut (), |(), key| [key; 2], add);
    })
}
