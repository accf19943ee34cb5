//! What goes when windows take no more late records.

use std::cell::Cell;

use flott_runtime::{batch::BATCH_RECORDS, state::Backend};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Aggregate,
    function::Collector,
    operator::{Aggregating, Closure, stand::task_with},
};

thread_local! {
    /// Values that there are.
    static LIVING: Cell<usize> = const { Cell::new(0) };
    /// Values that have been dropped.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// A count, of which it is noted when it comes and goes.
#[derive(Serialize, Deserialize)]
struct Noted(u64);

impl Noted {
    fn new(count: u64) -> Self {
        LIVING.set(LIVING.get() + 1);
        Self(count)
    }
}

impl Clone for Noted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        LIVING.set(LIVING.get() - 1);
        DROPPED.set(DROPPED.get() + 1);
    }
}

#[derive(Clone)]
struct Counting;

impl Aggregate for Counting {
    type In = u32;
    type Accumulator = Noted;
    type Out = u64;

    fn create(&self) -> Noted {
        Noted::new(0)
    }

    fn add(&self, count: &mut Noted, _: u32) {
        count.0 += 1;
    }

    fn result(&self, count: &Noted) -> u64 {
        count.0
    }

    fn merge(&self, into: &mut Noted, other: Noted) {
        into.0 += other.0;
    }
}

type Giving = fn(&u32, &TimeWindow, u64, &mut Collector<'_, u64>);
type Counted = SliceWindows<u32, u32, TimeWindow, Aggregating<Counting>, Closure<Giving, u64>>;

/// Windows of `shape`, with so many keys in each of the slices that begin at multiples of 10 before `until`.
fn filled(shape: Shape, lateness_ms: i64, keys: u32, until: i64) -> (Counted, Kept<u64>) {
    let give: Giving = |_, _, count, out| out.emit(count);
    let (domain, late) = (TimeDomain::Event, Late::default());
    let spec = SliceSpec { shape, domain, lateness_ms, fold: Aggregating(Counting), emit: Closure::new(give), late };
    // What is on disk goes with its files.
    let site = site(task_with(Clock::System, Backend::Heap), &OutputTag::<u32>::new("late"), Kept::default());
    let (mut operator, mut out) = (Counted::new(spec, Arc::new(MadeKey(|key: &u32| *key)), &site), Kept::default());
    for at in (0..until).step_by(10) {
        let mut batch = Batch::default();
        (0..keys).for_each(|key| batch.push_with(key, Some(at)));
        operator.process(&mut batch, &mut out).unwrap();
    }
    (operator, out)
}

fn watermark(operator: &mut Counted, at: i64, out: &mut Kept<u64>) {
    operator.event(Event::Watermark(at), out).unwrap();
    while operator.resume(out).unwrap() == Drained::Some {}
}

#[test]
fn what_has_fired_is_gone_when_its_watermark_passes_on() {
    let (mut operator, mut out) = filled(Shape::tumbling(10, 0), 0, 50, 30);
    watermark(&mut operator, 9, &mut out);
    assert_eq!(LIVING.get(), 100, "those of one window of three have gone");
    watermark(&mut operator, 30, &mut out);
    assert_eq!((LIVING.get(), operator.kept()), (0, 0));
    for shape in [Shape::sliding(30, 10, 0), Shape::cumulating(10, 30, 0)] {
        let (mut operator, mut out) = filled(shape, 0, 50, 30);
        watermark(&mut operator, 28, &mut out);
        assert!(LIVING.get() > 0, "others are still to come");
        watermark(&mut operator, 49, &mut out);
        assert_eq!((LIVING.get(), operator.kept()), (0, 0), "{shape:?}");
    }
}

/// A watermark that passes the lateness of many windows at once must not hold up all else while their keys are dropped.
#[test]
fn slices_that_are_over_go_a_batch_of_keys_at_a_time() {
    const SLICES: usize = 8;
    const KEYS: usize = 3_000;
    let (mut operator, mut out) = filled(Shape::tumbling(10, 0), 1_000, KEYS as u32, SLICES as i64 * 10);
    watermark(&mut operator, SLICES as i64 * 10, &mut out);
    let all = SLICES * KEYS;
    assert_eq!((out.records().len(), operator.state_size().keys), (all, all), "they have fired, and are kept");

    operator.event(Event::Watermark(10_000), &mut out).unwrap();
    let mut gone = 0;
    loop {
        DROPPED.set(0);
        if operator.resume(&mut out).unwrap() == Drained::All {
            break;
        }
        assert!(DROPPED.get() <= BATCH_RECORDS, "{} keys go in one step", DROPPED.get());
        gone += DROPPED.get();
    }
    assert_eq!((gone, operator.kept()), (all, 0));
    assert_eq!(out.take(), [Seen::Event(Event::Watermark(10_000))]);
}
