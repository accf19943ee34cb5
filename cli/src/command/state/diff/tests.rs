use flott_core::{
    codec,
    id::{AttemptId, AttemptNumber, CheckpointId, Fingerprint, JobId, JobMasterEpoch, SubtaskIndex, VertexId},
    key_group::{KeyGroup, KeyGroupRange, MaxParallelism},
    schema::EntrySchema,
};
use flott_snapshot::{
    Compression, DataPath, Directory, Entries, KeyedKind, Manifest, OperatorIdentity, S3Options, Section, SectionKind,
    SnapshotKind, SubtaskState, TimeDomain, VertexState,
};
use serde::{Serialize, de::DeserializeOwned};

use super::*;

const VALUES: SectionKind = SectionKind::Keyed { kind: KeyedKind::Value, expires: false };
const TIMERS: SectionKind = SectionKind::Timers { domain: TimeDomain::Event };
const ALL: Of = Of { operator: None, state: None };

/// A state of the operator `visits`, all of whose keys are in one group.
struct Table {
    section: Section,
    count: u64,
    payload: Vec<u8>,
}

fn table<V: Serialize + DeserializeOwned>(name: &str, kind: SectionKind, entries: &[(&str, V)]) -> Table {
    let schema = EntrySchema::keyed::<String, V>().to_text();
    let encoded = |(key, value): &(&str, V)| codec::to_vec(&(key, value)).unwrap();
    Table {
        section: Section { operator: OperatorId::from_uid("visits"), name: name.to_owned(), kind, schema },
        count: entries.len() as u64,
        payload: entries.iter().flat_map(encoded).collect(),
    }
}

/// One whose types are not known.
fn opaque(name: &str, payload: &[u8]) -> Table {
    let mut table = table(name, VALUES, &[("a", 0u64)]);
    (table.section.schema, table.payload) = (None, payload.to_vec());
    table
}

/// A savepoint with these.
async fn savepoint(tables: Vec<Table>) -> (tempfile::TempDir, Snapshot) {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().to_str().unwrap();
    let directory = Directory::open(location, &S3Options::default()).unwrap();
    let operator = OperatorId::from_uid("visits");
    let vertex = VertexId::of_chain(operator);
    let attempt = AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    let path = DataPath::unique(SnapshotKind::Savepoint, CheckpointId(1), attempt);
    let mut writer = directory.create_file(path, Compression::None);
    for Table { section, count, payload } in tables {
        let section = writer.section(section).unwrap();
        writer.chunk(section, Some(KeyGroup(0)), Entries::Values, count, payload.into()).await.unwrap();
    }
    let max_parallelism = MaxParallelism::new(8).unwrap();
    let subtask = SubtaskState {
        key_groups: Some(KeyGroupRange::all(max_parallelism)),
        files: vec![writer.finish().await.unwrap()],
        ..SubtaskState::default()
    };
    let identity = OperatorIdentity { id: operator, name: "count".to_owned(), uid: Some("visits".to_owned()) };
    let manifest = Manifest {
        job_id: JobId::from_bytes([7; 16]),
        job_name: "job".to_owned(),
        fingerprint: Fingerprint::of(b"plan"),
        kind: SnapshotKind::Savepoint,
        checkpoint: CheckpointId(1),
        epoch: JobMasterEpoch(1),
        triggered_ms: 1,
        completed_ms: 2,
        vertices: vec![VertexState {
            id: vertex,
            name: "count".to_owned(),
            parallelism: 1,
            max_parallelism,
            operators: vec![identity],
            subtasks: vec![subtask],
        }],
        sources: Vec::new(),
        committables: Vec::new(),
    };
    directory.commit_savepoint(&manifest).await.unwrap();
    let snapshot = Snapshot::load(location, &S3Options::default()).await.unwrap();
    (dir, snapshot)
}

async fn diff(before: Vec<Table>, after: Vec<Table>, of: &Of) -> anyhow::Result<Vec<Value>> {
    let ((_before, before), (_after, after)) = (savepoint(before).await, savepoint(after).await);
    differences(&before, &after, of).await
}

/// What is told of these.
async fn check(before: Vec<Table>, after: Vec<Table>, expected: &[&str]) {
    let found = diff(before, after, &ALL).await.unwrap();
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn entries_are_added_removed_and_changed() {
    let counts = |entries: &[(&str, u64)]| vec![table("counts", VALUES, entries)];
    let before = || counts(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let after = || counts(&[("b", 2), ("c", 30), ("d", 40), ("e", 5), ("f", 6), ("g", 7)]);
    check(before(), after(), &["visits counts: 3 added, 1 removed, 2 changed"]).await;
    check(after(), before(), &["visits counts: 1 added, 3 removed, 2 changed"]).await;
    check(before(), before(), &[]).await;
    let found = diff(before(), after(), &ALL).await.unwrap();
    let expected =
        json!([{ "operator": "visits", "state": "counts", "kind": "value", "added": 3, "removed": 1, "changed": 2 }]);
    assert_eq!(Value::from(found), expected);
}

#[tokio::test]
async fn states_may_be_on_one_side_alone() {
    let of = |name: &str| table(name, VALUES, &[("a", 1u64)]);
    check(
        vec![of("both"), of("old")],
        vec![of("both"), of("new")],
        &["visits new: only in the one after", "visits old: only in the one before"],
    )
    .await;
    // So it is with one that is named.
    let named = |name: &str| Of { operator: None, state: Some(name.to_owned()) };
    let found = diff(vec![of("both"), of("old")], vec![of("both")], &named("old")).await.unwrap();
    assert_eq!(Value::from(found), json!([{ "operator": "visits", "state": "old", "kind": "value", "in": "before" }]));
    let refused = diff(vec![of("both")], vec![of("both")], &named("old")).await.unwrap_err().to_string();
    assert!(refused.contains("hold no such state"), "{refused}");
}

#[tokio::test]
async fn states_of_one_name_and_another_sort_are_two() {
    let both = |count: u64, timer: u64| vec![table("x", VALUES, &[("a", count)]), table("x", TIMERS, &[("a", timer)])];
    check(both(1, 1), both(2, 1), &["visits x: 0 added, 0 removed, 1 changed"]).await;
    check(both(1, 1), both(1, 2), &["visits x: 0 added, 0 removed, 1 changed"]).await;
}

#[tokio::test]
async fn another_type_is_told_in_place_of_entries() {
    let narrow = vec![table("counts", VALUES, &[("a", 1u32)])];
    let wide = vec![table("counts", VALUES, &[("a", 1u64)])];
    let found = diff(narrow, wide, &ALL).await.unwrap();
    let [difference] = &found[..] else { panic!("{found:?}") };
    let told = line(difference);
    assert!(told.starts_with("visits counts: ") && told.contains("u32") && told.contains("u64"), "{told}");
    assert!(difference.get("changed").is_none(), "{difference}");
}

#[tokio::test]
async fn of_types_that_are_not_known_sizes_are_told() {
    check(vec![opaque("counts", b"123")], vec![opaque("counts", b"123")], &[]).await;
    check(
        vec![opaque("counts", b"123")],
        vec![opaque("counts", b"12345")],
        &["visits counts: of unknown type: 3 bytes before, 5 after"],
    )
    .await;
}
