use std::sync::Arc;

use axum::{Json, extract::State};
use flott_core::status::JobStatus;
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError,
    shapes::{ClusterOverview, DashboardConfiguration, Empty, Features},
    table::{Doc, Table},
};

/// The version of Flink whose REST shapes are followed.
const FLINK_VERSION: &str = "2.3.0";
const REVISION: &str = concat!("flott-", env!("CARGO_PKG_VERSION"));
/// Milliseconds between refreshes of a web page.
const REFRESH_MS: u64 = 3000;

pub fn routes() -> Table<Arc<Context>> {
    Table::new()
        .get("/config", Doc::answers::<DashboardConfiguration>("What a web page needs to know"), config)
        .get("/overview", Doc::answers::<ClusterOverview>("The cluster in numbers"), overview)
        .route(
            HttpMethod::Delete,
            "/cluster",
            Doc::answers::<Empty>("Cancels all jobs, stops the workers that the cluster started, and ends"),
            shutdown,
        )
}

async fn config() -> Json<DashboardConfiguration> {
    Json(DashboardConfiguration {
        refresh_interval: REFRESH_MS,
        timezone_name: "Coordinated Universal Time".to_owned(),
        timezone_offset: 0,
        flink_version: FLINK_VERSION.to_owned(),
        flink_revision: REVISION.to_owned(),
        features: Features { web_submit: true, web_cancel: true, web_rescale: false, web_history: false },
    })
}

async fn overview(State(context): Rest) -> Result<Json<ClusterOverview>, RestError> {
    let workers = context.dispatcher.workers().await?;
    let jobs = context.dispatcher.statuses().await?;
    let count = |wanted: fn(JobStatus) -> bool| jobs.iter().filter(|(_, status)| wanted(*status)).count();
    let slots_total = workers.iter().map(|worker| worker.slots.len()).sum::<usize>();
    let slots_taken = workers.iter().map(|worker| worker.allocated.len()).sum::<usize>();
    Ok(Json(ClusterOverview {
        taskmanagers: workers.len(),
        slots_total,
        slots_available: slots_total.saturating_sub(slots_taken),
        jobs_running: count(|status| !status.is_terminal()),
        jobs_finished: count(|status| status == JobStatus::Finished),
        jobs_cancelled: count(|status| status == JobStatus::Canceled),
        jobs_failed: count(|status| status == JobStatus::Failed),
        flink_version: FLINK_VERSION.to_owned(),
        flink_commit: REVISION.to_owned(),
    }))
}

async fn shutdown(State(context): Rest) -> Json<Empty> {
    context.end.cancel();
    Json(Empty {})
}
