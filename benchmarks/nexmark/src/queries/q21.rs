//! Channel ids: bids with the id of their channel, if it is a known one or its id stands in the URL.

use compact_str::CompactString;
use flott::Stream;
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::event::Event;

/// The expression that is looked for is `(&|^)channel_id=([^&]*)`.
const PARAMETER: &str = "channel_id=";

/// Channels whose ids are known, in lower case.
const KNOWN: [(&str, &str); 4] = [("apple", "0"), ("google", "1"), ("facebook", "2"), ("baidu", "3")];

/// `SELECT auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0' … ELSE
/// REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id FROM bid WHERE … IS NOT NULL OR lower(channel) IN …`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: CompactString,
    channel_id: CompactString,
}

impl super::Row for Row {}

/// A filter and a projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let parameter = memmem::Finder::new(PARAMETER);
    super::of_bids(events, move |bid| {
        let channel = bid.channel();
        let known = KNOWN.iter().find(|(name, _)| channel.eq_ignore_ascii_case(name));
        let channel_id = match known {
            Some((_, id)) => id,
            None => value(&parameter, bid.url())?,
        };
        let (channel, channel_id) = (CompactString::new(channel), CompactString::new(channel_id));
        Some(Row { auction: bid.auction, bidder: bid.bidder, price: bid.price, channel, channel_id })
    })
}

/// What the first `parameter` of `url` is set to, which begins the URL or stands behind a `&`.
fn value<'a>(parameter: &memmem::Finder<'_>, url: &'a str) -> Option<&'a str> {
    let bytes = url.as_bytes();
    let at = parameter.find_iter(bytes).find(|at| *at == 0 || bytes[*at - 1] == b'&')?;
    let value = &url[at + PARAMETER.len()..];
    value.split('&').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        assert_eq!(value(&memmem::Finder::new(PARAMETER), url), expected, "{url}");
    }

    #[test]
    fn parameters_begin_a_url_or_follow_another() {
        check("https://a/item.htm?query=1&channel_id=77", Some("77"));
        check("https://a/item.htm?query=1&channel_id=77&x=1", Some("77"));
        check("channel_id=5&channel_id=6", Some("5"));
        check("https://a?channel_id=5", None);
        check("https://a?channel_id=5&channel_id=&x", Some(""));
        check("&my_channel_id=5", None);
        check("", None);
    }
}
