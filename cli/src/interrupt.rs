//! The signals with which people and service managers end a client.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT or SIGTERM, which do not end the process any more.
pub async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}
