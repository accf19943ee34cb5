//! The one port: REST, blobs and the connections of TaskManagers.

use std::path::PathBuf;

use crate::{
    config::option::{key, section},
    units::ByteSize,
};

section! {
    "REST endpoint",
    "The JobManager listens on one port, for REST, for programs and for its TaskManagers.";

    /// Host name or address under which clients and TaskManagers reach the JobManager.
    ADDRESS: String = key("rest.address").default("127.0.0.1").fallback(&["jobmanager.rpc.address"]);

    /// Port of the JobManager. 0 takes a free one, which is printed and kept in the state directory.
    PORT: u16 = key("rest.port").default("8081");

    /// Address on which the JobManager listens. Anything but a loopback address needs `security.token` or
    /// `security.insecure`.
    BIND_ADDRESS: String = key("rest.bind-address").default("127.0.0.1");

    /// Largest request body. Programs are uploaded in one request, so it also bounds their size.
    MAX_CONTENT_LENGTH: ByteSize =
        key("rest.server.max-content-length").default("512 mb").range("64 kb", "16 gb");

    /// Directory for programs uploaded to `/jars`. Unset, it lies in the state directory or, with `high-availability.type`, in
    /// `high-availability.storageDir`, where every JobManager finds them.
    UPLOAD_DIR: Option<PathBuf> = key("web.upload.dir");
}
