//! Every query, run within the test's process, against the model.

use flott_nexmark::{
    check::{answer, difference},
    generator::{Generator, Options},
    model,
    query::Query,
};

const SEEDS: [u64; 2] = [1, 20_150_715];
const PARALLELISMS: [u32; 3] = [1, 2, 4];

/// Events that come out of order by as much as half a second, and cross midnight.
fn options(seed: u64) -> Options {
    let base_time = Options::default().base_time - 1_300;
    Options { count: 20_000, seed, out_of_order_ms: 500, base_time, ..Options::default() }
}

#[track_caller]
fn check(query: Query) {
    for seed in SEEDS {
        let generator = Generator::new(options(seed)).unwrap();
        let expected = model::answer(query, &generator.events());
        assert!(!expected.is_empty(), "{query} has no answer to seed {seed}");
        for parallelism in PARALLELISMS {
            let found = answer(query, &generator, parallelism).unwrap();
            if let Some(difference) = difference(&expected, &found) {
                panic!("{query}, seed {seed}, parallelism {parallelism}: {difference}");
            }
        }
    }
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
