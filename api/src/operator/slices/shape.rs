//! Which slices there are, and which windows they make up.
//!
//! Time is cut into slices of equal width, numbered from the offset on; a window is a run of slices. Everything is
//! reckoned in numbers of slices, and turned into milliseconds only to compare with a watermark and to name a window.
//! At the ends of time both saturate.

use flott_runtime::batch::Timestamp;
use serde::{Deserialize, Serialize};

/// Windows that are aligned with each other for all keys. Sizes are in milliseconds, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    kind: Kind,
    /// Width of a slice.
    width: i64,
    /// Not negative, and less than the time from one window's beginning to the next.
    offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Runs of `size` slices, one beginning every `slide` slices.
    Sliding { size: i64, slide: i64 },
    /// Runs that begin every `max` slices, of each length up to that.
    Cumulating { max: i64 },
}

/// Number of a slice, or of the slice behind the last one of a window.
pub(super) type SliceNo = i64;

impl Shape {
    /// One after the other.
    pub fn tumbling(size: i64, offset: i64) -> Self {
        Self { kind: Kind::Sliding { size: 1, slide: 1 }, width: size, offset: offset.rem_euclid(size) }
    }

    /// Of `size`, one beginning every `slide`.
    pub fn sliding(size: i64, slide: i64, offset: i64) -> Self {
        let width = gcd(size, slide);
        Self {
            kind: Kind::Sliding { size: size / width, slide: slide / width },
            width,
            offset: offset.rem_euclid(slide),
        }
    }

    /// Growing by `step` up to `max`, which must be a multiple of it; then from the beginning.
    pub fn cumulating(step: i64, max: i64, offset: i64) -> Self {
        Self { kind: Kind::Cumulating { max: max / step }, width: step, offset: offset.rem_euclid(max) }
    }

    /// Whether each slice is a window.
    pub fn is_tumbling(self) -> bool {
        self.kind == Kind::Sliding { size: 1, slide: 1 }
    }

    /// Whether the windows that end with a slice all begin anew there.
    pub fn is_cumulating(self) -> bool {
        matches!(self.kind, Kind::Cumulating { .. })
    }

    /// The slice that `at` is in.
    pub fn slice(self, at: Timestamp) -> SliceNo {
        saturated((i128::from(at) - i128::from(self.offset)).div_euclid(i128::from(self.width)))
    }

    /// The time at which slice `slice` begins, and that before it ends.
    pub fn begin(self, slice: SliceNo) -> Timestamp {
        saturated(i128::from(slice) * i128::from(self.width) + i128::from(self.offset))
    }

    /// The last millisecond before the slice `end`.
    pub fn last(self, end: SliceNo) -> Timestamp {
        saturated(i128::from(end) * i128::from(self.width) + i128::from(self.offset) - 1)
    }

    /// The first end of a window that slice `slice` is in; none if it lies between windows.
    pub fn first_end(self, slice: SliceNo) -> Option<SliceNo> {
        match self.kind {
            Kind::Sliding { size, slide } => {
                let end = self.next_end(slice);
                (end.saturating_sub(size) <= slice && slide > 0).then_some(end)
            }
            Kind::Cumulating { .. } => Some(slice.saturating_add(1)),
        }
    }

    /// The first end of a window behind slice `slice`.
    pub fn next_end(self, slice: SliceNo) -> SliceNo {
        let behind = slice.saturating_add(1);
        match self.kind {
            Kind::Sliding { size, slide } => {
                let missing = (i128::from(size) - i128::from(behind)).rem_euclid(i128::from(slide));
                saturated(i128::from(behind) + missing)
            }
            Kind::Cumulating { .. } => behind,
        }
    }

    /// The last end of a window that slice `slice` is in.
    pub fn last_end(self, slice: SliceNo) -> SliceNo {
        match self.kind {
            Kind::Sliding { size, slide } => {
                // The last window begins with the slice or before it, on a multiple of the slide.
                saturated(i128::from(slice).div_euclid(i128::from(slide)) * i128::from(slide) + i128::from(size))
            }
            Kind::Cumulating { max } => {
                saturated((i128::from(slice).div_euclid(i128::from(max)) + 1) * i128::from(max))
            }
        }
    }

    /// The first slice of the window that ends with `end`.
    pub fn start(self, end: SliceNo) -> SliceNo {
        match self.kind {
            Kind::Sliding { size, .. } => end.saturating_sub(size),
            Kind::Cumulating { max } => {
                saturated(i128::from(end.saturating_sub(1)).div_euclid(i128::from(max)) * i128::from(max))
            }
        }
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
            prop_assert!(shape.begin(slice) <= at && at <= shape.last(slice + 1));
            let mut found = Vec::new();
            if let Some(first) = shape.first_end(slice) {
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
            let found: Vec<_> = (shape.first_end(slice).unwrap()..=shape.last_end(slice))
                .map(|end| (shape.begin(shape.start(end)), shape.last(end) + 1))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_ends_of_time_are_no_trouble(
            size in 1i64..=i64::MAX, slide in 1i64..=i64::MAX, offset: i64, at: i64,
        ) {
            let shape = Shape::sliding(size, slide, offset);
            let slice = shape.slice(at);
            // Times that are less than an offset from the beginning of time may all be in one slice.
            prop_assert!(shape.begin(slice) <= at || slice == SliceNo::MIN);
            prop_assert!(at <= shape.last(slice.saturating_add(1)) || shape.last(slice.saturating_add(1)) == i64::MAX - 1 || slice == SliceNo::MAX);
            let _ = (shape.first_end(slice), shape.last_end(slice), shape.last(slice), shape.start(slice));
        }
    }
}
