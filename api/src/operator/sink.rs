//! The end of a chain.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    output::{Drained, Operator, OperatorName, Output},
    snapshot::{Restored, StateSink},
    state::Spread,
    task::TaskInfo,
};

use crate::sink::{Share, Sink, SinkTask, SinkWriter};

/// A sink at work.
pub(crate) struct SinkOperator<S: Sink> {
    sink: Arc<S>,
    name: OperatorName,
    writer: Option<Box<dyn SinkWriter<S::Item>>>,
    /// What writers remembered that this one takes over from.
    restored: Vec<Bytes>,
    /// The writer takes nothing for now.
    held_up: bool,
    /// All is written, and the writer knows.
    is_ending: bool,
}

/// What the elements of a writer are called in a snapshot.
const WRITER: &str = "writer";

impl<S: Sink> SinkOperator<S> {
    pub fn new(sink: Arc<S>, name: OperatorName) -> Self {
        Self { sink, name, writer: None, restored: Vec::new(), held_up: false, is_ending: false }
    }

    fn poll_writer(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.writer.as_mut().map_or(Poll::Ready(Ok(())), |writer| writer.poll_ready(cx))
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
        let spread = match self.sink.share() {
            Share::Each => Spread::Split,
            Share::All => Spread::Union,
        };
        into.own_elements(WRITER, spread, elements.iter().map(|element| &element[..]))
    }

    fn resume(&mut self, _: &mut dyn Output<()>) -> TaskResult<Drained> {
        // Who waits is woken by `poll_due`.
        let ready = self.poll_writer(&mut Context::from_waker(Waker::noop()))?;
        self.held_up = ready.is_pending();
        Ok(if self.held_up { Drained::Waiting } else { Drained::All })
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let ready = self.poll_writer(cx)?;
        if self.held_up { ready.map(Ok) } else { Poll::Pending }
    }

    fn flush(&mut self) -> TaskResult {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.flush())
    }

    fn drain(&mut self, out: &mut dyn Output<()>) -> TaskResult<Drained> {
        if !mem::replace(&mut self.is_ending, true) {
            self.flush()?;
        }
        self.resume(out)
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
