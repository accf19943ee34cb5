//! Time: processing time that tests can drive, wake-ups at it, and timers in either kind of time.
//!
//! Event time is what records say and watermarks vouch for; it moves with [`Event::Watermark`](crate::event::Event) and
//! is needed nowhere but in operators. Processing time is what a [`Clock`] says; an operator that waits for it sets its
//! task's [`Alarm`], and the task's loop wakes up for it.
//!
//! # Layout
//! - `clock`: processing time
//! - `delta`: signed spans of time
//! - `alarm`: the earliest time that a task must wake up at
//! - `strategy`: timestamps and watermarks, as users want them
//! - `assign`: the operator that gives them
//! - `dryness`: for how long a stream has had no records
//! - `timers`: timers of one operator, by key and namespace
//! - `last_timers`: those that fire when the input has ended, and whether they come to an end
//! - `queue`: timers in one kind of time

mod alarm;
mod assign;
mod clock;
mod delta;
mod dryness;
mod last_timers;
mod queue;
mod strategy;
mod timers;

pub use alarm::Alarm;
pub(crate) use alarm::AlarmWait;
pub use assign::{AssignWatermarks, Pulse};
pub(crate) use clock::millis;
pub use clock::{Clock, ManualClock};
pub use delta::TimeDelta;
pub(crate) use dryness::Dryness;
pub use last_timers::LAST_TIMERS_MAX;
pub use queue::{Due, TimerQueue};
pub use strategy::{WatermarkAlignment, WatermarkAssigner, WatermarkGenerator, WatermarkStrategy};
pub use timers::{TimeDomain, Timers};
