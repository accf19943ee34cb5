//! States and their entries.

use flott_snapshot::{
    EngineKind, KeyedKind, SectionKind, Snapshot, SnapshotKind,
    states::{Entry, State},
};
use serde_json::{Value, json};

use super::chosen;
use crate::{
    arguments::state::{Cat, Of},
    exit::{Code, CommandResult},
    output,
};

pub async fn list(snapshot: &Snapshot, as_json: bool) -> CommandResult {
    let states = chosen(snapshot, &Of { operator: None, state: None }).await?;
    let manifest = &snapshot.manifest;
    let kind = match manifest.kind {
        SnapshotKind::Checkpoint => "checkpoint",
        SnapshotKind::Savepoint => "savepoint",
    };
    if as_json {
        let states: Vec<Value> = states.iter().map(as_value).collect();
        output::json(&json!({
            "job": manifest.job_id.to_string(),
            "jobName": manifest.job_name,
            "kind": kind,
            "checkpoint": manifest.checkpoint.0,
            "completed": manifest.completed_ms,
            "states": states,
        }))?;
        return Ok(Code::Done);
    }
    let when = output::local_time(manifest.completed_ms.cast_signed());
    println!("{kind} {} of job {} ({}), {when}", manifest.checkpoint, manifest.job_name, manifest.job_id);
    let mut rows = vec![["OPERATOR", "STATE", "KIND", "WRITTEN", "BYTES", "TYPE"].map(str::to_owned)];
    rows.extend(states.iter().map(|state| {
        let (name, uid) = &state.operator;
        let operator = uid.as_ref().unwrap_or(name).clone();
        let numbers = [state.written.to_string(), state.bytes.to_string()];
        let [written, bytes] = numbers;
        [operator, state.section.name.clone(), kind_of(state.section.kind), written, bytes, type_of(state)]
    }));
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    Ok(Code::Done)
}

fn as_value(state: &State) -> Value {
    json!({
        "operator": state.section.operator.to_string(),
        "operatorName": state.operator.0,
        "uid": state.operator.1,
        "state": state.section.name,
        "kind": kind_of(state.section.kind),
        "written": state.written,
        "bytes": state.bytes,
        "type": type_of(state),
        "schema": state.schema(),
    })
}

pub(super) fn kind_of(kind: SectionKind) -> String {
    match kind {
        SectionKind::Keyed { kind, expires } => {
            let kind = match kind {
                KeyedKind::Value => "value",
                KeyedKind::List => "list",
                KeyedKind::Map => "map",
                KeyedKind::Reducing => "reducing",
                KeyedKind::Aggregating => "aggregating",
            };
            if expires { format!("{kind}, expiring") } else { kind.to_owned() }
        }
        SectionKind::Timers { .. } => "timers".to_owned(),
        SectionKind::OperatorList { spread } => format!("operator, {spread:?}").to_lowercase(),
        SectionKind::Engine { kind: EngineKind::Table | EngineKind::Entries } => "by key, of the engine".to_owned(),
        SectionKind::Engine { kind: EngineKind::Elements { .. } } => "of the engine".to_owned(),
    }
}

fn type_of(state: &State) -> String {
    match state.schema() {
        None => "?".to_owned(),
        Some(schema) => match schema.key {
            Some(key) => format!("{key} -> {}", schema.value),
            None => schema.value.to_string(),
        },
    }
}

pub async fn entries(snapshot: &Snapshot, options: &Cat) -> CommandResult {
    let mut shown = 0;
    let mut opaque = Vec::new();
    for state in chosen(snapshot, &options.of).await? {
        if state.schema().is_none() {
            opaque.push(state.section.to_string());
            continue;
        }
        let entries = snapshot.entries(&state).await.map_err(anyhow::Error::from)?;
        for entry in entries.iter().take(options.limit.unwrap_or(usize::MAX)) {
            println!("{}", line(&state, entry));
            shown += 1;
        }
    }
    if shown == 0 && options.of.state.is_some() && !opaque.is_empty() {
        return Err(anyhow::anyhow!("{}: the types of its entries were not stored", opaque.join(", ")).into());
    }
    for state in opaque {
        eprintln!("flott: {state} is left out: the types of its entries were not stored");
    }
    Ok(Code::Done)
}

fn line(state: &State, entry: &Entry) -> Value {
    let (name, uid) = &state.operator;
    let mut line = json!({ "operator": uid.as_ref().unwrap_or(name), "state": state.section.name });
    if let (Some(group), Some(key)) = (entry.group, &entry.key) {
        line["keyGroup"] = group.0.into();
        line["key"] = key.clone();
    }
    line["value"] = entry.value.clone();
    line
}
