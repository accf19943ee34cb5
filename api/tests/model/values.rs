//! An aggregation that keeps all that it gets.

use flott::Aggregate;

/// Gathers the values of rows, which have a key, a time and a value; gives them in order.
#[derive(Clone)]
pub struct Values;

impl Aggregate for Values {
    type In = (u8, i64, i64);
    type Accumulator = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<i64>, row: (u8, i64, i64)) {
        values.push(row.2);
    }

    fn result(&self, values: &Vec<i64>) -> Vec<i64> {
        let mut values = values.clone();
        values.sort_unstable();
        values
    }

    fn merge(&self, into: &mut Vec<i64>, mut other: Vec<i64>) {
        into.append(&mut other);
    }
}
