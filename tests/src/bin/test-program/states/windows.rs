//! Whatever windows keep: slices, sessions, records, counts, and state of functions.

use std::time::Duration;

use flott::{
    CountEvictor, CountTrigger, EventTimeSessionWindows, FunctionResult, ProcessWindowFunction,
    SlidingEventTimeWindows, Stream, TimeWindow, TumblingEventTimeWindows, WindowContext, WindowListState,
    WindowMapState, WindowOpen, WindowValueState,
};

use super::key;

fn add(sum: &mut u64, number: u64) {
    *sum += number;
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn lines(numbers: &Stream<u64>) -> Vec<Stream<String>> {
    let keyed = numbers.key_by(key);
    // Slices that windows share, which are kept for late records when windows have fired.
    let sliding = keyed
        .window(SlidingEventTimeWindows::of(ms(900), ms(300)))
        .allowed_lateness(ms(600))
        .reduce_with(add, |key, window, sum, out| out.emit(format!("sliding {key} {} {sum}", window.start)))
        .uid("sliding");
    let all = numbers
        .window_all(TumblingEventTimeWindows::of(ms(800)))
        .reduce_with(add, |window, sum, out| out.emit(format!("all {} {sum}", window.start)))
        .uid("all");
    let sessions = numbers
        .filter(|number| number / 50 % 3 != 2)
        .key_by(key)
        .window(EventTimeSessionWindows::with_gap(ms(200)))
        .reduce_with(add, |key, window, sum, out| {
            out.emit(format!("session {key} {} {} {sum}", window.start, window.end));
        })
        .uid("sessions");
    let gathered = keyed
        .window(TumblingEventTimeWindows::of(ms(900)))
        .apply(|key, window, numbers, out| out.emit(format!("gathered {key} {} {numbers:?}", window.start)))
        .uid("gathered");
    let counted = keyed.count_window(8).reduce(add).uid("counted").map(|sum| format!("counted {sum}"));
    let last = keyed
        .count_window_sliding(5, 4)
        .apply(|key, _, numbers, out| out.emit(format!("last {key} {numbers:?}")))
        .uid("last");
    let evicted = keyed
        .window(TumblingEventTimeWindows::of(ms(1_000)))
        .trigger(CountTrigger::of(4))
        .evictor(CountEvictor::of(3).after())
        .apply(|key, window, numbers, out| out.emit(format!("evicted {key} {} {numbers:?}", window.start)))
        .uid("evicted");
    let remembered = keyed
        .window(TumblingEventTimeWindows::of(ms(1_000)))
        .trigger(CountTrigger::of(3))
        .process(Remembered::default())
        .uid("remembered");
    vec![sliding, all, sessions, gathered, counted, last, evicted, remembered]
}

/// What a window remembers of how it has fired before.
#[derive(Clone, Default)]
struct Remembered {
    sizes: WindowListState<TimeWindow, u64>,
    often: WindowMapState<TimeWindow, u64, u64>,
    last: WindowValueState<TimeWindow, u64>,
}

impl ProcessWindowFunction for Remembered {
    type Key = u64;
    type Window = TimeWindow;
    type In = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut WindowOpen<'_, u64, TimeWindow>) -> FunctionResult {
        self.sizes = ctx.window_list("sizes")?;
        self.often = ctx.window_map("often")?;
        self.last = ctx.window_value("last")?;
        Ok(())
    }

    fn process(
        &mut self,
        key: &u64,
        window: &TimeWindow,
        numbers: &[u64],
        ctx: &mut WindowContext<'_, u64, TimeWindow, String>,
    ) -> FunctionResult {
        self.sizes.add(ctx, numbers.len() as u64)?;
        for number in numbers {
            *self.often.get_or_insert_with(ctx, &(number % 2), || 0)? += 1;
        }
        let last = self.last.get(ctx)?.copied();
        self.last.set(ctx, numbers.last().copied().unwrap_or_default())?;
        let sizes = self.sizes.get(ctx)?.to_vec();
        let often = [0, 1].map(|rest| self.often.get(ctx, &rest).map(|often| often.copied()));
        let [even, odd] = often;
        let line = format!("remembered {key} {} {sizes:?} {last:?} {:?} {:?}", window.start, even?, odd?);
        ctx.emit(line);
        Ok(())
    }
}
