//! All metrics, by what they are about.

use super::Group;

pub mod cluster;
pub mod job;
pub mod jobmanager;
pub mod process;
pub mod task;
pub mod taskmanager;

/// In the order of the reference page.
pub static GROUPS: [&Group; 8] = [
    &jobmanager::GROUP,
    &cluster::GROUP,
    &cluster::workers::GROUP,
    &job::GROUP,
    &task::GROUP,
    &taskmanager::GROUP,
    &taskmanager::own::GROUP,
    &process::GROUP,
];
