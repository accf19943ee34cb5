//! Bodies that are read to their end even when the request was refused before.
//!
//! A client that is still sending when the server closes sees a broken connection instead of the refusal. So what is
//! left of the body of a refused request is taken in and dropped, within bounds.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

/// Most bytes that are dropped.
const BYTES_MAX: usize = 1 << 30;
/// How long is read at most.
const TIME_MAX: Duration = Duration::from_secs(10);

/// One end of a body that two hold: the handler reads it, and what the handler leaves can be drained.
#[derive(Clone)]
pub struct Rest(Arc<Mutex<BodyDataStream>>);

impl Rest {
    /// Splits a body in what the handler gets and what stays here; nothing stays of a body that is empty.
    pub fn of(body: Body) -> (Body, Option<Self>) {
        if body.size_hint().exact() == Some(0) {
            return (body, None);
        }
        let rest = Self(Arc::new(Mutex::new(body.into_data_stream())));
        (Body::from_stream(rest.clone()), Some(rest))
    }

    /// Reads what is left.
    pub async fn drain(mut self) {
        let reading = async {
            let mut left = BYTES_MAX;
            while let Some(Ok(chunk)) = self.next().await {
                match left.checked_sub(chunk.len()) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        if tokio::time::timeout(TIME_MAX, reading).await.is_err() {
            tracing::debug!("the rest of a refused body is not waited for any longer");
        }
    }
}

impl Stream for Rest {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().poll_next_unpin(task)
    }
}
