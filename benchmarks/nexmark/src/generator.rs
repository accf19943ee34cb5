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
//! - `price`, `letters`, `ascii`: numbers and strings
//! - `channels`: where bids come from
//! - `people`: names and places

mod ascii;
mod channels;
mod letters;
mod options;
mod order;
mod people;
mod price;
mod random;
#[cfg(test)]
mod tests;

use std::{hint::select_unpredictable, sync::Arc};

pub use options::{Options, OptionsError};

use crate::event::{Auction, Bid, Event, Person, Text, Time};
use ascii::Ascii;
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
/// Average bytes of a record. Numbers count as eight, and the channel and the URL of a bid do not count.
const PERSON_BYTES: u64 = 200;
const AUCTION_BYTES: u64 = 500;
const BID_BYTES: u64 = 100;
/// What the numbers of a bid count.
const BID_NUMBERS: usize = 4 * 8;
/// Room for the longest `extra` of a bid. Always so many letters are made, so that nothing depends on the length but how
/// many of them are used.
const BID_EXTRA_BYTES: usize = 96;
const _: () = assert!(letters::extra_length(u32::MAX, BID_NUMBERS, BID_BYTES) <= BID_EXTRA_BYTES);
/// Room for the longest strings of auctions and people, and for letters that are made at once.
const AUCTION_TEXT_BYTES: usize = 640;
const PERSON_TEXT_BYTES: usize = 320;

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
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.append(0, self.options.count, &mut events);
        events
    }

    /// Appends the events that arrive at positions from `from` on and before `to`, of as many as there are.
    #[inline]
    pub fn append(&self, mut from: u64, to: u64, events: &mut Vec<Event>) {
        let to = to.min(self.options.count);
        if self.order.is_identity() {
            events.extend((from..to).map(|number| self.event(number)));
            return;
        }
        while from < to {
            let mut group = self.order.group_at(from);
            let end = to.min(group.end());
            events.extend((from..end).map(|_| self.event(group.step())));
            from = end;
        }
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
        // Signed numbers become fractions with one instruction.
        let number = number.min(i64::MAX as u64) as i64;
        Time(self.options.base_time.saturating_add((number as f64 * self.delay) as i64 / 1000))
    }

    /// Without a branch that depends on chance, as the processor would guess each second one wrongly. What is special about
    /// the channel is asked for early, and used late: it is seldom in the first cache.
    #[inline]
    fn bid(&self, number: u64, mut random: Random) -> Bid {
        let epoch = number / EPOCH;
        let (choice, places, channel) = (random.next(), random.next(), random.next());
        let last_auction = epoch * AUCTIONS_PER_EPOCH + AUCTIONS_PER_EPOCH - 1;
        let hot = last_auction / HOT_STRIDE * HOT_STRIDE;
        let first = last_auction.saturating_sub(IN_FLIGHT_AUCTIONS);
        let cold = first + random::scale(places as u32, last_auction - first + 1 + ID_LEAD);
        let auction = select_unpredictable(choice % HOT_AUCTION_RATIO > 0, hot, cold);
        // Not the first, who is the hot seller.
        let hot = epoch / HOT_STRIDE * HOT_STRIDE + 1;
        let cold = active_person(epoch, (places >> 32) as u32);
        let bidder = select_unpredictable((choice >> 8) % HOT_BIDDER_RATIO > 0, hot, cold);
        let channel = self.tables.channels.of((choice >> 16) % HOT_CHANNEL_RATIO > 0, channel);
        let price = self.tables.prices.price(random.next());
        let letters: Ascii<BID_EXTRA_BYTES> = letters::letters(&mut random);
        let mut room: Ascii<{ channels::BYTES + BID_EXTRA_BYTES }> = Ascii::blank();
        let (name_end, url_end) = channel.write(&mut room);
        room.put(url_end, &letters);
        let length = url_end + letters::extra_length((choice >> 32) as u32, BID_NUMBERS, BID_BYTES);
        let text = Text::joined(room.text(length), [name_end as u32, url_end as u32]);
        Bid {
            auction: FIRST_AUCTION + auction,
            bidder: FIRST_PERSON + bidder,
            price,
            date_time: self.time(number),
            text,
        }
    }

    #[inline(never)]
    fn auction(&self, number: u64, mut random: Random) -> Box<Auction> {
        let (epoch, offset) = (number / EPOCH, number % EPOCH);
        let date_time = self.time(number);
        let seller = if random.below(HOT_SELLER_RATIO) > 0 {
            epoch / HOT_STRIDE * HOT_STRIDE
        } else {
            active_person(epoch, random.next() as u32)
        };
        let category = FIRST_CATEGORY + random.below(CATEGORIES);
        let initial_bid = self.tables.prices.price(random.next());
        let reserve = initial_bid + self.tables.prices.price(random.next());
        // On average, as many auctions are open as can be in flight.
        let until = number.saturating_add(IN_FLIGHT_AUCTIONS * EPOCH / AUCTIONS_PER_EPOCH);
        let horizon = self.time(until).0.saturating_sub(date_time.0).unsigned_abs();
        let length = 1 + random.below(horizon.saturating_mul(2).max(1));
        let expires = Time(date_time.0.saturating_add_unsigned(length));
        let mut room: Ascii<AUCTION_TEXT_BYTES> = Ascii::blank();
        let name = letters::words(&mut random, 20, b' ', 0, &mut room);
        let description = letters::words(&mut random, 100, b' ', name, &mut room);
        let extra = letters::extra(&mut random, description + 6 * 8, AUCTION_BYTES, description, &mut room);
        Box::new(Auction {
            id: FIRST_AUCTION + epoch * AUCTIONS_PER_EPOCH + offset - 1,
            initial_bid,
            reserve,
            date_time,
            expires,
            seller: FIRST_PERSON + seller,
            category,
            text: Text::joined(room.text(extra), [name as u32, description as u32]),
        })
    }

    #[inline(never)]
    fn person(&self, number: u64, mut random: Random) -> Box<Person> {
        let mut room: Ascii<PERSON_TEXT_BYTES> = Ascii::blank();
        let ends = people::write(&mut random, &mut room);
        let state = ends[4];
        let extra = letters::extra(&mut random, state + 8, PERSON_BYTES, state, &mut room);
        let text = Text::joined(room.text(extra), ends.map(|end| end as u32));
        Box::new(Person { id: FIRST_PERSON + number / EPOCH, date_time: self.time(number), text })
    }
}

/// Somebody of the last to enter, or soon to enter. People enter once per epoch.
#[inline]
fn active_person(epoch: u64, bits: u32) -> u64 {
    let people = epoch + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + random::scale(bits, active + ID_LEAD)
}
