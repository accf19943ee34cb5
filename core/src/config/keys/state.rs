//! Where keyed state is kept.

use crate::{
    config::{
        option::{key, section},
        value::config_enum,
    },
    units::ByteSize,
};

config_enum! {
    /// Where keyed state is kept.
    StateBackend {
        /// In memory.
        Hashmap = "hashmap",
        /// On disk, but for what was used last. Flink's name for that is known too.
        Disk = "disk" | "rocksdb",
    }
}

section! {
    "State backend",
    "Where the keyed state of a job's functions is kept while it runs. Checkpoints and savepoints are the same whichever it is.";

    /// `hashmap` keeps it in memory, `disk` on disk but for what was used last; `rocksdb` is another word for `disk`. Programs
    /// that keep state on disk are built with the feature `disk` of the library. Files lie in the directory of the job
    /// process, which is under the state directory of the TaskManager, and go with it.
    TYPE: StateBackend = key("state.backend.type").default("hashmap").fallback(&["state.backend"]);

    /// Memory that keyed state on disk has in a job process, for each slot that the process has: entries that were used last,
    /// blocks of files, and what waits to be written. All states of the process share it. It is part of the memory of the slot.
    DISK_MEMORY: ByteSize = key("state.backend.disk.memory.fixed-per-slot").default("256 mb").range("1 mb", "1 tb")
        .fallback(&["state.backend.rocksdb.memory.fixed-per-slot"]);
}
