//! A conversation that outlives its connections: what is said in it arrives exactly once and in order, or both ends know
//! that it is over.
//!
//! Each end numbers what it says, and keeps it until the other has confirmed it. When a connection tears, the next one
//! begins with both ends telling how far they have heard, and what was said after that is said again. A confirmation
//! rides on every message; [`Packet::Received`] carries it when there is nothing to say.
//!
//! Who may resume which session, and for how long, is for those who hold one: the first packets of a connection,
//! [`Packet::Open`], are theirs. So is back pressure: [`Session::is_crowded`] tells a producer that can wait to do so,
//! well before [`SessionError::Full`] ends the session.
//!
//! # Layout
//! - `ledger`: numbers, what is unconfirmed, and whether a resumption fits; pure, for every kind of message

mod ledger;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use bytes::Bytes;
use flott_core::{
    codec::{self, CodecError},
    id::MessageNumber as Number,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use ledger::{Arrival, Full, Ledger, Violation};

use crate::{Options, SendError, Sender};

/// What a message weighs beside its body, in bytes: its frame, its numbers and its place in the queue.
const MESSAGE_BYTES: usize = 64;
/// Room in a connection's queue for what is not kept here: openings, confirmations, signs of life.
const SPARE_BYTES: usize = 1 << 20;
/// How many messages may be unconfirmed.
const MESSAGES_MAX: usize = 1 << 16;
/// Messages after which a confirmation is sent on its own.
const CONFIRM_MESSAGES: u64 = 32;
/// Bytes after which it is.
const CONFIRM_BYTES: usize = 256 << 10;

/// Bodies of this length are not copied into a connection's queue. Shorter ones are, to go out together with others.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// What goes over a connection of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet {
    /// First on each connection, each way; what it says is up to those who hold the session.
    Open(Bytes),
    /// Something said.
    Message {
        /// Its place in all that this end has said.
        number: Number,
        /// How far this end has heard.
        received: Number,
        /// The message, encoded.
        body: Bytes,
    },
    /// How far this end has heard.
    Received(Number),
}

impl Packet {
    /// An opening.
    ///
    /// # Errors
    /// When `opening` cannot be encoded.
    pub fn open<T: Serialize>(opening: &T) -> Result<Self, CodecError> {
        let mut body = Vec::new();
        codec::encode(opening, &mut body)?;
        Ok(Self::Open(body.into()))
    }

    /// A long body is shared with whoever keeps the packet.
    fn transmit(self, link: &Link) -> Result<(), SendError> {
        match self {
            Self::Message { number, received, body } if body.len() >= SHARED_BYTES_MIN => {
                link.send_tailed(&front(number, received, &body), body)
            }
            packet => link.send(packet),
        }
    }
}

/// [`Packet::Message`] without the bytes of its body: variant, fields, and how many bytes follow.
fn front(number: Number, received: Number, body: &Bytes) -> (u32, Number, Number, u32) {
    const MESSAGE: u32 = 1;
    // Past 4 GiB the frame is refused.
    (MESSAGE, number, received, u32::try_from(body.len()).unwrap_or(u32::MAX))
}

/// A session's connection.
pub type Link = Sender<Packet, Packet>;

/// Something was not said, or the session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The message is longer than any may be. The session stays.
    #[error("message of {bytes} bytes is too long for a session, in which at most {max} may wait")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// The message cannot be encoded. The session stays.
    #[error("message cannot be encoded: {0}")]
    Encode(CodecError),
    /// Too much is unconfirmed. The message is lost, so the session must be given up.
    #[error("the peer does not confirm what it is told: {0}")]
    Full(#[from] Full),
    /// The peer says what no sound peer says. The session must be given up.
    #[error("session violated by the peer: {0}")]
    Violation(String),
}

impl From<Violation> for SessionError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation.to_string())
    }
}

/// One end of a session that says `Out` and hears `In`.
#[derive(Debug)]
pub struct Session<Out, In> {
    ledger: Ledger<Bytes>,
    link: Option<Link>,
    /// Bytes heard since the last confirmation.
    unconfirmed: usize,
    messages: PhantomData<fn(Out) -> In>,
}

