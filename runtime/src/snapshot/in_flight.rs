//! Records that a barrier has overtaken: what a snapshot has of the streams between tasks.
//!
//! A stream leads from one subtask to another. What its consumer had not taken when the snapshot was cut comes first, then what
//! its producer had not sent yet: each end gives its own part, to its own file. Who starts from the snapshot takes both before
//! anything else, so that records of a key stay in order. Which streams that are is for the gate to say, as it knows where records
//! belong when there are other numbers of subtasks.
//!
//! Watermarks lie between the records. A consumer says how far it had heard each producer before them, as what counts is what
//! all of them say together.

use std::fmt;

use bytes::Bytes;
use flott_core::{
    codec,
    failure::Failure,
    id::{OperatorId, SubtaskIndex},
    job_graph::ShipStrategy,
};
use serde::{Deserialize, Serialize};

use super::{Chunk, Piece, Section, SectionSort};
use crate::{
    batch::Timestamp,
    error::TaskResult,
    event::Event,
    state::{Elements, Spread},
};

/// An edge, as a snapshot knows it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// Whose results travel on it.
    pub producer: OperatorId,
    /// Which of its side outputs; `None` is the main output.
    pub side_output: Option<String>,
    /// The first operator of the task that they come to.
    pub consumer: OperatorId,
    /// Which of its inputs.
    pub input: u32,
    /// How they get there.
    pub ship: ShipStrategy,
}

impl Edge {
    /// Whether a barrier may overtake records on it. Where each producer reaches only some of the consumers, or each record all
    /// of them, nobody could say whom they belong to with other numbers of subtasks.
    pub fn can_be_overtaken(&self) -> bool {
        match self.ship {
            ShipStrategy::Hash
            | ShipStrategy::Rebalance
            | ShipStrategy::Shuffle
            | ShipStrategy::Global
            | ShipStrategy::Custom => true,
            ShipStrategy::Forward | ShipStrategy::Rescale | ShipStrategy::Broadcast => false,
        }
    }

    /// Whether each record on it belongs to a certain consumer.
    pub fn has_rule(&self) -> bool {
        match self.ship {
            ShipStrategy::Hash | ShipStrategy::Custom => true,
            ShipStrategy::Forward
            | ShipStrategy::Rescale
            | ShipStrategy::Rebalance
            | ShipStrategy::Shuffle
            | ShipStrategy::Global
            | ShipStrategy::Broadcast => false,
        }
    }

    /// Whether records that were under way on `other` may come by this one: it has the same ends, and they belong to whoever they
    /// belonged to. (Who leaves it open how records get to the next operator has them go to the subtask beside, if there are as
    /// many, or else to all in turn.)
    pub fn continues(&self, other: &Self) -> bool {
        let ends = |edge: &Self| (edge.producer, edge.consumer, edge.input);
        let belongs = match self.has_rule() || other.has_rule() {
            true => self.ship == other.ship,
            false => self.ship != ShipStrategy::Broadcast,
        };
        belongs && ends(self) == ends(other) && self.side_output == other.side_output
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { producer, side_output, input, ship, .. } = self;
        write!(f, "the {} edge from operator {producer}", ship.as_str())?;
        if let Some(name) = side_output {
            write!(f, ", side output {name:?},")?;
        }
        write!(f, " to input {input}")
    }
}

/// What a consumer had heard of a producer where the snapshot cuts their stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Its watermark.
    pub watermark: Timestamp,
    /// Whether it was idle.
    pub idle: bool,
}

/// Which end of a stream has given a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// Who takes it.
    Consumer,
    /// Who sends it.
    Producer,
}

/// Something under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// Encoded records.
    Records {
        /// How many.
        count: u32,
        /// Whether `body` begins with a timestamp per record.
        timestamps: bool,
        /// As a frame has them.
        body: Bytes,
    },
    /// A watermark.
    Watermark(Timestamp),
    /// The producer gives nothing for now.
    Idle,
    /// It gives records again.
    Active,
}

