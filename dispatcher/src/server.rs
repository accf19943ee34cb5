//! The HTTP server: accepts connections within bounds, and ends them in order.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode, response::IntoResponse};
use flott_rpc::tls::Acceptor;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use crate::rest::RestError;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to send the head of a request, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to begin, and to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests may take to end once the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// Bytes of a connection's read buffer, and so of a request's head.
const BUFFER: usize = 64 << 10;
/// Pause after a failed accept, which mostly means that the process has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `end` is cancelled and the last requests are answered, or have taken too long.
/// Connections that were upgraded are not waited for.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Acceptor>, router: Router, end: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => break,
            accepted = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, _)), Ok(place)) => {
                let served = connection(stream, tls.clone(), router.clone(), end.clone());
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            (Err(error), _) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
            // The semaphore is never closed.
            (_, Err(_)) => break,
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(LAST_REQUESTS, connections.wait()).await.is_err() {
        tracing::debug!(connections = connections.len(), "connections are cut at the end");
    }
}

async fn connection(stream: TcpStream, tls: Option<Acceptor>, router: Router, end: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays slow");
    }
    let Some(tls) = tls else { return talk(stream, router, end).await };
    let greeting = tokio::time::timeout(HANDSHAKE_TIMEOUT, async {
        if !begins_tls(&stream).await? {
            return Ok(Either::Left(stream));
        }
        tls.accept(stream).await.map(Either::Right)
    });
    let greeted = tokio::select! {
        greeted = greeting => greeted,
        () = end.cancelled() => return,
    };
    match greeted {
        Ok(Ok(Either::Right(stream))) => talk(stream, router, end).await,
        // So that who forgot is told so in the language that was spoken.
        Ok(Ok(Either::Left(stream))) => talk(stream, Router::new().fallback(plain), end).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended within its handshake"),
        Err(_) => tracing::debug!("a connection took too long for its handshake"),
    }
}

/// Whether what comes is TLS, whose records of a handshake begin with 22.
async fn begins_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == 22)
}

async fn plain() -> axum::response::Response {
    let text = "this port speaks TLS: use https, or set security.ssl.rest.enabled where this request comes from";
    RestError::new(StatusCode::BAD_REQUEST, text).into_response()
}

async fn talk<Io>(stream: Io, router: Router, end: CancellationToken)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = end.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
