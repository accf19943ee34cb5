//! Who has to go when job processes together take more than the TaskManager's memory.
//!
//! By resident size, because limits on address space do not fit allocators that reserve far more than they use. A
//! process may take more than its share as long as the others leave it room; when they do not, the one that is furthest
//! above its share goes, so a job that leaks takes no one with it.

use flott_core::{failure::Failure, id::ProcessId, units::ByteSize};

/// One job process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    pub process: ProcessId,
    pub bytes: u64,
    /// Slots that its job has here.
    pub slots: usize,
}

/// The process that has to go, if one has to.
pub(crate) fn overweight(processes: &[Resident], slots: usize, memory: u64) -> Option<(ProcessId, Failure)> {
    let total: u64 = processes.iter().map(|process| process.bytes).sum();
    if total <= memory {
        return None;
    }
    let share = |process: &Resident| memory / slots.max(1) as u64 * process.slots as u64;
    let worst = processes.iter().max_by_key(|process| i128::from(process.bytes) - i128::from(share(process)))?;
    let mib = |bytes: u64| ByteSize::from_mebibytes(bytes >> 20);
    let message = format!(
        "OutOfMemory: the job process took {} of memory; its share of {} slot(s) of {slots} is {}",
        mib(worst.bytes),
        worst.slots,
        mib(share(worst))
    );
    let failure = Failure::environment(message).because(format!(
        "job processes took {} together, and taskmanager.memory.process.size is {}",
        mib(total),
        mib(memory)
    ));
    Some((worst.process, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[track_caller]
    fn check(processes: &[(u64, usize)], expected: Option<usize>) {
        let id = |index: usize| ProcessId::from_bytes([index as u8; 16]);
        let residents: Vec<_> = processes
            .iter()
            .enumerate()
            .map(|(index, (mib, slots))| Resident { process: id(index), bytes: mib * MIB, slots: *slots })
            .collect();
        assert_eq!(overweight(&residents, 4, 1000 * MIB).map(|(process, _)| process), expected.map(id));
    }

    #[test]
    fn furthest_above_its_share_goes() {
        check(&[], None);
        check(&[(1000, 1)], None);
        check(&[(600, 1), (400, 1)], None);
        check(&[(1001, 4)], Some(0));
        check(&[(600, 1), (500, 3)], Some(0));
        check(&[(200, 0), (740, 3), (100, 1)], Some(0));
    }

    #[test]
    fn failure_names_the_numbers() {
        let process = Resident { process: ProcessId::from_bytes([0; 16]), bytes: 1200 * MIB, slots: 1 };
        let (_, failure) = overweight(&[process], 2, 1000 * MIB).unwrap();
        assert_eq!(
            failure.report(),
            "OutOfMemory: the job process took 1200 mb of memory; its share of 1 slot(s) of 2 is 500 mb\n\
             Caused by: job processes took 1200 mb together, and taskmanager.memory.process.size is 1000 mb"
        );
    }
}