impl Item {
    /// An event, if it is one that says something of its place among the records.
    pub fn event(event: Event) -> Option<Self> {
        match event {
            Event::Watermark(watermark) => Some(Self::Watermark(watermark)),
            Event::Idle => Some(Self::Idle),
            Event::Active => Some(Self::Active),
            Event::Barrier(_) | Event::End => None,
        }
    }

    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Records { body, .. } => body.len(),
            Self::Watermark(_) | Self::Idle | Self::Active => 0,
        }
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The edge that it is of.
    pub edge: Edge,
    /// The producer.
    pub from: SubtaskIndex,
    /// The consumer.
    pub to: SubtaskIndex,
    /// How many consumers there were.
    pub consumers: u32,
    /// Who gives it.
    pub end: End,
    /// What the consumer had heard before; `None` if that does not count, or others have said it.
    pub heard: Option<Heard>,
    /// What follows.
    pub items: Vec<Item>,
}

impl Segment {
    /// Bytes of records in it.
    pub fn bytes(&self) -> usize {
        self.items.iter().map(Item::bytes).sum()
    }

    /// As a piece of state of its consumer's first operator.
    pub(super) fn piece(&self) -> TaskResult<Piece> {
        let refused = |error: codec::CodecError| {
            Box::new(Failure::user(format!("records on {} cannot be encoded", self.edge)).caused_by(&error))
        };
        let place = Place { input: self.edge.input, to: self.to.0, consumers: self.consumers };
        let mut elements = Elements::default();
        elements.push(&codec::to_vec(self).map_err(refused)?);
        let bytes = codec::to_vec(&elements).map_err(refused)?;
        let sort = SectionSort::OwnElements(Spread::Union);
        let section = Section { name: place.to_string().into(), sort, schema: None };
        Ok((self.edge.consumer, section, Chunk { group: None, removed: false, count: 1, bytes: bytes.into() }))
    }

    /// What a piece holds.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn of_chunk(chunk: &Chunk) -> TaskResult<Vec<Self>> {
        let refused = |error: codec::CodecError| {
            Box::new(Failure::user("records under way, of a snapshot, cannot be decoded").caused_by(&error))
        };
        let elements: Elements = codec::decode(&chunk.bytes).map_err(refused)?;
        elements.iter().map(|element| codec::decode(element).map_err(refused)).collect()
    }
}

/// Which streams a section has parts of: those into one input of one subtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    input: u32,
    to: u32,
    consumers: u32,
}

impl Place {
    /// By the name of a section.
    pub fn of(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix(NAME)?.split(' ').map(|number| number.parse().ok());
        let (input, to, consumers) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some(Self { input, to, consumers })
    }

    /// Whether `subtask` of `parallelism` may get something of it.
    pub fn is_for(self, subtask: SubtaskIndex, parallelism: u32) -> bool {
        self.consumers != parallelism || self.to == subtask.0
    }
}

const NAME: &str = "in flight ";

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, to, consumers } = self;
        write!(f, "{NAME}{input} {to} {consumers}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_stream_survives_being_stored() {
        let edge = Edge {
            producer: OperatorId::from_bytes([1; 16]),
            side_output: Some("late".to_owned()),
            consumer: OperatorId::from_bytes([2; 16]),
            input: 1,
            ship: ShipStrategy::Hash,
        };
        let records = Item::Records { count: 2, timestamps: false, body: Bytes::from_static(b"ab") };
        let segment = Segment {
            edge,
            from: SubtaskIndex(3),
            to: SubtaskIndex(7),
            consumers: 9,
            end: End::Producer,
            heard: Some(Heard { watermark: 5, idle: true }),
            items: vec![records, Item::Watermark(9), Item::Idle, Item::Active],
        };
        let (operator, section, chunk) = segment.piece().unwrap();
        assert_eq!(operator, segment.edge.consumer);
        assert_eq!(Place::of(&section.name), Some(Place { input: 1, to: 7, consumers: 9 }));
        assert_eq!(Segment::of_chunk(&chunk).unwrap(), [segment]);
    }

    #[test]
    fn other_states_are_no_streams() {
        for name in ["", "in flight ", "in flight 1 2", "in flight 1 2 x", "calls under way"] {
            assert_eq!(Place::of(name), None, "{name:?}");
        }
    }

    #[test]
    fn with_as_many_subtasks_each_goes_on_with_its_own() {
        let place = Place { input: 0, to: 1, consumers: 2 };
        assert!(place.is_for(SubtaskIndex(1), 2) && !place.is_for(SubtaskIndex(0), 2));
        assert!(place.is_for(SubtaskIndex(0), 3));
    }
}
