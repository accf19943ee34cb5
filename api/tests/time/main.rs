//! Functions and pipelines under the test harness: time, timers, and what results must not depend on.

mod aligned;
mod evictors;
mod folded;
mod harness;
mod independence;
#[path = "../model/windows.rs"]
#[allow(dead_code, reason = "windows that count depend on the order of records")]
mod model;
mod pressure;
mod sharing;
mod timers;
mod triggers;
#[path = "../model/values.rs"]
mod values;
#[path = "../model/versions.rs"]
mod versions;
mod watermarks;
mod window_state;
