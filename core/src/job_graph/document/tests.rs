use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use super::{DocumentError, SIZE_MAX, read, write};
use crate::{
    id::Digest,
    job_graph::{
        JobGraph, Parallelism, RestartPolicy, RestartStrategy,
        samples::{any_graph, word_count},
    },
    sealed::SealError,
};

/// A document of `graph`, which may be any text, with a checksum that fits.
fn sealed(graph: &str) -> String {
    let checksum = Digest::of(graph.as_bytes());
    format!(r#"{{"format":"flott.job-graph","version":1,"engine":"0.1.0","checksum":"{checksum}","graph":{graph}}}"#)
}

/// The document of a good graph that was spoilt as JSON.
fn spoilt(spoil: impl FnOnce(&mut Value)) -> String {
    let mut graph = serde_json::to_value(word_count()).unwrap();
    spoil(&mut graph);
    sealed(&graph.to_string())
}

#[track_caller]
fn refused(document: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(read(document.as_ref()).unwrap_err().to_string(), expected);
}

/// As [`refused`], where the place in the document says little.
#[track_caller]
fn refused_somewhere(document: impl AsRef<[u8]>, expected: &str) {
    let message = read(document.as_ref()).unwrap_err().to_string();
    let (problem, place) = message.rsplit_once(" (line ").unwrap_or_else(|| panic!("no place in {message:?}"));
    assert_eq!(problem, expected);
    assert!(place.starts_with("1, column "), "{message}");
}

#[test]
fn a_document_says_what_it_is() {
    let document: Value = serde_json::from_slice(&write(&word_count())).unwrap();
    assert_eq!(document["format"], "flott.job-graph");
    assert_eq!(document["version"], 1);
    assert_eq!(document["engine"], env!("CARGO_PKG_VERSION"));
    let text = String::from_utf8(write(&word_count())).unwrap();
    assert!(text.starts_with(r#"{"format":"flott.job-graph","version":1,"engine":""#), "{text}");
}

#[test]
fn fields_may_stand_in_any_order_and_with_any_space() {
    let graph = serde_json::to_string_pretty(&word_count()).unwrap();
    let checksum = Digest::of(graph.as_bytes());
    let document = format!(
        "\n {{ \"graph\" :\t{graph} ,\n\"checksum\":\"{checksum}\",\"version\":1,\r\n\"engine\":\"other\",\"format\":\"flott.job-graph\"}}\n"
    );
    assert_eq!(read(document.as_bytes()), Ok(word_count()));
}

#[test]
fn other_formats_and_versions_are_refused() {
    refused(r#"{"format":"x","version":1}"#, r#"format: "x", expected "flott.job-graph""#);
    let later = r#"{"format":"flott.job-graph","version":2,"colour":"blue"}"#;
    refused(later, "version: 2, expected 1, which flott 0.1.0 reads");
    let document = sealed("{}").replace("\"version\":1", "\"version\":-1");
    refused_somewhere(document, "version: invalid value: integer `-1`, expected u64");
}

#[test]
fn a_damaged_graph_is_noticed() {
    let document = String::from_utf8(write(&word_count())).unwrap();
    let damaged = document.replace("counter", "countez");
    let error = read(damaged.as_bytes()).unwrap_err();
    assert!(
        matches!(error, DocumentError::Sealed(SealError::Checksum { stated, actual }) if stated != actual),
        "{error}"
    );
    assert!(error.to_string().ends_with(": the document is damaged"), "{error}");
}

#[test]
fn files_of_other_kinds_are_recognised() {
    let check = |bytes: &[u8], kind| {
        refused(bytes, &format!("not a job graph but {kind}; expected what `flott plan` writes"));
    };
    check(b"\xac\xed\x00\x05sr\x00", "a Java-serialised object (a plan of Flink on the JVM?)");
    check(b"rO0ABXNyAA==", "a Java-serialised object in Base64 (a plan of Flink on the JVM?)");
    check(b"\x7fELF\x02\x01\x01", "a Linux program");
    check(b"PK\x03\x04\x14\x00", "a zip or jar archive");
    check(b"#!/bin/sh\n", "a script");
    check(b" \n", "an empty file");
    check(b"", "an empty file");
    check(b"[1]", "something that does not begin with a brace");
}

#[test]
fn large_documents_are_refused_unread() {
    let mut document = write(&word_count());
    document.resize(SIZE_MAX, b' ');
    assert_eq!(read(&document), Ok(word_count()));
    document.push(b' ');
    refused(document, "job graph has 16777217 bytes, expected at most 16777216");
}

#[test]
fn nothing_may_follow_the_document() {
    let mut document = write(&word_count());
    document.extend(b" {}");
    refused_somewhere(document, "trailing characters");
}

#[test]
fn fields_of_the_document_are_neither_unknown_nor_missing_nor_twice() {
    let document = sealed(&serde_json::to_string(&word_count()).unwrap());
    let unknown = "colour: unknown field `colour`, expected one of `format`, `version`, `engine`, `checksum`, `graph`";
    refused_somewhere(document.replace("\"engine\"", "\"colour\""), unknown);
    refused_somewhere(document.replace("\"engine\":\"0.1.0\",", ""), "missing field `engine`");
    let twice = document.replace("\"engine\":\"0.1.0\",", "\"engine\":\"0.1.0\",\"engine\":\"0.1.0\",");
    refused_somewhere(twice, "engine: duplicate field `engine`");
}

#[test]
fn fields_of_the_graph_are_neither_unknown_nor_missing() {
    let missing = |graph: &mut Value| drop(graph["vertices"][1].as_object_mut().unwrap().remove("name"));
    refused_somewhere(spoilt(missing), "graph.vertices[1]: missing field `name`");
    let unknown = "unknown field `colour`, expected";
    let check = |path: &[&str], field: &str, expected: &str| {
        let document = spoilt(|graph| {
            let object = path.iter().fold(graph, |at, key| match key.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[*key],
            });
            object["colour"] = json!("blue");
        });
        refused_somewhere(document, &format!("graph.{field}: {unknown} {expected}"));
    };
    let vertex =
        "one of `id`, `name`, `operators`, `parallelism`, `max_parallelism`, `slot_sharing_group`, `resources`";
    check(&["vertices", "0"], "vertices[0].colour", vertex);
    let input = "`node` or `ship`";
    check(&["vertices", "1", "operators", "0", "inputs", "0"], "vertices[1].operators[0].inputs[0].colour", input);
    check(&["vertices", "0", "resources"], "vertices[0].resources.colour", "`cpu_millicores` or `memory_bytes`");
}

#[test]
fn unknown_fields_of_a_restart_strategy_are_refused() {
    for strategy in [
        json!({"type": "none", "colour": 1}),
        json!({"type": "fixed-delay", "attempts": 1, "delay-ms": 1, "colour": 1}),
        json!({"type": "failure-rate", "failures-per-interval-max": 1, "interval-ms": 1, "delay-ms": 1, "colour": 1}),
    ] {
        let document = spoilt(|graph| graph["restart"] = json!({ "own": strategy }));
        let message = read(document.as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with("graph.restart: unknown field `colour`"), "{message}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    let check = |spoil: fn(&mut Value), expected: &str| refused_somewhere(spoilt(spoil), expected);
    check(
        |graph| graph["vertices"][0]["id"] = json!("12"),
        "graph.vertices[0].id: a vertex id must be 32 hex digits, not \"12\"",
    );
    check(
        |graph| graph["vertices"][0]["parallelism"] = json!({"fixed": -1}),
        "graph.vertices[0].parallelism.fixed: invalid value: integer `-1`, expected u32",
    );
    check(
        |graph| graph["edges"][0]["ship"] = json!("SIDEWAYS"),
        "graph.edges[0].ship: unknown variant `SIDEWAYS`, expected one of `FORWARD`, `HASH`, `REBALANCE`, `RESCALE`, \
         `BROADCAST`, `SHUFFLE`, `GLOBAL`, `CUSTOM`",
    );
    check(|graph| *graph = json!(null), "graph: invalid type: null, expected struct JobGraph");
}

#[test]
fn the_place_of_an_error_counts_from_the_start_of_the_document() {
    let graph = serde_json::to_string_pretty(&word_count()).unwrap().replace("\"counter\"", "7");
    let document = sealed(&graph);
    let (at, _) = document.match_indices("\"name\": 7").next().unwrap();
    let line = document[..at].lines().count();
    let column = document[..at].lines().next_back().unwrap().len() + "\"name\": 7".len();
    refused(
        &document,
        &format!(
            "graph.vertices[1].operators[0].name: invalid type: integer `7`, expected a string \
             (line {line}, column {column})"
        ),
    );
}

#[test]
fn keys_of_the_configuration_are_not_there_twice() {
    let graph = serde_json::to_string(&word_count()).unwrap();
    let graph = graph.replace(r#""configuration":{}"#, r#""configuration":{"a":"1","b":"2","a":"3"}"#);
    refused_somewhere(sealed(&graph), "graph.configuration: duplicate key \"a\"");
}

#[test]
fn fields_of_the_graph_are_not_there_twice() {
    let graph = serde_json::to_string(&word_count()).unwrap();
    let twice = graph.replacen(r#""name":"#, r#""name":"first","name":"#, 1);
    refused_somewhere(sealed(&twice), "graph.name: duplicate field `name`");
    let strategy = r#"{"own":{"type":"fixed-delay","attempts":1,"attempts":2,"delay-ms":1}}"#;
    let twice = graph.replace(r#""restart":"cluster""#, &format!(r#""restart":{strategy}"#));
    refused_somewhere(sealed(&twice), "graph.restart: duplicate field `attempts`");
}

#[test]
fn messages_stay_short_whatever_they_quote() {
    let long = "x".repeat(1_000_000);
    let field = spoilt(|graph| graph[&long] = json!(1));
    let text = spoilt(|graph| graph["vertices"][0]["parallelism"] = json!({"fixed": long}));
    let key = spoilt(|graph| graph["configuration"][&long] = json!(1));
    for document in [field, text, key] {
        let message = read(document.as_bytes()).unwrap_err().to_string();
        assert!(message.len() < 1000, "{} bytes: {message:.200}", message.len());
    }
}

#[test]
fn what_check_finds_is_refused() {
    let mut graph = word_count();
    graph.vertices[1].parallelism = Parallelism::Fixed(0);
    refused(write(&graph), "graph.vertices[1].parallelism: 0 is not between 1 and 32768");
}

#[test]
fn numbers_that_are_none_are_refused_and_do_not_panic() {
    let mut graph = word_count();
    graph.restart = RestartPolicy::Own(RestartStrategy::ExponentialDelay {
        initial_backoff_ms: 1,
        max_backoff_ms: 1,
        multiplier: f64::INFINITY,
        reset_threshold_ms: 1,
        jitter: 0.0,
        attempts_max: None,
    });
    refused_somewhere(write(&graph), "graph.restart: invalid type: null, expected f64");
}

#[test]
fn nesting_bombs_do_not_overflow_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let bomb = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        assert!(matches!(read(sealed(&bomb).as_bytes()), Err(DocumentError::Sealed(SealError::Malformed(_)))));
        assert!(read(format!("{{\"graph\":{}", open.repeat(1_000_000)).as_bytes()).is_err());
        // The only place where any JSON is taken in before it is understood.
        let graph = serde_json::to_string(&word_count()).unwrap();
        let graph = graph.replace(r#""restart":"cluster""#, &format!(r#""restart":{{"own":{{"a":{bomb}}}}}"#));
        assert!(graph.contains("own"));
        let message = read(sealed(&graph).as_bytes()).unwrap_err().to_string();
        assert!(message.contains("recursion limit exceeded"), "{message}");
    }
}

#[test]
fn text_that_is_not_unicode_is_refused() {
    let mut document = write(&word_count());
    let at = document.windows(7).position(|window| window == b"counter").unwrap();
    document[at] = 0xff;
    assert!(matches!(read(&document), Err(DocumentError::Sealed(SealError::Malformed(_)))));
}

#[test]
fn every_truncation_is_refused() {
    let document = write(&word_count());
    for length in 0..document.len() {
        assert!(read(&document[..length]).is_err(), "first {length} bytes");
    }
}

#[test]
fn every_bit_flip_is_refused_or_changes_nothing() {
    let document = write(&word_count());
    for bit in 0..document.len() * 8 {
        let mut flipped = document.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(graph) = read(&flipped) {
            assert_eq!(graph, word_count(), "bit {bit}");
        }
    }
}

fn check_not_another(graph: &JobGraph, document: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(other) = read(document) {
        prop_assert_eq!(&other, graph);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_written_is_read(graph in any_graph()) {
        let document = write(&graph);
        prop_assert_eq!(read(&document), Ok(graph.clone()));
        prop_assert_eq!(write(&graph), document, "the same graph has the same document");
    }

    #[test]
    fn damage_never_makes_another_graph(
        graph in any_graph(),
        flips in prop::collection::vec((any::<Index>(), 0_u8..8), 1..4),
        cut in any::<Index>(),
    ) {
        let mut document = write(&graph);
        check_not_another(&graph, &document[..cut.index(document.len())])?;
        for (at, bit) in flips {
            let at = at.index(document.len());
            document[at] ^= 1 << bit;
            check_not_another(&graph, &document)?;
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), json in "[{}\\[\\]:,\"a-f0-9\\\\]{0,60}") {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(sealed(&json).as_bytes()).is_err());
    }
}
