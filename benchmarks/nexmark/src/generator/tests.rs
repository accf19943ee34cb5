//! What the suites publish, on a few thousand events.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const COUNT: u64 = 200_000;

fn generator(options: Options) -> Generator {
    Generator::new(options).unwrap()
}

fn numbered(seed: u64) -> Vec<Event> {
    let generator = generator(Options { count: COUNT, seed, ..Options::default() });
    (0..COUNT).map(|number| generator.event(number)).collect()
}

/// Bids, each with the last auction and the last person before it, from 0.
fn bids(events: &[Event]) -> impl Iterator<Item = (&Bid, u64, u64)> {
    events.iter().enumerate().filter_map(|(number, event)| match event {
        Event::Bid(bid) => Some((bid, number as u64 / 50 * 3 + 2, number as u64 / 50)),
        _ => None,
    })
}

fn auctions(events: &[Event]) -> impl Iterator<Item = (&Auction, u64)> {
    events.iter().enumerate().filter_map(|(number, event)| match event {
        Event::Auction(auction) => Some((&**auction, number as u64 / 50)),
        _ => None,
    })
}

fn people(events: &[Event]) -> impl Iterator<Item = &Person> {
    events.iter().filter_map(|event| match event {
        Event::Person(person) => Some(&**person),
        _ => None,
    })
}

#[track_caller]
fn check_share(what: impl Iterator<Item = bool>, expected: f64) {
    let (mut of, mut count) = (0, 0);
    what.for_each(|holds| {
        of += 1;
        count += usize::from(holds);
    });
    let share = count as f64 / of as f64;
    assert!((share - expected).abs() < 0.01, "{share} and not {expected}, of {of}");
}

#[track_caller]
fn check_average(numbers: impl Iterator<Item = usize>, expected: f64) {
    let (count, sum) = numbers.fold((0, 0), |(count, sum), number| (count + 1, sum + number));
    let average = f64::from(sum as u32) / f64::from(count);
    assert!((average - expected).abs() < expected * 0.02, "{average} and not {expected}, of {count}");
}

#[test]
fn of_fifty_events_one_is_a_person_and_three_are_auctions() {
    let events = numbered(1);
    for (epoch, fifty) in (0..).zip(events.chunks(50)) {
        assert!(matches!(&fifty[0], Event::Person(person) if person.id == 1000 + epoch));
        for (offset, event) in (0..).zip(&fifty[1..4]) {
            assert!(matches!(event, Event::Auction(auction) if auction.id == 1000 + epoch * 3 + offset));
        }
        assert!(fifty[4..].iter().all(|event| matches!(event, Event::Bid(_))));
    }
}

#[test]
fn bids_are_for_late_auctions_by_active_people() {
    let events = numbered(2);
    for (bid, auction, person) in bids(&events) {
        let (hot, cold) = (auction / 100 * 100, auction.saturating_sub(100)..=auction + 10);
        assert!(bid.auction - 1000 == hot || cold.contains(&(bid.auction - 1000)), "{bid:?} after auction {auction}");
        let (hot, cold) = (person / 100 * 100 + 1, (person + 1).saturating_sub(1000)..=person + 10);
        assert!(bid.bidder - 1000 == hot || cold.contains(&(bid.bidder - 1000)), "{bid:?} after person {person}");
    }
    // Some that are not meant to be hot are, by chance.
    check_share(bids(&events).map(|(bid, auction, _)| bid.auction - 1000 == auction / 100 * 100), 0.5 + 0.5 / 111.0);
    check_share(bids(&events).map(|(bid, _, person)| bid.bidder - 1000 == person / 100 * 100 + 1), 0.75);
    let hot = ["Google", "Facebook", "Baidu", "Apple"];
    check_share(bids(&events).map(|(bid, ..)| hot.contains(&bid.channel())), 0.5);
    for channel in hot {
        check_share(bids(&events).map(|(bid, ..)| bid.channel() == channel), 0.125);
    }
    check_share(bids(&events).map(|(bid, ..)| bid.url().contains("&channel_id=")), 0.45);
    let channels: BTreeSet<(&str, &str)> = bids(&events).map(|(bid, ..)| (bid.channel(), bid.url())).collect();
    assert!((9_990..=10_004).contains(&channels.len()), "{}", channels.len());
}

#[test]
fn auctions_are_of_active_people_and_end() {
    let events = numbered(3);
    check_share(auctions(&events).map(|(auction, person)| auction.seller - 1000 == person / 100 * 100), 0.75);
    for category in 10..15 {
        check_share(auctions(&events).map(|(auction, _)| auction.category == category), 0.2);
    }
    for (auction, person) in auctions(&events) {
        assert!(auction.seller - 1000 <= person + 10);
        assert!(auction.reserve >= auction.initial_bid + 100 && auction.initial_bid >= 100);
        assert!(auction.expires > auction.date_time);
        assert!((1..20).contains(&auction.item_name().len()) && auction.description().len() < 100);
    }
    // Until another hundred auctions have begun, on average.
    check_average(
        auctions(&events).map(|(auction, _)| (auction.expires.0 - auction.date_time.0) as usize),
        100.0 / 3.0 * 50.0 / 10.0,
    );
}

