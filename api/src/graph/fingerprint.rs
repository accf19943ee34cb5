//! What must be equal when a program is planned again, on another machine, to host its tasks.

use flott_core::{id::Fingerprint, job_graph::Parallelism};

use super::{StreamGraph, job::number};

const DIRECTORY: &str = "directory ";

/// The directory that relative paths of a plan start from.
pub(crate) fn directory_of(lines: &[String]) -> Option<&str> {
    lines.iter().find_map(|line| line.strip_prefix(DIRECTORY))
}

/// The fingerprint of a plan, and the lines that it is taken of: one per operator and edge.
pub(super) fn of(graph: &StreamGraph) -> (Fingerprint, Vec<String>) {
    let mut lines = vec![format!("mode {}", graph.mode.as_str())];
    lines.extend(graph.directory.as_ref().map(|directory| format!("{DIRECTORY}{directory}")));
    for (place, node) in graph.nodes.iter().enumerate() {
        let parallelism = match node.parallelism {
            Parallelism::Default => "default".to_owned(),
            Parallelism::Fixed(fixed) => fixed.to_string(),
        };
        let max = node.max_parallelism.map_or("derived".to_owned(), |max| max.to_string());
        lines.push(format!(
            "operator {} {} {:?}: parallelism {parallelism}, max {max}, group {:?}, chain of {}, {}",
            number(place),
            node.id,
            node.name,
            node.group,
            number(node.head),
            node.detail,
        ));
    }
    for edge in &graph.edges {
        let side = edge.side.as_deref().map_or(String::new(), |side| format!(", side output {side:?}"));
        lines.push(format!(
            "edge {} -> {} input {}: {}{side}",
            number(edge.from),
            number(edge.to),
            edge.input,
            edge.ship.as_str()
        ));
    }
    (Fingerprint::of(lines.join("\n").as_bytes()), lines)
}

/// Lines where two plans differ first, the submitted one's and this one's; `None` if they do not.
pub(crate) fn first_difference(submitted: &[String], planned: &[String]) -> Option<(String, String)> {
    const NOTHING: &str = "(nothing)";
    let longest = submitted.len().max(planned.len());
    let line = |lines: &[String], at: usize| lines.get(at).map_or(NOTHING, String::as_str).to_owned();
    (0..longest).map(|at| (line(submitted, at), line(planned, at))).find(|(submitted, planned)| submitted != planned)
}
