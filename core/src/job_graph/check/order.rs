//! Producers stand before consumers, which leaves no room for a cycle.

use super::{GraphError, vertices::Places};
use crate::job_graph::JobGraph;

/// Vertices of a cycle that a message spells out.
const SHOWN_MAX: usize = 10;

pub(super) fn check(graph: &JobGraph, places: &Places) -> Result<(), GraphError> {
    let place = |id| places.vertices.get(id).copied();
    let ends = || graph.edges.iter().filter_map(|edge| Some((place(&edge.source)?, place(&edge.target)?)));
    let Some((e, (source, target))) = ends().enumerate().find(|(_, (source, target))| source >= target) else {
        return Ok(());
    };
    if let Some(cycle) = find_cycle(graph.vertices.len(), &ends().collect::<Vec<_>>()) {
        let names: Vec<_> = cycle.iter().take(SHOWN_MAX).map(|v| format!("vertices[{v}]")).collect();
        let last = if cycle.len() > SHOWN_MAX { "…".to_owned() } else { names[0].clone() };
        let problem = format_args!("a cycle, {} -> {last}", names.join(" -> "));
        return Err(GraphError::new(format_args!("edges"), problem));
    }
    let problem = format_args!("vertices[{source}] feeds vertices[{target}], which stands before it");
    Err(GraphError::new(format_args!("edges[{e}]"), problem))
}

/// The vertices of one cycle, in the order of its edges and from the one that stands first.
fn find_cycle(vertices: usize, edges: &[(usize, usize)]) -> Option<Vec<usize>> {
    let mut outputs = vec![Vec::new(); vertices];
    let mut inputs_left = vec![0_usize; vertices];
    for &(source, target) in edges {
        outputs[source].push(target);
        inputs_left[target] += 1;
    }
    // Take away whatever has no inputs, again and again. What is left over has an input among the left over.
    let mut free: Vec<usize> = (0..vertices).filter(|&v| inputs_left[v] == 0).collect();
    while let Some(v) = free.pop() {
        for &target in &outputs[v] {
            inputs_left[target] -= 1;
            if inputs_left[target] == 0 {
                free.push(target);
            }
        }
    }
    let mut producer = vec![None; vertices];
    for &(source, target) in edges {
        if inputs_left[source] > 0 {
            producer[target] = Some(source);
        }
    }
    // So going backwards among them never ends, and comes past some vertex twice.
    let mut at = (0..vertices).find(|&v| inputs_left[v] > 0)?;
    let mut passed_at = vec![None; vertices];
    let mut path = Vec::new();
    loop {
        if let Some(start) = passed_at[at] {
            let mut cycle = path.split_off(start);
            cycle.reverse();
            let first = cycle.iter().enumerate().min_by_key(|&(_, v)| v).map_or(0, |(place, _)| place);
            cycle.rotate_left(first);
            return Some(cycle);
        }
        passed_at[at] = Some(path.len());
        path.push(at);
        at = producer[at]?;
    }
}
