//! Pairs of records with the same key that are near each other in time.
//!
//! Each record looks among the kept ones of the other side, and is then kept itself until the watermark says that no
//! other can come which it would be joined with. A record that cannot have any is not kept at all. So what is kept spans
//! the interval of the join, and each pair is found once, by whichever of the two comes later.
//!
//! A record of a busy key may be joined with any number of others. Results are given a batch at a time, and the rest of
//! the work is left to `resume`, so that they are under back pressure however many they are.
//!
//! # Layout
//! - `bounds`: what is near
//! - `side`: what is kept of a key

mod bounds;
mod side;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, iter, sync::Arc};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    snapshot::{Restored, StateSink},
    state::{KeyHash, Progress, StateSize, States, ValueState},
    task::{TaskInfo, TwoInputOperator},
    time::TimeDomain,
};

pub(crate) use bounds::Bounds;
use side::{Left, Right, Side, Sides};

use super::{
    firing::Firing,
    late::{Late, passed, unstamped},
    process::Desk,
    timeline::Cursor,
};
use crate::{
    function::{JoinContext, OpenContext, ProcessJoinFunction, failed},
    plan::{KeyOf, Keys, Site},
};

/// A record with its time and its key.
type Keyed<T, K> = ((T, Timestamp), (KeyHash, K));

/// One of the inputs.
pub(crate) struct Lane<T, K> {
    keys_of: Arc<dyn KeyOf<T, K>>,
    late: Late<T>,
    /// A record that is not yet joined with all that it is to be joined with.
    held: Option<Held<T>>,
    /// Those of its batch that come after it.
    rest: VecDeque<Keyed<T, K>>,
}

/// A record at work, and where it is to go on.
struct Held<T> {
    record: T,
    at: Timestamp,
    /// None before it has looked for others.
    cursor: Option<Cursor>,
}

impl<T, K> Lane<T, K> {
    pub fn new(keys_of: Arc<dyn KeyOf<T, K>>, late: Late<T>) -> Self {
        Self { keys_of, late, held: None, rest: VecDeque::new() }
    }
}

/// The join itself, apart from its inputs.
struct Joining<K, F: ProcessJoinFunction> {
    function: F,
    bounds: Bounds,
    states: States<K>,
    sides: ValueState<Sides<F::Left, F::Right>>,
    desk: Desk<F::Out>,
}

/// An interval join at work.
pub(crate) struct IntervalJoin<K, F: ProcessJoinFunction> {
    left: Lane<F::Left, K>,
    right: Lane<F::Right, K>,
    keys: Keys<K>,
    joining: Joining<K, F>,
    firing: Firing<K>,
}

impl<K: Key, F: ProcessJoinFunction> IntervalJoin<K, F> {
    pub fn new(function: F, bounds: Bounds, left: Lane<F::Left, K>, right: Lane<F::Right, K>, site: &Site) -> Self {
        let (states, sides) = (States::default(), ValueState::default());
        let joining = Joining { function, bounds, states, sides, desk: Desk::new(site) };
        Self { left, right, keys: Keys::default(), joining, firing: Firing::default() }
    }
}

impl<K: Key, F: ProcessJoinFunction> Joining<K, F> {
    /// Takes a batch of one side, and joins its first records.
    fn take<S: Side<F>>(
        &mut self,
        lane: &mut Lane<S::This, K>,
        keys: &mut Keys<K>,
        input: &mut Batch<S::This>,
        out: &mut dyn Output<F::Out>,
    ) -> TaskResult {
        if !input.has_timestamps() && !input.is_empty() {
            return Err(unstamped("interval join", S::NAME));
        }
        keys.take(&*lane.keys_of, input);
        let mut records = input.records.drain(..).zip(input.timestamps.drain(..)).zip(keys.drain());
        self.join::<S>(&mut lane.held, &lane.late, &mut records, out)?;
        lane.rest.extend(records);
        Ok(())
    }

    /// Goes on with the batch of one side. `All` if nothing of it was left.
    fn resume<S: Side<F>>(&mut self, lane: &mut Lane<S::This, K>, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Lane { late, held, rest, .. } = lane;
        if held.is_none() {
            return Ok(Drained::All);
        }
        self.join::<S>(held, late, &mut iter::from_fn(|| rest.pop_front()), out)?;
        Ok(Drained::Some)
    }

