//! What lies between two snapshots.

use std::collections::BTreeMap;

use flott_core::id::OperatorId;
use flott_snapshot::{Snapshot, states::State};
use serde_json::{Value, json};

use super::chosen;
use crate::{
    arguments::state::Diff,
    exit::{Code, CommandResult},
    output,
};

/// A state's operator and name.
type Place = (OperatorId, String);

pub async fn print(before: &Snapshot, after: &Snapshot, options: &Diff) -> CommandResult {
    let by_place = |states: Vec<State>| -> BTreeMap<Place, State> {
        states.into_iter().map(|state| ((state.section.operator, state.section.name.clone()), state)).collect()
    };
    let (old, new) = (by_place(chosen(before, &options.of).await?), by_place(chosen(after, &options.of).await?));
    let places: std::collections::BTreeSet<&Place> = old.keys().chain(new.keys()).collect();
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
    if options.json.json {
        output::json(&differences)?;
        return Ok(Code::Done);
    }
    for difference in &differences {
        let text = |name: &str| difference[name].as_str().unwrap_or_default().to_owned();
        let (operator, state) = (text("operator"), text("state"));
        if difference.get("in").is_some() {
            println!("{operator} {state}: only in the one {}", text("in"));
        } else if difference.get("type").is_some() {
            println!("{operator} {state}: {}", text("type"));
        } else {
            let [added, removed, changed] = ["added", "removed", "changed"].map(|name| difference[name].to_string());
            println!("{operator} {state}: {added} added, {removed} removed, {changed} changed");
        }
    }
    if differences.is_empty() {
        println!("no difference");
    }
    Ok(Code::Done)
}

fn described(state: &State, mut difference: Value) -> Value {
    let (name, uid) = &state.operator;
    difference["operator"] = uid.as_ref().unwrap_or(name).as_str().into();
    difference["state"] = state.section.name.as_str().into();
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
