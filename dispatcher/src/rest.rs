//! The REST endpoint: Flink 2.3's paths and shapes at `/` and `/v1`, what Flink does not have under `/flott/v1`.
//!
//! # Layout
//! - [`shapes`]: answers and requests as they stand on the wire; [`render`]: from views to answers
//! - `table`: routes and their OpenAPI document, from one entry each
//! - `access`: token, host and origin, checked in front of every route but those of `health`
//! - `standby`: what a JobManager does with requests that does not lead
//! - `error`, `parameters`: refusals and parameters in Flink's words
//! - one module per group of routes: `cluster`, `jobs`, `vertices`, `checkpoints`, `savepoints`, `rescales`, `workers`,
//!   `jobmanager`, `submit`, `jars`, `flott`, `blobs`, `health`, `metrics`; `multipart`, `logs` and `drained` serve several

mod access;
mod blobs;
mod checkpoints;
mod cluster;
pub mod context;
mod drained;
mod error;
mod flott;
mod health;
mod jars;
mod jobmanager;
mod jobs;
mod logs;
mod metrics;
mod multipart;
mod parameters;
pub mod render;
mod rescale_history;
mod rescales;
mod savepoints;
pub mod shapes;
mod standby;
mod submit;
mod table;
mod vertices;
mod workers;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use flott_core::message::CONTROL_PATH;
use utoipa::openapi::OpenApi;

pub use access::{Access, OpenToAll};
pub use context::Context;
pub use error::RestError;
use table::Table;

/// Most bytes of a JSON body.
const JSON_MAX: usize = 4 << 20;

type Rest = State<Arc<Context>>;

/// Routes that clients of Flink know.
fn flink_table() -> Table<Arc<Context>> {
    Table::new()
        .merge(cluster::routes())
        .merge(jobs::routes())
        .merge(vertices::routes())
        .merge(checkpoints::routes())
        .merge(savepoints::routes())
        .merge(rescales::routes())
        .merge(rescale_history::routes())
        .merge(workers::routes())
        .merge(jobmanager::routes())
        .merge(submit::routes())
        .merge(jars::routes())
}

/// Routes of Flott alone.
fn flott_table() -> Table<Arc<Context>> {
    Table::new().merge(flott::routes()).merge(rescales::flott_routes()).merge(blobs::routes())
}

/// The document that describes every route.
pub fn open_api() -> OpenApi {
    flink_table().merge(flott_table()).merge(health::routes()).merge(metrics::routes()).finish().1
}

/// The router of the endpoint. Every request passes the access check first, but those about health.
pub fn router(context: Arc<Context>) -> Router {
    let (flink, _) = flink_table().finish();
    let (own, _) = flott_table().finish();
    let (health, _) = health::routes().finish();
    Router::new()
        .merge(flink.clone())
        .nest("/v1", flink)
        .merge(own)
        .route(CONTROL_PATH, axum::routing::get(crate::control::endpoint::upgrade))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(JSON_MAX))
        .layer(middleware::from_fn_with_state(context.clone(), standby::pass_on))
        .layer(middleware::from_fn_with_state(context.clone(), guard))
        // Behind the layers, which are put around what is there before them.
        .merge(health)
        .merge(metrics::router(&context))
        .with_state(context)
}

async fn guard(State(context): Rest, request: Request, next: Next) -> Response {
    match context.access.check(request.headers()) {
        Ok(()) => {
            let (head, body) = request.into_parts();
            let (body, rest) = drained::Rest::of(body);
            let response = next.run(Request::from_parts(head, body)).await;
            if let Some(rest) = rest.filter(|_| !response.status().is_success()) {
                rest.drain().await;
            }
            response
        }
        Err(error) => refuse(&context, error),
    }
}

/// The answer to who may not ask.
fn refuse(context: &Context, error: RestError) -> Response {
    let mut response = error.into_response();
    if context.access.token.is_some() {
        let scheme = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// Flink takes a GET that it does not know for a file of its web pages.
async fn unknown(method: Method, uri: Uri) -> RestError {
    match method {
        Method::GET | Method::HEAD => {
            RestError::not_found(format_args!("Unable to load requested file {}.", uri.path()))
        }
        _ => RestError::not_found(format_args!("Not found: {}", uri.path())),
    }
}