    /// Joins records of one side until there are none left, or results fill a batch; then `held` has the one at work.
    fn join<S: Side<F>>(
        &mut self,
        held: &mut Option<Held<S::This>>,
        late: &Late<S::This>,
        records: &mut impl Iterator<Item = Keyed<S::This, K>>,
        out: &mut dyn Output<F::Out>,
    ) -> TaskResult {
        let Self { function, bounds, states: States { keyed: states, operator }, sides, desk } = self;
        let (bounds, watermark) = (*bounds, desk.watermark);
        desk.with(&mut operator.lists, out, |ctx| {
            let mut ctx = JoinContext::new(ctx);
            let mut budget = BATCH_RECORDS;
            loop {
                // The key of the one at work is still the key at hand.
                let mut work = match held.take() {
                    Some(work) => work,
                    None => {
                        let Some(((record, at), (hash, key))) = records.next() else { break };
                        if passed(at, watermark) {
                            late.take(record, at, &mut ctx)?;
                            continue;
                        }
                        states.set_key(hash, key);
                        Held { record, at, cursor: None }
                    }
                };
                let expiry = S::expiry(bounds, work.at);
                if passed(expiry, watermark) {
                    // Nothing can come that it would be joined with: it only looks for what is there.
                    if let Some(sides) = sides.get(states)?
                        && !look::<F, S>(function, bounds, sides, &mut work, &mut budget, &mut ctx)?
                    {
                        *held = Some(work);
                        break;
                    }
                    continue;
                }
                let sides = sides.get_or_insert_with(states, Sides::default)?;
                if work.cursor.is_none() {
                    sides.expire(bounds, watermark);
                }
                if !look::<F, S>(function, bounds, sides, &mut work, &mut budget, &mut ctx)? {
                    *held = Some(work);
                    break;
                }
                S::this(sides).add(work.at, work.record);
                if let Some(rearm) = sides.arm(expiry, bounds.reach()) {
                    if let Some(at) = rearm.delete {
                        states.delete_timer(TimeDomain::Event, at)?;
                    }
                    states.set_timer(TimeDomain::Event, rearm.set)?;
                }
            }
            ctx.flush()
        })
    }
}

/// Joins a record with those of the other side. False if there were too many for now.
#[inline]
fn look<F: ProcessJoinFunction, S: Side<F>>(
    function: &mut F,
    bounds: Bounds,
    sides: &Sides<F::Left, F::Right>,
    work: &mut Held<S::This>,
    budget: &mut usize,
    ctx: &mut JoinContext<'_, F::Out>,
) -> TaskResult<bool> {
    let others = S::other(sides);
    if others.is_empty() {
        return Ok(true);
    }
    let Some((from, until)) = S::others_of(bounds, work.at) else { return Ok(true) };
    let Held { record, at, cursor } = work;
    let cursor = cursor.get_or_insert_with(|| others.seek(from));
    others.scan(cursor, until, budget, |other_at, other| {
        S::call(function, (*at, record), (other_at, other), ctx).map_err(failed)
    })
}

impl<K: Key, F: ProcessJoinFunction> TwoInputOperator<F::Left, F::Right, F::Out> for IntervalJoin<K, F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.joining.states.restore_from(from)?;
        self.joining.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        let Joining { function, states: States { keyed, operator }, sides, .. } = &mut self.joining;
        keyed.keep_in(&task.backend);
        *sides = keyed.value("interval-join")?;
        function.open(&mut OpenContext::new(operator, task)).map_err(failed)
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.joining.take::<Left>(&mut self.left, &mut self.keys, input, out)
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.joining.take::<Right>(&mut self.right, &mut self.keys, input, out)
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.event(event, &mut self.joining.states.keyed, &mut self.joining.desk, out)
    }

    fn resume(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { left, right, joining, firing, .. } = self;
        let joined = joining.resume::<Left>(left, out)?.and(joining.resume::<Right>(right, out)?);
        if joined == Drained::Some {
            return Ok(joined);
        }
        let Joining { states: States { keyed, operator }, sides, desk, bounds, .. } = joining;
        firing.resume(keyed, &mut operator.lists, desk, out, |_, ctx| {
            let watermark = ctx.watermark();
            let kept = sides.get_or_insert_with(ctx, Sides::default)?;
            kept.expire(*bounds, watermark);
            match kept.fired(*bounds) {
                Some(at) => ctx.register_event_time_timer(at).map(drop),
                None => Ok(sides.clear(ctx)?),
            }
        })
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Joining { function, states, desk, .. } = &mut self.joining;
        desk.apart(&mut states.operator.lists, out, |ctx| function.before_snapshot(ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        let Joining { states, desk, .. } = &mut self.joining;
        into.states(states)?;
        desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more(&mut self.joining.states.keyed)
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Joining { function, states, desk, .. } = &mut self.joining;
        desk.apart(&mut states.operator.lists, out, |ctx| function.finish(ctx))
    }

    fn state_size(&self) -> StateSize {
        self.joining.states.keyed.size()
    }
}

/// Joins pairs by a function that makes one record of each.
pub(crate) struct Pairs<A, B, G> {
    pub function: G,
    pub types: std::marker::PhantomData<fn(A, B)>,
}

impl<A, B, G: Clone> Clone for Pairs<A, B, G> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), types: self.types }
    }
}

impl<A, B, U, G> ProcessJoinFunction for Pairs<A, B, G>
where
    A: Data,
    B: Data,
    U: Data,
    G: FnMut(&A, &B) -> U + Clone + Send + Sync + 'static,
{
    type Left = A;
    type Right = B;
    type Out = U;

    fn process(&mut self, left: &A, right: &B, ctx: &mut JoinContext<'_, U>) -> crate::function::FunctionResult {
        ctx.emit((self.function)(left, right));
        Ok(())
    }
}
