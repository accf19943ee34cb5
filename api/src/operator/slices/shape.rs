//! Which slices there are, and which windows they make up.
//!
//! Time is cut into slices of equal width, numbered from the offset on; a window is a run of slices. Everything is
//! reckoned in numbers of slices, and turned into milliseconds only to compare with a watermark and to name a window.
//!
//! Every timestamp has a slice whose number fits, so none are lost or mixed at the ends of time. Windows may begin and
//! end beyond them, where numbers are wider ([`Bound`]), and are cut when they become milliseconds.

use flott_runtime::batch::Timestamp;
use serde::{Deserialize, Serialize};

use crate::window::{AlignedKind, AlignedWindows};

/// Windows that are aligned with each other for all keys. Sizes are in milliseconds, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    kind: Kind,
    /// Width of a slice.
    width: i64,
    /// Where slices are wider than a millisecond: when slice 0 begins, from 0 on and before the second window.
    ///
    /// Slices of a millisecond are numbered by their timestamp, since no other number fits all of them. Windows begin at
    /// this number then, which is 0 or less: earlier builds had it above and numbered from it, and their snapshots must
    /// not be taken for ones of this kind.
    offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Runs of `size` slices, one beginning every `slide` slices.
    Sliding { size: i64, slide: i64 },
    /// Runs that begin every `max` slices, of each length up to that.
    Cumulating { max: i64 },
}

/// Number of a slice that a timestamp may be in.
pub(super) type SliceNo = i64;

/// Number of the slice with which a window begins, or of the one behind its last. It may lie beyond the ends of time.
pub(super) type Bound = i128;

impl Shape {
    /// That of `aligned`; none if its numbers make no windows, which is told with the plan.
    pub fn of(aligned: AlignedWindows) -> Option<Self> {
        let AlignedWindows { kind, size_ms, slide_ms, offset_ms, .. } = aligned;
        if size_ms < 1 || slide_ms < 1 {
            return None;
        }
        match kind {
            AlignedKind::Tumbling => Some(Self::tumbling(size_ms, offset_ms)),
            AlignedKind::Sliding => Some(Self::sliding(size_ms, slide_ms, offset_ms)),
            AlignedKind::Cumulating => {
                (size_ms % slide_ms == 0).then(|| Self::cumulating(slide_ms, size_ms, offset_ms))
            }
        }
    }

    /// One after the other.
    pub fn tumbling(size: i64, offset: i64) -> Self {
        Self { kind: Kind::Sliding { size: 1, slide: 1 }, width: size, offset: offset.rem_euclid(size) }
    }

    /// Of `size`, one beginning every `slide`.
    pub fn sliding(size: i64, slide: i64, offset: i64) -> Self {
        let width = gcd(size, slide);
        let kind = Kind::Sliding { size: size / width, slide: slide / width };
        Self { kind, width, offset: first_begin(width, slide, offset) }
    }

    /// Growing by `step` up to `max`, which must be a multiple of it; then from the beginning.
    pub fn cumulating(step: i64, max: i64, offset: i64) -> Self {
        Self { kind: Kind::Cumulating { max: max / step }, width: step, offset: first_begin(step, max, offset) }
    }

    /// Whether each slice is a window.
    pub fn is_tumbling(self) -> bool {
        self.kind == Kind::Sliding { size: 1, slide: 1 }
    }

    /// Whether the windows that end with a slice all begin anew there.
    pub fn is_cumulating(self) -> bool {
        matches!(self.kind, Kind::Cumulating { .. })
    }

    /// When slice 0 begins.
    fn origin(self) -> i128 {
        if self.width == 1 { 0 } else { i128::from(self.offset) }
    }

    /// A slice with which a window begins.
    fn phase(self) -> Bound {
        if self.width == 1 { i128::from(self.offset) } else { 0 }
    }

    /// The slice that `at` is in.
    pub fn slice(self, at: Timestamp) -> SliceNo {
        saturated((i128::from(at) - self.origin()).div_euclid(i128::from(self.width)))
    }

    /// The first and the last timestamp of slice `slice`.
    pub fn span(self, slice: SliceNo) -> (Timestamp, Timestamp) {
        let (begin, end) = (self.time(slice.into()), self.time(Bound::from(slice) + 1));
        (saturated(begin), saturated(end - 1))
    }

    /// The first timestamp of a window that begins with slice `start`.
    pub fn begin(self, start: Bound) -> Timestamp {
        saturated(self.time(start))
    }

    /// The watermark with which a window that ends before slice `end` is over. One that ends with time itself is so with
    /// its last watermark.
    pub fn last(self, end: Bound) -> Timestamp {
        match saturated(self.time(end)) {
            Timestamp::MAX => Timestamp::MAX,
            end => end.saturating_sub(1),
        }
    }

    /// The first end of a window that slice `slice` is in; none if it lies between windows.
    pub fn first_end(self, slice: SliceNo) -> Option<Bound> {
        let slice = slice.into();
        let end = self.next_end(slice);
        match self.kind {
            Kind::Sliding { size, .. } => (end - i128::from(size) <= slice).then_some(end),
            Kind::Cumulating { .. } => Some(end),
        }
    }

    /// The first end of a window behind slice `slice`.
    pub fn next_end(self, slice: Bound) -> Bound {
        let behind = slice + 1;
        match self.kind {
            Kind::Sliding { size, slide } => {
                behind + (i128::from(size) + self.phase() - behind).rem_euclid(i128::from(slide))
            }
            // Those that would end with time or after it are all cut there: they are one.
            Kind::Cumulating { .. } if self.time(behind) >= i128::from(Timestamp::MAX) => self.last_end(slice),
            Kind::Cumulating { .. } => behind,
        }
    }

