//! Timers coming due, a batch of them at a time.

use flott_runtime::{
    batch::{BATCH_RECORDS, Key, Timestamp},
    error::TaskResult,
    output::{Drained, Output},
    state::States,
    time::TimerQueue,
};

use super::visit::Step;
use crate::{
    operator::process::Desk,
    window::{Window, WindowContext},
};

/// What is due in an operator.
pub(super) struct Pending<K, W> {
    /// The watermark that is passed on when all timers before it have fired.
    pub watermark: Option<Timestamp>,
    /// Processing time, if timers may be due by it.
    pub clock: Option<Timestamp>,
    /// At the end of the input: the timers in processing time that were left.
    pub last: Option<TimerQueue<K, W>>,
}

impl<K, W> Default for Pending<K, W> {
    fn default() -> Self {
        Self { watermark: None, clock: None, last: None }
    }
}

/// Calls `next` until a batch of results has been passed on, or for a batch of timers at most.
pub(super) fn fire<K: Key, W: Window, Out>(
    states: &mut States<K>,
    desk: &mut Desk<Out>,
    out: &mut dyn Output<Out>,
    mut next: impl FnMut(&mut WindowContext<'_, K, W, Out>) -> TaskResult<Step>,
) -> TaskResult<Drained> {
    let mut drained = Drained::Some;
    desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
        let mut ctx = WindowContext::new(ctx);
        for _ in 0..BATCH_RECORDS {
            match next(&mut ctx)? {
                Step::None => {
                    drained = Drained::All;
                    break;
                }
                Step::Part => break,
                Step::Done if ctx.collector().given() > 0 => break,
                Step::Done => {}
            }
        }
        ctx.flush()
    })?;
    Ok(drained)
}
