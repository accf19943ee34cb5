//! `/metrics`: what this JobManager knows, in the text that Prometheus reads.
//!
//! Nobody is asked because somebody collects but the JobMasters and the ResourceManager, for what they know already. The text is written on
//! a thread where that disturbs nobody, and sent as it is written: of ten thousand subtasks it has some thirty megabytes.
//!
//! # Layout
//! - `facts`: what is asked for; `process`: of this process
//! - `text`: from facts to families
//! - `sending`: pieces of a text on their way, compressed where that is wanted

mod facts;
mod process;
mod sending;
#[cfg(test)]
mod tests;
mod text;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use flott_core::metrics::{Exposition, Format};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Context, Rest, RestError, refuse,
    table::{Doc, Table},
};
use facts::Facts;

/// Answers that are written at a time; more wait.
const AT_ONCE: usize = 4;
/// How long an answer may wait for its turn, and for what is asked.
const PATIENCE: Duration = Duration::from_secs(10);

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Of every JobManager by itself: not for the table of those that are passed on.
pub fn routes() -> Table<Arc<Context>> {
    Table::new().get(
        "/metrics",
        Doc::answers_content(
            "text/plain",
            "What the JobManager knows, for Prometheus; one that stands by answers of itself. security.metrics-token opens it too",
        ),
        metrics,
    )
}

/// The routes behind the check of who may ask.
pub fn router(context: &Arc<Context>) -> axum::Router<Arc<Context>> {
    routes().finish().0.layer(middleware::from_fn_with_state(context.clone(), guard))
}

async fn guard(State(context): Rest, request: Request, next: Next) -> Response {
    match context.access.check_metrics(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => refuse(&context, error),
    }
}

async fn metrics(State(context): Rest, headers: HeaderMap) -> Result<Response, RestError> {
    let late = |what| move |_| RestError::new(StatusCode::SERVICE_UNAVAILABLE, what);
    let turn = timeout(PATIENCE, TURNS.acquire()).await.map_err(late("too many collectors are being answered"))?;
    let turn = turn.map_err(RestError::internal)?;
    let facts =
        timeout(PATIENCE, Facts::gather(&context)).await.map_err(late("a JobMaster has not answered in time"))?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (format, gzip) = (Format::accepted(text(header::ACCEPT)), sending::takes_gzip(text(header::ACCEPT_ENCODING)));
    let body = sending::body(gzip, move |sink| {
        let mut exposition = Exposition::new(format, sink);
        text::write(&facts, &mut exposition);
        // The views of large jobs are dropped here, where nobody waits.
        drop((facts, turn));
        exposition.finish()
    });
    let mut response = ([(header::CONTENT_TYPE, format.content_type())], body).into_response();
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