impl<Out: Serialize, In: DeserializeOwned> Session<Out, In> {
    /// A session in which nothing was said, and that has no connection. What it keeps always fits the queue of a
    /// connection with these options.
    pub fn new(options: &Options) -> Self {
        let bytes_max = options.queue_bytes_max.min(options.frame_bytes_max).saturating_sub(SPARE_BYTES);
        Self { ledger: Ledger::new(MESSAGES_MAX, bytes_max), link: None, unconfirmed: 0, messages: PhantomData }
    }

    /// How far this end has heard: what the peer is told when a connection opens.
    pub fn received(&self) -> Number {
        self.ledger.received()
    }

    /// Says `message`, now or when there is a connection again. Never waits.
    ///
    /// # Errors
    /// [`SessionError::Full`], after which the session must be given up; or when the message can never be said.
    pub fn send(&mut self, message: &Out) -> Result<(), SessionError> {
        let mut body = Vec::new();
        codec::encode(message, &mut body).map_err(SessionError::Encode)?;
        // As long as it is said to be, for as long as it is kept.
        body.shrink_to_fit();
        let (body, bytes, max) = (Bytes::from(body), MESSAGE_BYTES, self.ledger.bytes_max());
        let bytes = bytes + body.len();
        if bytes > max {
            return Err(SessionError::TooLong { bytes, max });
        }
        let number = self.ledger.push(body.clone(), bytes)?;
        let received = self.confirm();
        self.transmit(Packet::Message { number, received, body });
        Ok(())
    }

    /// Goes on over `link`, whose peer has heard up to `peer_received`: sends `opening`, if the peer is still to be told
    /// how far this end has heard, and then again what the peer has not heard.
    ///
    /// # Errors
    /// When the peer cannot be where it says it is. The session must be given up.
    pub fn resume(&mut self, link: Link, opening: Option<Packet>, peer_received: Number) -> Result<(), SessionError> {
        self.ledger.resume(peer_received)?;
        self.link = Some(link);
        if let Some(opening) = opening {
            self.transmit(opening);
        }
        let received = self.confirm();
        let again: Vec<_> = self.ledger.unconfirmed().map(|(number, body)| (number, body.clone())).collect();
        for (number, body) in again {
            self.transmit(Packet::Message { number, received, body });
        }
        Ok(())
    }

    /// Takes in what came over the session's connection; gives the message in it, if it is one and was not heard before.
    ///
    /// # Errors
    /// When no sound peer says such a thing. The session must be given up.
    pub fn receive(&mut self, packet: Packet) -> Result<Option<In>, SessionError> {
        match packet {
            Packet::Open(_) => Err(SessionError::Violation("a connection is opened once".to_owned())),
            Packet::Received(received) => {
                self.ledger.confirmed(received)?;
                Ok(None)
            }
            Packet::Message { number, received, body } => {
                self.ledger.confirmed(received)?;
                match self.ledger.arrive(number)? {
                    Arrival::Known => return Ok(None),
                    Arrival::New => {}
                }
                self.unconfirmed += body.len();
                if self.ledger.owed() >= CONFIRM_MESSAGES || self.unconfirmed >= CONFIRM_BYTES {
                    self.tell_received();
                }
                let message = codec::decode(&body).map_err(|error| SessionError::Violation(error.to_string()))?;
                Ok(Some(message))
            }
        }
    }

    /// Confirms what was heard, unless the peer knows: for one end to do now and then if it says little.
    pub fn tell_received(&mut self) {
        if self.ledger.owed() > 0 {
            let received = self.confirm();
            self.transmit(Packet::Received(received));
        }
    }

    /// The connection is gone; the session is not.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// The connection, if there is one.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Whether so much is unconfirmed that whoever can wait should.
    pub fn is_crowded(&self) -> bool {
        self.ledger.is_crowded()
    }

    fn confirm(&mut self) -> Number {
        // Without a connection nobody is told; the next one begins with it.
        if self.link.is_some() {
            self.ledger.told();
            self.unconfirmed = 0;
        }
        self.ledger.received()
    }

    /// What does not get through is said again on the next connection.
    fn transmit(&mut self, packet: Packet) {
        if let Some(link) = &self.link
            && let Err(error) = packet.transmit(link)
        {
            tracing::debug!(%error, "a packet waits for the next connection");
            self.link = None;
        }
    }
}
