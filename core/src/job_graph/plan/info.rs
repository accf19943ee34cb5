//! The plan as `flink info` prints it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job_graph::{JobGraph, OperatorKind, ShipStrategy};

/// One node per operator, by node number. Its `Display` is the JSON in the layout that Flink prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoPlan {
    /// The operators.
    pub nodes: Vec<InfoNode>,
}

/// An operator of an [`InfoPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoNode {
    /// Node number.
    pub id: u32,
    /// Name of the operator.
    #[serde(rename = "type")]
    pub name: String,
    /// `Data Source`, `Operator` or `Data Sink`.
    pub pact: String,
    /// What it does.
    pub contents: String,
    /// Subtasks.
    pub parallelism: u32,
    /// What feeds it; absent for sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<InfoPredecessor>,
}

/// An input of an [`InfoNode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoPredecessor {
    /// Node number of the operator that feeds the node.
    pub id: u32,
    /// How records are distributed.
    pub ship_strategy: ShipStrategy,
    /// `second`, always: Flink means to say `first` of the first, but never does.
    pub side: String,
}

/// The plan of `graph` as `flink info` prints it.
pub fn info_plan(graph: &JobGraph, default_parallelism: u32) -> InfoPlan {
    let mut nodes = Vec::new();
    for vertex in &graph.vertices {
        for operator in &vertex.operators {
            let pact = match operator.kind {
                OperatorKind::Source => "Data Source",
                OperatorKind::Operator => "Operator",
                OperatorKind::Sink => "Data Sink",
            };
            let predecessors = operator.inputs.iter().map(|input| InfoPredecessor {
                id: input.node,
                ship_strategy: input.ship,
                side: "second".to_owned(),
            });
            nodes.push(InfoNode {
                id: operator.node,
                name: operator.name.clone(),
                pact: pact.to_owned(),
                contents: operator.description.clone(),
                parallelism: vertex.parallelism.resolve(default_parallelism),
                predecessors: predecessors.collect(),
            });
        }
    }
    nodes.sort_by_key(|node| node.id);
    InfoPlan { nodes }
}

impl fmt::Display for InfoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, layout::Layout::default());
        self.serialize(&mut serializer).map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// The layout of Jackson's default pretty printer: objects in lines of their own, arrays within the line.
mod layout {
    use std::io::{self, Write};

    use serde_json::ser::Formatter;

    #[derive(Default)]
    pub(super) struct Layout {
        objects: usize,
    }

    impl Layout {
        fn line<W: Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b"\n")?;
            (0..self.objects).try_for_each(|_| writer.write_all(b"  "))
        }
    }

    impl Formatter for Layout {
        fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b"[")
        }

        fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            writer.write_all(if first { b" " } else { b", " })
        }

        fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b" ]")
        }

        fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
            self.objects += 1;
            writer.write_all(b"{")
        }

        fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if !first {
                writer.write_all(b",")?;
            }
            self.line(writer)
        }

        fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b" : ")
        }

        fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
            self.objects -= 1;
            self.line(writer)?;
            writer.write_all(b"}")
        }
    }
}
