//! Who may ask. With a token, whoever shows it; without one, whoever reaches a loopback address, but no page in a browser that asks on
//! behalf of somebody else: the same rules that the JobManager has.

use std::net::IpAddr;

use flott_core::id::Digest;
use hyper::{HeaderMap, StatusCode, header, http::uri::Authority};

/// The rules of one endpoint.
#[derive(Debug)]
pub(super) struct Access {
    bind: IpAddr,
    /// Any of them opens it; where there is none, none is asked for.
    tokens: Vec<String>,
}

type Refused = (StatusCode, &'static str);

impl Access {
    /// With the token of the cluster, and, where there is that, one for metrics alone.
    pub fn new(bind: IpAddr, cluster: Option<String>, metrics: Option<String>) -> Self {
        let tokens = match cluster {
            Some(cluster) => [cluster].into_iter().chain(metrics).collect(),
            None => Vec::new(),
        };
        Self { bind, tokens }
    }

    /// Checks the headers of a request.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if self.tokens.is_empty() {
            return self.check_origin(headers);
        }
        match bearer(headers) {
            Some(shown) if self.tokens.iter().any(|token| equal(token, shown)) => Ok(()),
            Some(_) => Err((StatusCode::UNAUTHORIZED, "the token is wrong\n")),
            None => Err((
                StatusCode::UNAUTHORIZED,
                "a token is needed: send it as \"Authorization: Bearer TOKEN\" (security.metrics-token)\n",
            )),
        }
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = headers.get(header::HOST).map(|host| Authority::try_from(host.as_bytes()));
        let is_own = match host {
            None => true,
            Some(Err(_)) => false,
            Some(Ok(host)) => {
                let name = host.host().trim_matches(['[', ']']);
                let of_loopback = |address: IpAddr| address.is_loopback() || address == self.bind;
                name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(of_loopback)
            }
        };
        if self.bind.is_loopback() && !is_own {
            return Err((
                StatusCode::FORBIDDEN,
                "the Host header names another host; without a token only this host is served\n",
            ));
        }
        if headers.contains_key(header::ORIGIN) {
            return Err((StatusCode::FORBIDDEN, "requests on behalf of another origin are refused\n"));
        }
        Ok(())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares without telling by its time how much is equal.
fn equal(a: &str, b: &str) -> bool {
    Digest::of(a.as_bytes()) == Digest::of(b.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(access: &Access, headers: &[(header::HeaderName, &str)], expected: u16) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let status = access.check(&headers).map_or_else(|(status, _)| status.as_u16(), |()| 200);
        assert_eq!(status, expected, "{headers:?}");
    }

    fn access(bind: &str, cluster: Option<&str>, metrics: Option<&str>) -> Access {
        Access::new(bind.parse().unwrap(), cluster.map(str::to_owned), metrics.map(str::to_owned))
    }

    #[test]
    fn either_token_opens() {
        let access = access("0.0.0.0", Some("cluster"), Some("metrics"));
        check(&access, &[], 401);
        check(&access, &[(header::AUTHORIZATION, "Bearer cluster")], 200);
        check(&access, &[(header::AUTHORIZATION, "bearer metrics")], 200);
        check(&access, &[(header::AUTHORIZATION, "Bearer another")], 401);
        check(&access, &[(header::AUTHORIZATION, "Basic metrics")], 401);
    }

    #[test]
    fn without_one_no_page_of_another_origin_may_ask() {
        let access = access("127.0.0.1", None, Some("metrics"));
        check(&access, &[], 200);
        check(&access, &[(header::HOST, "127.0.0.1:9249")], 200);
        check(&access, &[(header::HOST, "[::1]:9249")], 200);
        check(&access, &[(header::HOST, "LocalHost:9249")], 200);
        check(&access, &[(header::HOST, "evil.example")], 403);
        check(&access, &[(header::HOST, "localhost"), (header::ORIGIN, "http://evil.example")], 403);
    }
}
