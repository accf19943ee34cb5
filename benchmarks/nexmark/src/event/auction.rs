//! Auctions.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Text, Time};

/// Something is for sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auction {
    /// No two auctions have the same.
    pub id: u64,
    /// The first price, in cents.
    pub initial_bid: u64,
    /// The price under which it is not sold, in cents.
    pub reserve: u64,
    /// From when on there may be bids.
    pub date_time: Time,
    /// Until when there may be.
    pub expires: Time,
    /// Whose it is: the id of a person.
    pub seller: u64,
    /// What kind of thing it is.
    pub category: u64,
    /// Name of the thing, description, and what fills the record up.
    pub text: Text<2>,
}

impl Auction {
    /// What is for sale.
    pub fn item_name(&self) -> &str {
        self.text.part(0)
    }

    /// In more words.
    pub fn description(&self) -> &str {
        self.text.part(1)
    }

    /// What fills the record up.
    pub fn extra(&self) -> &str {
        self.text.part(2)
    }
}

/// For people.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Auction", rename_all = "camelCase")]
struct Row<'a> {
    id: u64,
    #[serde(borrow)]
    item_name: Cow<'a, str>,
    #[serde(borrow)]
    description: Cow<'a, str>,
    initial_bid: u64,
    reserve: u64,
    date_time: Time,
    expires: Time,
    seller: u64,
    category: u64,
    #[serde(borrow)]
    extra: Cow<'a, str>,
}

/// Between processes.
#[derive(Serialize, Deserialize)]
struct Compact<T> {
    id: u64,
    initial_bid: u64,
    reserve: u64,
    date_time: Time,
    expires: Time,
    seller: u64,
    category: u64,
    text: T,
}

impl Serialize for Auction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, initial_bid, reserve, date_time, expires, seller, category, ref text } = *self;
        if serializer.is_human_readable() {
            let [item_name, description, extra] = std::array::from_fn(|index| Cow::Borrowed(text.part(index)));
            Row { id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra }
                .serialize(serializer)
        } else {
            Compact { id, initial_bid, reserve, date_time, expires, seller, category, text }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Auction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let row = Row::deserialize(deserializer)?;
            let Row { id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra } =
                row;
            let text = Text::new([&item_name, &description], &extra);
            Ok(Self { id, initial_bid, reserve, date_time, expires, seller, category, text })
        } else {
            let Compact { id, initial_bid, reserve, date_time, expires, seller, category, text } =
                Compact::deserialize(deserializer)?;
            Ok(Self { id, initial_bid, reserve, date_time, expires, seller, category, text })
        }
    }
}
