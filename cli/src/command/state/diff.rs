//! What lies between two snapshots.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use flott_core::id::OperatorId;
use flott_snapshot::{Snapshot, states::State};
use serde_json::{Value, json};

use super::{matching, no_such_state, show::kind_of};
use crate::{
    arguments::state::{Diff, Of},
    exit::{Code, CommandResult},
    output,
};

/// A state's operator, name and sort: an operator may have timers and a state of one name.
type Place = (OperatorId, String, String);

pub async fn print(before: &Snapshot, after: &Snapshot, options: &Diff) -> CommandResult {
    let differences = differences(before, after, &options.of).await?;
    if options.json.json {
        output::json(&differences)?;
        return Ok(Code::Done);
    }
    for difference in &differences {
        println!("{}", line(difference));
    }
    if differences.is_empty() {
        println!("no difference");
    }
    Ok(Code::Done)
}

async fn differences(before: &Snapshot, after: &Snapshot, of: &Of) -> anyhow::Result<Vec<Value>> {
    let (old, new) = (matching(before, of).await?, matching(after, of).await?);
    // A state that is named may be in one alone.
    if old.is_empty() && new.is_empty() && of.names_any() {
        return Err(no_such_state(&[before, after]));
    }
    let by_place = |states: Vec<State>| -> BTreeMap<Place, State> {
        let place =
            |state: &State| (state.section.operator, state.section.name.clone(), format!("{:?}", state.section.kind));
        states.into_iter().map(|state| (place(&state), state)).collect()
    };
    let (old, new) = (by_place(old), by_place(new));
    let places: BTreeSet<&Place> = old.keys().chain(new.keys()).collect();
    let mut differences = Vec::new();
    for place in places {
        let difference = match (old.get(place), new.get(place)) {
            (Some(state), None) => Some(described(state, json!({ "in": "before" }))),
            (None, Some(state)) => Some(described(state, json!({ "in": "after" }))),
            (Some(old), Some(new)) => between((before, old), (after, new)).await?.map(|found| described(new, found)),
            (None, None) => None,
        };
        differences.extend(difference);
    }
    Ok(differences)
}

/// As people read it.
fn line(difference: &Value) -> String {
    let text = |name: &str| difference[name].as_str().unwrap_or_default();
    let (operator, state) = (text("operator"), text("state"));
    if difference.get("in").is_some() {
        format!("{operator} {state}: only in the one {}", text("in"))
    } else if difference.get("type").is_some() {
        format!("{operator} {state}: {}", text("type"))
    } else {
        let [added, removed, changed] = ["added", "removed", "changed"].map(|name| &difference[name]);
        format!("{operator} {state}: {added} added, {removed} removed, {changed} changed")
    }
}

fn described(state: &State, mut difference: Value) -> Value {
    let (name, uid) = &state.operator;
    difference["operator"] = uid.as_ref().unwrap_or(name).as_str().into();
    difference["state"] = state.section.name.as_str().into();
    difference["kind"] = kind_of(state.section.kind).into();
    difference
}

async fn between(
    (before, old): (&Snapshot, &State),
    (after, new): (&Snapshot, &State),
) -> anyhow::Result<Option<Value>> {
    let (Some(old_schema), Some(new_schema)) = (old.schema(), new.schema()) else {
        let same = (old.written, old.bytes) == (new.written, new.bytes);
        let sizes = format!("of unknown type: {} bytes before, {} after", old.bytes, new.bytes);
        return Ok((!same).then(|| json!({ "type": sizes })));
    };
    if let Err(difference) = old_schema.accept(&new_schema) {
        return Ok(Some(json!({ "type": difference.to_string() })));
    }
    let (old, new) = (entries(before, old).await?, entries(after, new).await?);
    let added = new.keys().filter(|key| !old.contains_key(*key)).count();
    let removed = old.keys().filter(|key| !new.contains_key(*key)).count();
    let changed = old.iter().filter(|(key, value)| new.get(*key).is_some_and(|now| now != *value)).count();
    let same = (added, removed, changed) == (0, 0, 0);
    Ok((!same).then(|| json!({ "added": added, "removed": removed, "changed": changed })))
}

/// Entries by their keys; elements that have none by themselves and their number.
async fn entries(snapshot: &Snapshot, state: &State) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for entry in snapshot.entries(state).await? {
        match entry.key {
            Some(key) => drop(found.insert(key.to_string(), entry.value)),
            None => {
                let number = found.entry(entry.value.to_string()).or_insert_with(|| json!(0));
                *number = json!(number.as_u64().unwrap_or_default() + 1);
            }
        }
    }
    Ok(found)
}
