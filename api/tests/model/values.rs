//! Windows that give all that they have, and what they give by the model.

use flott::{Aggregate, KeyedStream, Stream, TimeWindow, WindowAssigner};

use super::model::{self, Firing, Record, Shape, Step};

/// Key, time and value.
pub type Row = (u8, i64, i64);

/// What windows come to, with nothing late.
pub fn expected(shape: Shape, rows: &[Row]) -> Vec<Firing> {
    let records = rows.iter().map(|(key, at, value)| Step::Record(Record { key: *key, at: *at, value: *value }));
    let steps: Vec<_> = records.chain([Step::Watermark(i64::MAX)]).collect();
    model::outcome(shape, 0, &steps).timeless().0
}

/// Gaps of rows, short and long ones, all odd.
pub fn gap_of(value: i64) -> i64 {
    value * 7919 % 40 * 2 + 1
}

/// Windows that aggregate as rows come.
pub fn aggregated<A>(rows: &KeyedStream<u8, Row>, assigner: &A) -> Stream<Firing>
where
    A: WindowAssigner<Row, Window = TimeWindow>,
{
    rows.window(assigner.clone()).aggregate_with(Values, |key, window, values, out| {
        out.emit(Firing { key: *key, start: window.start, end: window.end, values });
    })
}

/// Windows that keep their rows.
pub fn gathered<A>(rows: &KeyedStream<u8, Row>, assigner: &A) -> Stream<Firing>
where
    A: WindowAssigner<Row, Window = TimeWindow>,
{
    rows.window(assigner.clone()).apply(|key, window, rows, out| {
        let mut values: Vec<i64> = rows.iter().map(|row| row.2).collect();
        values.sort_unstable();
        out.emit(Firing { key: *key, start: window.start, end: window.end, values });
    })
}

/// Gathers the values of rows; gives them in order.
#[derive(Clone)]
pub struct Values;

impl Aggregate for Values {
    type In = Row;
    type Accumulator = Vec<i64>;
    type Out = Vec<i64>;

    fn create(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, values: &mut Vec<i64>, row: Row) {
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
