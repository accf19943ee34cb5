//! Evictors, and functions with state.

use std::{sync::Arc, time::Duration};

use flott_runtime::{output::Operator, state::ValueState, time::Clock};

use super::{
    Bench, LATE, Values, emit,
    triggers::{Did, Did::Record as R, check_function, record, tens},
};
use crate::{
    function::{Collector, FunctionResult},
    operator::stand::{Kept, site, task},
    operator::{Aggregating, Closure, Evicting, Folding, Gathering, Late, Processing, WindowSpec, Windows},
    plan::KeyOf,
    window::{
        AnyEvictor, CountEvictor, CountTrigger, DeltaEvictor, EventTimeSessionWindows, EventTimeTrigger, Evictor,
        GlobalWindows, ProcessWindowFunction, TimeEvictor, TimeWindow, WindowContext, WindowOpen, WindowValueState,
    },
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[track_caller]
fn check_evictor(evictor: impl Evictor<(u8, i64), TimeWindow>, steps: &[(Did, &[&[i64]])]) {
    let function = Folding { fold: Aggregating(Values), emit: Closure::new(emit) };
    let function = Evicting { function, evictor: AnyEvictor::new(evictor) };
    check_function(tens(), CountTrigger::of(3), function, 0, steps);
}

#[test]
fn evictors_take_records_out_before_or_after() {
    let count = CountEvictor::of(2);
    let steps: &[(Did, &[&[i64]])] =
        &[(R(1), &[]), (R(2), &[]), (R(3), &[&[2, 3]]), (R(4), &[]), (R(5), &[]), (R(6), &[&[5, 6]])];
    check_evictor(count, steps);
    let steps: &[(Did, &[&[i64]])] =
        &[(R(1), &[]), (R(2), &[]), (R(3), &[&[1, 2, 3]]), (R(4), &[]), (R(5), &[]), (R(6), &[&[2, 3, 4, 5, 6]])];
    check_evictor(count.after(), steps);
    let steps: &[(Did, &[&[i64]])] = &[(R(1), &[]), (R(9), &[]), (R(6), &[&[6, 9]])];
    check_evictor(TimeEvictor::of(ms(4)), steps);
    let delta = DeltaEvictor::of(3.0, |element: &(u8, i64), last: &(u8, i64)| (element.1 - last.1).abs() as f64);
    let steps: &[(Did, &[&[i64]])] = &[(R(1), &[]), (R(4), &[]), (R(3), &[&[1, 3, 4]]), (R(8), &[]), (R(9), &[])];
    check_evictor(delta, steps);
    // Of what is no number it cannot be said that it is too much.
    let unknown = DeltaEvictor::of(3.0, |_: &(u8, i64), _: &(u8, i64)| f64::NAN);
    check_evictor(unknown, &[(R(1), &[]), (R(9), &[]), (R(3), &[&[1, 3, 9]])]);
}

#[test]
fn what_evictors_leave_may_be_nothing() {
    // Nothing was folded, so there is nothing to give.
    let nothing = CountEvictor::of(0);
    check_evictor(nothing, &[(R(1), &[]), (R(2), &[]), (R(3), &[]), (R(4), &[])]);
    // A function of all records is called with none.
    fn all(key: &u8, window: &TimeWindow, records: &[(u8, i64)], out: &mut Collector<'_, super::Fired>) {
        emit(key, window, records.iter().map(|record| record.1).collect(), out);
    }
    type All = fn(&u8, &TimeWindow, &[(u8, i64)], &mut Collector<'_, super::Fired>);
    let function = Evicting { function: Closure::new(all as All), evictor: AnyEvictor::new(nothing) };
    let steps: &[(Did, &[&[i64]])] = &[(R(1), &[]), (R(2), &[]), (R(3), &[&[]]), (R(4), &[])];
    check_function(tens(), CountTrigger::of(3), function, 0, steps);
}

#[test]
fn a_window_that_is_emptied_is_forgotten() {
    let function = Folding { fold: Aggregating(Values), emit: Closure::new(emit) };
    let function = Evicting { function, evictor: AnyEvictor::new(CountEvictor::of(0).after()) };
    let mut bench = Bench::new(GlobalWindows::create(), CountTrigger::of(2), function, 0, Clock::System);
    assert!(bench.records(&[record(1)]).is_empty());
    assert_eq!(bench.kept(), (1, 1, 0));
    assert_eq!(bench.records(&[record(2)]).len(), 1);
    assert_eq!(bench.kept(), (0, 0, 0));
}

/// Numbers the firings of each window and of all windows of the key, and counts windows that are over.
#[derive(Clone, Default)]
struct Numbering {
    of_window: WindowValueState<TimeWindow, u32>,
    of_key: ValueState<u32>,
}

impl ProcessWindowFunction for Numbering {
    type Key = u8;
    type Window = TimeWindow;
    type In = (u8, i64);
    type Out = (i64, usize, u32, u32);

    fn open(&mut self, ctx: &mut WindowOpen<'_, u8, TimeWindow>) -> FunctionResult {
        self.of_window = ctx.window_value("number")?;
        self.of_key = ctx.value("number")?;
        Ok(())
    }

    fn process(
        &mut self,
        key: &u8,
        window: &TimeWindow,
        elements: &[(u8, i64)],
        ctx: &mut WindowContext<'_, u8, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        assert!(elements.iter().all(|element| element.0 == *key));
        let of_window = self.of_window.get_or_insert_with(ctx, || 0)?;
        *of_window += 1;
        let of_window = *of_window;
        let of_key = self.of_key.get_or_insert_with(ctx, || 0)?;
        *of_key += 1;
        let of_key = *of_key;
        ctx.emit((window.start, elements.len(), of_window, of_key));
        Ok(())
    }

    fn clear(
        &mut self,
        _: &u8,
        window: &TimeWindow,
        ctx: &mut WindowContext<'_, u8, TimeWindow, Self::Out>,
    ) -> FunctionResult {
        let number = self.of_window.take(ctx)?.unwrap_or(0);
        ctx.emit((window.start, 0, number, 0));
        Ok(())
    }
}

#[test]
fn process_functions_have_state_per_window_and_per_key() {
    let mut bench = Bench::new(tens(), EventTimeTrigger, Gathering(Processing(Numbering::default())), 5, Clock::System);
    assert_eq!(bench.records(&[record(1), record(2), record(11)]), []);
    assert_eq!(bench.watermark(9), [(0, 2, 1, 1)]);
    assert_eq!(bench.records(&[record(3)]), [(0, 3, 2, 2)]);
    assert_eq!(bench.watermark(14), [(0, 0, 2, 0)]);
    assert_eq!(bench.watermark(i64::MAX), [(10, 1, 1, 3), (10, 0, 1, 0)]);
    assert_eq!(bench.kept(), (0, 0, 0));
}

#[test]
fn state_per_window_is_refused_where_windows_merge() {
    let windows = EventTimeSessionWindows::with_gap(ms(10));
    let spec = WindowSpec {
        assigner: windows,
        trigger: EventTimeTrigger,
        function: Gathering(Processing(Numbering::default())),
        lateness_ms: 0,
        late: Late::default(),
    };
    let task = task(Clock::System);
    let site = site(task.clone(), &LATE, Kept::default());
    let keys: Arc<dyn KeyOf<(u8, i64), u8>> = Arc::new(crate::plan::MadeKey(|record: &(u8, i64)| record.0));
    let mut operator = Windows::new(spec, keys, &site);
    let failure = operator.open(&task).unwrap_err();
    assert!(failure.to_string().contains("windows merge here"), "{failure}");
}
