//! Windows of two streams.

use std::{sync::Arc, time::Duration};

use flott_runtime::{
    batch::BATCH_RECORDS,
    event::Event,
    output::{Drained, Operator},
    time::Clock,
};

use crate::{
    function::{Collector, OutputTag},
    operator::Late,
    operator::stand::{Driver, Kept, Seen, site, task},
    operator::window::{Joining, Pairing, WindowSpec, Windows},
    plan::KeyOf,
    window::{EventTimeTrigger, TaggedUnion, TimeWindow, TumblingEventTimeWindows},
};

type Tagged = TaggedUnion<u32, u32>;

const LATE: OutputTag<Tagged> = OutputTag::new("late");

/// Checks that `left` and `right` records of one window meet once each, and that no step gives much more than a batch.
#[track_caller]
fn check(left: u32, right: u32) {
    type Joiner = fn(&u8, &TimeWindow, &u32, &u32, &mut Collector<'_, (u32, u32)>);
    let join: Joiner = |_, _, left, right, out| out.emit((*left, *right));
    let spec = WindowSpec {
        assigner: TumblingEventTimeWindows::of(Duration::from_millis(10)),
        trigger: EventTimeTrigger,
        function: Pairing(Joining::new(join)),
        lateness_ms: 0,
        late: Late::default(),
    };
    let task = task(Clock::System);
    let keys_of: Arc<dyn KeyOf<Tagged, u8>> = Arc::new(crate::plan::MadeKey(|_: &Tagged| 0u8));
    let operator = Windows::new(spec, keys_of, &site(task.clone(), &LATE, Kept::default()));
    let mut driver = Driver::open(operator, &task);
    let records = (0..left).map(TaggedUnion::Left).chain((0..right).map(TaggedUnion::Right));
    driver.batch(records.map(|record| (record, Some(5)))).unwrap();

    driver.operator.event(Event::Watermark(9), &mut driver.out).unwrap();
    let mut pairs = Vec::new();
    let mut watermarks = 0;
    while driver.operator.resume(&mut driver.out).unwrap() == Drained::Some {
        let seen = driver.out.take();
        assert!(seen.len() <= 2 * BATCH_RECORDS, "{} in one step", seen.len());
        for seen in seen {
            assert_eq!(watermarks, 0, "the watermark comes last");
            match seen {
                Seen::Record(pair, _) => pairs.push(pair),
                Seen::Event(event) => {
                    assert_eq!(event, Event::Watermark(9));
                    watermarks += 1;
                }
            }
        }
    }
    assert_eq!(watermarks, 1);
    let expected: Vec<_> = (0..left).flat_map(|left| (0..right).map(move |right| (left, right))).collect();
    assert!(pairs == expected, "{} pairs of {left} and {right}", pairs.len());
    assert_eq!(driver.operator.kept(), (0, 0, 0));
}

#[test]
fn what_meets_comes_a_batch_at_a_time() {
    for (left, right) in [(0, 3), (3, 0), (1, 1), (32, 32), (32, 33), (1_500, 3), (3, 1_500), (700, 800)] {
        check(left, right);
    }
}
