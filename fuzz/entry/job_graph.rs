//! Any bytes as a job graph document: reading never panics, and what it takes survives being written and read again.

use flott_core::{
    id::Digest,
    job_graph::{
        check, document,
        plan::{info_plan, rest_plan},
    },
};

/// Reads `data` as a document, and as the graph within one whose checksum is right: no mutation finds a checksum.
pub fn run(data: &[u8]) {
    read(data);
    let mut sealed = format!(
        r#"{{"format":"{}","version":{},"engine":"fuzz","checksum":"{}","graph":"#,
        document::FORMAT,
        document::VERSION,
        Digest::of(data)
    )
    .into_bytes();
    sealed.extend_from_slice(data);
    sealed.push(b'}');
    read(&sealed);
}

fn read(document: &[u8]) {
    match document::read(document) {
        Ok(graph) => {
            assert_eq!(check::check(&graph), Ok(()), "read lets a graph pass that check refuses");
            assert_eq!(document::read(&document::write(&graph)).as_ref(), Ok(&graph), "writing changes a graph");
            assert_eq!(rest_plan(&graph, 1).nodes.len(), graph.vertices.len());
            assert!(!info_plan(&graph, 1).to_string().is_empty());
        }
        // Messages are shown to people and kept: they must not grow with what is wrong.
        Err(error) => assert!(error.to_string().len() < 8192, "a message of {} bytes", error.to_string().len()),
    }
}
