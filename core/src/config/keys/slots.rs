//! Slots: how long they are waited for and kept, and how many there may be.

use std::time::Duration;

use crate::{
    config::option::{key, section},
    units::ByteSize,
};

section! {
    "Slots and workers",
    "How many workers a cluster may start, and how long it waits for slots and keeps idle workers.";

    /// How long a job waits for slots before it fails, with an error that names what it asked for and what there was.
    REQUEST_TIMEOUT: Duration = key("slot.request.timeout").default("5 min").range("1 ms", "365 d");

    /// How long a worker without used slots is kept before it is stopped. Workers that no backend started stay.
    TASKMANAGER_TIMEOUT: Duration = key("resourcemanager.taskmanager-timeout").default("30 s").range("0 ms", "365 d");

    /// Slots that are started at once, in whole workers, and kept when idle.
    NUMBER_OF_SLOTS_MIN: u32 = key("slotmanager.number-of-slots.min").default("0").range("0", "1000000");

    /// Most slots that a cluster may have. No worker is started that would exceed it.
    NUMBER_OF_SLOTS_MAX: u32 = key("slotmanager.number-of-slots.max").default("10000").range("1", "1000000");

    /// How long a started worker may take to register. One that takes longer is stopped, and its start has failed.
    REGISTRATION_TIMEOUT: Duration =
        key("resourcemanager.taskmanager-registration.timeout").default("1 min").range("1 s", "1 d");

    /// Whether the slots of a job are spread over all workers, instead of packed onto few.
    SPREAD_OUT: bool = key("cluster.evenly-spread-out-slots").default("false");

    /// Most memory that the workers of a cluster may have together. Unset, there is no limit.
    TOTAL_MEMORY_MAX: Option<ByteSize> = key("slotmanager.max-total-resource.memory");
}
