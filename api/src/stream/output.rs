//! Sinks.

use std::{fmt::Display, marker::PhantomData, path::PathBuf};

use flott_core::job_graph::OperatorKind;
use flott_runtime::batch::Data;

use super::Stream;
use crate::{
    environment::Environment,
    plan::{Node, NodeIndex, SinkNode},
    sink::{CollectSink, Collected, Discard, FileSink, ForEach, Print, Sink},
};

/// A sink in the plan, for its settings.
#[derive(Debug)]
pub struct StreamSink {
    pub(crate) env: Environment,
    pub(crate) operator: Option<NodeIndex>,
}

impl<T: Data> Stream<T> {
    fn end<S: Sink<Item = T>>(&self, operation: &'static str, sink: S, directory: Option<PathBuf>) -> NodeIndex {
        let body = SinkNode::body(sink);
        let mut node = Node::new(OperatorKind::Sink, operation, vec![self.origins.clone()], body);
        node.detail = match &directory {
            Some(directory) => format!("{} to {}", std::any::type_name::<S>(), directory.display()),
            None => std::any::type_name::<S>().to_owned(),
        };
        node.directory = directory;
        self.env.add(node)
    }

    fn ended(&self, node: NodeIndex) -> StreamSink {
        StreamSink { env: self.env.clone(), operator: Some(node) }
    }

    /// Prints each record on a line of standard output; with several subtasks the line begins with the subtask's number,
    /// as `2> `.
    pub fn print(&self) -> StreamSink
    where
        T: Display,
    {
        self.ended(self.end("Print to Std. Out", Print::new(), None))
    }

    /// Writes each record as a line of text to files in `directory`, which appear when the job has succeeded. See
    /// [`FileSink`].
    pub fn write_text(&self, directory: impl Into<PathBuf>) -> StreamSink
    where
        T: Display,
    {
        self.write_files(FileSink::text(directory))
    }

    /// Writes each record as a line of JSON to files in `directory`, which appear with each checkpoint, and when the job has
    /// succeeded. See [`FileSink`].
    pub fn write_json_lines(&self, directory: impl Into<PathBuf>) -> StreamSink {
        self.write_files(FileSink::json_lines(directory))
    }

    /// Writes to files that appear with each checkpoint, and when the job has succeeded.
    pub fn write_files(&self, sink: FileSink<T>) -> StreamSink {
        let directory = self.env.resolve(sink.directory());
        self.ended(self.end("Files", sink.at(directory.clone()), Some(directory)))
    }

    /// Gathers all records for the caller of `execute`, up to 16 MiB of JSON per subtask. On a cluster they are an
    /// accumulator of the job.
    pub fn collect(&self) -> Collected<T> {
        let node = self.end("Collect", CollectSink::new(), None);
        Collected { node, plan: self.env.id(), record: PhantomData }
    }

    /// Drops all records.
    pub fn discard(&self) -> StreamSink {
        self.ended(self.end("Discard", Discard::new(), None))
    }

    /// Calls a function with each record.
    pub fn for_each<F>(&self, function: F) -> StreamSink
    where
        F: FnMut(T) + Clone + Send + Sync + 'static,
    {
        self.ended(self.end("For Each", ForEach::new(function), None))
    }

    /// Gives all records to a sink of the user's.
    pub fn sink<S: Sink<Item = T>>(&self, sink: S) -> StreamSink {
        self.ended(self.end("Sink", sink, None))
    }
}
