//! The task that writes: everything queued goes out together.

use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::queue::Queue;
use super::shared::{Shared, Work};
use crate::CloseReason;
use crate::frame::{self, Kind};

pub(super) async fn run<Io: AsyncWrite, In>(mut io: WriteHalf<Io>, shared: Arc<Shared<In>>) {
    loop {
        let work = match timeout(shared.options.ping_interval, shared.work()).await {
            Ok(work) => work,
            Err(_) => Work::Write(frame::encode_empty(Kind::Ping).into()),
        };
        match work {
            Work::Write(queue) => {
                if let Err(reason) = write(&mut io, &queue, &shared).await {
                    // A peer that closes in order says so in what is still to be read, and its word comes first.
                    if matches!(reason, CloseReason::Io(_)) {
                        let _ = timeout(shared.options.close_timeout, shared.closed.cancelled()).await;
                    }
                    shared.close(reason, "");
                    // A frame may be cut off, so nothing can follow it, not even a farewell.
                    let _ = timeout(shared.options.close_timeout, io.shutdown()).await;
                    return;
                }
                shared.written();
            }
            Work::Finish(queue) => {
                let finish = async {
                    for piece in queue.pieces() {
                        io.write_all(piece).await?;
                    }
                    io.shutdown().await
                };
                if let Ok(Err(error)) = timeout(shared.options.close_timeout, finish).await {
                    tracing::debug!(%error, "connection was not closed in order");
                }
                return;
            }
        }
    }
}

/// Writes and flushes what is in `queue`, or says why not: the stream failed, the peer takes nothing, or the connection was closed
/// and the time for last frames is over.
async fn write<Io: AsyncWrite, In>(
    io: &mut WriteHalf<Io>,
    queue: &Queue,
    shared: &Shared<In>,
) -> Result<(), CloseReason> {
    let idle = shared.options.idle_timeout;
    let stalled = CloseReason::Timeout { wait: "the peer took nothing of what was sent", after: idle };
    let transfer = async {
        for mut piece in queue.pieces() {
            while !piece.is_empty() {
                match timeout_at(Instant::now() + idle, io.write(piece)).await {
                    Ok(Ok(0)) => return Err(CloseReason::Io("nothing more can be written".to_owned())),
                    Ok(Ok(written)) => piece = &piece[written..],
                    Ok(Err(error)) => return Err(CloseReason::Io(error.to_string())),
                    Err(_) => return Err(stalled.clone()),
                }
            }
        }
        match timeout(idle, io.flush()).await {
            Ok(flushed) => flushed.map_err(|error| CloseReason::Io(error.to_string())),
            Err(_) => Err(stalled.clone()),
        }
    };
    let closed = async {
        shared.closed.cancelled().await;
        tokio::time::sleep(shared.options.close_timeout).await;
    };
    tokio::select! {
        result = transfer => result,
        () = closed => Err(CloseReason::Local),
    }
}
