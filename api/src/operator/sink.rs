//! The end of a chain.

use std::{mem, sync::Arc};

use bytes::Bytes;
use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    output::{Operator, OperatorName, Output},
    snapshot::{Restored, StateSink},
    state::Spread,
    task::TaskInfo,
};

use crate::sink::{Sink, SinkTask, SinkWriter};

/// A sink at work.
pub(crate) struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    name: OperatorName,
    writer: Option<Box<dyn SinkWriter<S::Item>>>,
    /// What writers remembered that this one takes over from.
    restored: Vec<Bytes>,
}

/// What the elements of a writer are called in a snapshot.
const WRITER: &str = "writer";

impl<S: Sink> SinkOperator<S> {
    pub fn new(sink: Arc<S>, name: OperatorName) -> Self {
        Self { sink, name, writer: None, restored: Vec::new() }
    }
}

impl<S: Sink> Operator<S::Item, ()> for SinkOperator<S> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        from.own_elements(WRITER, |element: Vec<u8>| self.restored.push(element.into())).map(drop)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        let mut writer = self.sink.open(&SinkTask { task: task.clone(), name: self.name.clone() })?;
        let restored = mem::take(&mut self.restored);
        if !restored.is_empty() {
            writer.restore(restored)?;
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<S::Item>, _: &mut dyn Output<()>) -> TaskResult {
        match &mut self.writer {
            Some(writer) => writer.write(input)?,
            None => unreachable!("operators are opened before records come"),
        }
        input.clear();
        Ok(())
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        let elements = self.writer.as_mut().map_or(Ok(Vec::new()), |writer| writer.snapshot())?;
        into.own_elements(WRITER, Spread::Split, elements.iter().map(|element| &element[..]))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<()>) -> TaskResult {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.time(now))
    }

    fn skip(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.skip();
        }
    }

    fn finish(&mut self, _: &mut dyn Output<()>) -> TaskResult {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.finish())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        self.writer.as_mut().map_or(Ok(None), |writer| writer.prepare_commit())
    }
}
