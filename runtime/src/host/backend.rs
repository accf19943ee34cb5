//! Where tasks keep their state.

use std::collections::BTreeMap;

use flott_core::config::{
    Configuration,
    keys::state::{self, StateBackend},
};
#[cfg(not(feature = "disk"))]
use flott_core::failure::Failure;

use crate::{error::TaskResult, state::Backend};

/// What the job's configuration says, for a process of so many slots.
pub(crate) fn backend(configuration: &BTreeMap<String, String>, slots: u32) -> TaskResult<Backend> {
    // A configuration is checked where it is taken in: what cannot be read is not there.
    let configuration = Configuration::try_from(configuration.clone()).unwrap_or_default();
    match configuration.get(&state::TYPE) {
        StateBackend::Hashmap => Ok(Backend::Heap),
        StateBackend::Disk => {
            let memory = configuration.get(&state::DISK_MEMORY).bytes().saturating_mul(u64::from(slots.max(1)));
            on_disk(usize::try_from(memory).unwrap_or(usize::MAX))
        }
    }
}

#[cfg(feature = "disk")]
fn on_disk(memory: usize) -> TaskResult<Backend> {
    // Of a job process it is the process's own, and goes with it.
    let directory = std::env::temp_dir();
    Ok(Backend::Disk(crate::state::Disk::start(&directory, memory)?))
}

#[cfg(not(feature = "disk"))]
fn on_disk(_: usize) -> TaskResult<Backend> {
    let message = format!(
        "this program cannot keep state on disk, which {} asks for: build it with the feature `disk` of flott",
        state::TYPE.key()
    );
    Err(Box::new(Failure::user(message).fatal()))
}
