//! Bids.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Text, Time};

/// Somebody wants something that is for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bid {
    /// For what: the id of an auction.
    pub auction: u64,
    /// Who: the id of a person.
    pub bidder: u64,
    /// In cents.
    pub price: u64,
    /// When.
    pub date_time: Time,
    /// Channel, URL, and what fills the record up.
    pub(crate) text: Text<2>,
}

impl Bid {
    /// A bid.
    #[inline]
    pub fn new(auction: u64, bidder: u64, price: u64, channel: &str, url: &str, date_time: Time, extra: &str) -> Self {
        Self { auction, bidder, price, date_time, text: Text::new([channel, url], extra) }
    }

    /// Where the bidder came from.
    #[inline]
    pub fn channel(&self) -> &str {
        self.text.part(0)
    }

    /// Which page it was.
    #[inline]
    pub fn url(&self) -> &str {
        self.text.part(1)
    }

    /// What fills the record up.
    #[inline]
    pub fn extra(&self) -> &str {
        self.text.part(2)
    }

    /// All strings, without a copy.
    #[inline]
    pub fn into_strings(self) -> Strings {
        Strings(self.text)
    }

    /// What fills the record up, without a copy.
    #[inline]
    pub fn into_extra(self) -> Extra {
        Extra(self.text)
    }
}

/// All strings of a bid, for queries that need parts of them: they stay where they are, too.
#[derive(Debug, Clone)]
pub struct Strings(Text<2>);

impl Strings {
    /// Those of a bid with this channel and this URL.
    pub fn new(channel: &str, url: &str) -> Self {
        Self(Text::new([channel, url], ""))
    }

    /// Where the bidder came from.
    #[inline]
    pub fn channel(&self) -> &str {
        self.0.part(0)
    }

    /// Which page it was.
    #[inline]
    pub fn url(&self) -> &str {
        self.0.part(1)
    }
}

/// The column `extra` of a bid: it stays where it is, among the other strings of the bid, as a copy would cost more than
/// all the rest of a query that selects columns.
#[derive(Clone)]
pub struct Extra(Text<2>);

impl Extra {
    /// It.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.part(2)
    }
}

impl std::fmt::Debug for Extra {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Text::new(["", ""], &Cow::<str>::deserialize(deserializer)?)))
    }
}

/// For people.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Bid", rename_all = "camelCase")]
struct Row<'a> {
    auction: u64,
    bidder: u64,
    price: u64,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    date_time: Time,
    #[serde(borrow)]
    extra: Cow<'a, str>,
}

/// Between processes. Fields of one width stand together.
#[derive(Serialize, Deserialize)]
struct Compact<T> {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    text: T,
}

impl Serialize for Bid {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { auction, bidder, price, date_time, ref text } = *self;
        if serializer.is_human_readable() {
            let [channel, url, extra] = [self.channel(), self.url(), self.extra()].map(Cow::Borrowed);
            Row { auction, bidder, price, channel, url, date_time, extra }.serialize(serializer)
        } else {
            Compact { auction, bidder, price, date_time, text }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Bid {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let Row { auction, bidder, price, channel, url, date_time, extra } = Row::deserialize(deserializer)?;
            Ok(Self::new(auction, bidder, price, &channel, &url, date_time, &extra))
        } else {
            let Compact { auction, bidder, price, date_time, text } = Compact::deserialize(deserializer)?;
            Ok(Self { auction, bidder, price, date_time, text })
        }
    }
}
