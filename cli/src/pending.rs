//! Why a job waits for slots.

use std::fmt;

use flott_core::id::JobId;
use serde::{Deserialize, Serialize};

use crate::rest::{Client, RestError};

/// Slots that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reason {
    slots_missing: u32,
    profile: String,
    reason: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = if self.slots_missing == 1 { "slot" } else { "slots" };
        write!(f, "waiting for {} {slots} ({}): {}", self.slots_missing, self.profile, self.reason)
    }
}

/// What `job` waits for; empty when it does not.
pub async fn reasons(client: &Client, job: JobId) -> Result<Vec<Reason>, RestError> {
    #[derive(Deserialize)]
    struct Pending {
        reasons: Vec<Reason>,
    }
    let pending = client.get::<Pending>(&format!("/flott/v1/jobs/{job}/pending")).await?;
    Ok(pending.reasons)
}
