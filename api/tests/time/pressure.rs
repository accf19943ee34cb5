//! What a watermark sets off is much more than a batch, and yet little of it exists at once.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use flott::{
    BATCH_RECORDS, FunctionResult, KeyedContext, KeyedProcessFunction, OutputTag, SlidingEventTimeWindows, Stream,
    TimeWindow, Timer, TumblingEventTimeWindows, WindowAssigner,
    testing::{Harness, HarnessOptions},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static MOST_ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Tests count one after the other.
static COUNTING: Mutex<()> = Mutex::new(());

/// A record that is counted while it exists.
struct Counted(u64);

impl Counted {
    fn new(number: u64) -> Self {
        MOST_ALIVE.fetch_max(ALIVE.fetch_add(1, SeqCst) + 1, SeqCst);
        Self(number)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, SeqCst);
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::new)
    }
}

const ASIDE: OutputTag<Counted> = OutputTag::new("aside");

/// Gives `each` records for each record when its timer fires, to the main output or the side output in turn.
#[derive(Clone)]
struct Bursts {
    each: u64,
}

impl KeyedProcessFunction for Bursts {
    type Key = u64;
    type In = u64;
    type Out = Counted;

    fn process(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, Counted>) -> FunctionResult {
        match number % 3 {
            0 => ctx.register_processing_time_timer(number as i64)?,
            1 => ctx.register_processing_time_timer(i64::MAX)?,
            _ => ctx.register_event_time_timer(number as i64)?,
        };
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, Counted>) -> FunctionResult {
        for number in 0..self.each {
            let record = Counted::new(number);
            if timer.at % 2 == 0 { ctx.emit(record) } else { ctx.emit_to(&ASIDE, record)? }
        }
        Ok(())
    }
}

#[test]
fn what_timers_give_is_held_back_by_those_who_take_it() {
    let _counting = COUNTING.lock().unwrap();
    for (timers, each) in [(20_000, 1), (3_000, 50)] {
        MOST_ALIVE.store(0, SeqCst);
        let mut harness = Harness::with(HarnessOptions::new(), |numbers: Stream<u64>| {
            let bursts = numbers.key_by(|n| *n).process(Bursts { each });
            // Both outputs lead to another task, and count what they get.
            let aside =
                bursts.side_output(&ASIDE).key_by(|record| record.0 % 2).count().map(|count| (1, count.0, count.1));
            let main = bursts.key_by(|record| record.0 % 2).count().map(|count| (0, count.0, count.1));
            main.union([&aside])
        });
        harness.batch(0..timers).unwrap();
        // Due all at once: by the watermark, by the clock, and at the end.
        harness.watermark(timers as i64).unwrap();
        harness.set_time(timers as i64).unwrap();
        harness.end().unwrap();
        assert_eq!(harness.take().len() as u64, timers * each);
        assert_eq!(ALIVE.load(SeqCst), 0);
        // To either task: the credits, a partial batch, one held back, one at work; and a step that is one timer too long.
        let bound = 2 * 7 * BATCH_RECORDS + each as usize;
        let most = MOST_ALIVE.load(SeqCst);
        assert!((BATCH_RECORDS..=bound).contains(&most), "{most} records at once, of at most {bound}");
    }
}

/// Counts what 3,000 keys give, each 50 records for each of two windows.
fn check_windows(windows: impl WindowAssigner<u64, Window = TimeWindow>) {
    let (keys, each) = (3_000, 50);
    MOST_ALIVE.store(0, SeqCst);
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        let bursts = numbers
            .key_by(|n| *n)
            .window(windows)
            .reduce_with(|_, _| {}, move |_, _, _, out| (0..each).for_each(|number| out.emit(Counted::new(number))));
        bursts.key_by(|record| record.0 % 2).count()
    });
    harness.batch_at((0..keys).map(|n| (n, 15))).unwrap();
    harness.batch_at((0..keys).map(|n| (n, 25))).unwrap();
    harness.end().unwrap();
    assert!(harness.take().len() as u64 >= keys * each * 2);
    assert_eq!(ALIVE.load(SeqCst), 0);
    // The credits, a partial batch, one held back, one at work; and the keys that a step looks at before it asks.
    let bound = 7 * BATCH_RECORDS + 128 * each as usize;
    let most = MOST_ALIVE.load(SeqCst);
    assert!((BATCH_RECORDS..=bound).contains(&most), "{most} records at once, of at most {bound}");
}

#[test]
fn what_windows_give_is_held_back_by_those_who_take_it() {
    let _counting = COUNTING.lock().unwrap();
    check_windows(TumblingEventTimeWindows::of(Duration::from_millis(10)));
    check_windows(SlidingEventTimeWindows::of(Duration::from_millis(20), Duration::from_millis(10)));
}