#[test]
fn prices_are_spread_over_six_powers_of_ten() {
    let events = numbered(4);
    for (from, to) in [(100, 10_000), (10_000, 1_000_000), (1_000_000, 100_000_001)] {
        check_share(bids(&events).map(|(bid, ..)| (from..to).contains(&bid.price)), 1.0 / 3.0);
    }
}

#[test]
fn records_have_the_sizes_that_they_should() {
    let events = numbered(5);
    check_average(bids(&events).map(|(bid, ..)| 32 + bid.extra().len()), 100.0);
    check_average(
        auctions(&events)
            .map(|(auction, _)| 48 + auction.item_name().len() + auction.description().len() + auction.extra().len()),
        500.0,
    );
    check_average(
        people(&events).map(|person| {
            let strings = [person.name(), person.email_address(), person.credit_card(), person.city(), person.state()];
            8 + strings.map(str::len).iter().sum::<usize>() + person.extra().len()
        }),
        200.0,
    );
}

#[test]
fn people_have_names_and_places() {
    let events = numbered(6);
    let (mut names, mut states) = (BTreeSet::new(), BTreeSet::new());
    for person in people(&events) {
        names.insert(person.name());
        states.insert(person.state());
        assert_eq!(person.name().split(' ').count(), 2, "{person:?}");
        let (user, provider) = person.email_address().split_once('@').unwrap();
        assert!(user.len() < 7 && provider.strip_suffix(".com").unwrap().len() < 5, "{person:?}");
        let groups: Vec<&str> = person.credit_card().split(' ').collect();
        assert_eq!(groups.len(), 4);
        assert!(groups.iter().all(|group| group.len() == 4 && group.bytes().all(|digit| digit.is_ascii_digit())));
    }
    assert_eq!((names.len(), states.len()), (99, 6));
}

#[test]
fn time_advances_with_the_rate() {
    for rate in [1, 3, 10_000, 7_000_000] {
        let generator =
            generator(Options { count: 1000, events_per_second: rate, base_time: 77, ..Options::default() });
        for number in 0..1000 {
            let (time, exact) = (generator.event(number).timestamp(), 77 + (number * 1000 / rate) as i64);
            // As in the suites, the time between two events is rounded.
            assert!(time == exact || rate == 3 && time == exact - 1, "{number} at {rate}: {time} and not {exact}");
        }
    }
    let late = generator(Options { count: u64::MAX, base_time: i64::MAX - 5, ..Options::default() });
    assert_eq!(late.event(u64::MAX - 1).timestamp(), i64::MAX);
}

#[test]
fn seeds_differ_and_events_of_a_seed_do_not() {
    let (first, second) = (numbered(7), numbered(8));
    assert_eq!(first, numbered(7));
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert_eq!(same, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn events_are_the_same_however_they_are_taken(
        seed: u64, out_of_order_ms in 0u64..40, cuts in prop::collection::vec(0u64..1500, 0..9),
    ) {
        let generator = generator(Options { count: 1500, seed, out_of_order_ms, ..Options::default() });
        let mut cuts: Vec<u64> = cuts.into_iter().chain([0, 2000]).collect();
        cuts.sort_unstable();
        let mut events = Vec::new();
        cuts.windows(2).for_each(|cut| generator.append(cut[0], cut[1], &mut events));
        prop_assert_eq!(&events, &generator.events());
        // No event is further behind than was asked for, and all are there.
        let mut latest = i64::MIN;
        for event in &events {
            latest = latest.max(event.timestamp());
            prop_assert!(event.timestamp() >= latest - out_of_order_ms as i64);
        }
        let mut json: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        json.sort_unstable();
        let mut numbered: Vec<String> =
            (0..1500).map(|number| serde_json::to_string(&generator.event(number)).unwrap()).collect();
        numbered.sort_unstable();
        prop_assert_eq!(json, numbered);
        for event in &events {
            let json = serde_json::to_string(event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), event);
        }
    }
}

#[test]
fn much_of_what_may_come_late_does() {
    let generator = generator(Options { count: 50_000, out_of_order_ms: 1_000, ..Options::default() });
    let events = generator.events();
    let mut latest = i64::MIN;
    let mut late: Vec<i64> = Vec::new();
    for event in &events {
        latest = latest.max(event.timestamp());
        late.push(latest - event.timestamp());
    }
    assert!(late.iter().max() > Some(&950), "{:?}", late.iter().max());
    assert!(late.iter().filter(|late| **late > 100).count() > 25_000);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let error = |options| Generator::new(options).unwrap_err().to_string();
    assert!(error(Options { events_per_second: 0, ..Options::default() }).contains("at least 1"));
    assert!(error(Options { out_of_order_ms: u64::MAX, ..Options::default() }).contains("out of order"));
}
