use std::fmt::Write;

use super::{
    family::{Family, Kind},
    table::GROUPS,
};

const HEAD: &str = include_str!("reference/head.md");

/// The reference page of all metrics, in Markdown: what `docs/metrics.md` holds.
pub fn reference_markdown() -> String {
    let mut page = HEAD.to_owned();
    for group in GROUPS {
        let labels: Vec<_> = group.labels.iter().map(|label| format!("`{label}`")).collect();
        // A `String` takes all that is written to it.
        let _ = write!(
            page,
            "\n## {}\n\n{}\nLabels: {}.\n\n| Metric | Type | Unit | Meaning | In Flink |\n|---|---|---|---|---|\n",
            group.title,
            group.intro,
            labels.join(", ")
        );
        group.families.iter().for_each(|family| row(&mut page, family));
    }
    page
}

fn row(page: &mut String, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let by = family.by.map(|label| format!(" One more label: `{label}`.")).unwrap_or_default();
    let flink = family.flink.map(|name| format!("`{name}`")).unwrap_or_default();
    let (name, unit, help) = (family.name, family.unit.as_str(), family.help.trim());
    // As above.
    let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {help}{by} | {flink} |");
}
