//! What a slot offers and what a subtask asks for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// CPU and memory of a slot, or wanted from one. All zero as a demand means "any slot will do".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceProfile {
    /// Thousandths of a core.
    pub cpu_millicores: u32,
    /// Bytes.
    pub memory_bytes: u64,
}

impl ResourceProfile {
    /// Any slot will do.
    pub const ANY: Self = Self { cpu_millicores: 0, memory_bytes: 0 };

    /// Whether a slot of this profile can serve `demand`.
    pub const fn covers(&self, demand: &Self) -> bool {
        self.cpu_millicores >= demand.cpu_millicores && self.memory_bytes >= demand.memory_bytes
    }

    /// The smallest profile that serves both at once (subtasks that share a slot).
    #[must_use]
    pub const fn saturating_add(&self, other: &Self) -> Self {
        Self {
            cpu_millicores: self.cpu_millicores.saturating_add(other.cpu_millicores),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }
}

impl fmt::Display for ResourceProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any size");
        }
        write!(
            f,
            "{}.{:03} cores, {} MiB",
            self.cpu_millicores / 1000,
            self.cpu_millicores % 1000,
            self.memory_bytes >> 20
        )
    }
}
