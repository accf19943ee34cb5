//! Events by their numbers.
//!
//! Event number `n` of a seed is always the same, whoever makes it and in whatever order: each event draws from a random
//! sequence of its own. What is drawn, and how, follows the published suites: the constants below are the defaults of
//! `NexmarkConfiguration` and the distributions those of `PersonGenerator`, `AuctionGenerator` and `BidGenerator` in
//! <https://github.com/nexmark/nexmark>, which took them from Apache Beam's Nexmark
//! (<https://beam.apache.org/documentation/sdks/java/testing/nexmark/>). The random sequences are our own, so single
//! events differ from theirs. One mistake is not repeated: some of its versions add the first person's id to bidders
//! twice, and then no bidder is a person.
//!
//! # Layout
//! - `options`: what can be chosen
//! - `order`: which event comes when
//! - `random`: random sequences
//! - `price`, `letters`: numbers and strings
//! - `channels`: where bids come from
//! - `people`: names and places

mod channels;
mod letters;
mod options;
mod order;
mod people;
mod price;
mod random;
#[cfg(test)]
mod tests;

use std::{str, sync::Arc};

pub use options::{Options, OptionsError};

use crate::event::{Auction, Bid, Event, Person, Text, Time};
use channels::Channels;
use order::Order;
use price::Prices;
use random::Random;

/// Events of which one is a person, three are auctions and the rest are bids.
const EPOCH: u64 = 50;
const AUCTIONS_PER_EPOCH: u64 = 3;
/// The first ids. They are not small, so that queries which ask for certain ids find some early.
const FIRST_PERSON: u64 = 1000;
const FIRST_AUCTION: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// People that may bid or sell: the last to enter.
const ACTIVE_PEOPLE: u64 = 1000;
/// Auctions that may be bid for: the last to be opened.
const IN_FLIGHT_AUCTIONS: u64 = 100;
/// How far ids may be ahead of what there is.
const ID_LEAD: u64 = 10;
/// One of so many people or auctions in a row is hot.
const HOT_STRIDE: u64 = 100;
/// One of so many bids is not for the hot auction; one of so many is not by the hot bidder; one of so many auctions is
/// not of the hot seller; one of so many bids is not from a hot channel.
const HOT_AUCTION_RATIO: u64 = 2;
const HOT_BIDDER_RATIO: u64 = 4;
const HOT_SELLER_RATIO: u64 = 4;
const HOT_CHANNEL_RATIO: u64 = 2;
/// Average bytes of a record. Numbers count as eight.
const PERSON_BYTES: u64 = 200;
const AUCTION_BYTES: u64 = 500;
const BID_BYTES: u64 = 100;

/// Makes events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Generator {
    options: Options,
    /// Microseconds between events.
    delay: f64,
    /// What the random sequences of this seed have in common.
    key: u64,
    order: Order,
    tables: Arc<Tables>,
}

#[derive(Debug)]
struct Tables {
    channels: Channels,
    prices: Prices,
}

