//! How S3-compatible stores are reached.

use crate::config::option::{key, section};

section! {
    "S3",
    "How checkpoints and savepoints at `s3://<bucket>/<path>` are reached, by the JobManager and by the processes of jobs. What is \
     not set is taken from the environment variables that AWS's own tools read (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, …).";

    /// URL of a store that is not Amazon's, as `https://minio.example:9000`. With `http://` nothing is encrypted.
    ENDPOINT: Option<String> = key("s3.endpoint");

    /// Region of the buckets.
    REGION: Option<String> = key("s3.region").fallback(&["s3.endpoint.region"]);

    /// Access key that requests are signed for.
    ACCESS_KEY: Option<String> = key("s3.access-key").fallback(&["s3.access.key"]);

    /// Secret key that belongs to the access key.
    SECRET_KEY: Option<String> = key("s3.secret-key").fallback(&["s3.secret.key"]).secret();

    /// Whether the bucket stands in the path of requests rather than in the name of the host; many stores that are not Amazon's
    /// want it so. Unset, it does where an endpoint is set.
    PATH_STYLE: Option<bool> = key("s3.path.style.access").fallback(&["s3.path-style-access"]);
}
