//! Values per key that others are put into.

use std::{fmt, sync::Arc};

use super::ValueState;
use crate::{
    batch::Data,
    error::TaskResult,
    state::{
        aggregate::Aggregate,
        expiring::Expiring,
        keyed::{KeyScope, Place, unbound},
    },
};

/// Puts the second value into the first.
pub(in crate::state) type Reduce<V> = Arc<dyn Fn(&mut V, V) + Send + Sync>;

/// A value per key that others of its type are reduced into.
///
/// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
pub struct ReducingState<V> {
    pub(super) value: ValueState<V>,
    reduce: Option<Reduce<V>>,
}

/// The accumulator of an aggregation per key.
///
/// A handle made by `default()` is not bound; get a bound one from the context when the function is opened.
pub struct AggregatingState<A: Aggregate> {
    pub(super) accumulator: ValueState<A::Accumulator>,
    aggregate: Option<A>,
}

impl<V> Default for ReducingState<V> {
    fn default() -> Self {
        Self { value: ValueState::default(), reduce: None }
    }
}

impl<V> Clone for ReducingState<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), reduce: self.reduce.clone() }
    }
}

impl<V> fmt::Debug for ReducingState<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReducingState").field(&self.value).finish()
    }
}

impl<A: Aggregate> Default for AggregatingState<A> {
    fn default() -> Self {
        Self { accumulator: ValueState::default(), aggregate: None }
    }
}

impl<A: Aggregate> Clone for AggregatingState<A> {
    fn clone(&self) -> Self {
        Self { accumulator: self.accumulator.clone(), aggregate: self.aggregate.clone() }
    }
}

impl<A: Aggregate> fmt::Debug for AggregatingState<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AggregatingState").field(&self.accumulator).finish()
    }
}

impl<V: Data> ReducingState<V> {
    pub(in crate::state) fn at(index: usize, reduce: Reduce<V>) -> Self {
        Self { value: ValueState::at(index), reduce: Some(reduce) }
    }

    /// What all that was added for the key at hand is reduced to.
    ///
    /// # Errors
    /// As [`ValueState::get`]; so it is with all methods.
    #[inline]
    pub fn get<'s, S: KeyScope>(&self, scope: &'s mut S) -> TaskResult<Option<&'s V>> {
        self.value.get(scope)
    }

    /// Reduces `item` into the value of the key at hand, or makes it the value where there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn add<S: KeyScope>(&self, scope: &mut S, item: V) -> TaskResult {
        let reduce = self.reduce.as_ref().ok_or_else(unbound)?;
        match self.value.place(scope)? {
            Place::Plain(mut spot) => match spot.get_mut()? {
                Some(value) => reduce(value, item),
                None => spot.insert(item)?,
            },
            Place::Expiring(mut spot, moment) => match spot.get_mut()? {
                Some(held) if !moment.hides(held.used()) => reduce(held.write(moment), item),
                _ => spot.insert(Expiring::new(item, moment))?,
            },
        }
        Ok(())
    }

    /// Reduces all `items` into the value of the key at hand, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all<S: KeyScope>(&self, scope: &mut S, items: impl IntoIterator<Item = V>) -> TaskResult {
        items.into_iter().try_for_each(|item| self.add(scope, item))
    }

    /// Takes the value of the key at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Option<V>> {
        self.value.take(scope)
    }

    /// Forgets the value of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.value.clear(scope)
    }
}

impl<A: Aggregate> AggregatingState<A> {
    pub(in crate::state) fn at(index: usize, aggregate: A) -> Self {
        Self { accumulator: ValueState::at(index), aggregate: Some(aggregate) }
    }

    /// The result for the key at hand, if anything was added.
    ///
    /// # Errors
    /// As [`ValueState::get`]; so it is with all methods.
    #[inline]
    pub fn get<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Option<A::Out>> {
        let aggregate = self.aggregate.as_ref().ok_or_else(unbound)?;
        Ok(self.accumulator.get(scope)?.map(|accumulator| aggregate.result(accumulator)))
    }

    /// Puts `value` into the aggregation of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    #[inline]
    pub fn add<S: KeyScope>(&self, scope: &mut S, value: A::In) -> TaskResult {
        let aggregate = self.aggregate.as_ref().ok_or_else(unbound)?;
        aggregate.add(self.accumulator.get_or_insert_with(scope, || aggregate.create())?, value);
        Ok(())
    }

    /// Puts what was gathered elsewhere into the aggregation of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn merge<S: KeyScope>(&self, scope: &mut S, other: A::Accumulator) -> TaskResult {
        let aggregate = self.aggregate.as_ref().ok_or_else(unbound)?;
        aggregate.merge(self.accumulator.get_or_insert_with(scope, || aggregate.create())?, other);
        Ok(())
    }

    /// Takes the accumulator of the key at hand out.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take<S: KeyScope>(&self, scope: &mut S) -> TaskResult<Option<A::Accumulator>> {
        self.accumulator.take(scope)
    }

    /// Forgets the aggregation of the key at hand.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear<S: KeyScope>(&self, scope: &mut S) -> TaskResult {
        self.accumulator.clear(scope)
    }
}
