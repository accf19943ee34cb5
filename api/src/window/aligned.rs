//! Windows that are the same for all records.

use std::time::Duration;

use flott_runtime::{batch::Timestamp, time::TimeDomain};

use super::{AlignedKind, AlignedWindows, EventTimeTrigger, ProcessingTimeTrigger, TimeWindow, WindowAssigner, millis};
use crate::function::FunctionResult;

/// Most windows that one record may be in.
const WINDOWS_MAX: i64 = 1 << 20;

impl AlignedWindows {
    const fn new(kind: AlignedKind, domain: TimeDomain, size_ms: i64, slide_ms: i64) -> Self {
        Self { kind, domain, size_ms, slide_ms, offset_ms: 0 }
    }

    /// How far apart beginnings of windows are.
    fn period(&self) -> i64 {
        match self.kind {
            AlignedKind::Tumbling | AlignedKind::Sliding => self.slide_ms,
            AlignedKind::Cumulating => self.size_ms,
        }
    }

    /// Adds the windows that `at` is in, in order.
    #[inline]
    pub fn windows_at(&self, at: Timestamp, windows: &mut Vec<TimeWindow>) {
        let Self { kind, size_ms: size, slide_ms: slide, .. } = *self;
        let slide = slide.max(1);
        let start = last_start(at, self.offset_ms, self.period());
        // Less than the period, so it fits.
        let since = (i128::from(at) - start) as i64;
        match kind {
            AlignedKind::Tumbling => windows.push(cut(start, size)),
            AlignedKind::Sliding => {
                // The latest window begins at `start`; earlier ones count as long as they reach to `at`.
                let before = (size - since - 1).div_euclid(slide);
                windows.extend((0..=before).rev().map(|back| cut(start - i128::from(back) * i128::from(slide), size)));
            }
            AlignedKind::Cumulating => {
                for steps in since / slide + 1..=size / slide {
                    let window = cut(start, steps * slide);
                    windows.push(window);
                    // All longer ones would end here too.
                    if window.end == Timestamp::MAX {
                        break;
                    }
                }
            }
        }
    }

    /// What makes such windows impossible.
    fn problem(&self) -> Option<String> {
        let Self { kind, size_ms: size, slide_ms: slide, offset_ms: offset, .. } = *self;
        if size < 1 {
            return Some(format!("the size must be at least one millisecond, not {size} ms"));
        }
        if slide < 1 {
            let what = if kind == AlignedKind::Cumulating { "step" } else { "slide" };
            return Some(format!("the {what} must be at least one millisecond, not {slide} ms"));
        }
        if kind == AlignedKind::Cumulating && (size % slide != 0) {
            return Some(format!("the size must be a whole number of steps, but {size} ms is none of {slide} ms"));
        }
        if size / slide > WINDOWS_MAX {
            let windows = size / slide;
            return Some(format!("each record would be in {windows} windows; at most {WINDOWS_MAX} are possible"));
        }
        let period = self.period();
        if offset.unsigned_abs() >= period.unsigned_abs() {
            return Some(format!(
                "the offset must be less than {period} ms, the time between windows, not {offset} ms"
            ));
        }
        None
    }

    fn describe(&self, name: &str) -> String {
        let Self { kind, size_ms, slide_ms, offset_ms, .. } = self;
        match kind {
            AlignedKind::Tumbling => format!("{name}({size_ms} ms, offset {offset_ms} ms)"),
            AlignedKind::Sliding => format!("{name}({size_ms} ms every {slide_ms} ms, offset {offset_ms} ms)"),
            AlignedKind::Cumulating => format!("{name}({size_ms} ms in steps of {slide_ms} ms, offset {offset_ms} ms)"),
        }
    }
}

/// The last time at or before `at` that is `offset` and a multiple of `period`.
#[inline]
fn last_start(at: Timestamp, offset: i64, period: i64) -> i128 {
    match at.checked_sub(offset).map(|since| at.checked_sub(since.rem_euclid(period.max(1)))) {
        Some(Some(start)) => i128::from(start),
        _ => last_start_beyond(at, offset, period),
    }
}

/// As `last_start`, where timestamps end.
#[cold]
fn last_start_beyond(at: Timestamp, offset: i64, period: i64) -> i128 {
    let (at, offset, period) = (i128::from(at), i128::from(offset), i128::from(period.max(1)));
    at - (at - offset).rem_euclid(period)
}

