//! Every query, run within the test's process, against the model.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flott_nexmark::{
    check::{answer, answer_to, difference},
    event::{Bid, Event, Time},
    generator::{Generator, Options},
    model,
    query::Query,
};
use proptest::prelude::*;

const SEEDS: [u64; 2] = [1, 20_150_715];
const PARALLELISMS: [u32; 3] = [1, 2, 4];

/// Events that come out of order by as much as half a second, and cross midnight.
fn options(seed: u64) -> Options {
    let base_time = Options::default().base_time - 1_300;
    Options { count: 20_000, seed, out_of_order_ms: 500, base_time, ..Options::default() }
}

/// As many over 40 seconds and not two: several windows of ten seconds, and people who are gone for longer than that.
fn slow(seed: u64) -> Options {
    Options { events_per_second: 500, ..options(seed) }
}

#[track_caller]
fn check(query: Query) {
    for seed in SEEDS {
        check_events(query, options(seed));
    }
}

/// Compares the answers of all parallelisms with the model's, which it gives.
#[track_caller]
fn check_events(query: Query, options: Options) -> Vec<String> {
    let generator = Generator::new(options).unwrap();
    let expected = model::answer(query, &generator.events());
    assert!(!expected.is_empty(), "{query} has no answer to {:?}", generator.options());
    for parallelism in PARALLELISMS {
        let found = answer(query, &generator, parallelism).unwrap();
        if let Some(difference) = difference(&expected, &found) {
            panic!("{query}, {:?}, parallelism {parallelism}: {difference}", generator.options());
        }
    }
    expected
}

/// How many different values `field` has in `rows`.
fn distinct(rows: &[String], field: &str) -> usize {
    let rows = rows.iter().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
    rows.map(|row| row[field].to_string()).collect::<BTreeSet<_>>().len()
}

#[test]
fn hot_items_and_highest_bids_of_many_windows() {
    for seed in SEEDS {
        // 24 windows begin within the time, and each has something.
        assert!(check_events(Query::Q5, slow(seed)).len() >= 24);
        assert!(check_events(Query::Q7, slow(seed)).len() >= 5);
    }
}

/// Bids of a price at a time, in the order in which they come.
fn bids(bids: &[(u64, i64)]) -> Vec<Event> {
    let bid = |(at, (price, time)): (usize, &(u64, i64))| Bid::new(at as u64, 5, *price, "", "", Time(*time), "");
    bids.iter().enumerate().map(bid).map(Event::Bid).collect()
}

/// Compares the highest bids of windows with the model's, which it gives.
#[track_caller]
fn check_highest(events: &[Event], out_of_order_ms: u64) -> Vec<String> {
    let expected = model::answer(Query::Q7, events);
    for parallelism in PARALLELISMS {
        let found = answer_to(Query::Q7, events, Duration::from_millis(out_of_order_ms), parallelism).unwrap();
        if let Some(difference) = difference(&expected, &found) {
            panic!("{events:?}, {out_of_order_ms} ms out of order, parallelism {parallelism}: {difference}");
        }
    }
    expected
}

#[test]
fn a_bid_at_the_end_of_a_window_is_compared_with_it() {
    // The second is as high as the first window, and a row; the third is higher, and none.
    let rows = check_highest(&bids(&[(7, 9_999), (7, 10_000), (8, 10_000), (9, 10_001)]), 0);
    assert_eq!(distinct(&rows, "auction"), 3);
    assert!(!rows.iter().any(|row| row.contains(r#""auction":2"#)), "{rows:?}");
    // The one at the end comes first, and last.
    assert_eq!(check_highest(&bids(&[(7, 10_000), (7, 9_000)]), 1_000).len(), 3);
    assert_eq!(check_highest(&bids(&[(7, 9_000), (6, 11_000), (7, 10_000)]), 1_000).len(), 3);
    // The window before it is empty, and one before that is not.
    assert_eq!(check_highest(&bids(&[(7, 9_000), (7, 20_000), (6, 30_000), (6, 50_000)]), 0).len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Few prices, and times at and beside the ends of windows.
    #[test]
    fn highest_bids_of_windows_with_equal_prices(
        ticks in prop::collection::vec((1_u64..4, 0_i64..12, -1_i64..2, 0_i64..6_000), 1..60),
        out_of_order_ms in prop::sample::select(vec![0_u64, 6_000]),
    ) {
        let mut ticks: Vec<(u64, i64, i64)> = ticks
            .into_iter()
            .map(|(price, tick, beside, late)| (price, tick * 5_000 + beside, late.min(out_of_order_ms as i64)))
            .collect();
        // No event comes longer behind another than it is late.
        ticks.sort_by_key(|(_, time, late)| time + late);
        let events: Vec<(u64, i64)> = ticks.into_iter().map(|(price, time, _)| (price, time)).collect();
        check_highest(&bids(&events), out_of_order_ms);
    }
}

#[test]
fn new_sellers_of_many_windows() {
    for seed in SEEDS {
        let rows = check_events(Query::Q8, slow(seed));
        assert!(distinct(&rows, "starttime") >= 5);
    }
}

#[test]
fn sessions_that_are_split() {
    for seed in SEEDS {
        assert!(!has_bids_a_gap_apart(&slow(seed)), "seed {seed}: whether they split would depend on the watermark");
        let rows = check_events(Query::Q11, slow(seed));
        let bidders = distinct(&rows, "bidder");
        assert!(bidders + 10 < rows.len(), "{} sessions of {bidders} bidders", rows.len());
    }
}

/// Whether somebody bids exactly ten seconds after bidding, and not in between.
fn has_bids_a_gap_apart(options: &Options) -> bool {
    let mut times = BTreeMap::<u64, BTreeSet<i64>>::new();
    for event in Generator::new(options.clone()).unwrap().events() {
        if let Event::Bid(bid) = event {
            times.entry(bid.bidder).or_default().insert(bid.date_time.0);
        }
    }
    times.values().any(|times| times.iter().zip(times.iter().skip(1)).any(|(earlier, later)| later - earlier == 10_000))
}

macro_rules! queries {
    ($($name:ident: $query:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(Query::$query);
            }
        )*

        #[test]
        fn every_query_is_checked() {
            assert_eq!([$(Query::$query),*], Query::ALL);
        }
    };
}

queries! {
    q0_passes_bids_through: Q0,
    q1_converts_prices: Q1,
    q2_selects_bids: Q2,
    q3_finds_local_items: Q3,
    q4_averages_categories: Q4,
    q5_finds_hot_items: Q5,
    q6_averages_last_prices_of_sellers: Q6,
    q7_finds_highest_bids: Q7,
    q8_finds_new_sellers: Q8,
    q9_finds_winning_bids: Q9,
    q10_logs_bids_by_day_and_minute: Q10,
    q11_counts_sessions: Q11,
    q12_counts_in_processing_time: Q12,
    q13_looks_up_side_input: Q13,
    q14_calculates: Q14,
    q15_counts_a_day: Q15,
    q16_counts_channels: Q16,
    q17_has_statistics_of_auctions: Q17,
    q18_finds_last_bids: Q18,
    q19_ranks_prices: Q19,
    q20_joins_bids_with_auctions: Q20,
    q21_adds_channel_ids: Q21,
    q22_takes_urls_apart: Q22,
}
