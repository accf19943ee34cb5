//! Multipart bodies: files are streamed into the blob store as they come, small parts are kept in memory, and both are
//! bounded.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use flott_core::id::Digest;

use super::{Context, JSON_MAX, RestError};
use crate::blobs::{BlobError, Lease, Upload};

/// Parts of one body.
const PARTS_MAX: usize = 16;
/// By which a body that is too large is told from one that is damaged, through the parser.
const TOO_LARGE: &str = "the body is larger than rest.server.max-content-length allows";

/// A file part.
pub struct UploadedFile {
    /// Name of the form field.
    pub field: String,
    /// File name, without any directory.
    pub name: String,
    /// Its content, stored.
    pub blob: Lease,
}

/// A whole body.
#[derive(Default)]
pub struct Form {
    /// The part `request`, if there was one.
    pub request: Option<Vec<u8>>,
    /// All parts that have a file name.
    pub files: Vec<UploadedFile>,
}

/// Reads a multipart body to its end.
///
/// # Errors
/// 400 for a body that is not multipart, is cut off or has too many parts; 413 when it is too large.
pub async fn read(context: &Arc<Context>, request: Request) -> Result<Form, RestError> {
    let request = request.map(|body| Body::from_stream(Measured::new(body, context.upload_max)));
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| RestError::bad_request(format_args!("a multipart/form-data body is wanted: {error}")))?;
    let mut form = Form::default();
    let mut left = context.upload_max;
    let mut seen = 0;
    while let Some(part) = parts.next_part().await? {
        seen += 1;
        if seen > PARTS_MAX {
            return Err(RestError::bad_request(format_args!("the body has more than {PARTS_MAX} parts")));
        }
        let field = part.name().unwrap_or_default().to_owned();
        match part.file_name().map(base_name) {
            // Flink's client sends the request as a part of its own; some tools give it a file name.
            _ if field == "request" => form.request = Some(text(part, left).await?),
            Some(name) => {
                let blob = file(context, part, left).await?;
                left = left.saturating_sub(blob.size());
                form.files.push(UploadedFile { field, name, blob });
            }
            None => {
                text(part, left).await?;
            }
        }
    }
    Ok(form)
}

trait NextPart {
    async fn next_part(&mut self) -> Result<Option<Field<'_>>, RestError>;
}

impl NextPart for Multipart {
    async fn next_part(&mut self) -> Result<Option<Field<'_>>, RestError> {
        self.next_field().await.map_err(broken)
    }
}

fn broken(error: MultipartError) -> RestError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.to_string() == TOO_LARGE {
            return RestError::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE);
        }
        cause = error.source();
    }
    RestError::bad_request(format_args!("the multipart body is damaged: {}", error.body_text()))
}

/// A body that ends with an error when it is too large, and gives one chunk at a time: the multipart parser takes in
/// all that is ready before it gives anything out, which would be the whole body of a quick client.
struct Measured {
    body: BodyDataStream,
    left: u64,
    pause: bool,
}

impl Measured {
    fn new(body: Body, upload_max: u64) -> Self {
        // Boundaries and headers of parts come on top of the files.
        Self { body: body.into_data_stream(), left: upload_max.saturating_add(JSON_MAX as u64), pause: false }
    }
}

impl futures::Stream for Measured {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let chunk = std::task::ready!(Pin::new(&mut self.body).poll_next(task));
        let Some(chunk) = chunk else { return Poll::Ready(None) };
        let chunk = chunk?;
        let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
            return Poll::Ready(Some(Err(TOO_LARGE.into())));
        };
        (self.left, self.pause) = (left, true);
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// Clients may send whole paths.
fn base_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    base.chars().filter(|character| !character.is_control()).take(200).collect()
}

async fn text(mut part: Field<'_>, left: u64) -> Result<Vec<u8>, RestError> {
    let max = usize::try_from(left).unwrap_or(usize::MAX).min(JSON_MAX);
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > max {
            return Err(if max < JSON_MAX {
                RestError::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE)
            } else {
                RestError::json_too_large(JSON_MAX as u64)
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn file(context: &Arc<Context>, mut part: Field<'_>, left: u64) -> Result<Lease, RestError> {
    let mut upload = Some(begin(context, left).await?);
    loop {
        let Some(chunk) = part.chunk().await.map_err(broken)? else { break };
        upload = Some(append(upload.take(), chunk).await.map_err(|error| limit(error, context))?);
    }
    finish(upload, None).await.map_err(RestError::from)
}

fn limit(error: BlobError, context: &Context) -> RestError {
    match error {
        BlobError::TooLarge { .. } => RestError::too_large(context.upload_max),
        error => error.into(),
    }
}

/// Begins an upload into the blob store, where blocking is allowed.
pub(super) async fn begin(context: &Arc<Context>, limit: u64) -> Result<Upload, RestError> {
    let blobs = context.dispatcher.blobs().clone();
    let begun = tokio::task::spawn_blocking(move || blobs.upload(limit)).await;
    Ok(begun.map_err(RestError::internal)??)
}

/// Appends a chunk where blocking is allowed.
pub(super) async fn append(upload: Option<Upload>, chunk: bytes::Bytes) -> Result<Upload, BlobError> {
    blocking(move || {
        let mut upload = upload.ok_or_else(lost)?;
        upload.write(&chunk)?;
        Ok(upload)
    })
    .await
}

/// Ends an upload where blocking is allowed.
pub(super) async fn finish(upload: Option<Upload>, expected: Option<Digest>) -> Result<Lease, BlobError> {
    blocking(move || upload.ok_or_else(lost)?.finish(expected)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(lost()),
    }
}

fn lost() -> BlobError {
    let cause = std::io::Error::other("the write was interrupted");
    BlobError::Io { action: "write to", path: Default::default(), cause }
}
