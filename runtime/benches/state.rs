//! CPU per access of keyed state: `cargo bench -p flott-runtime --bench state [-- WORKLOAD…]`.
//!
//! `FLOTT_BENCH_RECORDS` sets the records of a run, `FLOTT_BENCH_RUNS` the runs, of which the least CPU is printed. With
//! `FLOTT_BENCH_TRACKED=1` a snapshot is taken before what is measured, so that changes are noted.
//!
//! # The arithmetic
//! Per record of a key in the nearest caches, at 0.4 ns a cycle: two multiplications for the hash (done once per record,
//! whatever is accessed), a load of the slot, a comparison of its type, a look-up of some 15 cycles.

use std::{hint::black_box, time::Duration};

use flott_core::key_group::{KeyGroupRange, MaxParallelism};
use flott_runtime::{
    batch::{BATCH_RECORDS, Timestamp},
    error::TaskResult,
    state::{Aggregate, Extent, GroupSpace, KeyHash, KeyedStates, Progress, StateTtl},
};
use nix::sys::resource::{UsageWho, getrusage};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process knows its own usage");
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    time(usage.user_time()) + time(usage.system_time())
}

/// Batches, a millisecond each, that values with a time-to-live live for.
const LIFE_BATCHES: u64 = 100;

#[derive(Clone)]
struct Sum;

impl Aggregate for Sum {
    type In = u64;
    type Accumulator = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, sum: &mut u64, value: u64) {
        *sum += value;
    }

    fn result(&self, sum: &u64) -> u64 {
        *sum
    }

    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}

/// Runs `access` for each of many keys, and prints what it takes.
fn measure(name: &str, keys: u64, open: impl Fn(&mut KeyedStates<u64>) -> TaskResult<Box<dyn Access>>) -> TaskResult {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
        return Ok(());
    }
    let (records, runs) = (setting("FLOTT_BENCH_RECORDS", 4_000_000), setting("FLOTT_BENCH_RUNS", 5));
    let mut best = f64::MAX;
    for _ in 0..runs {
        let mut states = KeyedStates::default();
        let access = open(&mut states)?;
        access.all(&mut states, keys, keys)?;
        if setting("FLOTT_BENCH_TRACKED", 0) == 1 {
            let max = MaxParallelism::new(128).expect("128 are allowed");
            states.begin_snapshot(Extent::Whole, GroupSpace { max, held: KeyGroupRange::all(max) })?;
            while states.advance_snapshot(1 << 20, &mut |_, _| Ok(()))? != Progress::Done {}
        }
        let before = cpu();
        access.all(&mut states, keys, records)?;
        best = best.min((cpu() - before).as_nanos() as f64 / records as f64);
    }
    println!("{name:<16} {keys:>9} keys {best:>8.1} ns a record");
    Ok(())
}

trait Access {
    fn all(&self, states: &mut KeyedStates<u64>, keys: u64, records: u64) -> TaskResult;
}

impl<F: Fn(&mut KeyedStates<u64>, u64) -> TaskResult> Access for F {
    fn all(&self, states: &mut KeyedStates<u64>, keys: u64, records: u64) -> TaskResult {
        for n in 0..records {
            let key = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys;
            states.set_key(KeyHash::of(&key), key);
            self(states, n)?;
        }
        Ok(())
    }
}

fn main() -> TaskResult {
    for keys in [1_000, 1_000_000] {
        measure("none", keys, |_| {
            Ok(Box::new(|states: &mut KeyedStates<u64>, _| {
                black_box(states.key()?);
                Ok(())
            }))
        })?;
        measure("value-get", keys, |states| {
            let value = states.value::<u64>("value")?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| match value.get(states)? {
                Some(value) => {
                    black_box(*value);
                    Ok(())
                }
                None => value.set(states, n),
            }))
        })?;
        measure("value-update", keys, |states| {
            let value = states.value::<u64>("value")?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| {
                *value.get_or_insert_with(states, || 0)? += n;
                Ok(())
            }))
        })?;
        measure("value-get-set", keys, |states| {
            let value = states.value::<u64>("value")?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| {
                let sum = value.get(states)?.copied().unwrap_or_default();
                value.set(states, sum + n)
            }))
        })?;
        measure("reducing", keys, |states| {
            let sum = states.reducing::<u64>("sum", |sum, n| *sum += n)?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| sum.add(states, n)))
        })?;
        measure("aggregating", keys, |states| {
            let sum = states.aggregating("sum", Sum)?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| sum.add(states, n)))
        })?;
        measure("ttl-update", keys, |states| {
            let ttl = StateTtl::new(Duration::from_millis(LIFE_BATCHES));
            let value = states.state("value").ttl(ttl).value::<u64>()?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| {
                if n % BATCH_RECORDS as u64 == 0 {
                    states.set_now((n / BATCH_RECORDS as u64) as Timestamp)?;
                }
                *value.get_or_insert_with(states, || 0)? += n;
                Ok(())
            }))
        })?;
        measure("ttl-lazy-update", keys, |states| {
            let ttl = StateTtl::new(Duration::from_millis(LIFE_BATCHES)).no_cleanup();
            let value = states.state("value").ttl(ttl).value::<u64>()?;
            Ok(Box::new(move |states: &mut KeyedStates<u64>, n| {
                if n % BATCH_RECORDS as u64 == 0 {
                    states.set_now((n / BATCH_RECORDS as u64) as Timestamp)?;
                }
                *value.get_or_insert_with(states, || 0)? += n;
                Ok(())
            }))
        })?;
    }
    Ok(())
}
