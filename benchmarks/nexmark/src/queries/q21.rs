//! Channel ids: bids with the id of their channel, if it is a known one or its id stands in the URL.

use std::borrow::Cow;

use flott::Stream;
use memchr::memmem;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{Event, Strings};

/// The expression that is looked for is `(&|^)channel_id=([^&]*)`.
const PARAMETER: &str = "channel_id=";

/// Channels whose ids are known, in lower case.
const KNOWN: [(&str, &str); 4] = [("apple", "0"), ("google", "1"), ("facebook", "2"), ("baidu", "3")];

/// `SELECT auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0' … ELSE
/// REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id FROM bid WHERE … IS NOT NULL OR lower(channel) IN …`
#[derive(Debug, Clone)]
pub struct Row {
    auction: u64,
    bidder: u64,
    price: u64,
    strings: Strings,
    id: ChannelId,
}

impl super::Row for Row {}

/// Where the id of a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelId {
    /// By its place.
    Known(u8),
    /// In the URL.
    In { start: u32, end: u32 },
}

impl Row {
    fn channel_id(&self) -> &str {
        match self.id {
            ChannelId::Known(place) => KNOWN.get(usize::from(place)).map_or("", |(_, id)| id),
            ChannelId::In { start, end } => self.strings.url().get(start as usize..end as usize).unwrap_or_default(),
        }
    }
}

/// A filter and a projection.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    let parameter = memmem::Finder::new(PARAMETER);
    super::of_bids(events, move |bid| {
        let known = KNOWN.iter().position(|(name, _)| bid.channel().eq_ignore_ascii_case(name));
        let id = match known {
            Some(place) => ChannelId::Known(place as u8),
            None => value(&parameter, bid.url())?,
        };
        let (auction, bidder, price) = (bid.auction, bid.bidder, bid.price);
        Some(Row { auction, bidder, price, strings: bid.into_strings(), id })
    })
}

/// What the first `parameter` of `url` is set to, which begins the URL or stands behind a `&`.
fn value(parameter: &memmem::Finder<'_>, url: &str) -> Option<ChannelId> {
    let bytes = url.as_bytes();
    let at = parameter.find_iter(bytes).find(|at| *at == 0 || bytes[*at - 1] == b'&')?;
    let start = at + PARAMETER.len();
    let end = bytes[start..].iter().position(|byte| *byte == b'&').map_or(bytes.len(), |length| start + length);
    Some(ChannelId::In { start: start as u32, end: end as u32 })
}

#[derive(Serialize, Deserialize)]
struct Columns<'a> {
    auction: u64,
    bidder: u64,
    price: u64,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    channel_id: Cow<'a, str>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { auction, bidder, price, ref strings, .. } = *self;
        let (channel, channel_id) = (strings.channel().into(), self.channel_id().into());
        Columns { auction, bidder, price, channel, channel_id }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Columns { auction, bidder, price, channel, channel_id } = Columns::deserialize(deserializer)?;
        let id = ChannelId::In { start: 0, end: channel_id.len() as u32 };
        Ok(Self { auction, bidder, price, strings: Strings::new(&channel, &channel_id), id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let row = |id| Row { auction: 1, bidder: 2, price: 3, strings: Strings::new("x", url), id };
        let row = value(&memmem::Finder::new(PARAMETER), url).map(row);
        assert_eq!(row.as_ref().map(Row::channel_id), expected, "{url}");
        if let (Some(row), Some(id)) = (row, expected) {
            let json = format!(r#"{{"auction":1,"bidder":2,"price":3,"channel":"x","channel_id":"{id}"}}"#);
            assert_eq!(serde_json::to_string(&row).unwrap(), json);
            assert_eq!(serde_json::to_string(&serde_json::from_str::<Row>(&json).unwrap()).unwrap(), json);
        }
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
