//! Log files as text, whole or in part, from this host or from a TaskManager's.
//!
//! `offset` (negative counts from the end) and `length` ask for a part; the headers `x-flott-offset` and `x-flott-size`
//! tell where the text begins and how long the file is now, so that a reader can follow a log as it grows.

use std::{
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use flott_core::{
    id::WorkerId,
    message::{LogAnswer, LogFile},
};
use flott_resource_manager::handle::LogRead;

use super::{Context, RestError, parameters::Parameters, table::Doc};

/// Bytes that are read at a time.
const PIECE: u64 = 1 << 20;
/// Files that are listed of a directory.
const FILES_MAX: usize = 10_000;

/// Which part of a file is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    offset: i64,
    length: u64,
}

impl Range {
    pub fn of(parameters: &Parameters) -> Result<Self, RestError> {
        let offset = parameters.query("offset")?.unwrap_or(0);
        let length = parameters.query("length")?.unwrap_or(u64::MAX);
        Ok(Self { offset, length })
    }
}

pub fn documented(doc: Doc) -> Doc {
    doc.query("offset", "First byte; negative counts from the end").query("length", "Most bytes")
}

struct Piece {
    offset: u64,
    size: u64,
    bytes: Bytes,
}

/// A log of a TaskManager.
pub async fn of_worker(
    context: &Arc<Context>,
    worker: WorkerId,
    file: String,
    range: Range,
) -> Result<Response, RestError> {
    let context = context.clone();
    respond(range, move |offset, length_max| {
        let context = context.clone();
        let read = LogRead { worker: worker.clone(), file: Some(file.clone()), offset, length_max };
        async move {
            match context.dispatcher.read_log(read).await? {
                LogAnswer::Piece { offset, size, bytes } => Ok(Piece { offset, size, bytes }),
                LogAnswer::Files(_) => Err(RestError::internal("a TaskManager answered with a list instead of a log")),
            }
        }
    })
    .await
}

/// A file of this host; `missing` is what is said when it is not there.
pub async fn of_host(path: PathBuf, range: Range, missing: &'static str) -> Result<Response, RestError> {
    respond(range, move |offset, length| {
        let path = path.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || read(&path, offset, length)).await;
            match read.map_err(RestError::internal)? {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(RestError::not_found(missing)),
                piece => piece.map_err(RestError::internal),
            }
        }
    })
    .await
}

fn read(path: &Path, offset: i64, length: u64) -> std::io::Result<Piece> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let offset = if offset < 0 { size.saturating_sub(offset.unsigned_abs()) } else { offset.unsigned_abs().min(size) };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length.min(PIECE)).read_to_end(&mut bytes)?;
    Ok(Piece { offset, size, bytes: bytes.into() })
}

/// Answers with the wanted part, which is fetched piece by piece while the client takes it. The file's size is that at
/// the first piece: a log that grows faster than it is read would have no end.
async fn respond<F, Fut>(range: Range, fetch: F) -> Result<Response, RestError>
where
    F: Fn(i64, u64) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Piece, RestError>> + Send + 'static,
{
    let first = fetch(range.offset, range.length.min(PIECE)).await?;
    let begin = first.offset;
    let end = first.size.min(begin.saturating_add(range.length));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=UTF-8".to_owned()),
        (header::HeaderName::from_static("x-flott-offset"), begin.to_string()),
        (header::HeaderName::from_static("x-flott-size"), first.size.to_string()),
    ];
    let next = begin + first.bytes.len() as u64;
    let rest = futures::stream::try_unfold((fetch, next), move |(fetch, next)| async move {
        if next >= end {
            return Ok(None);
        }
        let offset = i64::try_from(next).unwrap_or(i64::MAX);
        let piece = fetch(offset, PIECE.min(end - next)).await.map_err(|error| error.errors.join("; "))?;
        // A file that was cut or moved meanwhile ends here.
        if piece.bytes.is_empty() || piece.offset != next {
            return Ok::<_, String>(None);
        }
        let next = next + piece.bytes.len() as u64;
        Ok(Some((piece.bytes, (fetch, next))))
    });
    let first = futures::stream::once(std::future::ready(Ok(first.bytes)));
    Ok((headers, Body::from_stream(futures::StreamExt::chain(first, rest))).into_response())
}

/// The files in a directory of this host, by name.
pub fn list(directory: &Path) -> std::io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)?.take(FILES_MAX) {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            files.push(LogFile {
                name: entry.file_name().to_string_lossy().into_owned(),
                size: metadata.len(),
                modified_at: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
