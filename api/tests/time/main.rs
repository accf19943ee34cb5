//! Functions and pipelines under the test harness: time, timers, and what results must not depend on.

mod harness;
