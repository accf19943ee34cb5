//! What a key has, seen from either side.

use flott_runtime::batch::{Data, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Bounds, passed};
use crate::{
    function::{FunctionResult, JoinContext, ProcessJoinFunction},
    operator::timeline::Timeline,
};

/// The records of a key that others may still be joined with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "A: Data, B: Data", deserialize = "A: Data, B: Data"))]
pub(super) struct Sides<A, B> {
    left: Timeline<A>,
    right: Timeline<B>,
    /// The key's one timer: not later than twice the reach of the bounds after the first expiry of a record.
    timer: Option<Timestamp>,
}

impl<A, B> Default for Sides<A, B> {
    fn default() -> Self {
        Self { left: Timeline::default(), right: Timeline::default(), timer: None }
    }
}

/// How a key's timer is to be changed.
pub(super) struct Rearm {
    pub delete: Option<Timestamp>,
    pub set: Timestamp,
}

impl<A, B> Sides<A, B> {
    /// Drops what has expired.
    #[inline]
    pub fn expire(&mut self, bounds: Bounds, watermark: Timestamp) {
        self.left.expire(|at| passed(bounds.left_expiry(at), watermark));
        self.right.expire(|at| passed(bounds.right_expiry(at), watermark));
    }

    /// A record that expires at `expiry` was added.
    ///
    /// A timer for each record would cost more than the rest of the join. Records go when others of their key come; the
    /// timer is for keys whose records come no more, and so may be late: then it finds all of a burst expired.
    #[inline]
    pub fn arm(&mut self, expiry: Timestamp, reach: Timestamp) -> Option<Rearm> {
        if let Some(timer) = self.timer
            && timer <= expiry.saturating_add(reach).saturating_add(reach)
        {
            return None;
        }
        let set = expiry.saturating_add(reach);
        Some(Rearm { delete: self.timer.replace(set), set })
    }

    /// The timer has fired, and what has expired is gone: the next timer, if anything is left.
    pub fn fired(&mut self, bounds: Bounds) -> Option<Timestamp> {
        let left = self.left.first().map(|at| bounds.left_expiry(at));
        let right = self.right.first().map(|at| bounds.right_expiry(at));
        let first = left.into_iter().chain(right).min();
        self.timer = first.map(|expiry| expiry.saturating_add(bounds.reach()));
        self.timer
    }
}

/// Records of one side looking for those of the other.
pub(super) trait Side<F: ProcessJoinFunction> {
    type This: Data;
    type Other: Data;

    /// What the side is called.
    const NAME: &'static str;

    fn this(sides: &mut Sides<F::Left, F::Right>) -> &mut Timeline<Self::This>;
    fn other(sides: &Sides<F::Left, F::Right>) -> &Timeline<Self::Other>;

    /// Times of the others that a record at `at` is joined with.
    fn others_of(bounds: Bounds, at: Timestamp) -> Option<(Timestamp, Timestamp)>;
    /// When a record at `at` is not needed any more.
    fn expiry(bounds: Bounds, at: Timestamp) -> Timestamp;

    /// Calls the function with a pair.
    fn call(
        function: &mut F,
        this: (Timestamp, &Self::This),
        other: (Timestamp, &Self::Other),
        ctx: &mut JoinContext<'_, F::Out>,
    ) -> FunctionResult;
}

pub(super) enum Left {}
pub(super) enum Right {}

impl<F: ProcessJoinFunction> Side<F> for Left {
    type This = F::Left;
    type Other = F::Right;

    const NAME: &'static str = "left";

    fn this(sides: &mut Sides<F::Left, F::Right>) -> &mut Timeline<F::Left> {
        &mut sides.left
    }

    fn other(sides: &Sides<F::Left, F::Right>) -> &Timeline<F::Right> {
        &sides.right
    }

    fn others_of(bounds: Bounds, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        bounds.right_of(at)
    }

    fn expiry(bounds: Bounds, at: Timestamp) -> Timestamp {
        bounds.left_expiry(at)
    }

    #[inline]
    fn call(
        function: &mut F,
        (left_at, left): (Timestamp, &F::Left),
        (right_at, right): (Timestamp, &F::Right),
        ctx: &mut JoinContext<'_, F::Out>,
    ) -> FunctionResult {
        ctx.set_pair(left_at, right_at);
        function.process(left, right, ctx)
    }
}

impl<F: ProcessJoinFunction> Side<F> for Right {
    type This = F::Right;
    type Other = F::Left;

    const NAME: &'static str = "right";

    fn this(sides: &mut Sides<F::Left, F::Right>) -> &mut Timeline<F::Right> {
        &mut sides.right
    }

    fn other(sides: &Sides<F::Left, F::Right>) -> &Timeline<F::Left> {
        &sides.left
    }

    fn others_of(bounds: Bounds, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        bounds.left_of(at)
    }

    fn expiry(bounds: Bounds, at: Timestamp) -> Timestamp {
        bounds.right_expiry(at)
    }

    #[inline]
    fn call(
        function: &mut F,
        (right_at, right): (Timestamp, &F::Right),
        (left_at, left): (Timestamp, &F::Left),
        ctx: &mut JoinContext<'_, F::Out>,
    ) -> FunctionResult {
        ctx.set_pair(left_at, right_at);
        function.process(left, right, ctx)
    }
}

#[cfg(test)]
impl<A, B> Sides<A, B> {
    /// Times of the left records that are kept.
    pub fn left_rows(&self) -> impl Iterator<Item = Timestamp> {
        self.left.iter().map(|(at, _)| *at)
    }

    /// Times of the right records that are kept.
    pub fn right_rows(&self) -> impl Iterator<Item = Timestamp> {
        self.right.iter().map(|(at, _)| *at)
    }

    /// The key's timer.
    pub fn timer(&self) -> Option<Timestamp> {
        self.timer
    }
}
