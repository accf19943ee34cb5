//! A registered worker and its slots.

use flott_core::{
    id::{AllocationId, SlotIndex, WorkerKey},
    message::{Registration, SlotGrant},
    resource::ResourceProfile,
    view::WorkerMetrics,
};

use crate::{backend::WorkerSpec, ports::ConnectionNumber, time::Time};

/// A worker by order of registration. Every registered life has its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WorkerNumber(pub(super) u64);

/// What is known of a slot.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SlotState {
    /// Nobody's.
    Free,
    /// Nobody's, but its worker refused to give it; it is left alone until then.
    Refused { until: Time },
    /// The worker was told to give it to a job and has not answered.
    Asked { grant: SlotGrant, sent_at: Time, tries: u32 },
    /// The worker has given it to a job.
    Held { grant: SlotGrant, since: Time },
    /// The worker was told to take it back and has not answered.
    Freeing { allocation: AllocationId, sent_at: Time },
}

impl SlotState {
    /// The grant that counts for a job.
    pub(super) const fn grant(&self) -> Option<&SlotGrant> {
        match self {
            Self::Asked { grant, .. } | Self::Held { grant, .. } => Some(grant),
            Self::Free | Self::Refused { .. } | Self::Freeing { .. } => None,
        }
    }

    /// The allocation that the worker may know the slot by.
    pub(super) const fn allocation(&self) -> Option<AllocationId> {
        match self {
            Self::Asked { grant, .. } | Self::Held { grant, .. } => Some(grant.allocation),
            Self::Freeing { allocation, .. } => Some(*allocation),
            Self::Free | Self::Refused { .. } => None,
        }
    }
}

/// One slot.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) profile: ResourceProfile,
    pub(super) state: SlotState,
}

/// Whether a worker can be reached.
#[derive(Debug, Clone)]
pub(super) enum Link {
    Up(ConnectionNumber),
    Down { was: ConnectionNumber, until: Time, reason: String },
}

impl Link {
    pub(super) const fn number(&self) -> ConnectionNumber {
        match self {
            Self::Up(number) | Self::Down { was: number, .. } => *number,
        }
    }
}

/// A registered worker.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) key: WorkerKey,
    pub(super) registration: Registration,
    pub(super) registered_at: Time,
    pub(super) link: Link,
    pub(super) slots: Vec<Slot>,
    /// Slots that count for a job.
    pub(super) granted: u32,
    /// Since when none does.
    pub(super) idle_since: Time,
    /// What the backend was asked for; `None` for a worker that someone else started.
    pub(super) started: Option<WorkerSpec>,
    /// Its backend has said that it is about to end: nobody is given slots of it any more.
    pub(super) is_leaving: bool,
    /// Why it is, unless it has ended in another way.
    pub(super) leaving: Option<String>,
    pub(super) metrics: WorkerMetrics,
}

impl Worker {
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// Whether its slots can be given.
    pub(super) const fn is_open(&self) -> bool {
        self.is_up() && !self.is_leaving
    }

    pub(super) fn slot(&self, index: SlotIndex) -> Option<&Slot> {
        self.slots.get(index.0 as usize)
    }

    /// Slots with their places.
    pub(super) fn indexed(&self) -> impl Iterator<Item = (SlotIndex, &Slot)> {
        (0..).map(SlotIndex).zip(&self.slots)
    }
}
