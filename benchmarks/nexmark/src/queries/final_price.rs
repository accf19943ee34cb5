//! What auctions were sold for.

use flott::Stream;
use serde::{Deserialize, Serialize};

use super::winning::{Entry, Offer, Sale, won};
use crate::event::{Auction, Event, Time};

/// An auction that has closed, and the price of the bid that has won it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinalPrice {
    /// The auction.
    pub id: u64,
    /// What it belongs to.
    pub group: u64,
    /// When it has closed.
    pub expires: Time,
    /// The price.
    pub price: u64,
}

/// The final price of each auction that has one, when it closes; `group` says what it belongs to.
pub fn final_prices(
    events: &Stream<Event>,
    group: impl Fn(&Auction) -> u64 + Clone + Send + Sync + 'static,
) -> Stream<FinalPrice> {
    let entries = events.flat_map(move |event, out| match event {
        Event::Bid(bid) => {
            out.emit(Entry::Offer(Price { auction: bid.auction, time: bid.date_time, price: bid.price }));
        }
        Event::Auction(auction) => {
            let group = group(&auction);
            out.emit(Entry::Sale(Item { id: auction.id, opens: auction.date_time, expires: auction.expires, group }));
        }
        Event::Person(_) => {}
    });
    won(&entries.name("auctions and bids"))
        .map(|won| FinalPrice {
            id: won.sale.id,
            group: won.sale.group,
            expires: won.sale.expires,
            price: won.offer.price,
        })
        .name("final prices")
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    id: u64,
    opens: Time,
    expires: Time,
    group: u64,
}

impl Sale for Item {
    fn id(&self) -> u64 {
        self.id
    }

    fn opens(&self) -> Time {
        self.opens
    }

    fn expires(&self) -> Time {
        self.expires
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Price {
    auction: u64,
    time: Time,
    price: u64,
}

impl Offer for Price {
    fn auction(&self) -> u64 {
        self.auction
    }

    fn time(&self) -> Time {
        self.time
    }

    fn is_better(&self, best: &Self) -> bool {
        self.price > best.price
    }
}
