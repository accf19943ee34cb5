//! Functions and pipelines under the test harness: time, timers, and what results must not depend on.

mod folded;
mod harness;
mod independence;
mod pressure;
mod timers;
mod watermarks;
mod window_state;
