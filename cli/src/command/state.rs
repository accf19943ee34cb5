//! `flott state`: snapshots as data. No cluster is asked.

mod diff;
mod show;

use anyhow::anyhow;
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
    let states = matching(snapshot, of).await?;
    if states.is_empty() && of.names_any() {
        return Err(no_such_state(&[snapshot]));
    }
    Ok(states)
}

/// Those of the states that are asked for which are there.
async fn matching(snapshot: &Snapshot, of: &Of) -> anyhow::Result<Vec<Found>> {
    let is_it = |state: &Found| {
        let (name, uid) = &state.operator;
        let operator = of.operator.as_ref().is_none_or(|wanted| {
            wanted == name || Some(wanted) == uid.as_ref() || *wanted == state.section.operator.to_string()
        });
        operator && of.state.as_ref().is_none_or(|wanted| *wanted == state.section.name)
    };
    Ok(snapshot.states().await?.into_iter().filter(is_it).collect())
}

fn no_such_state(snapshots: &[&Snapshot]) -> anyhow::Error {
    let locations: Vec<_> = snapshots.iter().map(|snapshot| snapshot.directory.location()).collect();
    let hold = if let [_] = locations[..] { "holds" } else { "hold" };
    anyhow!("{} {hold} no such state; `flott state ls` lists what it holds", locations.join(" and "))
}
