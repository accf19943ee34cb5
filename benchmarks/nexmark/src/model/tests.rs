//! The model on inputs that can be worked out by hand.

use super::*;
use crate::event::{Text, Time};

fn person(id: u64, name: &str, state: &str, time: i64) -> Event {
    Event::Person(Box::new(Person::new(id, [name, "", "", "Bend", state], Time(time), "")))
}

/// Open from `from` to `to`.
fn auction(id: u64, seller: u64, category: u64, from: i64, to: i64) -> Event {
    Event::Auction(Box::new(Auction {
        id,
        initial_bid: 1,
        reserve: 2,
        date_time: Time(from),
        expires: Time(to),
        seller,
        category,
        text: Text::new(["pot", "old"], "e"),
    }))
}

fn bid(auction: u64, bidder: u64, price: u64, time: i64) -> Event {
    Event::Bid(Bid::new(auction, bidder, price, "Apple", "https://h/a/b/c", Time(time), "cxc"))
}

fn bid_by(channel: &str, url: &str) -> Event {
    Event::Bid(Bid::new(1, 2, 3, channel, url, Time(0), ""))
}

#[track_caller]
fn check(query: Query, events: &[Event], expected: &[&str]) {
    assert_eq!(answer(query, events), expected);
}

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

#[test]
fn queries_of_single_bids() {
    let events = [bid(123, 5, 1_200_000, 8 * HOUR), bid(124, 6, 100, 7 * HOUR), person(1, "A", "OR", 0)];
    check(
        Query::Q0,
        &events,
        &[
            r#"{"auction":123,"bidder":5,"price":1200000,"dateTime":"1970-01-01 08:00:00.000","extra":"cxc"}"#,
            r#"{"auction":124,"bidder":6,"price":100,"dateTime":"1970-01-01 07:00:00.000","extra":"cxc"}"#,
        ],
    );
    check(
        Query::Q1,
        &events[1..],
        &[r#"{"auction":124,"bidder":6,"price":90.8,"dateTime":"1970-01-01 07:00:00.000","extra":"cxc"}"#],
    );
    check(Query::Q2, &events, &[r#"{"auction":123,"price":1200000}"#]);
    check(
        Query::Q10,
        &events[1..],
        &[
            r#"{"auction":124,"bidder":6,"price":100,"dateTime":"1970-01-01 07:00:00.000","extra":"cxc","dt":"1970-01-01","hm":"07:00"}"#,
        ],
    );
    check(
        Query::Q13,
        &[bid(20_007, 5, 9, 1)],
        &[r#"{"auction":20007,"bidder":5,"price":9,"dateTime":"1970-01-01 00:00:00.001","value":"7"}"#],
    );
    check(
        Query::Q14,
        &events,
        &[
            r#"{"auction":123,"bidder":5,"price":1089600.0,"bidTimeType":"dayTime","dateTime":"1970-01-01 08:00:00.000","extra":"cxc","c_counts":2}"#,
        ],
    );
    check(
        Query::Q22,
        &events[1..],
        &[r#"{"auction":124,"bidder":6,"price":100,"channel":"Apple","dir1":"a","dir2":"b","dir3":"c"}"#],
    );
    check(
        Query::Q22,
        &[bid_by("x", "https://h/a")],
        &[r#"{"auction":1,"bidder":2,"price":3,"channel":"x","dir1":"a","dir2":null,"dir3":null}"#],
    );
}

#[test]
fn times_of_the_day_have_words() {
    for (hour, expected) in
        [(0, "night"), (6, "night"), (7, "other"), (8, "day"), (18, "day"), (19, "other"), (20, "night")]
    {
        let rows = answer(Query::Q14, &[bid(1, 1, 2_000_000, hour * HOUR)]);
        assert!(rows[0].contains(&format!("\"{expected}Time\"")), "{hour}: {rows:?}");
    }
    // 0.908 times the price must lie between the ends.
    let ends = [1_101_321, 1_101_322, 55_066_079, 55_066_080].map(|price| bid(1, 1, price, 0));
    assert_eq!(answer(Query::Q14, &ends).len(), 2);
}

#[test]
fn channels_have_ids() {
    let row = |channel: &str, id: &str| {
        format!(r#"{{"auction":1,"bidder":2,"price":3,"channel":"{channel}","channel_id":"{id}"}}"#)
    };
    for (channel, url, id) in [
        ("aPPle", "", Some("0")),
        ("Google", "&channel_id=8", Some("1")),
        ("facebook", "", Some("2")),
        ("Baidu", "", Some("3")),
        ("x", "h?query=1&channel_id=77&y", Some("77")),
        ("x", "channel_id=", Some("")),
        ("x", "h?channel_id=77", None),
    ] {
        let expected: Vec<String> = id.map(|id| row(channel, id)).into_iter().collect();
        assert_eq!(answer(Query::Q21, &[bid_by(channel, url)]), expected, "{channel} {url}");
    }
}

#[test]
fn sellers_and_their_items() {
    let events = [
        auction(100, 1, 10, 0, 9),
        person(1, "A", "OR", 1),
        auction(101, 1, 10, 2, 9),
        auction(102, 1, 11, 2, 9),
        person(2, "B", "WA", 3),
        auction(103, 2, 10, 4, 9),
        auction(104, 3, 10, 4, 9),
    ];
    check(
        Query::Q3,
        &events,
        &[r#"{"name":"A","city":"Bend","state":"OR","id":100}"#, r#"{"name":"A","city":"Bend","state":"OR","id":101}"#],
    );
}

#[test]
fn bids_count_while_their_auction_is_open() {
    let events = [
        bid(1, 9, 50, 10),
        bid(1, 9, 999, 9),
        auction(1, 7, 10, 10, 20),
        bid(1, 8, 60, 20),
        bid(1, 8, 999, 21),
        auction(2, 7, 10, 10, 30),
        bid(2, 8, 101, 15),
        auction(3, 7, 11, 10, 20),
        auction(4, 6, 11, 10, 20),
        bid(4, 5, 7, 20),
    ];
    check(Query::Q4, &events, &[r#"{"id":10,"final":80}"#, r#"{"id":11,"final":7}"#]);
    check(
        Query::Q6,
        &events,
        &[r#"{"seller":6,"avg_price":7}"#, r#"{"seller":7,"avg_price":60}"#, r#"{"seller":7,"avg_price":80}"#],
    );
    let winners = answer(Query::Q9, &events);
    assert_eq!(winners.len(), 3);
    assert_eq!(
        winners[0],
        r#"{"id":1,"itemName":"pot","description":"old","initialBid":1,"reserve":2,"dateTime":"1970-01-01 00:00:00.010","expires":"1970-01-01 00:00:00.020","seller":7,"category":10,"extra":"e","auction":1,"bidder":8,"price":60,"bid_dateTime":"1970-01-01 00:00:00.020","bid_extra":"cxc"}"#
    );
    // Whether a bid was in time does not matter where it is only told what it was for.
    assert_eq!(answer(Query::Q20, &events).len(), 5);
    assert!(
        answer(Query::Q20, &events)[0].starts_with(r#"{"auction":1,"bidder":8,"price":60,"channel":"Apple","url":"#)
    );
}

#[test]
fn the_last_ten_prices_of_a_seller_are_averaged() {
    let mut events = Vec::new();
    for id in 0..12 {
        // They close in the order of their ids, and were opened in another.
        events.insert(0, auction(id, 1, 10, 0, 100 + id as i64));
        events.push(bid(id, 2, id * 10, 50));
    }
    let mut averages: Vec<u64> = (0..12_u64)
        .map(|last| {
            let prices: Vec<u64> = (last.saturating_sub(9)..=last).map(|id| id * 10).collect();
            prices.iter().sum::<u64>() / prices.len() as u64
        })
        .collect();
    assert_eq!(averages[11], 65);
    let mut expected: Vec<String> =
        averages.drain(..).map(|average| format!(r#"{{"seller":1,"avg_price":{average}}}"#)).collect();
    expected.sort();
    assert_eq!(answer(Query::Q6, &events), expected);
}

#[test]
fn ties_are_broken_by_what_a_row_shows() {
    let open = auction(1, 7, 10, 0, 100);
    let winner = |bids: [Event; 3]| {
        let events: Vec<Event> = bids.into_iter().chain([open.clone()]).collect();
        answer(Query::Q9, &events)[0].split(r#""bidder":"#).nth(1).unwrap().chars().next().unwrap()
    };
    assert_eq!(winner([bid(1, 3, 50, 10), bid(1, 4, 60, 12), bid(1, 5, 60, 11)]), '5');
    assert_eq!(winner([bid(1, 4, 60, 11), bid(1, 3, 60, 11), bid(1, 5, 60, 11)]), '3');
}

#[test]
fn days_and_channels_have_statistics() {
    let events = [bid(1, 5, 10, 1), bid(1, 5, 10_000, 2 * 60_000), bid(2, 6, 1_000_000, DAY - 1), bid(1, 6, 20, DAY)];
    check(
        Query::Q15,
        &events,
        &[
            r#"{"day":"1970-01-01","total_bids":3,"rank1_bids":1,"rank2_bids":1,"rank3_bids":1,"total_bidders":2,"rank1_bidders":1,"rank2_bidders":1,"rank3_bidders":1,"total_auctions":2,"rank1_auctions":1,"rank2_auctions":1,"rank3_auctions":1}"#,
            r#"{"day":"1970-01-02","total_bids":1,"rank1_bids":1,"rank2_bids":0,"rank3_bids":0,"total_bidders":1,"rank1_bidders":1,"rank2_bidders":0,"rank3_bidders":0,"total_auctions":1,"rank1_auctions":1,"rank2_auctions":0,"rank3_auctions":0}"#,
        ],
    );
    let channels = answer(Query::Q16, &events);
    assert_eq!(channels.len(), 2);
    assert!(channels[0].starts_with(r#"{"channel":"Apple","day":"1970-01-01","minute":"23:59","total_bids":3,"#));
    check(
        Query::Q17,
        &events,
        &[
            r#"{"auction":1,"day":"1970-01-01","total_bids":2,"rank1_bids":1,"rank2_bids":1,"rank3_bids":0,"min_price":10,"max_price":10000,"avg_price":5005,"sum_price":10010}"#,
            r#"{"auction":1,"day":"1970-01-02","total_bids":1,"rank1_bids":1,"rank2_bids":0,"rank3_bids":0,"min_price":20,"max_price":20,"avg_price":20,"sum_price":20}"#,
            r#"{"auction":2,"day":"1970-01-01","total_bids":1,"rank1_bids":0,"rank2_bids":0,"rank3_bids":1,"min_price":1000000,"max_price":1000000,"avg_price":1000000,"sum_price":1000000}"#,
        ],
    );
}

#[test]
fn last_bids_and_highest_bids() {
    let row = |bidder: u64, price: u64, millis: i64| {
        format!(
            r#"{{"auction":1,"bidder":{bidder},"price":{price},"channel":"Apple","url":"https://h/a/b/c","dateTime":"1970-01-01 00:00:00.{millis:03}","extra":"cxc""#
        )
    };
    let events = [bid(1, 5, 10, 7), bid(1, 5, 30, 9), bid(1, 5, 20, 9), bid(1, 5, 99, 8), bid(1, 6, 1, 1)];
    check(Query::Q18, &events, &[&(row(5, 30, 9) + "}"), &(row(6, 1, 1) + "}")]);
    let events: Vec<Event> = (0..12).map(|price| bid(1, 5, price % 11, 100 - price as i64)).collect();
    let rows = answer(Query::Q19, &events);
    assert_eq!(rows.len(), 10);
    assert!(rows.contains(&(row(5, 10, 90) + r#","rank_number":1}"#)));
    assert!(rows.contains(&(row(5, 1, 99) + r#","rank_number":10}"#)));
    // Of equal prices the earlier goes first.
    let rows = answer(Query::Q19, &[bid(1, 5, 7, 2), bid(1, 6, 7, 1), bid(1, 4, 7, 2)]);
    assert_eq!(
        rows,
        [
            row(4, 7, 2) + r#","rank_number":2}"#,
            row(5, 7, 2) + r#","rank_number":3}"#,
            row(6, 7, 1) + r#","rank_number":1}"#
        ]
    );
}

#[test]
fn hot_items_of_sliding_windows() {
    // In five windows, alone in the first two of them, and then behind the other.
    let events = [bid(1, 5, 10, 4_000), bid(2, 5, 10, 8_000), bid(2, 5, 10, 8_001)];
    let alone = r#"{"auction":1,"num":1}"#;
    let other = r#"{"auction":2,"num":2}"#;
    check(Query::Q5, &events, &[alone, alone, other, other, other, other, other]);
    check(
        Query::Q5,
        &[bid(1, 5, 1, 0), bid(2, 5, 1, 0)],
        &[&[alone; 5][..], &[r#"{"auction":2,"num":1}"#; 5]].concat(),
    );
}

#[track_caller]
fn check_highest(bids: &[(u64, u64, i64)], expected: &[u64]) {
    let events: Vec<Event> = bids.iter().map(|(auction, price, time)| bid(*auction, 5, *price, *time)).collect();
    let auction = |row: &String| row.split([':', ',']).nth(1).and_then(|id| id.parse().ok());
    let found: Vec<u64> = answer(Query::Q7, &events).iter().filter_map(auction).collect();
    assert_eq!(found, expected, "{bids:?}");
}

#[test]
fn highest_bids_of_windows() {
    check_highest(&[(1, 10, 9_999), (2, 9, 0), (3, 10, 10_001), (4, 10, 5_000)], &[1, 3, 4]);
    // At the very end of a window: as high as it, higher, lower, and a millisecond later.
    check_highest(&[(1, 10, 5_000), (2, 10, 10_000), (3, 12, 12_000)], &[1, 2, 3]);
    check_highest(&[(1, 10, 5_000), (2, 11, 10_000), (3, 12, 12_000)], &[1, 3]);
    check_highest(&[(1, 10, 5_000), (2, 9, 10_000), (3, 12, 12_000)], &[1, 3]);
    check_highest(&[(1, 10, 5_000), (2, 10, 10_001), (3, 12, 12_000)], &[1, 3]);
    // The highest of both windows is a row of each. Where nothing was bid in between, it is one of its own alone.
    check_highest(&[(1, 10, 5_000), (2, 10, 10_000)], &[1, 2, 2]);
    check_highest(&[(1, 10, 5_000), (2, 10, 20_000)], &[1, 2]);
}

#[test]
fn new_users_who_sell() {
    let events = [
        person(1, "A", "OR", 9_999),
        auction(100, 1, 10, 0, 9),
        auction(101, 1, 10, 1, 9),
        person(2, "B", "OR", 10_000),
        auction(102, 2, 10, 9_999, 20_000),
    ];
    check(Query::Q8, &events, &[r#"{"id":1,"name":"A","starttime":"1970-01-01 00:00:00.000"}"#]);
}

#[test]
fn sessions_end_after_ten_seconds() {
    let events = [bid(1, 5, 1, 30_001), bid(1, 5, 1, 0), bid(2, 5, 1, 10_000), bid(1, 5, 1, 20_000), bid(1, 6, 1, 5)];
    check(
        Query::Q11,
        &events,
        &[
            r#"{"bidder":5,"bid_count":1,"starttime":"1970-01-01 00:00:30.001","endtime":"1970-01-01 00:00:40.001"}"#,
            r#"{"bidder":5,"bid_count":3,"starttime":"1970-01-01 00:00:00.000","endtime":"1970-01-01 00:00:30.000"}"#,
            r#"{"bidder":6,"bid_count":1,"starttime":"1970-01-01 00:00:00.005","endtime":"1970-01-01 00:00:10.005"}"#,
        ],
    );
    check(Query::Q12, &events, &[r#"{"bidder":5,"bid_count":4}"#, r#"{"bidder":6,"bid_count":1}"#]);
}