#[inline]
fn clamp(at: i128) -> Timestamp {
    at.clamp(i128::from(Timestamp::MIN), i128::from(Timestamp::MAX)) as Timestamp
}

/// The window of `size` from `start`, as far as timestamps reach.
#[inline]
fn cut(start: i128, size: i64) -> TimeWindow {
    TimeWindow::new(clamp(start), clamp(start + i128::from(size)))
}

macro_rules! aligned {
    (
        $(#[$doc:meta])*
        $name:ident, $domain:ident, $trigger:ident, $kind:ident,
        $(#[$of_doc:meta])* ($($argument:ident),+) => ($size:expr, $slide:expr)
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(AlignedWindows);

        impl $name {
            $(#[$of_doc])*
            pub fn of($($argument: Duration),+) -> Self {
                Self(AlignedWindows::new(AlignedKind::$kind, TimeDomain::$domain, $size, $slide))
            }

            /// Windows begin so much later than at whole multiples of the time between them since 1970.
            #[must_use]
            pub fn offset(self, offset: Duration) -> Self {
                self.offset_ms(millis(offset))
            }

            /// As [`offset`](Self::offset), in milliseconds; less than zero for earlier, as where days begin before
            /// those of UTC. It must be less than the time between windows.
            #[must_use]
            pub fn offset_ms(mut self, offset_ms: i64) -> Self {
                self.0.offset_ms = offset_ms;
                self
            }
        }

        impl<T> WindowAssigner<T> for $name {
            type Window = TimeWindow;
            type Trigger = $trigger;

            fn time_domain(&self) -> TimeDomain {
                TimeDomain::$domain
            }

            fn default_trigger(&self) -> $trigger {
                $trigger::create()
            }

            #[inline]
            fn assign(&mut self, _: &T, at: Timestamp, windows: &mut Vec<TimeWindow>) -> FunctionResult {
                self.0.windows_at(at, windows);
                Ok(())
            }

            fn aligned(&self) -> Option<AlignedWindows> {
                Some(self.0)
            }

            fn problem(&self) -> Option<String> {
                self.0.problem()
            }

            fn describe(&self) -> String {
                self.0.describe(stringify!($name))
            }
        }
    };
}

aligned! {
    /// Windows of one size, one after the other, by the timestamps of records.
    TumblingEventTimeWindows, Event, EventTimeTrigger, Tumbling,
    /// Windows of `size`, at least one millisecond.
    (size) => (millis(size), millis(size))
}

aligned! {
    /// Windows of one size, one after the other, by the clock.
    TumblingProcessingTimeWindows, Processing, ProcessingTimeTrigger, Tumbling,
    /// Windows of `size`, at least one millisecond.
    (size) => (millis(size), millis(size))
}

aligned! {
    /// Windows of one size that begin again and again, by the timestamps of records. With a slide that is less than the
    /// size a record is in several of them; with one that is more, what is between windows is in none.
    SlidingEventTimeWindows, Event, EventTimeTrigger, Sliding,
    /// Windows of `size` that begin every `slide`, each at least one millisecond.
    (size, slide) => (millis(size), millis(slide))
}

aligned! {
    /// Windows of one size that begin again and again, by the clock. With a slide that is less than the size a record is in
    /// several of them; with one that is more, what is between windows is in none.
    SlidingProcessingTimeWindows, Processing, ProcessingTimeTrigger, Sliding,
    /// Windows of `size` that begin every `slide`, each at least one millisecond.
    (size, slide) => (millis(size), millis(slide))
}

aligned! {
    /// Windows that grow: every `size` one begins, gives what it has so far after each step, and starts over when it has
    /// its size; by the timestamps of records.
    CumulativeEventTimeWindows, Event, EventTimeTrigger, Cumulating,
    /// Windows that grow by `step` up to `size`, which must be a whole number of steps.
    (size, step) => (millis(size), millis(step))
}

aligned! {
    /// Windows that grow: every `size` one begins, gives what it has so far after each step, and starts over when it has
    /// its size; by the clock.
    CumulativeProcessingTimeWindows, Processing, ProcessingTimeTrigger, Cumulating,
    /// Windows that grow by `step` up to `size`, which must be a whole number of steps.
    (size, step) => (millis(size), millis(step))
}
