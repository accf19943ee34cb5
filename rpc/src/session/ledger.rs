//! What one end of a session has said and heard, without any input or output.

use std::collections::VecDeque;

use flott_core::id::MessageNumber as Number;

/// Whether a message is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one.
    New,
    /// It was heard before.
    Known,
}

/// Too much is unconfirmed for another message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages of {bytes} bytes are unconfirmed, and at most {messages_max} of {bytes_max} may be")]
pub struct Full {
    /// How many there would be.
    pub messages: usize,
    /// How many may be.
    pub messages_max: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The most bytes.
    pub bytes_max: usize,
}

/// What the peer says does not fit what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Something in between was not heard.
    #[error("message {found} came where {expected} was expected")]
    Gap {
        /// The number that came.
        found: Number,
        /// The next one.
        expected: Number,
    },
    /// It claims to have heard what was not said.
    #[error("it claims to have heard up to {claimed}, and only {said} messages were said")]
    Unsaid {
        /// Its claim.
        claimed: Number,
        /// What was said.
        said: Number,
    },
    /// It has confirmed more before, and that is not kept.
    #[error("it claims to have heard up to {claimed}, and has confirmed {confirmed} before")]
    Forgotten {
        /// Its claim.
        claimed: Number,
        /// What it has confirmed.
        confirmed: Number,
    },
}

/// One end's account of a session: what it said and the peer has not confirmed, and how far it has heard.
#[derive(Debug, Clone)]
pub struct Ledger<T> {
    messages_max: usize,
    bytes_max: usize,
    /// With their weights. The first has the number after `confirmed`.
    kept: VecDeque<(T, usize)>,
    bytes: usize,
    confirmed: u64,
    received: u64,
    told: u64,
}

impl<T> Ledger<T> {
    /// Keeps up to `messages_max` messages of together `bytes_max` bytes.
    pub fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { messages_max, bytes_max, kept: VecDeque::new(), bytes: 0, confirmed: 0, received: 0, told: 0 }
    }

    /// The most bytes that may be unconfirmed.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Numbers a message of that many bytes, and keeps it.
    ///
    /// # Errors
    /// When there is no room; then nothing has changed.
    pub fn push(&mut self, message: T, bytes: usize) -> Result<Number, Full> {
        let (messages, total) = (self.kept.len() + 1, self.bytes.saturating_add(bytes));
        if messages > self.messages_max || total > self.bytes_max {
            let (messages_max, bytes_max) = (self.messages_max, self.bytes_max);
            return Err(Full { messages, messages_max, bytes: total, bytes_max });
        }
        self.kept.push_back((message, bytes));
        self.bytes = total;
        Ok(self.said())
    }

    /// The peer has heard up to there. That it has said so before is no harm: connections may be slow.
    ///
    /// # Errors
    /// When so much was never said.
    pub fn confirmed(&mut self, received: Number) -> Result<(), Violation> {
        if received > self.said() {
            return Err(Violation::Unsaid { claimed: received, said: self.said() });
        }
        while self.confirmed < received.0 {
            let Some((_, bytes)) = self.kept.pop_front() else { break };
            self.bytes -= bytes;
            self.confirmed += 1;
        }
        Ok(())
    }

    /// The peer is on a new connection and has heard up to there; [`Ledger::unconfirmed`] is what it is to hear again.
    ///
    /// # Errors
    /// When so much was never said, or more was confirmed before.
    pub fn resume(&mut self, received: Number) -> Result<(), Violation> {
        if received.0 < self.confirmed {
            return Err(Violation::Forgotten { claimed: received, confirmed: Number(self.confirmed) });
        }
        self.confirmed(received)
    }

    /// What the peer has not confirmed, in order.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (Number, &T)> {
        (self.confirmed + 1..).map(Number).zip(self.kept.iter().map(|(message, _)| message))
    }

    /// A message of that number has come.
    ///
    /// # Errors
    /// When one before it is missing.
    pub fn arrive(&mut self, number: Number) -> Result<Arrival, Violation> {
        let expected = Number(self.received + 1);
        match number.cmp(&expected) {
            std::cmp::Ordering::Less => Ok(Arrival::Known),
            std::cmp::Ordering::Equal => {
                self.received = number.0;
                Ok(Arrival::New)
            }
            std::cmp::Ordering::Greater => Err(Violation::Gap { found: number, expected }),
        }
    }

    /// How far this end has heard.
    pub fn received(&self) -> Number {
        Number(self.received)
    }

    /// The peer is being told how far this end has heard.
    pub fn told(&mut self) {
        self.told = self.received;
    }

    /// Messages heard since then.
    pub fn owed(&self) -> u64 {
        self.received - self.told
    }

    /// Whether more than half of what may be unconfirmed is.
    pub fn is_crowded(&self) -> bool {
        self.kept.len() > self.messages_max / 2 || self.bytes > self.bytes_max / 2
    }

    fn said(&self) -> Number {
        Number(self.confirmed + self.kept.len() as u64)
    }
}
