//! Who may talk to the endpoint. One check in front of every route, the control connection and blobs included.
//!
//! With a token, whoever shows it may. Without one the endpoint trusts whoever reaches it, which is only started on
//! loopback (or when told to be insecure). A browser of this host reaches loopback too, on behalf of any page, so
//! requests that a page of another origin could have caused are refused: by `Origin`, and by a `Host` that is not this
//! host (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, header, uri::Authority};

use super::error::RestError;

/// The rules of one endpoint.
#[derive(Debug, Clone)]
pub struct Access {
    /// Wanted of every request.
    pub token: Option<String>,
    /// Opens `/metrics` and nothing else.
    pub metrics_token: Option<String>,
    /// Whether names other than those of this host are refused in `Host`.
    pub hosts: Option<Vec<String>>,
}

/// The endpoint would be open to everyone.
#[derive(Debug, thiserror::Error)]
#[error(
    "listening on {address} needs security.token, since everyone who reaches it could run programs as this user; set \
     it, listen on a loopback address, or set security.insecure to true"
)]
pub struct OpenToAll {
    address: SocketAddr,
}

impl Access {
    /// Rules for an endpoint that listens on `bound` and is advertised as `advertised` (a host).
    ///
    /// # Errors
    /// [`OpenToAll`] beyond loopback without a token, unless `insecure`.
    pub fn new(bound: SocketAddr, advertised: &str, token: Option<String>, insecure: bool) -> Result<Self, OpenToAll> {
        let open = token.is_none() && !bound.ip().is_loopback();
        if open && !insecure {
            return Err(OpenToAll { address: bound });
        }
        let hosts = (token.is_none() && bound.ip().is_loopback()).then(|| vec![advertised.to_ascii_lowercase()]);
        Ok(Self { token, metrics_token: None, hosts })
    }

    /// With a token that opens `/metrics` alone.
    #[must_use]
    pub fn with_metrics_token(mut self, token: Option<String>) -> Self {
        self.metrics_token = token;
        self
    }

    /// Checks the headers of a request for `/metrics`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_metrics(&self, headers: &HeaderMap) -> Result<(), RestError> {
        match (&self.token, &self.metrics_token, bearer(headers)) {
            (Some(_), Some(token), Some(shown)) if equal(shown.as_bytes(), token.as_bytes()) => Ok(()),
            _ => self.check(headers),
        }
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    /// 401 without the right token, 403 for a foreign host or origin.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), RestError> {
        if let Some(token) = &self.token {
            return match bearer(headers) {
                Some(shown) if equal(shown.as_bytes(), token.as_bytes()) => Ok(()),
                Some(_) => Err(RestError::new(StatusCode::UNAUTHORIZED, "the token is wrong")),
                None => Err(RestError::new(
                    StatusCode::UNAUTHORIZED,
                    "a token is needed: send it as \"Authorization: Bearer TOKEN\" (security.token)",
                )),
            };
        }
        let host = match headers.get(header::HOST) {
            Some(host) => Some(authority(host.as_bytes()).ok_or_else(|| forbidden("the Host header is not a host"))?),
            None => None,
        };
        if let (Some(hosts), Some(host)) = (&self.hosts, &host) {
            let name = host.host().trim_matches(['[', ']']).to_ascii_lowercase();
            let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            if !loopback && name != "localhost" && !hosts.contains(&name) {
                return Err(forbidden("the Host header names another host; without a token only this host is served"));
            }
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !same_origin(origin.as_bytes(), host.as_ref()) => {
                Err(forbidden("requests on behalf of another origin are refused"))
            }
            _ => Ok(()),
        }
    }
}

fn forbidden(error: &str) -> RestError {
    RestError::new(StatusCode::FORBIDDEN, error)
}

fn authority(text: &[u8]) -> Option<Authority> {
    Authority::try_from(text).ok()
}

fn same_origin(origin: &[u8], host: Option<&Authority>) -> bool {
    let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    origin.and_then(authority).is_some_and(|origin| Some(&origin) == host)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares without telling by its time how much is equal.
fn equal(a: &[u8], b: &[u8]) -> bool {
    blake3::hash(a) == blake3::hash(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bound: &str, token: Option<&str>, insecure: bool) -> Result<Access, OpenToAll> {
        Access::new(bound.parse().unwrap(), "jm.example", token.map(str::to_owned), insecure)
    }

    #[track_caller]
    fn check(access: &Access, headers: &[(header::HeaderName, &str)], expected: u16) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let status = access.check(&headers).map_or_else(|error| error.status.as_u16(), |()| 200);
        assert_eq!(status, expected, "{headers:?}");
    }

    #[test]
    fn beyond_loopback_a_token_is_needed() {
        assert!(access("0.0.0.0:1", None, false).is_err());
        assert!(access("10.1.2.3:1", None, true).is_ok());
        assert!(access("0.0.0.0:1", Some("0123456789abcdef"), false).is_ok());
        assert!(access("[::1]:1", None, false).is_ok());
    }

    #[test]
    fn only_the_right_token_opens() {
        let access = access("0.0.0.0:1", Some("0123456789abcdef"), false).unwrap();
        check(&access, &[], 401);
        check(&access, &[(header::AUTHORIZATION, "Bearer wrong")], 401);
        check(&access, &[(header::AUTHORIZATION, "Basic 0123456789abcdef")], 401);
        check(&access, &[(header::AUTHORIZATION, "bearer 0123456789abcdef")], 200);
    }

    #[test]
    fn a_token_for_metrics_opens_nothing_else() {
        let with = |token: Option<&str>| {
            access("127.0.0.1:1", token, false).unwrap().with_metrics_token(Some("for-metrics-alone".to_owned()))
        };
        let headers =
            |token: &str| HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
        let access = with(Some("0123456789abcdef"));
        check(&access, &[(header::AUTHORIZATION, "Bearer for-metrics-alone")], 401);
        assert!(access.check_metrics(&headers("for-metrics-alone")).is_ok());
        assert!(access.check_metrics(&headers("0123456789abcdef")).is_ok());
        assert!(access.check_metrics(&headers("another")).is_err());
        assert!(access.check_metrics(&HeaderMap::new()).is_err());
        // Where none is wanted, neither is this one, and it lets nobody past the other rules.
        let access = with(None);
        assert!(access.check_metrics(&HeaderMap::new()).is_ok());
        let mut foreign = headers("for-metrics-alone");
        foreign.insert(header::HOST, "evil.example".parse().unwrap());
        assert!(access.check_metrics(&foreign).is_err());
    }

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let access = access("127.0.0.1:8081", None, false).unwrap();
        check(&access, &[], 200);
        check(&access, &[(header::HOST, "127.0.0.1:8081")], 200);
        check(&access, &[(header::HOST, "[::1]:8081")], 200);
        check(&access, &[(header::HOST, "localhost:8081")], 200);
        check(&access, &[(header::HOST, "JM.example:8081")], 200);
        check(&access, &[(header::HOST, "evil.example:8081")], 403);
        check(&access, &[(header::HOST, "localhost:8081"), (header::ORIGIN, "http://localhost:8081")], 200);
        check(&access, &[(header::HOST, "localhost:8081"), (header::ORIGIN, "http://evil.example")], 403);
        check(&access, &[(header::HOST, "localhost:8081"), (header::ORIGIN, "null")], 403);
    }
}
