//! The network: a TCP connection to the REST port that is upgraded, by HTTP/1.1's own means, to a plain byte stream.
//!
//! This is the client's side, written over the bare stream: one request line, five headers, and a bounded answer. The
//! server's side belongs to the HTTP server on that port, which hands its upgraded stream to
//! [`Connection::start`](crate::Connection::start).

mod reach;
mod response;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Prefixed;
use response::Head;

/// The longest response head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How much of a refusal's body is kept, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;

/// How long the body of a refusal is waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// What is asked of the server.
#[derive(Clone, Copy)]
pub struct Upgrade<'a> {
    /// The path, from its slash on.
    pub path: &'a str,
    /// The protocol to speak, with its version: `flott-control/1`.
    pub protocol: &'a str,
    /// Sent as bearer token.
    pub token: Option<&'a str>,
    /// For connecting and being answered, together.
    pub timeout: Duration,
}

/// There is no upgraded stream.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The request cannot be written down.
    #[error("{what} {value:?} has characters that cannot stand in an HTTP request")]
    Request {
        /// Which part of it.
        what: &'static str,
        /// Its value; a token is not shown.
        value: String,
    },
    /// Nobody answers there, or the stream broke.
    #[error("cannot connect to {addr}: {source}")]
    Io {
        /// Where to.
        addr: String,
        /// What the system says.
        source: io::Error,
    },
    /// It took too long.
    #[error("cannot connect to {addr}: no answer within {after:?}")]
    TimedOut {
        /// Where to.
        addr: String,
        /// For how long was waited.
        after: Duration,
    },
    /// The server answered, and refused.
    #[error("{addr} refused to speak {protocol}: status {status}{}{}", if .body.is_empty() { "" } else { ": " }, .body)]
    Refused {
        /// Where to.
        addr: String,
        /// What was to be spoken.
        protocol: String,
        /// The HTTP status.
        status: u16,
        /// The first part of the response's body.
        body: String,
    },
    /// What answers there is no sound HTTP server.
    #[error("{addr} did not answer as an HTTP server should: {why}")]
    Response {
        /// Where to.
        addr: String,
        /// What was wrong.
        why: String,
    },
}

/// Connects to `addr` (`host:port`; IPv6 hosts in brackets), to whichever answers where the host is several, and upgrades.
///
/// # Errors
/// When there is no connection, no answer in time, or another answer than the switch to the protocol.
pub async fn connect(addr: &str, upgrade: &Upgrade<'_>) -> Result<Prefixed<TcpStream>, ConnectError> {
    connect_by(addr, upgrade, async |stream| Ok(stream)).await
}

/// As [`connect`], with a stream that `dress` makes of the connection before anything is said: one of TLS.
///
/// # Errors
/// As [`connect`], and what `dress` fails with.
pub async fn connect_by<Io>(
    addr: &str,
    upgrade: &Upgrade<'_>,
    dress: impl AsyncFnOnce(TcpStream) -> io::Result<Io>,
) -> Result<Prefixed<Io>, ConnectError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let connecting = async {
        let stream = reach::connect(addr).await.map_err(io_error(addr))?;
        stream.set_nodelay(true).map_err(io_error(addr))?;
        let stream = dress(stream).await.map_err(io_error(addr))?;
        shake_hands(stream, addr, upgrade).await
    };
    in_time(addr, upgrade, connecting).await
}

/// Upgrades a stream that is connected to `addr` already.
///
/// # Errors
/// As [`connect`].
pub async fn over<Io>(io: Io, addr: &str, upgrade: &Upgrade<'_>) -> Result<Prefixed<Io>, ConnectError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    in_time(addr, upgrade, shake_hands(io, addr, upgrade)).await
}

async fn in_time<T>(
    addr: &str,
    upgrade: &Upgrade<'_>,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    match timeout(upgrade.timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::TimedOut { addr: addr.to_owned(), after: upgrade.timeout }),
    }
}

fn io_error(addr: &str) -> impl FnOnce(io::Error) -> ConnectError {
    let addr = addr.to_owned();
    move |source| ConnectError::Io { addr, source }
}

/// The request's head. A line break in any part could smuggle in headers, or another request.
fn request(addr: &str, upgrade: &Upgrade<'_>) -> Result<String, ConnectError> {
    let parts = [
        ("address", addr),
        ("path", upgrade.path),
        ("protocol", upgrade.protocol),
        ("token", upgrade.token.unwrap_or("-")),
    ];
    for (what, value) in parts {
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let value = if what == "token" { "(not shown)" } else { value };
            return Err(ConnectError::Request { what, value: value.to_owned() });
        }
    }
    let Upgrade { path, protocol, token, timeout: _ } = upgrade;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    Ok(format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{authorization}\r\n"
    ))
}

async fn shake_hands<Io>(mut io: Io, addr: &str, upgrade: &Upgrade<'_>) -> Result<Prefixed<Io>, ConnectError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(addr, upgrade)?;
    io.write_all(request.as_bytes()).await.map_err(io_error(addr))?;
    io.flush().await.map_err(io_error(addr))?;

    let unsound = |why: String| ConnectError::Response { addr: addr.to_owned(), why };
    let mut buffer = BytesMut::with_capacity(1024);
    let head = loop {
        if let Some(length) = response::head_length(&buffer) {
            break Head::parse(&buffer.split_to(length)).map_err(unsound)?;
        }
        if buffer.len() >= HEAD_BYTES_MAX {
            return Err(unsound(format!("its response head is longer than {HEAD_BYTES_MAX} bytes")));
        }
        if io.read_buf(&mut buffer).await.map_err(io_error(addr))? == 0 {
            return Err(unsound("the connection ended within its response head".to_owned()));
        }
    };
    if head.status != 101 {
        let body = refusal(&mut io, buffer, head.content_length).await;
        let protocol = upgrade.protocol.to_owned();
        return Err(ConnectError::Refused { addr: addr.to_owned(), protocol, status: head.status, body });
    }
    match head.upgrade {
        Some(protocol) if protocol.eq_ignore_ascii_case(upgrade.protocol) => Ok(Prefixed::new(buffer.freeze(), io)),
        Some(other) => Err(unsound(format!("it switches to {other:?}, not to {:?}", upgrade.protocol))),
        None => Err(unsound("it does not name the protocol that it switches to".to_owned())),
    }
}

/// The first part of a refusal's body, as far as it comes: the status is known, so a bad body is no error of its own.
async fn refusal<Io: AsyncRead + Unpin>(io: &mut Io, mut body: BytesMut, length: Option<usize>) -> String {
    let wanted = length.unwrap_or(usize::MAX).min(BODY_BYTES_MAX);
    let reading = async { while body.len() < wanted && matches!(io.read_buf(&mut body).await, Ok(1..)) {} };
    let _ = timeout(BODY_TIMEOUT, reading).await;
    body.truncate(wanted);
    String::from_utf8_lossy(&body).trim().to_owned()
}
