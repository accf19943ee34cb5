//! Documents of manifests: what is written is read, and what must not be is refused by the name of the field.

use bytes::Bytes;
use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, Digest, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId},
    key_group::{KeyGroup, KeyGroupRange},
    message::Committable,
    sealed::SealError,
    view::Accumulator,
};
use flott_snapshot::{
    Checksum, Manifest, OperatorIdentity, ReaderSplits, SnapshotKind, StateFile, SubtaskState, VertexState,
    manifest::document::{self, Claim, Document, DocumentError},
};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

#[path = "common/samples.rs"]
mod samples;

fn file(name: &str, bytes: u64) -> StateFile {
    StateFile { path: format!("shared/{name}").parse().unwrap(), bytes, checksum: Checksum(0x00c0_ffee) }
}

/// Two vertices, of which one has two subtasks that share a file.
fn sample() -> Manifest {
    let mut manifest = samples::manifest(SnapshotKind::Checkpoint, CheckpointId(3), 2, vec![file("a", 10)]);
    let sink = OperatorId::from_structure(&[b"sink"]);
    let range = |start, end| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).unwrap();
    let subtask = |range, files| SubtaskState { key_groups: Some(range), files, ..SubtaskState::default() };
    let vertex = VertexState {
        id: VertexId::of_chain(sink),
        name: "sink".to_owned(),
        parallelism: 2,
        max_parallelism: manifest.vertices[0].max_parallelism,
        operators: vec![OperatorIdentity { id: sink, name: "sink".to_owned(), uid: None }],
        subtasks: vec![
            subtask(range(0, 3), vec![file("b", 20), file("c", 30)]),
            subtask(range(4, 7), vec![file("b", 20)]),
        ],
    };
    let attempt = AttemptId { vertex: vertex.id, subtask: SubtaskIndex(1), attempt: AttemptNumber(0) };
    manifest.vertices.push(vertex);
    manifest.committables.push(Committable { sink, attempt, data: Bytes::from_static(b"\x00part\xff") });
    manifest
}

/// A document whose content, which may be any text, has the right checksum.
fn sealed(kind: &str, content: &str) -> Vec<u8> {
    let checksum = Digest::of(content.as_bytes());
    format!(
        r#"{{"format":"flott.checkpoint","version":3,"engine":"0.1.0","checksum":"{checksum}","{kind}":{content}}}"#
    )
    .into_bytes()
}

/// The document of a good manifest that was spoilt as JSON.
fn spoilt(spoil: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = serde_json::to_value(sample()).unwrap();
    spoil(&mut manifest);
    sealed("manifest", &manifest.to_string())
}

#[track_caller]
fn refused(spoil: impl FnOnce(&mut Value), expected: &str) {
    let message = document::read(&spoilt(spoil)).unwrap_err().to_string();
    let message = message.rsplit_once(" (line ").map_or(message.as_str(), |(problem, _)| problem);
    assert_eq!(message, expected);
}

