use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use flott_core::{id::Digest, message::BLOB_PATH};
use futures::StreamExt;
use utoipa::openapi::HttpMethod;

use super::{
    Context, Rest, RestError, multipart,
    parameters::Parameters,
    shapes::BlobStored,
    table::{Doc, Table},
};
use crate::blobs::{BlobError, UNCLAIMED};

const BLOB: &str = "application/octet-stream";
const PATH: &str = "/flott/v1/blobs/{digest}";

pub fn routes() -> Table<Arc<Context>> {
    debug_assert_eq!(PATH.strip_suffix("/{digest}"), Some(BLOB_PATH));
    Table::new().get(PATH, Doc::answers_content(BLOB, "The content of a blob"), get).route(
        HttpMethod::Put,
        PATH,
        Doc::answers_with::<BlobStored>("201", "Stores a blob; it stays a while for a job that refers to it")
            .takes_content(BLOB),
        put,
    )
}

/// Serves HEAD too: the router drops the body.
async fn get(State(context): Rest, parameters: Parameters) -> Result<Response, RestError> {
    let digest: Digest = parameters.path("digest")?;
    let blobs = context.dispatcher.blobs().clone();
    let opened = tokio::task::spawn_blocking(move || {
        let (path, size) = blobs.locate(digest)?;
        let file = std::fs::File::open(&path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => BlobError::Missing(digest),
            _ => BlobError::Io { action: "read", path, cause },
        })?;
        Ok::<_, BlobError>((file, size))
    });
    let (file, size) = opened.await.map_err(RestError::internal)??;
    let stream = tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), 1 << 18);
    let headers = [(header::CONTENT_TYPE, BLOB.to_owned()), (header::CONTENT_LENGTH, size.to_string())];
    Ok((headers, Body::from_stream(stream)).into_response())
}

async fn put(
    State(context): Rest,
    parameters: Parameters,
    request: Request,
) -> Result<(StatusCode, Json<BlobStored>), RestError> {
    let digest: Digest = parameters.path("digest")?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > context.upload_max) {
        return Err(RestError::too_large(context.upload_max));
    }
    let mut upload = Some(multipart::begin(&context, context.upload_max).await?);
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| RestError::bad_request(format_args!("the upload broke off: {error}")))?;
        upload = Some(multipart::append(upload.take(), chunk).await?);
    }
    let lease = multipart::finish(upload, Some(digest)).await?;
    let stored = BlobStored { digest: lease.digest().to_string(), size: lease.size() };
    lease.keep_for(UNCLAIMED);
    Ok((StatusCode::CREATED, Json(stored)))
}
