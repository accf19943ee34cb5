//! What a supervisor asks: does it live, may it be sent requests. Answered without a token, since a supervisor has none
//! to show, and so with nothing that is worth hiding.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};

use super::{
    Context, Rest, RestError,
    shapes::Health,
    table::{Doc, Table},
};
use crate::dispatcher::Stage;

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/flott/v1/health/live", Doc::answers::<Health>("Whether the JobManager lives; asks for no token"), live)
        .get(
            "/flott/v1/health/ready",
            Doc::answers::<Health>(
                "Whether the JobManager leads, or passes requests on to the one that does, else 503; asks for no token",
            ),
            ready,
        )
}

async fn live() -> Json<Health> {
    Json(Health { status: "live".to_owned() })
}

async fn ready(State(context): Rest) -> Result<Json<Health>, RestError> {
    let why_not = match context.dispatcher.stage() {
        Stage::Leading => return Ok(Json(Health { status: "ready".to_owned() })),
        Stage::StandingBy => return Ok(Json(Health { status: "standing by".to_owned() })),
        Stage::Opening => "the JobManager is starting: it opens its store and takes up its jobs",
        Stage::Ending => "the JobManager is ending",
    };
    Err(RestError::new(StatusCode::SERVICE_UNAVAILABLE, why_not))
}
