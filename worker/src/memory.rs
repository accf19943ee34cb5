//! Who has to go when the TaskManager and its job processes together take more than its memory, which may be the limit of a
//! container that the kernel would end as a whole.
//!
//! By what is resident and not of files, because limits on address space do not fit allocators that reserve far more than they use, and
//! pages of files are given back when memory is short. What the
//! TaskManager itself takes, the others do without. A process may take more than its share of the rest as long as the others
//! leave it room; when they do not, the one that is furthest above its share goes, so a job that leaks takes no one with it.

use flott_core::{failure::Failure, id::ProcessId, units::ByteSize};

use crate::usage;

/// One job process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    pub process: ProcessId,
    /// As [`usage::held_by`] counts them.
    pub bytes: u64,
    /// Slots that its job has here.
    pub slots: usize,
}

/// What a TaskManager has for itself and its job processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of all together.
    pub memory: u64,
    /// Those of the TaskManager itself.
    pub own: u64,
    /// Its slots, which share what is left.
    pub slots: usize,
}

impl Room {
    /// With what this process takes now.
    pub(crate) fn found(memory: u64, slots: usize) -> Self {
        Self { memory, own: usage::held_by(std::process::id()).unwrap_or(0), slots }
    }
}

/// The process that has to go, if one has to.
pub(crate) fn overweight(processes: &[Resident], room: Room) -> Option<(ProcessId, Failure)> {
    let Room { memory, own, slots } = room;
    let taken: u64 = processes.iter().map(|process| process.bytes).sum();
    if taken.saturating_add(own) <= memory {
        return None;
    }
    let left = memory.saturating_sub(own);
    let mib = |bytes: u64| ByteSize::from_mebibytes(bytes >> 20);
    let share = |process: &Resident| left / slots.max(1) as u64 * process.slots as u64;
    let worst = processes.iter().max_by_key(|process| i128::from(process.bytes) - i128::from(share(process)))?;
    let message = format!(
        "OutOfMemory: the job process took {} of memory; its share of {} slot(s) of {slots} is {}",
        mib(worst.bytes),
        worst.slots,
        mib(share(worst))
    );
    let failure = Failure::environment(message).because(format!(
        "job processes took {} together and the TaskManager {}, and taskmanager.memory.process.size is {}",
        mib(taken),
        mib(own),
        mib(memory)
    ));
    Some((worst.process, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// With 40 MiB for the TaskManager itself, of 1040.
    #[track_caller]
    fn check(processes: &[(u64, usize)], expected: Option<usize>) {
        let id = |index: usize| ProcessId::from_bytes([index as u8; 16]);
        let residents: Vec<_> = processes
            .iter()
            .enumerate()
            .map(|(index, (mib, slots))| Resident { process: id(index), bytes: mib * MIB, slots: *slots })
            .collect();
        let room = Room { memory: 1040 * MIB, own: 40 * MIB, slots: 4 };
        assert_eq!(overweight(&residents, room).map(|(process, _)| process), expected.map(id));
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
    fn what_the_taskmanager_takes_is_not_shared() {
        let process = |byte, mib| Resident { process: ProcessId::from_bytes([byte; 16]), bytes: mib * MIB, slots: 1 };
        let gone = |own| {
            let room = Room { memory: 1000 * MIB, own: own * MIB, slots: 2 };
            overweight(&[process(0, 400), process(1, 500)], room).map(|(process, _)| process)
        };
        assert_eq!(gone(100), None);
        assert_eq!(gone(101), Some(ProcessId::from_bytes([1; 16])));
        // More than there is.
        assert_eq!(gone(2000), Some(ProcessId::from_bytes([1; 16])));
        assert!(overweight(&[], Room { memory: MIB, own: 2 * MIB, slots: 1 }).is_none());
    }

    #[test]
    fn failure_names_the_numbers() {
        let process = Resident { process: ProcessId::from_bytes([0; 16]), bytes: 1200 * MIB, slots: 1 };
        let (_, failure) = overweight(&[process], Room { memory: 1000 * MIB, own: 20 * MIB, slots: 2 }).unwrap();
        assert_eq!(
            failure.report(),
            "OutOfMemory: the job process took 1200 mb of memory; its share of 1 slot(s) of 2 is 490 mb\n\
             Caused by: job processes took 1200 mb together and the TaskManager 20 mb, and taskmanager.memory.process.size \
             is 1000 mb"
        );
    }
}
