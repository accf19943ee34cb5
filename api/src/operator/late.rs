//! Records behind the watermark.

use flott_core::{failure::Failure, view::LATE_RECORDS_DROPPED};
use flott_runtime::{
    batch::{Data, Timestamp},
    error::TaskResult,
};

use crate::function::{Context, OutputTag, failed};

/// Whether `watermark` has passed `at`. The least watermark is none, and has passed nothing.
#[inline]
pub(super) fn passed(at: Timestamp, watermark: Timestamp) -> bool {
    watermark != Timestamp::MIN && at <= watermark
}

/// Where late records go: to a side output, or nowhere, and then they are counted.
#[derive(Debug)]
pub(crate) struct Late<T>(Option<OutputTag<T>>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Data> Late<T> {
    /// To the side output `tag`.
    pub fn to(tag: &OutputTag<T>) -> Self {
        Self(Some(tag.clone()))
    }

    /// What the side output is called, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(OutputTag::name)
    }

    /// Takes a late record.
    #[cold]
    pub fn take<Out>(&self, record: T, at: Timestamp, ctx: &mut Context<'_, Out>) -> TaskResult {
        match &self.0 {
            Some(tag) => {
                ctx.set_timestamp(Some(at));
                ctx.emit_to(tag, record).map_err(failed)
            }
            None => {
                ctx.add_to(LATE_RECORDS_DROPPED, 1);
                Ok(())
            }
        }
    }
}

/// A record has no timestamp where it needs one.
#[cold]
pub(super) fn unstamped(operator: &str, side: &str) -> Box<Failure> {
    let message = format!(
        "the {operator} needs event time, but a record of its {side} input has no timestamp: give that input \
         timestamps with `assign_timestamps_and_watermarks`"
    );
    Box::new(Failure::user(message).fatal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_watermark_nothing_is_past() {
        assert!(!passed(i64::MIN, i64::MIN));
        assert!(passed(5, 5) && !passed(6, 5) && passed(i64::MAX, i64::MAX));
    }
}
