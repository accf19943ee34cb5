//! The end of a chain.

use std::sync::Arc;

use bytes::Bytes;
use flott_runtime::{
    batch::Batch,
    error::TaskResult,
    output::{Operator, OperatorName, Output},
    task::TaskInfo,
};

use crate::sink::{Sink, SinkTask, SinkWriter};

/// A sink at work.
pub(crate) struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    name: OperatorName,
    writer: Option<Box<dyn SinkWriter<S::Item>>>,
}

impl<S: Sink> SinkOperator<S> {
    pub fn new(sink: Arc<S>, name: OperatorName) -> Self {
        Self { sink, name, writer: None }
    }
}

impl<S: Sink> Operator<S::Item, ()> for SinkOperator<S> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.writer = Some(self.sink.open(&SinkTask { task: task.clone(), name: self.name.clone() })?);
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

    fn finish(&mut self, _: &mut dyn Output<()>) -> TaskResult {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.finish())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        self.writer.as_mut().map_or(Ok(None), |writer| writer.prepare_commit())
    }
}
