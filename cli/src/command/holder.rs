//! The cluster that has a job.

use flott_core::id::JobId;

use super::wait::unknown;
use crate::{
    arguments::{Arguments, Target},
    cluster::Place,
    exit::CommandResult,
    rest::Client,
    settings::Settings,
    state_dir::StateDir,
};

/// Finds it.
///
/// # Errors
/// When no cluster that is looked at has the job.
pub async fn holder(arguments: &Arguments, target: &Target, job: JobId) -> CommandResult<(Client, StateDir)> {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let place = Place::of(target, &settings.config, &state).await?;
    match place.holding(job).await? {
        Some(client) => Ok((client, state)),
        None => Err(unknown(job, &place, &state)),
    }
}