    /// The last end of a window that slice `slice` is in.
    pub fn last_end(self, slice: Bound) -> Bound {
        match self.kind {
            // The last window begins with the slice or before it.
            Kind::Sliding { size, slide } => self.before(slice, slide) + i128::from(size),
            Kind::Cumulating { max } => self.before(slice, max) + i128::from(max),
        }
    }

    /// The first end of a window that is not over by `watermark`.
    pub fn first_behind(self, watermark: Timestamp) -> Bound {
        // One that ends with the last millisecond is over with it, and not before.
        let next = watermark.saturating_add(1).min(Timestamp::MAX - 1);
        self.next_end(self.slice(next).into())
    }

    /// Whether windows begin anew behind the one that ends with `end`.
    pub fn ends_cycle(self, end: Bound) -> bool {
        self.is_cumulating() && self.last_end(end - 1) == end
    }

    /// The first slice of the window that ends with `end`.
    pub fn start(self, end: Bound) -> Bound {
        match self.kind {
            Kind::Sliding { size, .. } => end - i128::from(size),
            Kind::Cumulating { max } => self.before(end - 1, max),
        }
    }

    /// The first slices of the window that ends with `end`, and of the next.
    pub fn starts(self, end: Bound) -> (Bound, Bound) {
        (self.start(end), self.start(self.next_end(end)))
    }

    /// The last slice up to `slice` that is a multiple of `period` away from the beginning of a window.
    fn before(self, slice: Bound, period: i64) -> Bound {
        slice - (slice - self.phase()).rem_euclid(i128::from(period))
    }

    /// When slice `slice` begins.
    fn time(self, slice: Bound) -> i128 {
        slice * i128::from(self.width) + self.origin()
    }
}

/// The offset of windows that begin every `period`, as it is kept for slices of `width`.
fn first_begin(width: i64, period: i64, offset: i64) -> i64 {
    match offset.rem_euclid(period) {
        offset if width == 1 && offset > 0 => offset - period,
        offset => offset,
    }
}

fn saturated(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All windows that hold `at`, by the definition of sliding windows.
    fn windows(size: i64, slide: i64, offset: i64, at: i64) -> Vec<(i64, i64)> {
        let last = (at - offset).div_euclid(slide) * slide + offset;
        (0..)
            .map(|n| last - n * slide)
            .take_while(|start| start + size > at)
            .map(|start| (start, start + size))
            .collect()
    }

    proptest! {
        #[test]
        fn slices_make_up_the_windows(size in 1i64..40, slide in 1i64..40, offset in -50i64..50, at in -200i64..200) {
            let shape = Shape::sliding(size, slide, offset);
            let slice = shape.slice(at);
            let span = shape.span(slice);
            prop_assert!(span.0 <= at && at <= span.1);
            let slice = Bound::from(slice);
            let mut found = Vec::new();
            if let Some(first) = shape.first_end(shape.slice(at)) {
                let mut end = first;
                while end <= shape.last_end(slice) {
                    prop_assert!(shape.start(end) <= slice && slice < end);
                    found.push((shape.begin(shape.start(end)), shape.last(end) + 1));
                    end = shape.next_end(end);
                }
            }
            found.reverse();
            prop_assert_eq!(found, windows(size, slide, offset, at));
        }

        #[test]
        fn cumulating_windows_grow(step in 1i64..9, steps in 1i64..9, offset in -50i64..50, at in -200i64..200) {
            let shape = Shape::cumulating(step, step * steps, offset);
            let slice = shape.slice(at);
            let begin = (at - offset).div_euclid(step * steps) * step * steps + offset;
            let expected: Vec<_> =
                (1..=steps).map(|n| (begin, begin + n * step)).filter(|(_, end)| *end > at).collect();
            let found: Vec<_> = (shape.first_end(slice).unwrap()..=shape.last_end(slice.into()))
                .map(|end| (shape.begin(shape.start(end)), shape.last(end) + 1))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_ends_of_time_are_no_trouble(
            size in sizes(), slide in sizes(), offset: i64, at in prop_oneof![
                any::<i64>(), (0i64..20).prop_map(|after| i64::MIN + after), (0i64..20).prop_map(|before| i64::MAX - before),
            ],
        ) {
            let shape = Shape::sliding(size, slide, offset);
            let slice = shape.slice(at);
            let (begin, last) = shape.span(slice);
            prop_assert!(begin <= at && at <= last);
            // No other slice has any of its times.
            prop_assert!(begin == i64::MIN || shape.slice(begin - 1) < slice);
            prop_assert!(last == i64::MAX || slice < shape.slice(last + 1));
            if let Some(end) = shape.first_end(slice) {
                let (first, last) = (shape.begin(shape.start(end)), shape.last(end));
                prop_assert!(first <= at && at <= last);
                prop_assert!(end <= shape.last_end(slice.into()));
            }
        }
    }

    /// Their numbers begin elsewhere where there is an offset, so what these stored must not pass for the same.
    #[test]
    fn slices_of_a_millisecond_are_not_those_of_earlier_builds() {
        let earlier = |offset| Shape { kind: Kind::Sliding { size: 3, slide: 2 }, width: 1, offset };
        assert_eq!(Shape::sliding(3, 2, 0), earlier(0));
        assert_ne!(Shape::sliding(3, 2, 1), earlier(1));
        let earlier = Shape { kind: Kind::Sliding { size: 3, slide: 2 }, width: 2, offset: 3 };
        assert_eq!(Shape::sliding(6, 4, 3), earlier);
    }

    fn sizes() -> impl Strategy<Value = i64> + Clone {
        prop_oneof![1i64..10, 1i64..=i64::MAX]
    }
}
