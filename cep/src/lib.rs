//! Complex event processing: looks for patterns of events in streams, as Flink's CEP library does.
//!
//! ```
//! use std::time::Duration;
//!
//! use flott::{Environment, OutputTag, WatermarkStrategy};
//! use flott_cep::{Pattern, Patterns};
//!
//! /// Order, what happened, when.
//! type Event = (u64, String, i64);
//!
//! const UNPAID: OutputTag<u64> = OutputTag::new("unpaid");
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let env = Environment::local();
//! let event = |order, what: &str, at| (order, what.to_owned(), at);
//! let events = env
//!     .from_collection(vec![event(1, "placed", 0), event(2, "placed", 10), event(1, "paid", 60_000)])
//!     .assign_timestamps_and_watermarks(
//!         WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|event: &Event| event.2),
//!     )
//!     .key_by(|event| event.0);
//!
//! let paid = Pattern::begin("placed")
//!     .filter(|event: &Event| event.1 == "placed")
//!     .followed_by("paid")
//!     .filter(|event| event.1 == "paid")
//!     .within(Duration::from_secs(15 * 60));
//!
//! // How long it took; or the order that was not paid in time.
//! let took = events.pattern(&paid)?.select_or_timed_out(
//!     |found| found.end() - found.start(),
//!     &UNPAID,
//!     |partial| partial.first("placed").map_or(0, |event| event.0),
//! );
//! let (took, unpaid) = (took.collect(), took.side_output(&UNPAID).collect());
//! let result = env.execute("orders")?;
//! assert_eq!(result.collected(&took)?, [60_000]);
//! assert_eq!(result.collected(&unpaid)?, [2]);
//! # Ok(())
//! # }
//! ```
//!
//! # What a match is
//! A [`Pattern`] is a row of parts. A match has, for each part, as many events as the part may have, in the order of the
//! parts. How close together two events that follow one another in a match must be depends on how the later one's part is
//! joined to what is before it:
//!
//! | | between the two |
//! |---|---|
//! | [`next`](Pattern::next) | is no event |
//! | [`followed_by`](Pattern::followed_by) | is no event that could have been the second |
//! | [`followed_by_any`](Pattern::followed_by_any) | is anything |
//!
//! The same holds among the events of a part that comes several times: it is as with `followed_by`, or with
//! [`consecutive`](Pattern::consecutive) as with `next`, or with [`allow_combinations`](Pattern::allow_combinations) as
//! with `followed_by_any`. All that is a match is found, and once. Each event can begin one, so that there may be very
//! many; [`after_match`](Pattern::after_match) says which of them give others up.
//!
//! The events in between can be restricted further, by [`not_next`](Pattern::not_next),
//! [`not_followed_by`](Pattern::not_followed_by), [`greedy`](Pattern::greedy) and [`until`](Pattern::until). Time can be, by
//! [`within`](Pattern::within) and [`within_since_previous`](Pattern::within_since_previous). A pattern without any such
//! limit may keep what it has found for ever.
//!
//! # Layout
//! - [`Pattern`], [`PatternError`]: what is looked for
//! - `condition`, [`Matched`]: what events must be
//! - [`AfterMatchSkip`]: which matches are given up for others
//! - [`Patterns`], [`PatternStream`]: where it is looked for, and how
//! - [`Match`], [`PatternProcessFunction`]: what was found, and what is done with it
//! - `automaton`: a pattern at work
//! - `runs`: what is kept for a key: partial matches and their events
//! - `operator`: the two on a keyed stream

mod automaton;
mod condition;
mod error;
mod found;
mod function;
mod operator;
mod pattern;
mod runs;
mod skip;
mod stream;

pub use condition::Matched;
pub use error::PatternError;
pub use found::Match;
pub use function::PatternProcessFunction;
pub use pattern::{Part, Pattern};
pub use skip::AfterMatchSkip;
pub use stream::{PatternStream, Patterns};

/// The examples of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cep.md")]
struct Guide;
