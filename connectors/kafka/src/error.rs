//! What can go wrong between a job and its brokers.

use std::{io, time::Duration};

use flott::Failure;
use kafka_protocol::ResponseError;

/// Why something could not be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaError {
    /// No broker of a list could be reached.
    #[error("no broker of {servers} can be reached: {problem}")]
    Unreachable {
        /// As they were given.
        servers: String,
        /// What was wrong with the last one.
        problem: String,
    },
    /// A connection broke, or nothing was heard over it.
    #[error("the connection to the broker at {address} broke: {problem}")]
    Connection {
        /// Host and port.
        address: String,
        /// How.
        problem: String,
    },
    /// A broker is too old, or too new.
    #[error("the broker at {address} does not speak {what} as this client does")]
    Version {
        /// Host and port.
        address: String,
        /// The kind of request.
        what: &'static str,
    },
    /// The broker may not do it for this client.
    #[error("the broker does not allow this client {what}: {code}")]
    NotAllowed {
        /// What the client wanted.
        what: String,
        /// The broker's answer.
        code: String,
    },
    /// There is no such topic, or no such partition of it.
    #[error("there is no {what}")]
    Unknown {
        /// Which.
        what: String,
    },
    /// An offset that the broker no longer has, or not yet.
    #[error(
        "{partition} has the offsets {from} to {to}, and {offset} was to be read: records were lost to retention, or the topic \
         was made anew; where the reader may go on elsewhere, say so with when_out_of_range"
    )]
    OutOfRange {
        /// Topic and partition.
        partition: String,
        /// What was asked for.
        offset: i64,
        /// The first that there is.
        from: i64,
        /// One behind the last that there is.
        to: i64,
    },
    /// Another producer has taken over, or the broker has ended the transaction by itself.
    #[error("{what} was taken over or ended by the broker: {code}")]
    Fenced {
        /// Which transaction or producer.
        what: String,
        /// The broker's answer.
        code: String,
    },
    /// The broker refuses a transaction's timeout.
    #[error(
        "the broker does not allow a transaction timeout of {timeout:?}: lower it with transaction_timeout, or raise the broker's \
         transaction.max.timeout.ms"
    )]
    Timeout {
        /// What was asked for.
        timeout: Duration,
    },
    /// Another answer that is no success.
    #[error("{what} was refused by the broker: {code}")]
    Refused {
        /// What was asked.
        what: String,
        /// The broker's answer.
        code: String,
        /// Whether asking again can help.
        again: bool,
    },
    /// What a broker has sent makes no sense.
    #[error("{what} cannot be read: {problem}")]
    Malformed {
        /// What was sent.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl KafkaError {
    /// A connection that broke.
    pub(crate) fn broken(address: &str, problem: &io::Error) -> Self {
        Self::Connection { address: address.to_owned(), problem: problem.to_string() }
    }

    /// A broker's answer to `what`, by its number.
    pub(crate) fn of_code(what: impl Into<String>, code: i16) -> Self {
        use ResponseError as E;
        let what = what.into();
        let Some(error) = ResponseError::try_from_code(code) else {
            return Self::Malformed { what, problem: "it says that nothing is wrong".into() };
        };
        let code = format!("{error:?} ({code})");
        match error {
            E::TopicAuthorizationFailed
            | E::GroupAuthorizationFailed
            | E::ClusterAuthorizationFailed
            | E::TransactionalIdAuthorizationFailed
            | E::SaslAuthenticationFailed => Self::NotAllowed { what, code },
            E::InvalidProducerEpoch | E::ProducerFenced | E::InvalidTxnState | E::InvalidProducerIdMapping => {
                Self::Fenced { what, code }
            }
            // The coordinator is still ending the transaction before.
            E::ConcurrentTransactions => Self::Refused { again: true, what, code },
            other => Self::Refused { again: other.is_retriable(), what, code },
        }
    }

    /// Whether asking again, maybe somebody else, can help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Connection { .. } => true,
            Self::Refused { again, .. } => *again,
            Self::Version { .. }
            | Self::NotAllowed { .. }
            | Self::Unknown { .. }
            | Self::OutOfRange { .. }
            | Self::Fenced { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. } => false,
        }
    }
}

impl From<KafkaError> for Box<Failure> {
    fn from(error: KafkaError) -> Self {
        let message = error.to_string();
        Self::new(match error {
            KafkaError::NotAllowed { .. }
            | KafkaError::Unknown { .. }
            | KafkaError::OutOfRange { .. }
            | KafkaError::Timeout { .. } => Failure::user(message).fatal(),
            KafkaError::Version { .. } => Failure::environment(message).fatal(),
            KafkaError::Unreachable { .. }
            | KafkaError::Connection { .. }
            | KafkaError::Fenced { .. }
            | KafkaError::Refused { .. }
            | KafkaError::Malformed { .. } => Failure::environment(message),
        })
    }
}

/// With how it went.
pub(crate) type KafkaResult<T = ()> = Result<T, KafkaError>;