#[test]
fn what_is_written_is_read_and_can_be_read_by_people() {
    let written = document::write(&sample());
    assert_eq!(document::read(&written).unwrap(), Document::Manifest(Box::new(sample())));
    let text = String::from_utf8(written).unwrap();
    for part in [
        r#"{"format":"flott.checkpoint","version":3,"engine":"0.1.0","checksum":""#,
        r#""kind":"checkpoint","checkpoint":3,"epoch":2,"#,
        r#"{"path":"shared/b","bytes":20,"checksum":"00c0ffee"}"#,
        r#""splits":["73706c6974"]"#,
        r#""data":"0070617274ff""#,
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(sample().state_bytes(), 60);
}

#[test]
fn claims_are_documents_too() {
    let claim =
        Claim { job_id: samples::JOB, checkpoint: CheckpointId(4), epoch: JobMasterEpoch(5), nonce: "ab".to_owned() };
    assert_eq!(document::read(&document::write_claim(&claim)).unwrap(), Document::Claim(claim.clone()));
    let claim = Claim { checkpoint: CheckpointId(u64::MAX), ..claim };
    let error = document::read(&document::write_claim(&claim)).unwrap_err();
    assert_eq!(error.to_string(), "claim.checkpoint: out of range");
}

#[test]
fn what_readers_had_left_and_results_are_kept() {
    let mut manifest = sample();
    let source = manifest.sources[0].source;
    let half = Bytes::from_static(b"half");
    let readers = vec![ReaderSplits { source, splits: vec![half.clone()] }];
    let results = [
        ("none", Accumulator::DoubleCounter(f64::INFINITY)),
        ("some", Accumulator::DoubleCounter(0.1 + 0.2)),
        ("lines", Accumulator::List(vec!["\"a\"".to_owned()])),
        ("least", Accumulator::LongMinimum(i64::MIN)),
    ];
    let subtask = &mut manifest.vertices[0].subtasks[0];
    subtask.splits = readers;
    subtask.accumulators = results.map(|(name, result)| (name.to_owned(), result)).into();
    assert_eq!(manifest.left_to_read(source), Some(vec![half, Bytes::from_static(b"split")]));
    let read = document::read(&document::write(&manifest)).unwrap();
    assert_eq!(read, Document::Manifest(Box::new(manifest.clone())));
    manifest.sources[0].known = false;
    assert_eq!(manifest.left_to_read(source), None);
    let stranger = OperatorId::from_structure(&[b"sink"]);
    manifest.vertices[0].subtasks[0].splits[0].source = stranger;
    let refused = document::read(&document::write(&manifest)).unwrap_err().to_string();
    let expected =
        format!("manifest.vertices[0].subtasks[0].splits[0].source: {stranger} is no operator of the vertex");
    assert_eq!(refused, expected);
}

#[test]
fn other_formats_and_versions_are_refused() {
    let check = |document: &str, expected: &str| {
        assert_eq!(document::read(document.as_bytes()).unwrap_err().to_string(), expected);
    };
    check(r#"{"format":"x","version":1}"#, r#"format: "x", expected "flott.checkpoint""#);
    let later = r#"{"format":"flott.checkpoint","version":4,"colour":"blue"}"#;
    check(later, "version: 4, expected 1 to 3, which flott 0.1.0 reads");
    let nothing = sealed("manifest", "{}");
    let nothing = String::from_utf8(nothing).unwrap().replace(r#","manifest":{}"#, "");
    check(&nothing, "expected either a manifest or a claim");
    let both =
        String::from_utf8(sealed("manifest", "{}")).unwrap().replace(r#""manifest""#, r#""claim":{},"manifest""#);
    check(&both, "expected either a manifest or a claim");
}

#[test]
fn damage_is_noticed() {
    let document = String::from_utf8(document::write(&sample())).unwrap().replace("word count", "word comma");
    let error = document::read(document.as_bytes()).unwrap_err();
    assert!(matches!(error, DocumentError::Sealed(SealError::Checksum { .. })), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused_by_the_name_of_the_field() {
    let sink = OperatorId::from_structure(&[b"sink"]);
    refused(|it| it["checkpoint"] = json!(0), "manifest.checkpoint: 0 is not between 1 and 1152921504606846976");
    refused(
        |it| it["checkpoint"] = json!(u64::MAX),
        "manifest.checkpoint: 18446744073709551615 is not between 1 and 1152921504606846976",
    );
    refused(
        |it| it["triggered_ms"] = json!(u64::MAX),
        "manifest.triggered_ms: 18446744073709551615 is not between 0 and 253402300799999",
    );
    refused(|it| it["job_name"] = json!("x".repeat(2000)), "manifest.job_name: 2000 bytes, expected at most 1024");
    refused(
        |it| it["vertices"][1]["id"] = it["vertices"][0]["id"].clone(),
        &format!("manifest.vertices[1].id: {} is there twice", sample().vertices[0].id),
    );
    refused(|it| it["vertices"][1]["operators"] = json!([]), "manifest.vertices[1].operators: must not be empty");
    refused(
        |it| it["vertices"][1]["operators"][0]["id"] = it["vertices"][0]["operators"][0]["id"].clone(),
        &format!("manifest.vertices[1].operators[0].id: {} is there twice", sample().vertices[0].operators[0].id),
    );
    refused(
        |it| it["vertices"][1]["operators"][0]["uid"] = json!("other"),
        &format!("manifest.vertices[1].operators[0].id: {sink} is not the id of the uid \"other\""),
    );
    refused(
        |it| it["vertices"][1]["parallelism"] = json!(0),
        "manifest.vertices[1].parallelism: 0 is not between 1 and 32768",
    );
    refused(
        |it| it["vertices"][1]["parallelism"] = json!(9),
        "manifest.vertices[1].parallelism: 9 exceeds the maximum parallelism 8",
    );
    refused(
        |it| it["vertices"][1]["parallelism"] = json!(3),
        "manifest.vertices[1].subtasks: 2 entries, expected 3, one per subtask",
    );
    refused(
        |it| it["vertices"][1]["subtasks"][1]["key_groups"] = json!([3, 7]),
        "manifest.vertices[1].subtasks[1].key_groups: 3-7 overlaps with those of subtask 0",
    );
    refused(
        |it| it["vertices"][1]["subtasks"][1]["key_groups"] = json!([4, 8]),
        "manifest.vertices[1].subtasks[1].key_groups: 8 is not among the 8 key groups",
    );
    refused(
        |it| it["sources"][0]["source"] = json!("00".repeat(16)),
        &format!("manifest.sources[0].source: {} is no operator of a vertex", "00".repeat(16)),
    );
    refused(
        |it| it["committables"][0]["sink"] = json!("00".repeat(16)),
        &format!("manifest.committables[0].sink: {} is no operator of a vertex", "00".repeat(16)),
    );
    refused(
        |it| it["committables"][0]["vertex"] = json!("00".repeat(16)),
        &format!("manifest.committables[0].vertex: {} is no vertex", "00".repeat(16)),
    );
}

#[test]
fn files_that_cannot_be_are_refused() {
    let path = |path: &'static str, expected: &str| {
        refused(|it| it["vertices"][0]["subtasks"][0]["files"][0]["path"] = json!(path), expected);
    };
    // The path is the last field here, and an error in the last one is found behind the object.
    let object = "manifest.vertices[0].subtasks[0].files[0]";
    let at = format!("{object}.path");
    path(
        "/etc/passwd",
        &format!(
            "{object}: path \"/etc/passwd\" is absolute, expected one relative to the directory of the job or savepoint"
        ),
    );
    path(
        "shared/../../a",
        &format!("{object}: path \"shared/../../a\" has a name of dots, which could lead elsewhere"),
    );
    path("other/a", &format!("{at}: other/a is not in \"shared/\", where those of checkpoints are"));
    refused(|it| it["kind"] = json!("savepoint"), &format!("{at}: shared/a is not beside the savepoint's manifest"));
    refused(
        |it| it["vertices"][0]["subtasks"][0]["files"][0]["bytes"] = json!(1_u64 << 51),
        "manifest.vertices[0].subtasks[0].files[0].bytes: 2251799813685248 is not between 1 and 1125899906842624",
    );
    refused(
        |it| it["vertices"][1]["subtasks"][0]["files"][1]["path"] = json!("shared/b"),
        "manifest.vertices[1].subtasks[0].files[1].path: shared/b is there twice",
    );
    refused(
        |it| it["vertices"][1]["subtasks"][1]["files"][0]["bytes"] = json!(21),
        "manifest.vertices[1].subtasks[1].files[0]: shared/b is elsewhere said to have other bytes or another checksum",
    );
    refused(
        |it| it["vertices"][0]["subtasks"][0]["files"][0]["checksum"] = json!("+0c0ffee"),
        "manifest.vertices[0].subtasks[0].files[0].checksum: a checksum must be 8 hex digits, not \"+0c0ffee\"",
    );
    refused(
        |it| it["committables"][0]["data"] = json!("abc"),
        "manifest.committables[0].data: expected pairs of hex digits, not \"abc\"",
    );
}

#[test]
fn fields_are_neither_unknown_nor_missing() {
    let message = |spoil: fn(&mut Value)| document::read(&spoilt(spoil)).unwrap_err().to_string();
    let missing = message(|it| drop(it["vertices"][0]["subtasks"][0].as_object_mut().unwrap().remove("files")));
    assert!(missing.starts_with("manifest.vertices[0].subtasks[0]: missing field `files` (line 1"), "{missing}");
    let unknown = message(|it| it["vertices"][0]["subtasks"][0]["colour"] = json!("blue"));
    assert!(
        unknown.starts_with("manifest.vertices[0].subtasks[0].colour: unknown field `colour`, expected"),
        "{unknown}"
    );
}

#[test]
fn every_truncation_is_refused() {
    let document = document::write(&sample());
    for length in 0..document.len() {
        assert!(document::read(&document[..length]).is_err(), "first {length} bytes");
    }
}

#[test]
fn every_bit_flip_is_refused_or_changes_nothing() {
    let document = document::write(&sample());
    for bit in 0..document.len() * 8 {
        let mut flipped = document.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = document::read(&flipped) {
            assert_eq!(read, Document::Manifest(Box::new(sample())), "bit {bit}");
        }
    }
}

/// What stands in a manifest where it was struck out.
fn telling() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "0",
        "-1",
        "1e999",
        "18446744073709551616",
        "null",
        "true",
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "[[[[",
        "..",
        "/",
        "\\u0000",
        "\\ud800",
        "é",
    ])
}

proptest! {
    /// The checksum is right here, so that what reads the content is reached.
    #[test]
    fn no_content_panics(edits in prop::collection::vec((any::<Index>(), 0..40_usize, telling()), 1..5)) {
        let mut content = serde_json::to_string(&sample()).unwrap();
        for (at, length, telling) in edits {
            let start = at.index(content.len());
            let end = (start + length).min(content.len());
            if content.is_char_boundary(start) && content.is_char_boundary(end) {
                content.replace_range(start..end, telling);
            }
        }
        for kind in ["manifest", "claim"] {
            match document::read(&sealed(kind, &content)) {
                Ok(Document::Manifest(manifest)) => {
                    prop_assert_eq!(document::read(&document::write(&manifest)), Ok(Document::Manifest(manifest)));
                }
                Ok(Document::Claim(_)) => {}
                Err(error) => prop_assert!(error.to_string().len() < 8192),
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(document::read(&bytes).is_err());
    }
}
