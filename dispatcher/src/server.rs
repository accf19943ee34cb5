//! The HTTP server: accepts connections within bounds, and ends them in order.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to send the head of a request, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests may take to end once the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// Bytes of a connection's read buffer, and so of a request's head.
const BUFFER: usize = 64 << 10;
/// Pause after a failed accept, which mostly means that the process has no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `end` is cancelled and the last requests are answered, or have taken too long.
/// Connections that were upgraded are not waited for.
pub(crate) async fn serve(listener: TcpListener, router: Router, end: CancellationToken) {
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
                let served = connection(stream, router.clone(), end.clone());
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

async fn connection(stream: TcpStream, router: Router, end: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays slow");
    }
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
