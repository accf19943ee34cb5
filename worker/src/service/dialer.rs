//! The link to the JobManager: dial, listen, and dial again when it breaks.

use std::{
    io,
    time::{Duration, Instant},
};

use flott_core::{
    codec,
    message::{CONTROL_PATH, CONTROL_PROTOCOL, Welcome},
};
use flott_rpc::{
    Connection, Event as Received, Incoming,
    carrier::http::{self, ConnectError, Upgrade},
    session::{self, Packet},
    tls::{self, Connector},
};
use tokio::{sync::mpsc, time::timeout};

use super::Input;
use crate::{JobManagerAddress, Options};

/// Doubled from try to try. The first try after a loss comes at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
const ADDRESS_BYTES_MAX: usize = 300;

/// News about the link. `Up`, then `Welcome` and any number of packets, then `Down`; and so on.
#[derive(Debug)]
pub(crate) enum Link {
    /// Connected. The service has to open its session.
    Up {
        jobmanager: session::Link,
        address: String,
    },
    Welcome(Welcome),
    Packet(Packet),
    Down,
    /// The time for registering is over; nothing follows.
    GaveUp {
        after: Duration,
        /// What the last try ended with.
        last: String,
    },
}

pub(super) struct Dialer {
    jobmanager: JobManagerAddress,
    token: Option<String>,
    tls: Option<Connector>,
    connect_timeout: Duration,
    registration_timeout: Duration,
    mailbox: mpsc::Sender<Input>,
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("address file {path} is not readable: {source}")]
    AddressFile { path: String, source: io::Error },
    #[error("address file {path} holds no host:port")]
    Address { path: String },
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Dialer {
    pub(super) fn new(options: &Options, mailbox: mpsc::Sender<Input>) -> Self {
        Self {
            jobmanager: options.jobmanager.clone(),
            token: options.token.clone(),
            tls: options.tls.clone(),
            connect_timeout: options.connect_timeout,
            registration_timeout: options.registration_timeout,
            mailbox,
        }
    }

    /// Until no one listens any more, or the time for registering is over.
    pub(super) async fn run(self) {
        let mut without_since = Instant::now();
        let mut pause = Duration::ZERO;
        let mut last = String::new();
        loop {
            let outcome = match self.dial().await {
                Ok((jobmanager, incoming, address)) => {
                    self.tell(Link::Up { jobmanager, address }).await;
                    let (registered, reason) = self.listen(incoming).await;
                    self.tell(Link::Down).await;
                    if registered {
                        (without_since, pause) = (Instant::now(), Duration::ZERO);
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            if self.mailbox.is_closed() {
                return;
            }
            if outcome != last {
                tracing::warn!(reason = outcome, "not connected to a JobManager");
                last = outcome;
            }
            if without_since.elapsed() >= self.registration_timeout {
                return self.tell(Link::GaveUp { after: self.registration_timeout, last }).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        }
    }

    async fn dial(&self) -> Result<(session::Link, Incoming<Packet, Packet>, String), DialError> {
        let address = self.address().await?;
        let upgrade = Upgrade {
            path: CONTROL_PATH,
            protocol: CONTROL_PROTOCOL,
            token: self.token.as_deref(),
            timeout: self.connect_timeout,
        };
        let dress = async |stream| tls::stream(self.tls.as_ref(), &address, stream).await;
        let stream = http::connect_by(&address, &upgrade, dress).await?;
        let (jobmanager, incoming) = Connection::start(stream, flott_rpc::Options::default());
        Ok((jobmanager, incoming, address))
    }

    async fn address(&self) -> Result<String, DialError> {
        match &self.jobmanager {
            JobManagerAddress::Fixed(address) => Ok(address.clone()),
            JobManagerAddress::File(path) => {
                let name = || path.display().to_string();
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|source| DialError::AddressFile { path: name(), source })?;
                let address = text.trim();
                if address.is_empty() || address.len() > ADDRESS_BYTES_MAX || !address.contains(':') {
                    return Err(DialError::Address { path: name() });
                }
                Ok(address.to_owned())
            }
        }
    }

    /// Until the connection ends. Whether the JobManager took the TaskManager in, and why it ended.
    async fn listen(&self, mut incoming: Incoming<Packet, Packet>) -> (bool, String) {
        let mut registered = false;
        loop {
            let next = if registered {
                incoming.next().await
            } else if let Ok(next) = timeout(self.connect_timeout, incoming.next()).await {
                next
            } else {
                return (
                    false,
                    format!("registration was not answered within {} s", self.connect_timeout.as_secs_f32()),
                );
            };
            match next {
                Some(Received::Message(Packet::Open(welcome))) => match codec::decode(&welcome) {
                    Ok(welcome) => {
                        registered |= matches!(welcome, Welcome::Resumed { .. });
                        self.tell(Link::Welcome(welcome)).await;
                    }
                    Err(error) => return (false, format!("the answer to the opening cannot be read: {error}")),
                },
                Some(Received::Message(packet)) => {
                    // The first message of a session answers the registration.
                    registered |= matches!(packet, Packet::Message { .. });
                    self.tell(Link::Packet(packet)).await;
                }
                Some(Received::Request(_, responder)) => responder.refuse("a TaskManager takes messages, no requests"),
                Some(Received::Closed(reason)) => return (registered, reason.to_string()),
                None => return (registered, "the connection ended".to_owned()),
            }
        }
    }

    async fn tell(&self, link: Link) {
        // A service that is gone drops this task too.
        let _ = self.mailbox.send(Input::Link(link)).await;
    }
}
