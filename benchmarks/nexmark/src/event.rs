//! The records: people, auctions and bids.
//!
//! In JSON an event is what the official suite puts into a Kafka topic: `event_type` 0, 1 or 2, and one of `person`,
//! `auction` and `bid` that is not null, with the field names of its DDL. Between processes it is compact.
//!
//! # Layout
//! - `person`, `auction`, `bid`: the three kinds
//! - `text`: the strings of a record in one allocation
//! - `time`: timestamps, days and minutes
//! - `json`: the form in JSON

mod auction;
mod bid;
mod json;
mod person;
mod text;
mod time;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use auction::Auction;
pub use bid::{Bid, Extra, Strings};
pub use person::Person;
pub use text::Text;
pub use time::{Day, Minute, Time};

/// A record of the stream. It takes up a line of the cache: most are bids, and the others are boxed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody has entered the system.
    Person(Box<Person>),
    /// Something is for sale.
    Auction(Box<Auction>),
    /// Somebody wants it.
    Bid(Bid),
}

impl Event {
    /// When it happened, in milliseconds of event time.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match self {
            Self::Person(person) => person.date_time.0,
            Self::Auction(auction) => auction.date_time.0,
            Self::Bid(bid) => bid.date_time.0,
        }
    }
}

/// The form between processes.
#[derive(Deserialize)]
#[serde(rename = "Event")]
enum Compact {
    Person(Box<Person>),
    Auction(Box<Auction>),
    Bid(Bid),
}

impl Serialize for Event {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return json::Row::of(self).serialize(serializer);
        }
        match self {
            Self::Person(person) => serializer.serialize_newtype_variant("Event", 0, "Person", person),
            Self::Auction(auction) => serializer.serialize_newtype_variant("Event", 1, "Auction", auction),
            Self::Bid(bid) => serializer.serialize_newtype_variant("Event", 2, "Bid", bid),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return json::OwnedRow::deserialize(deserializer)?.event();
        }
        Ok(match Compact::deserialize(deserializer)? {
            Compact::Person(person) => Self::Person(person),
            Compact::Auction(auction) => Self::Auction(auction),
            Compact::Bid(bid) => Self::Bid(bid),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_up_a_line_of_the_cache() {
        assert_eq!(size_of::<Event>(), 64);
    }

    #[track_caller]
    fn check(event: &Event, json: &str) {
        assert_eq!(serde_json::to_string(event).unwrap(), json);
        assert_eq!(&serde_json::from_str::<Event>(json).unwrap(), event);
    }

    #[test]
    fn events_are_rows_of_the_official_suite_in_json() {
        let bid = Bid::new(1000, 1001, 99, "Google", "https://a/b", Time(1_436_918_400_123), "é\"x");
        check(
            &Event::Bid(bid),
            r#"{"event_type":2,"person":null,"auction":null,"bid":{"auction":1000,"bidder":1001,"price":99,"channel":"Google","url":"https://a/b","dateTime":"2015-07-15 00:00:00.123","extra":"é\"x"}}"#,
        );
        let person = Person::new(7, ["Kate Smith", "a@b.com", "1 2", "Bend", "OR"], Time(0), "");
        check(
            &Event::Person(Box::new(person)),
            r#"{"event_type":0,"person":{"id":7,"name":"Kate Smith","emailAddress":"a@b.com","creditCard":"1 2","city":"Bend","state":"OR","dateTime":"1970-01-01 00:00:00.000","extra":""},"auction":null,"bid":null}"#,
        );
        let auction = Auction {
            id: 5,
            initial_bid: 10,
            reserve: 20,
            date_time: Time(1),
            expires: Time(2),
            seller: 7,
            category: 11,
            text: Text::new(["pot", "an old pot"], "e"),
        };
        check(
            &Event::Auction(Box::new(auction)),
            r#"{"event_type":1,"person":null,"auction":{"id":5,"itemName":"pot","description":"an old pot","initialBid":10,"reserve":20,"dateTime":"1970-01-01 00:00:00.001","expires":"1970-01-01 00:00:00.002","seller":7,"category":11,"extra":"e"},"bid":null}"#,
        );
    }

    #[test]
    fn an_event_without_its_record_is_refused() {
        let error = serde_json::from_str::<Event>(r#"{"event_type":2,"person":null}"#).unwrap_err();
        assert!(error.to_string().contains("event_type 2 needs a bid"), "{error}");
        let error = serde_json::from_str::<Event>(r#"{"event_type":3}"#).unwrap_err();
        assert!(error.to_string().contains("event_type is 3"), "{error}");
    }

    #[test]
    fn fields_may_come_in_any_order() {
        let json = r#"{"bid":{"extra":"x","url":"u","channel":"c","price":1,"dateTime":5,"bidder":2,"auction":3},"event_type":2}"#;
        let expected = Event::Bid(Bid::new(3, 2, 1, "c", "u", Time(5), "x"));
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), expected);
    }
}
