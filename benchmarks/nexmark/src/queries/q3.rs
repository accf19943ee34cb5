//! Local item suggestion: who sells things of a category in some states, and in which auctions.

use compact_str::CompactString;
use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState, Stream, ValueState};
use serde::{Deserialize, Serialize};

use crate::event::Event;

const CATEGORY: u64 = 10;
const STATES: [&str; 3] = ["OR", "ID", "CA"];

/// `SELECT P.name, P.city, P.state, A.id FROM auction AS A INNER JOIN person AS P ON A.seller = P.id
/// WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA')`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    name: CompactString,
    city: CompactString,
    state: CompactString,
    id: u64,
}

impl super::Row for Row {}

#[derive(Clone, Serialize, Deserialize)]
enum Side {
    Person { id: u64, seller: Seller },
    Auction { id: u64, seller: u64 },
}

#[derive(Clone, Serialize, Deserialize)]
struct Seller {
    name: CompactString,
    city: CompactString,
    state: CompactString,
}

/// Both sides by the person's id, each filtered before it is sent; who comes first waits for the other.
pub fn plan(events: &Stream<Event>) -> Stream<Row> {
    events
        .flat_map(|event, out| match event {
            Event::Person(person) if STATES.contains(&person.state()) => {
                let [name, city, state] = [person.name(), person.city(), person.state()].map(CompactString::new);
                out.emit(Side::Person { id: person.id, seller: Seller { name, city, state } });
            }
            Event::Auction(auction) if auction.category == CATEGORY => {
                out.emit(Side::Auction { id: auction.id, seller: auction.seller });
            }
            Event::Person(_) | Event::Auction(_) | Event::Bid(_) => {}
        })
        .name("local sellers and their items")
        .key_by(|side| match side {
            Side::Person { id, .. } => *id,
            Side::Auction { seller, .. } => *seller,
        })
        .process(Join::default())
        .name("suggestions")
}

#[derive(Clone, Default)]
struct Join {
    seller: ValueState<Seller>,
    waiting: ListState<u64>,
}

impl KeyedProcessFunction for Join {
    type Key = u64;
    type In = Side;
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.seller = ctx.value("seller")?;
        self.waiting = ctx.list("waiting")?;
        Ok(())
    }

    fn process(&mut self, side: Side, ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        let row = |Seller { name, city, state }, id| Row { name, city, state, id };
        match side {
            Side::Person { seller, .. } => {
                for id in self.waiting.take(ctx)? {
                    ctx.emit(row(seller.clone(), id));
                }
                self.seller.set(ctx, seller)?;
            }
            Side::Auction { id, .. } => match self.seller.get(ctx)?.cloned() {
                Some(seller) => ctx.emit(row(seller, id)),
                None => self.waiting.add(ctx, id)?,
            },
        }
        Ok(())
    }
}
