//! Rows that come with timestamps and watermarks.

use flott::{
    Data, Stream,
    testing::{Feed, Harness, Harness2},
};
use proptest::prelude::*;

use super::{Way, sorted};
use crate::values::Row;

/// Rows as they come: out of order by at most a lag, each with a value that no other has.
#[derive(Debug, Clone)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub lag: i64,
}

/// Rows at even times: so sessions with an odd gap never touch, and none of them depends on how far the watermark had come.
pub fn rows() -> impl Strategy<Value = Rows> {
    (prop::collection::vec((0u8..6, 0i64..150, 0i64..30), 0..80), 0i64..30).prop_map(|(mut rows, lag)| {
        rows.sort_by_key(|(_, at, late)| at * 2 + late % (lag + 1));
        Rows { rows: (0..).zip(rows).map(|(value, (key, at, _))| (key, at * 2, value)).collect(), lag }
    })
}

/// Whether the first of two inputs is next, over and over: in turn, or one of them far ahead.
pub fn turns() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![4 => prop::collection::vec(any::<bool>(), 1..20), 1 => Just(vec![true]), 1 => Just(vec![false])]
}

impl Rows {
    /// Batches, each with the watermark behind it.
    pub fn batches<'a>(&'a self, way: &'a Way) -> impl Iterator<Item = (&'a [Row], i64)> {
        let (mut rest, mut max) = (&self.rows[..], i64::MIN + self.lag + 1);
        way.cuts.iter().cycle().map_while(move |cut| {
            let (batch, later) = rest.split_at((*cut).min(rest.len()));
            rest = later;
            max = batch.iter().map(|row| row.1).fold(max, i64::max);
            (!batch.is_empty()).then_some((batch, max - self.lag - 1))
        })
    }

    /// All results of a pipeline of these. Nothing is late, and nothing is left.
    pub fn run<Out: Data + Ord>(&self, way: &Way, build: impl FnOnce(Stream<Row>) -> Stream<Out>) -> Vec<Out> {
        let mut harness = Harness::with(way.options(), build);
        for (batch, watermark) in self.batches(way) {
            give(harness.input(), batch, watermark);
        }
        harness.end().unwrap();
        assert_eq!(harness.state_size(), Default::default());
        assert_eq!(harness.counter("numLateRecordsDropped"), 0);
        sorted(harness.take())
    }
}

fn give<Out>(mut feed: Feed<'_, Row, Out>, batch: &[Row], watermark: i64) {
    feed.batch_at(batch.iter().map(|row| (*row, row.1))).unwrap();
    feed.watermark(watermark).unwrap();
}

/// Gives rows to both inputs, in batches, each with the watermark behind it; which input is next is said by `turns`.
pub fn give2<Out: Data>(
    way: &Way,
    harness: &mut Harness2<Row, Row, Out>,
    (left, right): (&Rows, &Rows),
    turns: &[bool],
) {
    let mut batches = [left.batches(way).peekable(), right.batches(way).peekable()];
    for turn in turns.iter().cycle() {
        let first = if batches[usize::from(!turn)].peek().is_some() { *turn } else { !turn };
        let Some((batch, watermark)) = batches[usize::from(!first)].next() else { return };
        give(if first { harness.left() } else { harness.right() }, batch, watermark);
    }
}
