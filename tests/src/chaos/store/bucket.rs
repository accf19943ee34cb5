//! A bucket in moto's server, on a network that tears.

use flott_snapshot::S3Options;

use crate::{moto::Moto, proxy::Proxy};

/// Everything is below this.
pub const LOCATION: &str = "s3://chaos";
const REGION: &str = "us-east-1";
const KEY: &str = "key";
const SECRET: &str = "hush-hush";

/// The server, and the way to it.
#[derive(Debug)]
pub struct Bucket {
    server: Moto,
    way: Proxy,
}

impl Bucket {
    /// A new one. Its connections tear after a number of bytes from `seed`, up to `tears`.
    ///
    /// # Panics
    /// When there is no server, or the programs cannot reach one.
    pub fn new(seed: u64, tears: Option<u64>) -> Self {
        if !cfg!(feature = "s3") {
            panic!("programs reach no bucket: build with the feature s3, as `cargo xtask chaos` does");
        }
        let server = Moto::start();
        server.bucket(LOCATION.trim_start_matches("s3://"));
        let way = match tears {
            Some(most) => Proxy::tearing(server.address(), seed, most),
            None => Proxy::before(server.address()),
        };
        Self { server, way }
    }

    /// For those that are to reach it whatever happens on the way.
    pub fn options(&self) -> S3Options {
        S3Options {
            endpoint: Some(self.server.url()),
            region: Some(REGION.to_owned()),
            access_key: Some(KEY.to_owned()),
            secret_key: Some(SECRET.to_owned()),
            path_style: None,
        }
    }

    /// Lines of the configuration.
    pub fn configuration(&self) -> String {
        let endpoint = self.way.address();
        format!("s3.endpoint: http://{endpoint}\ns3.region: {REGION}\ns3.access-key: {KEY}\ns3.secret-key: {SECRET}\n")
    }

    /// Nobody is answered, and nobody is hung up on.
    pub fn fall_silent(&self) {
        self.way.swallow();
    }

    /// Everybody is hung up on.
    pub fn go_away(&self) {
        self.way.close();
    }

    /// It answers. Whoever waits for an answer from before hears that there will be none.
    pub fn mend(&self) {
        self.way.flow();
        self.way.open();
        self.way.tear();
    }
}
