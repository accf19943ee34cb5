//! Events in JSON: rows of the official suite's table of all events.

use serde::{Deserialize, Serialize, de};

use super::{Auction, Bid, Event, Person};

#[derive(Serialize)]
pub(super) struct Row<'a> {
    event_type: u8,
    person: Option<&'a Person>,
    auction: Option<&'a Auction>,
    bid: Option<&'a Bid>,
}

impl<'a> Row<'a> {
    pub fn of(event: &'a Event) -> Self {
        let none = Self { event_type: 0, person: None, auction: None, bid: None };
        match event {
            Event::Person(person) => Self { event_type: 0, person: Some(person), ..none },
            Event::Auction(auction) => Self { event_type: 1, auction: Some(auction), ..none },
            Event::Bid(bid) => Self { event_type: 2, bid: Some(bid), ..none },
        }
    }
}

#[derive(Deserialize)]
pub(super) struct OwnedRow {
    event_type: u8,
    person: Option<Box<Person>>,
    auction: Option<Box<Auction>>,
    bid: Option<Bid>,
}

impl OwnedRow {
    pub fn event<E: de::Error>(self) -> Result<Event, E> {
        let missing = |what| E::custom(format!("event_type {} needs {what}", self.event_type));
        match self.event_type {
            0 => self.person.map(Event::Person).ok_or_else(|| missing("a person")),
            1 => self.auction.map(Event::Auction).ok_or_else(|| missing("an auction")),
            2 => self.bid.map(Event::Bid).ok_or_else(|| missing("a bid")),
            other => Err(E::custom(format!("event_type is {other}, and can be 0 (person), 1 (auction) or 2 (bid)"))),
        }
    }
}
