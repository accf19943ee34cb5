//! Aggregations.

use crate::batch::Data;

/// An aggregation per key, as Flink's `AggregateFunction`: values go into an accumulator, and a result comes out of it.
///
/// ```
/// # use flott_runtime::state::Aggregate;
/// /// The mean of what goes in.
/// #[derive(Clone)]
/// struct Mean;
///
/// impl Aggregate for Mean {
///     type In = f64;
///     type Accumulator = (f64, u64);
///     type Out = f64;
///
///     fn create(&self) -> (f64, u64) {
///         (0.0, 0)
///     }
///
///     fn add(&self, (sum, count): &mut (f64, u64), value: f64) {
///         *sum += value;
///         *count += 1;
///     }
///
///     fn result(&self, (sum, count): &(f64, u64)) -> f64 {
///         sum / *count as f64
///     }
///
///     fn merge(&self, into: &mut (f64, u64), other: (f64, u64)) {
///         into.0 += other.0;
///         into.1 += other.1;
///     }
/// }
/// ```
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What goes in.
    type In: Data;
    /// What is kept per key.
    type Accumulator: Data;
    /// What comes out.
    type Out: Data;

    /// An accumulator that nothing has gone into.
    fn create(&self) -> Self::Accumulator;

    /// Puts `value` in.
    fn add(&self, accumulator: &mut Self::Accumulator, value: Self::In);

    /// The result so far.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Out;

    /// Puts in what `other` has gathered elsewhere. In batch mode each subtask aggregates before the shuffle, and what
    /// it has is merged after.
    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator);
}
