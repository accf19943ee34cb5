//! Queries of single bids.

use super::{
    Events,
    text::{day, euros, hour, minute, quoted, time},
};

pub(super) fn q0(events: &Events<'_>) -> Vec<String> {
    let row = |bid: &&crate::event::Bid| {
        format!(
            r#"{{"auction":{},"bidder":{},"price":{},"dateTime":"{}","extra":{}}}"#,
            bid.auction,
            bid.bidder,
            bid.price,
            time(bid.date_time.0),
            quoted(bid.extra())
        )
    };
    events.bids.iter().map(row).collect()
}

pub(super) fn q1(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        rows.push(format!(
            r#"{{"auction":{},"bidder":{},"price":{},"dateTime":"{}","extra":{}}}"#,
            bid.auction,
            bid.bidder,
            euros(bid.price),
            time(bid.date_time.0),
            quoted(bid.extra())
        ));
    }
    rows
}

pub(super) fn q2(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        if bid.auction % 123 == 0 {
            rows.push(format!(r#"{{"auction":{},"price":{}}}"#, bid.auction, bid.price));
        }
    }
    rows
}

pub(super) fn q10(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        rows.push(format!(
            r#"{{"auction":{},"bidder":{},"price":{},"dateTime":"{}","extra":{},"dt":"{}","hm":"{}"}}"#,
            bid.auction,
            bid.bidder,
            bid.price,
            time(bid.date_time.0),
            quoted(bid.extra()),
            day(bid.date_time.0),
            minute(bid.date_time.0)
        ));
    }
    rows
}

pub(super) fn q13(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        rows.push(format!(
            r#"{{"auction":{},"bidder":{},"price":{},"dateTime":"{}","value":"{}"}}"#,
            bid.auction,
            bid.bidder,
            bid.price,
            time(bid.date_time.0),
            bid.auction % 10_000
        ));
    }
    rows
}

pub(super) fn q14(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        // In thousandths of a cent.
        let price = bid.price * 908;
        if !(price > 1_000_000 * 1000 && price < 50_000_000 * 1000) {
            continue;
        }
        let hour = hour(bid.date_time.0);
        let time_type = if (8..=18).contains(&hour) {
            "dayTime"
        } else if hour <= 6 || hour >= 20 {
            "nightTime"
        } else {
            "otherTime"
        };
        rows.push(format!(
            r#"{{"auction":{},"bidder":{},"price":{},"bidTimeType":"{time_type}","dateTime":"{}","extra":{},"c_counts":{}}}"#,
            bid.auction,
            bid.bidder,
            euros(bid.price),
            time(bid.date_time.0),
            quoted(bid.extra()),
            bid.extra().matches('c').count()
        ));
    }
    rows
}

pub(super) fn q21(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        let id = match bid.channel().to_lowercase().as_str() {
            "apple" => Some("0".to_owned()),
            "google" => Some("1".to_owned()),
            "facebook" => Some("2".to_owned()),
            "baidu" => Some("3".to_owned()),
            // As a parameter begins the URL or follows a `&`, and ends before the next, they lie between those.
            _ => bid.url().split('&').find_map(|parameter| parameter.strip_prefix("channel_id=")).map(str::to_owned),
        };
        if let Some(id) = id {
            rows.push(format!(
                r#"{{"auction":{},"bidder":{},"price":{},"channel":{},"channel_id":{}}}"#,
                bid.auction,
                bid.bidder,
                bid.price,
                quoted(bid.channel()),
                quoted(&id)
            ));
        }
    }
    rows
}

pub(super) fn q22(events: &Events<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for bid in &events.bids {
        let parts: Vec<&str> = bid.url().split('/').collect();
        let part = |index: usize| parts.get(index).map_or_else(|| "null".to_owned(), |part| quoted(part));
        rows.push(format!(
            r#"{{"auction":{},"bidder":{},"price":{},"channel":{},"dir1":{},"dir2":{},"dir3":{}}}"#,
            bid.auction,
            bid.bidder,
            bid.price,
            quoted(bid.channel()),
            part(3),
            part(4),
            part(5)
        ));
    }
    rows
}
