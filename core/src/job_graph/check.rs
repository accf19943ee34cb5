//! What must hold of a job graph before anything is built from it.
//!
//! A graph that passes has unique identities, edges that lead somewhere, an order without cycles and numbers within
//! [`limits`]; whoever holds it need not look again. Time and memory grow with the size of the graph, never with its
//! square, and nothing recurses, because graphs come from outside.
//!
//! [`check`] leaves open what `parallelism.default` will be; [`check_with_default`] is asked again once that is known.

mod edges;
pub mod limits;
mod order;
mod settings;
mod vertices;

use std::fmt;

use super::JobGraph;
use crate::id::Fingerprint;

/// The first thing found wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct GraphError {
    field: String,
    problem: String,
}

impl GraphError {
    #[cold]
    fn new(field: fmt::Arguments<'_>, problem: impl fmt::Display) -> Self {
        Self { field: field.to_string(), problem: problem.to_string() }
    }

    /// Where, as a path into the graph: `vertices[3].parallelism`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// Checks everything that does not depend on the cluster. Vertices that leave their parallelism open count as one
/// subtask.
///
/// # Errors
/// The first problem, in the order settings, vertices, edges, order, fingerprint.
pub fn check(graph: &JobGraph) -> Result<(), GraphError> {
    settings::check(graph)?;
    let places = vertices::check(graph)?;
    edges::check(graph, &places)?;
    order::check(graph, &places)?;
    check_fingerprint(graph)
}

/// Checks everything, with `default_parallelism` for the vertices that leave theirs open.
///
/// # Errors
/// As [`check`]; then when the default is out of range, exceeds what a vertex allows, or makes too many subtasks.
pub fn check_with_default(graph: &JobGraph, default_parallelism: u32) -> Result<(), GraphError> {
    check(graph)?;
    vertices::check_default(graph, default_parallelism)
}

fn check_fingerprint(graph: &JobGraph) -> Result<(), GraphError> {
    let field = format_args!("fingerprint_lines");
    limits::count(field, graph.fingerprint_lines.len(), limits::FINGERPRINT_LINES_MAX)?;
    let actual = Fingerprint::of(graph.fingerprint_lines.join("\n").as_bytes());
    if actual != graph.fingerprint {
        let problem = format_args!("{} is not the fingerprint of fingerprint_lines, {actual}", graph.fingerprint);
        return Err(GraphError::new(format_args!("fingerprint"), problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
