//! Nanoseconds per record of the codec and the stable hash: `cargo bench -p flott-core --bench codec`.
//!
//! The arithmetic: a `(u64, u64)` is 16 bytes in and 16 out, so at one load and one store of 8 bytes per cycle some four
//! cycles, a little over a nanosecond at 3 GHz; a string adds a call to `memcpy` and, read, one to the allocator.

use std::hint::black_box;
use std::time::Instant;

use flott_core::codec::{decode_batch_into, encode, encode_batch};
use flott_core::key_group::{KeyGroupAssignment, MaxParallelism, stable_hash};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const RECORDS: usize = 4096;
const ROUNDS: usize = 300;

#[derive(Clone, Serialize, Deserialize)]
struct Numbers {
    auction: u64,
    bidder: u64,
    price: i64,
    channel: u8,
    time: f64,
}

/// The best of many rounds, in nanoseconds per record.
fn best(mut round: impl FnMut()) -> f64 {
    let once = |round: &mut dyn FnMut()| {
        let start = Instant::now();
        round();
        start.elapsed().as_secs_f64() * 1e9 / RECORDS as f64
    };
    (0..ROUNDS).map(|_| once(&mut round)).fold(f64::INFINITY, f64::min)
}

fn measure<T: Serialize + DeserializeOwned>(name: &str, records: Vec<T>) {
    let mut bytes = Vec::new();
    let batch = best(|| {
        bytes.clear();
        encode_batch(black_box(&records), black_box(&mut bytes)).expect("records are plain");
    });
    let single = best(|| {
        bytes.clear();
        for record in black_box(&records) {
            encode(record, black_box(&mut bytes)).expect("records are plain");
        }
    });
    let mut back: Vec<T> = Vec::new();
    let decoding = best(|| {
        back.clear();
        decode_batch_into(black_box(&bytes), RECORDS, black_box(&mut back)).expect("these bytes were just written");
    });
    let size = bytes.len() as f64 / RECORDS as f64;
    println!(
        "{name:<16} {size:>6.1} bytes  encode {batch:>6.2}  one by one {single:>6.2}  decode {decoding:>6.2} ns/record"
    );
}

fn measure_hash<K: Serialize>(name: &str, keys: Vec<K>) {
    let hash = best(|| {
        black_box(black_box(&keys).iter().fold(0, |sum: u64, key| sum.wrapping_add(stable_hash(key))));
    });
    let assignment = KeyGroupAssignment::new(MaxParallelism::LARGEST, 7).expect("7 is less than the maximum");
    let router = assignment.router();
    let route = best(|| {
        black_box(black_box(&keys).iter().fold(0, |sum: usize, key| sum.wrapping_add(router.route(stable_hash(key)))));
    });
    println!("{name:<16} hash {hash:>6.2}  hash and route {route:>6.2} ns/key");
}

fn main() {
    let numbers = || 0..RECORDS as u64;
    let word = |i: u64| "streamingdataflowengine"[..(3 + i % 14) as usize].to_string();
    measure("(u64, u64)", numbers().map(|i| (i, i * 3)).collect());
    measure("u64", numbers().collect());
    measure("(String, u64)", numbers().map(|i| (word(i), i)).collect());
    measure(
        "five numbers",
        numbers()
            .map(|i| Numbers { auction: i, bidder: i, price: -(i as i64), channel: i as u8, time: i as f64 })
            .collect(),
    );
    measure("Option<u64>", numbers().map(|i| (i % 3 != 0).then_some(i)).collect());
    measure("Vec<u64> of 8", numbers().map(|i| vec![i; 8]).collect());
    measure_hash("u64", numbers().collect());
    measure_hash("(u64, u64)", numbers().map(|i| (i, i)).collect());
    measure_hash("String 3 to 16", numbers().map(word).collect());
    measure_hash("String of 40", numbers().map(|i| format!("{i:040}")).collect());
}
