//! Side outputs of an operator: ports beside its main output, by name.

use std::{
    any::{Any, TypeId, type_name},
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::OperatorId};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Lull, Output, Tee},
    state::{Progress, StateSize},
};
use parking_lot::Mutex;

use super::body::{Erased, into_output};

/// A side output in the plan.
pub(crate) trait SideBody: Send + Sync {
    /// What it carries.
    fn record(&self) -> (TypeId, &'static str);

    /// Its port, which gives to all of `outputs`.
    fn port(&self, outputs: Vec<Erased>) -> TaskResult<Box<dyn SidePort>>;
}

/// A side output that carries `T`.
pub(crate) struct SideKind<T>(PhantomData<fn(T)>);

impl<T: Data> SideKind<T> {
    pub fn body() -> Arc<dyn SideBody> {
        Arc::new(Self(PhantomData))
    }
}

impl<T: Data> SideBody for SideKind<T> {
    fn record(&self) -> (TypeId, &'static str) {
        (TypeId::of::<T>(), type_name::<T>())
    }

    fn port(&self, outputs: Vec<Erased>) -> TaskResult<Box<dyn SidePort>> {
        let outputs = outputs.into_iter().map(into_output::<T>).collect::<TaskResult<_>>()?;
        Ok(Box::new(Port { batch: Batch::default(), output: Tee::of(outputs) }))
    }
}

struct Port<T> {
    batch: Batch<T>,
    output: Box<dyn Output<T>>,
}

/// A port at run time; it is a `Port<T>`.
pub(crate) trait SidePort: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn flush(&mut self) -> TaskResult;
    fn event(&mut self, event: Event) -> TaskResult;
    fn resume(&mut self) -> TaskResult<Drained>;
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn may_cut(&self) -> bool;
    fn time(&mut self, now: Timestamp) -> TaskResult;
    fn quiet(&mut self, lull: Lull) -> TaskResult;
    fn drain(&mut self) -> TaskResult<Drained>;
    fn snapshot_more(&mut self) -> Progress;
    fn skip(&mut self);
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult;
    fn state_size(&self) -> StateSize;
}

impl<T: Data> SidePort for Port<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn flush(&mut self) -> TaskResult {
        if self.batch.is_empty() { Ok(()) } else { self.output.collect(&mut self.batch) }
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.flush()?;
        self.output.event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        self.output.resume()
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.output.poll_due(cx)
    }

    fn may_cut(&self) -> bool {
        self.output.may_cut()
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.output.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.output.quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        self.flush()?;
        self.output.drain()
    }

    fn snapshot_more(&mut self) -> Progress {
        self.output.snapshot_more()
    }

    fn skip(&mut self) {
        self.output.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.output.poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        self.output.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.output.state_size()
    }
}

/// The side outputs of an operator in one subtask that somebody reads.
#[derive(Default)]
pub(crate) struct SidePorts(pub Vec<(Arc<str>, Box<dyn SidePort>)>);

impl SidePorts {
    /// Gives `record` to the side output `tag`; nothing happens if nobody reads it.
    pub fn emit<T: Data>(&mut self, tag: &str, record: T, timestamp: Option<Timestamp>) -> TaskResult {
        let Some((name, port)) = self.0.iter_mut().find(|(name, _)| &**name == tag) else { return Ok(()) };
        let Some(port) = port.as_any().downcast_mut::<Port<T>>() else {
            let message = format!("side output {name:?} is written as {}, but read as another type", type_name::<T>());
            return Err(Box::new(Failure::user(message).fatal()));
        };
        if port.batch.has_timestamps() != timestamp.is_some() {
            port.flush()?;
        }
        port.batch.push_with(record, timestamp);
        if port.batch.len() >= BATCH_RECORDS { port.flush() } else { Ok(()) }
    }

    pub fn flush(&mut self) -> TaskResult {
        self.0.iter_mut().try_for_each(|(_, port)| port.flush())
    }
}

/// Side outputs as the operator and what stands behind it share them: the operator fills them, the main output passes
/// on events and settles them. Both are called by one thread at a time, so the lock is never waited for; it is taken
/// once per batch.
pub(crate) type SharedSides = Arc<Mutex<SidePorts>>;

/// A main output with side outputs beside it.
pub(super) struct WithSides<T> {
    pub main: Box<dyn Output<T>>,
    pub sides: SharedSides,
}

impl<T: Data> Output<T> for WithSides<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.main.collect(batch)
    }

    fn event(&mut self, event: Event) -> TaskResult {
        for (_, port) in &mut self.sides.lock().0 {
            port.event(event)?;
        }
        self.main.event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        let main = self.main.resume()?;
        self.sides.lock().0.iter_mut().try_fold(main, |drained, (_, port)| Ok(drained.and(port.resume()?)))
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut due = self.main.poll_due(cx)?.is_ready();
        for (_, port) in &mut self.sides.lock().0 {
            due |= port.poll_due(cx)?.is_ready();
        }
        if due { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn may_cut(&self) -> bool {
        self.sides.lock().0.iter().all(|(_, port)| port.may_cut()) && self.main.may_cut()
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.sides.lock().0.iter_mut().try_for_each(|(_, port)| port.time(now))?;
        self.main.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.sides.lock().0.iter_mut().try_for_each(|(_, port)| port.quiet(lull))?;
        self.main.quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        let main = self.main.drain()?;
        self.sides.lock().0.iter_mut().try_fold(main, |drained, (_, port)| Ok(drained.and(port.drain()?)))
    }

    fn snapshot_more(&mut self) -> Progress {
        let mut sides = self.sides.lock();
        let mut progress = sides.0.iter_mut().map(|(_, port)| port.snapshot_more());
        progress.find(|progress| *progress != Progress::Done).unwrap_or_else(|| self.main.snapshot_more())
    }

    fn skip(&mut self) {
        self.sides.lock().0.iter_mut().for_each(|(_, port)| port.skip());
        self.main.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut settled = self.main.poll_settle(cx)?.is_ready();
        for (_, port) in &mut self.sides.lock().0 {
            settled &= port.poll_settle(cx)?.is_ready();
        }
        if settled { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        for (_, port) in &mut self.sides.lock().0 {
            port.prepared(into)?;
        }
        self.main.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        let sides: StateSize = self.sides.lock().0.iter().map(|(_, port)| port.state_size()).sum();
        sides + self.main.state_size()
    }
}
