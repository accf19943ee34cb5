//! Buckets of S3-compatible stores.

use std::{sync::Arc, time::Duration};

use object_store::{ClientOptions, ObjectStore, aws::AmazonS3Builder, path::Path};

use super::S3Options;
use crate::error::Error;

/// How long one request may take; a part of a file has 8 MiB.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn open(location: &str, options: &S3Options) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    let refused = |problem: String| Error::Location { location: location.to_owned(), problem };
    let (bucket, path) = location
        .strip_prefix("s3://")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        .filter(|(bucket, _)| !bucket.is_empty())
        .ok_or_else(|| refused("expected \"s3://<bucket>/<path>\"".to_owned()))?;
    let prefix = Path::parse(path).map_err(|error| refused(error.to_string()))?;
    // The HTTP client needs one for the whole process. A binary that has chosen its own keeps it; if another thread is
    // quicker, there is one as well.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let S3Options { endpoint, region, access_key, secret_key, path_style } = options;
    let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let Some(key) = access_key {
        builder = builder.with_access_key_id(key);
    }
    if let Some(key) = secret_key {
        builder = builder.with_secret_access_key(key);
    }
    if let Some(path_style) = path_style.or(endpoint.as_ref().map(|_| true)) {
        builder = builder.with_virtual_hosted_style_request(!path_style);
    }
    let store = builder.build().map_err(|error| refused(error.to_string()))?;
    Ok((Arc::new(store), prefix))
}
