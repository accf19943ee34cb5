//! The loop that drives a chain from one input. (From a source: `source_head`; from two inputs: `two_input`.)
//!
//! Each such loop waits for input and, while it waits, sends what starved receivers wait for; feeds one batch through the
//! chain; and waits until everything held back for lack of credit is gone before it takes the next. See `turn`.

use std::sync::Arc;

use super::{
    Prepared, Run, TaskHead, TaskInfo, TaskWiring,
    turn::{Turn, pass},
};
use crate::{
    batch::Data,
    channel::gate::{GateItem, InputGate},
    error::TaskResult,
    event::Event,
    output::Output,
};

/// A chain with one input.
pub struct OneInputHead<T> {
    gate: InputGate<T>,
    out: Box<dyn Output<T>>,
    info: Arc<TaskInfo>,
}

impl<T: Data> OneInputHead<T> {
    /// Feeds `gate` into `out`.
    #[expect(clippy::new_ret_no_self, reason = "a head is only ever used as a task")]
    pub fn new(gate: InputGate<T>, out: Box<dyn Output<T>>, wiring: &mut TaskWiring) -> Box<dyn TaskHead> {
        Box::new(Self { gate, out, info: wiring.info().clone() })
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        loop {
            match turn.wait(&mut self.out, |_, cx| self.gate.poll_next(cx)).await? {
                GateItem::Batch(mut batch) => {
                    self.out.collect(&mut batch)?;
                    self.gate.recycle(batch);
                    turn.settle(&mut self.out).await?;
                }
                GateItem::Event(Event::End) => return turn.end(&mut self.out).await,
                GateItem::Event(event) => turn.event(&mut self.out, event).await?,
            }
        }
    }
}

impl<T: Data> TaskHead for OneInputHead<T> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }

    fn pass(self: Box<Self>) -> Run {
        Box::pin(pass(self.out, self.info))
    }
}
