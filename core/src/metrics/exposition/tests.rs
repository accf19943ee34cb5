use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::metrics::{
    ReadFamily, read, reference_markdown,
    table::{GROUPS, cluster, cluster::workers, jobmanager},
};

fn written(format: Format, write: impl FnOnce(&mut Exposition<&mut dyn FnMut(String) -> bool>)) -> String {
    let mut text = String::new();
    let mut sink = |piece: String| {
        text.push_str(&piece);
        true
    };
    let mut exposition = Exposition::new(format, &mut sink as &mut dyn FnMut(String) -> bool);
    write(&mut exposition);
    assert!(exposition.finish());
    text
}

#[test]
fn a_text_looks_as_prometheus_reads_it() {
    let labels = Labels::new(&jobmanager::LABELS, ["a\\b\"c\nd"]);
    let write = |exposition: &mut Exposition<&mut dyn FnMut(String) -> bool>| {
        exposition.plain(&cluster::REGISTERED, [(&labels, 3u64)]);
        exposition.plain(&cluster::PENDING, std::iter::empty::<(&Labels, u64)>());
        exposition.plain(&jobmanager::CPU_SECONDS, [(&labels, 1.5)]);
        exposition.family(&cluster::JOBS, [(&labels, Some("RUNNING"), 1u64), (&labels, Some("\""), 0)]);
    };
    let expected = |counter: &str| {
        format!(
            "# HELP flott_jobmanager_numRegisteredTaskManagers TaskManagers that are registered.\n\
             # TYPE flott_jobmanager_numRegisteredTaskManagers gauge\n\
             flott_jobmanager_numRegisteredTaskManagers{{host=\"a\\\\b\\\"c\\nd\"}} 3\n\
             # HELP flott_jobmanager_Status_Process_CPU_Seconds CPU time that the JobManager has taken, user and system.\n\
             # TYPE flott_jobmanager_Status_Process_CPU_Seconds {counter}\n\
             flott_jobmanager_Status_Process_CPU_Seconds{{host=\"a\\\\b\\\"c\\nd\"}} 1.5\n\
             # HELP flott_jobmanager_numJobs Jobs by state. Those that have ended are counted as long as they are remembered.\n\
             # TYPE flott_jobmanager_numJobs gauge\n\
             flott_jobmanager_numJobs{{host=\"a\\\\b\\\"c\\nd\",status=\"RUNNING\"}} 1\n\
             flott_jobmanager_numJobs{{host=\"a\\\\b\\\"c\\nd\",status=\"\\\"\"}} 0\n"
        )
    };
    assert_eq!(written(Format::Prometheus, write), expected("counter"));
    assert_eq!(written(Format::OpenMetrics, write), expected("unknown") + "# EOF\n");
}

#[test]
fn a_long_text_comes_in_pieces_of_whole_lines_until_nobody_takes_them() {
    let labels = Labels::new(&jobmanager::LABELS, ["host"]);
    let names: Vec<_> = (0..10_000).map(|n: u32| n.to_string()).collect();
    for taken in [1, usize::MAX] {
        let mut pieces = Vec::new();
        let sink = |piece: String| {
            assert!(piece.ends_with('\n') && piece.len() < PIECE + 200, "{}", piece.len());
            pieces.push(piece);
            pieces.len() < taken
        };
        let mut exposition = Exposition::new(Format::Prometheus, sink);
        exposition.family(&cluster::JOBS, names.iter().map(|name| (&labels, Some(name.as_str()), 1u64)));
        assert_eq!(exposition.finish(), taken > 1);
        if taken == 1 {
            assert_eq!(pieces.len(), 1);
        } else {
            assert!(pieces.len() > 5, "{}", pieces.len());
            assert_eq!(read(&pieces.concat(), Format::Prometheus).unwrap()[0].samples.len(), names.len());
        }
    }
}

#[test]
fn names_are_whole_and_taken_once() {
    let families: Vec<_> = GROUPS.iter().flat_map(|group| group.families).collect();
    let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families.len());
    for family in families {
        assert!(family.name.starts_with("flott_"), "{}", family.name);
        // What OpenMetrics keeps for parts of other types.
        for suffix in ["_total", "_created", "_count", "_sum", "_bucket", "_info"] {
            assert!(!family.name.ends_with(suffix), "{}", family.name);
        }
        let labels: Vec<_> = family.labels.iter().chain(&family.by).collect();
        assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "{}", family.name);
        let help = family.help.trim();
        assert!(help.ends_with('.') && !help.contains(['\n', '|']), "{}: {help}", family.name);
        let row = format!("\n| `{}` | ", family.name);
        assert_eq!(reference_markdown().matches(&row).count(), 1, "{}", family.name);
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(Value::Whole),
        any::<i64>().prop_map(Value::Signed),
        any::<f64>().prop_map(Value::Real)
    ]
}

fn number(value: Value) -> f64 {
    match value {
        Value::Whole(value) => value as f64,
        Value::Signed(value) => value as f64,
        Value::Real(value) => value,
    }
}

proptest! {
    /// Whatever hosts, names and values there are: what was written is what is read, and any two formats say the same.
    #[test]
    fn what_is_written_is_read(
        hosts in proptest::collection::btree_set((any::<String>(), any::<String>()), 0..20),
        states in proptest::collection::btree_set(any::<String>(), 0..5),
        values in proptest::collection::vec(values(), 20),
    ) {
        let labels: Vec<_> =
            hosts.iter().map(|(host, id)| Labels::new(&workers::LABELS, [host, id])).collect();
        let own = Labels::new(&jobmanager::LABELS, ["h"]);
        let texts = [Format::Prometheus, Format::OpenMetrics].map(|format| {
            let text = written(format, |exposition| {
                exposition.plain(&workers::SLOTS_TOTAL, labels.iter().zip(values.iter().copied()));
                exposition.family(&cluster::JOBS, states.iter().map(|state| (&own, Some(state.as_str()), values[0])));
            });
            read(&text, format).map_err(|error| format!("{error}\n{text}"))
        });
        let [prometheus, open_metrics] = texts;
        let families: Vec<ReadFamily> = prometheus.map_err(TestCaseError::fail)?;
        let samples = |families: &[ReadFamily]| families.iter().map(|family| family.samples.len()).collect::<Vec<_>>();
        prop_assert_eq!(samples(&families), samples(&open_metrics.map_err(TestCaseError::fail)?));
        let counts = [hosts.len(), states.len()];
        prop_assert_eq!(samples(&families), counts.into_iter().filter(|count| *count > 0).collect::<Vec<_>>());
        if !hosts.is_empty() {
            for ((sample, (host, id)), value) in families[0].samples.iter().zip(&hosts).zip(&values) {
                prop_assert_eq!((sample.label("host"), sample.label("tm_id")), (Some(host.as_str()), Some(id.as_str())));
                prop_assert_eq!(sample.value.to_bits() == number(*value).to_bits() || sample.value.is_nan(), true);
            }
        }
        if !states.is_empty() {
            let found: Vec<_> = families.last().into_iter().flat_map(|family| &family.samples).map(|sample| sample.label("status")).collect();
            prop_assert_eq!(found, states.iter().map(|state| Some(state.as_str())).collect::<Vec<_>>());
        }
    }
}
