//! Renders the Helm chart with the real `helm`, for tests that look at what comes out.
//!
//! # Layout
//! - [`helm`]: finds `helm` and runs it; a test without one says that it is skipped
//! - [`manifests`]: what was rendered, as documents
//! - [`values_table`]: the table of values in the chart's README
//! - [`golden`]: files that are kept as something else says, and rewritten by `FLOTT_REWRITE_GOLDEN=1`
//! - [`workspace`]: where the chart is

pub mod golden;
pub mod helm;
pub mod manifests;
pub mod values_table;
pub mod workspace;