impl Generator {
    /// A generator.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn new(options: Options) -> Result<Self, OptionsError> {
        options.check()?;
        let key = random::key(options.seed);
        Ok(Self {
            delay: 1e6 / options.events_per_second as f64,
            key,
            order: Order::new(options.count, options.events_out_of_order(), key),
            tables: Arc::new(Tables { channels: Channels::new(key), prices: Prices::new() }),
            options,
        })
    }

    /// What it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// All events, as they arrive.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        (0..self.options.count).map(|position| self.arriving(position))
    }

    /// The event that arrives at `position`, which is below the number of events.
    #[inline]
    pub fn arriving(&self, position: u64) -> Event {
        self.event(self.order.number_at(position))
    }

    /// When the event that arrives at `position` happened, in milliseconds.
    pub fn time_arriving(&self, position: u64) -> i64 {
        self.time(self.order.number_at(position)).0
    }

    /// Event `number`. They are numbered in the order in which they happened.
    #[inline]
    pub fn event(&self, number: u64) -> Event {
        let random = Random::new(self.key, number);
        match number % EPOCH {
            0 => Event::Person(self.person(number, random)),
            1..=AUCTIONS_PER_EPOCH => Event::Auction(self.auction(number, random)),
            _ => Event::Bid(self.bid(number, random)),
        }
    }

    /// When event `number` happened.
    #[inline]
    fn time(&self, number: u64) -> Time {
        Time(self.options.base_time.saturating_add((number as f64 * self.delay) as i64 / 1000))
    }

    #[inline]
    fn bid(&self, number: u64, mut random: Random) -> Bid {
        let epoch = number / EPOCH;
        let last_auction = epoch * AUCTIONS_PER_EPOCH + AUCTIONS_PER_EPOCH - 1;
        let auction = if random.below(HOT_AUCTION_RATIO) > 0 {
            last_auction / HOT_STRIDE * HOT_STRIDE
        } else {
            let first = last_auction.saturating_sub(IN_FLIGHT_AUCTIONS);
            first + random.below(last_auction - first + 1 + ID_LEAD)
        };
        let bidder = if random.below(HOT_BIDDER_RATIO) > 0 {
            // Not the first, who is the hot seller.
            epoch / HOT_STRIDE * HOT_STRIDE + 1
        } else {
            active_person(epoch, &mut random)
        };
        let price = self.tables.prices.price(random.next());
        let channel = if random.below(HOT_CHANNEL_RATIO) > 0 {
            self.tables.channels.hot(&mut random)
        } else {
            self.tables.channels.cold(&mut random)
        };
        let mut extra = [0; 96];
        let extra = letters::extra(&mut random, 32, BID_BYTES, &mut extra);
        let (auction, bidder) = (FIRST_AUCTION + auction, FIRST_PERSON + bidder);
        Bid::new(auction, bidder, price, channel.name, channel.url, self.time(number), extra)
    }

    #[inline(never)]
    fn auction(&self, number: u64, mut random: Random) -> Box<Auction> {
        let (epoch, offset) = (number / EPOCH, number % EPOCH);
        let date_time = self.time(number);
        let seller = if random.below(HOT_SELLER_RATIO) > 0 {
            epoch / HOT_STRIDE * HOT_STRIDE
        } else {
            active_person(epoch, &mut random)
        };
        let category = FIRST_CATEGORY + random.below(CATEGORIES);
        let initial_bid = self.tables.prices.price(random.next());
        let reserve = initial_bid + self.tables.prices.price(random.next());
        // On average, as many auctions are open as can be in flight.
        let until = number.saturating_add(IN_FLIGHT_AUCTIONS * EPOCH / AUCTIONS_PER_EPOCH);
        let horizon = self.time(until).0.saturating_sub(date_time.0).unsigned_abs();
        let length = 1 + random.below(horizon.saturating_mul(2).max(1));
        let expires = Time(date_time.0.saturating_add_unsigned(length));
        let (mut name, mut description, mut extra) = ([0; 24], [0; 104], [0; 576]);
        let name = letters::words(&mut random, 20, b' ', &mut name);
        let description = letters::words(&mut random, 100, b' ', &mut description);
        let known = 8 + name.len() + description.len() + 5 * 8;
        let extra = letters::extra(&mut random, known as u64, AUCTION_BYTES, &mut extra);
        Box::new(Auction {
            id: FIRST_AUCTION + epoch * AUCTIONS_PER_EPOCH + offset - 1,
            initial_bid,
            reserve,
            date_time,
            expires,
            seller: FIRST_PERSON + seller,
            category,
            text: Text::new([name, description], extra),
        })
    }

    #[inline(never)]
    fn person(&self, number: u64, mut random: Random) -> Box<Person> {
        let (mut name, mut mail, mut card) = ([0; 24], [0; 24], [0; 19]);
        let name = people::name(&mut random, &mut name);
        let mail = people::email_address(&mut random, &mut mail);
        let card = people::credit_card(&mut random, &mut card);
        let (city, state) = (people::city(&mut random), people::state(&mut random));
        let known = 8 + name.len() + mail.len() + card.len() + city.len() + state.len();
        let mut extra = [0; 256];
        let extra = letters::extra(&mut random, known as u64, PERSON_BYTES, &mut extra);
        let id = FIRST_PERSON + number / EPOCH;
        Box::new(Person::new(id, [name, mail, card, city, state], self.time(number), extra))
    }
}

/// Somebody of the last to enter, or soon to enter. People enter once per epoch.
#[inline]
fn active_person(epoch: u64, random: &mut Random) -> u64 {
    let people = epoch + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + random.below(active + ID_LEAD)
}

/// What was put together from ASCII is text.
#[inline]
fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}
