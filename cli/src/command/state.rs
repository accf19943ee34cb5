//! `flott state`: snapshots as data. No cluster is asked.

mod diff;
mod show;

use anyhow::bail;
use flott_snapshot::{S3Options, Snapshot, states::State as Found};

use crate::{
    arguments::{
        Arguments,
        state::{Of, State},
    },
    exit::CommandResult,
    operation,
    settings::Settings,
};

pub async fn run(arguments: &Arguments, options: &State) -> CommandResult {
    let s3 = S3Options::of(&Settings::load(arguments)?.config);
    match options {
        State::Ls(options) => show::list(&load(&options.path, &s3).await?, options.json.json).await,
        State::Cat(options) => show::entries(&load(&options.path, &s3).await?, options).await,
        State::Diff(options) => {
            let (before, after) = (load(&options.before, &s3).await?, load(&options.after, &s3).await?);
            diff::print(&before, &after, options).await
        }
    }
}

async fn load(path: &str, s3: &S3Options) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::load(&operation::absolute(path)?, s3).await?)
}

/// The states that are asked for.
///
/// # Errors
/// When there are none, though some were named.
async fn chosen(snapshot: &Snapshot, of: &Of) -> anyhow::Result<Vec<Found>> {
    let is_it = |state: &Found| {
        let (name, uid) = &state.operator;
        let operator = of.operator.as_ref().is_none_or(|wanted| {
            wanted == name || Some(wanted) == uid.as_ref() || *wanted == state.section.operator.to_string()
        });
        operator && of.state.as_ref().is_none_or(|wanted| *wanted == state.section.name)
    };
    let states: Vec<Found> = snapshot.states().await?.into_iter().filter(is_it).collect();
    if states.is_empty() && (of.operator.is_some() || of.state.is_some()) {
        bail!("{} holds no such state; `flott state ls` lists what it holds", snapshot.directory.location());
    }
    Ok(states)
}
