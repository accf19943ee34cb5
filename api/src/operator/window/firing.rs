//! Timers coming due, a batch of them at a time.

use flott_runtime::{
    batch::{BATCH_RECORDS, Key, Timestamp},
    error::TaskResult,
    output::{Drained, Output},
    state::KeyedStates,
    time::TimerQueue,
};

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

/// Calls `next` for a batch of timers at most, or until there is a batch of results; it says whether there was one.
pub(super) fn fire<K: Key, W: Window, Out>(
    states: &mut KeyedStates<K>,
    desk: &mut Desk<Out>,
    out: &mut dyn Output<Out>,
    mut next: impl FnMut(&mut WindowContext<'_, K, W, Out>) -> TaskResult<bool>,
) -> TaskResult<Drained> {
    let mut drained = Drained::Some;
    desk.with_states(states, out, |ctx| {
        let mut ctx = WindowContext::new(ctx);
        for _ in 0..BATCH_RECORDS {
            if !next(&mut ctx)? {
                drained = Drained::All;
                break;
            }
            if ctx.given() >= BATCH_RECORDS {
                break;
            }
        }
        ctx.flush()
    })?;
    Ok(drained)
}
