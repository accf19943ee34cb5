//! Brings one blob in from the JobManager.

use std::{fs, path::PathBuf, time::Duration};

use flott_core::{id::Digest, message::BLOB_PATH};
use flott_rpc::tls::Connector;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{BlobCache, BlobError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence in a transfer.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const TRIES: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Where blobs come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `host:port` of the JobManager.
    pub address: String,
    /// Sent as bearer token.
    pub token: Option<String>,
    /// Where JobManagers speak TLS.
    pub tls: Option<Connector>,
}

/// Brings `digest` into the cache's directory and says how long it is.
pub(super) async fn fetch(cache: &BlobCache, digest: Digest, source: &Source) -> Result<u64, BlobError> {
    let mut pause = RETRY_PAUSE;
    for _ in 1..TRIES {
        match fetch_once(cache, digest, source).await {
            Err(error) if error.is_transient() => {
                tracing::info!(%digest, %error, "blob not fetched, trying again");
                tokio::time::sleep(pause).await;
                pause *= 3;
            }
            result => return result,
        }
    }
    fetch_once(cache, digest, source).await
}

async fn fetch_once(cache: &BlobCache, digest: Digest, source: &Source) -> Result<u64, BlobError> {
    let client = match cache.client.get() {
        Some(client) => client,
        None => {
            flott_rpc::tls::provide();
            let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(SILENCE_MAX);
            // A JobManager is reached directly: a proxy for the outside world must not get its token.
            let builder = builder.no_proxy();
            let builder = match &source.tls {
                Some(tls) => builder.tls_backend_preconfigured(tls.config()),
                // An image with nothing but this program has no certificates of authorities, and without TLS they are not needed.
                None => builder.tls_certs_only([]),
            };
            let client = builder.build()?;
            cache.client.get_or_init(|| client)
        }
    };
    let scheme = if source.tls.is_some() { "https" } else { "http" };
    let mut request = client.get(format!("{scheme}://{}{BLOB_PATH}/{digest}", source.address));
    if let Some(token) = &source.token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Err(BlobError::Missing),
        status => return Err(BlobError::Status(status)),
    }
    let bytes_max = cache.blob_bytes_max;
    let bounded = |bytes| {
        if bytes > bytes_max { Err(BlobError::TooLarge { bytes, bytes_max }) } else { Ok(bytes) }
    };
    bounded(answer.content_length().unwrap_or(0))?;

    let partial = Partial(cache.dir.join(format!("{digest}.part")));
    let mut file =
        tokio::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o700).open(&partial.0).await?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        bytes = bounded(bytes + chunk.len() as u64)?;
        hasher.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    // Closed for certain before anyone runs it: an executable that is open for writing is refused.
    drop(file.into_std().await);
    let found = Digest::from_bytes(*hasher.finalize().as_bytes());
    if found != digest {
        return Err(BlobError::Damaged(found));
    }
    tokio::fs::rename(&partial.0, cache.path(digest)).await?;
    Ok(bytes)
}

/// A file that is not there any more when this is dropped.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed in the good case. What a crash leaves is swept at the next start.
        let _ = fs::remove_file(&self.0);
    }
}
