//! The beginnings of streams.

use std::{path::PathBuf, sync::Arc};

use flott_core::{codec, id::Fingerprint, job_graph::OperatorKind};
use flott_runtime::{batch::Data, source::Source, time::WatermarkStrategy};

use super::Environment;
use crate::{
    error::PlanError,
    plan::{Node, SourceNode},
    source::{CollectionSource, GeneratorSource, SequenceSource, SocketSource, TextSource},
    stream::Stream,
};

/// What is known of a source's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// It ends.
    Bounded,
    /// When somebody else ends it, who talks to one subtask.
    Line,
    /// Nothing.
    Unknown,
}

impl Environment {
    fn begin<S: Source>(&self, name: &str, detail: String, ends: Ends, source: S) -> Stream<S::Item> {
        let mut node = Node::new(OperatorKind::Source, "Source", Vec::new(), SourceNode::body(source));
        node.name = name.to_owned();
        node.detail = format!("{detail}, {}", std::any::type_name::<S>());
        node.single = ends == Ends::Line;
        node.bounded = ends == Ends::Bounded;
        Stream::of(self.clone(), self.add(node))
    }

    /// Records of the user's own source.
    pub fn from_source<S: Source>(&self, source: S, name: &str) -> Stream<S::Item> {
        self.begin(name, "custom".to_owned(), Ends::Unknown, source)
    }

    /// Records of the user's own source, with timestamps and watermarks by a strategy: each split has a watermark of its
    /// own, and each subtask gives the least of those that it reads. See [`Stream::source_watermarks`].
    pub fn from_source_with_watermarks<S: Source>(
        &self,
        source: S,
        strategy: WatermarkStrategy<S::Item>,
        name: &str,
    ) -> Stream<S::Item> {
        self.from_source(source, name).source_watermarks(strategy)
    }

    /// The elements of a collection, in order, by one subtask unless a parallelism is set. The program must make the same
    /// collection each time it is planned.
    pub fn from_collection<T: Data + Sync>(&self, elements: impl Into<Vec<T>>) -> Stream<T> {
        const NAME: &str = "Collection";
        let elements = elements.into();
        let mut bytes = Vec::new();
        if let Err(error) = codec::encode_batch(&elements, &mut bytes) {
            self.problem(PlanError::Elements { operator: NAME.to_owned(), problem: error.to_string() });
        }
        let detail = format!("{} elements {}", elements.len(), Fingerprint::of(&bytes));
        self.begin(NAME, detail, Ends::Bounded, CollectionSource(Arc::new(elements))).parallelism(1)
    }

    /// The numbers from `from` to `to`, both included.
    pub fn sequence(&self, from: u64, to: u64) -> Stream<u64> {
        self.begin("Sequence", format!("{from} to {to}"), Ends::Bounded, SequenceSource { from, to })
    }

    /// The lines of files, and of all files below directories, without their ends (`\n` or `\r\n`). Hidden files, whose
    /// names begin with `.` or `_`, are skipped below directories. Bytes that are not UTF-8 are replaced by U+FFFD.
    ///
    /// Large files are read in pieces by several subtasks. Every process of the job must see the files under these paths;
    /// relative ones start from the directory in which the program was planned.
    pub fn read_text<P: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = P>) -> Stream<String> {
        self.read_lines(paths)
    }

    /// As [`read_text`](Self::read_text), with lines of another type: one that needs no allocation, or is read from the
    /// line at once.
    pub fn read_lines<L, P>(&self, paths: impl IntoIterator<Item = P>) -> Stream<L>
    where
        L: Data + for<'a> From<&'a str>,
        P: Into<PathBuf>,
    {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| self.resolve(&path.into())).collect();
        self.begin("Text Files", format!("lines of {paths:?}"), Ends::Bounded, TextSource::new(paths))
    }

    /// `count` records that a function makes from their numbers, 0 to `count - 1`.
    pub fn generate<T, F>(&self, count: u64, function: F) -> Stream<T>
    where
        T: Data,
        F: FnMut(u64) -> T + Clone + Send + Sync + 'static,
    {
        self.generator(GeneratorSource::new(count, function))
    }

    /// Records of a generator, which can have a rate:
    ///
    /// ```
    /// # use flott::{Environment, GeneratorSource};
    /// # let env = Environment::local();
    /// let ticks = env.generator(GeneratorSource::new(1_000_000, |number| number % 7).rate(50_000.0));
    /// ```
    pub fn generator<T, F>(&self, generator: GeneratorSource<F>) -> Stream<T>
    where
        T: Data,
        F: FnMut(u64) -> T + Clone + Send + Sync + 'static,
    {
        self.begin("Generator", generator.detail(), Ends::Bounded, generator)
    }

    /// The lines that a TCP server sends, until it closes the connection. One subtask reads them. What was read before
    /// a failure is not read again.
    pub fn socket(&self, host: &str, port: u16) -> Stream<String> {
        let source = SocketSource { host: host.to_owned(), port };
        self.begin("Socket", format!("{host}:{port}"), Ends::Line, source)
    }
}
