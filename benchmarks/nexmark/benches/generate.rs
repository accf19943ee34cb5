//! Nanoseconds of processor time per event of the generator: `cargo bench -p flott-nexmark --bench generate`.
//!
//! The arithmetic: a bid draws some twenty random words (40 cycles), is one allocation and its release (50), and copies
//! 150 bytes of strings (20); at 3 GHz that is about 40 ns. Auctions are five times as large, and people two times, but
//! only eight of a hundred events.

use std::{hint::black_box, time::Duration};

use flott_nexmark::{
    event::Event,
    generator::{Generator, Options},
};
use nix::time::{ClockId, clock_gettime};

flott::allocator!();

/// Events per round, unless the arguments name another number (for tools that count instructions).
const EVENTS: u64 = 2_000_000;
const ROUNDS: usize = 7;
/// Events that are held at once, as in a batch.
const HELD: u64 = 256;

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock is there").into()
}

/// The best of some rounds, in nanoseconds per event.
fn best(events: u64, mut round: impl FnMut()) -> f64 {
    let once = |round: &mut dyn FnMut()| {
        let start = now();
        round();
        (now() - start).as_secs_f64() * 1e9 / events as f64
    };
    (0..ROUNDS).map(|_| once(&mut round)).fold(f64::INFINITY, f64::min)
}

fn measure(name: &str, options: Options) {
    let mut batch: Vec<Event> = Vec::with_capacity(HELD as usize);
    let events = options.count;
    let generator = Generator::new(options).expect("the options make sense");
    let time = best(events, || {
        for start in (0..events).step_by(HELD as usize) {
            generator.append(start, start + HELD, &mut batch);
            black_box(&batch);
            batch.clear();
        }
    });
    println!("{name:<24} {time:>6.1} ns/event");
}

fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(EVENTS);
    let options = || Options { count, ..Options::default() };
    measure("in order", options());
    measure("1 s out of order", Options { out_of_order_ms: 1_000, ..options() });
}
