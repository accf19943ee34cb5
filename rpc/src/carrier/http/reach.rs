//! A connection to whichever of a name's addresses answers. A name that leads to several machines may lead to one that is
//! no more, and of that one nothing is heard, not even that it is not there: so it is not waited for, but the next one tried
//! beside it.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// How long an address is tried alone.
const ALONE: Duration = Duration::from_millis(250);

/// Connects to `addr`, as `host:port`.
pub(super) async fn connect(addr: &str) -> io::Result<TcpStream> {
    any(lookup_host(addr).await?).await
}

/// The first connection that comes about; the last error if none does. Bounded by the system, or by whoever waits for it.
async fn any(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut tries = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = addresses.next();
        let ended = if let Some(address) = next {
            tries.spawn(TcpStream::connect(address));
            timeout(ALONE, tries.join_next()).await.unwrap_or_default()
        } else {
            let Some(ended) = tries.join_next().await else { return Err(last) };
            Some(ended)
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            // It is not waited for any longer.
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address that answers nothing: the kernel drops what a full queue has no room for.
    async fn silent() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        (listener, queue)
    }

    #[tokio::test]
    async fn an_address_that_is_silent_keeps_nobody_from_the_next() {
        let (silent, _queue) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = listener.local_addr().unwrap();
        let addresses = [silent.local_addr().unwrap(), answers];
        let stream = timeout(Duration::from_secs(30), any(addresses.into_iter())).await.expect("it is tried beside");
        assert_eq!(stream.unwrap().peer_addr().unwrap(), answers);
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next_and_told_if_it_was_the_last() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let addresses = [gone, listener.local_addr().unwrap()];
        assert!(any(addresses.into_iter()).await.is_ok());
        let refused = any([gone, gone].into_iter()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(any([].into_iter()).await.is_err());
    }
}
