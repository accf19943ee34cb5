//! What the API server answers instead of doing what was asked.

use flott_resource_manager::backend::Rejection;
use kube::core::Status;

use crate::{reason::short, template::TemplateError};

/// A cluster cannot be worked with as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting does not fit.
    #[error("{key}: {reason}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A pod template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// It is not known how to reach the API server, or as whom.
    #[error("no way to the Kubernetes API is configured: {0}")]
    Config(String),
    /// A request failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// A request that failed: what was asked for, and how it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb} {resource}: {failure}")]
pub struct ApiError {
    /// As in a role: `get`, `list`, `watch`, `create`, `delete`.
    pub verb: &'static str,
    /// The plural that stands in a role, with the object's name where it has one.
    pub resource: String,
    /// How it failed.
    pub failure: Failure,
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The credentials are unknown or have expired.
    #[error("the API server does not accept the credentials (have they expired?): {0}")]
    Unauthorized(String),
    /// No role allows it.
    #[error("no role allows it: {0}")]
    Forbidden(String),
    /// A quota is used up.
    #[error("{0}")]
    Quota(String),
    /// An admission rule refused it.
    #[error("{0}")]
    Admission(String),
    /// The object is not as the API wants it.
    #[error("{0}")]
    Invalid(String),
    /// There is something else of that name, or it has changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The API server is there and cannot answer now.
    #[error("the API server is busy: {0}")]
    Busy(String),
    /// The API server was not reached, or did not answer in time.
    #[error("the API server is not reached: {0}")]
    Unreachable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl ApiError {
    /// The error of a request that did `verb` on `resource`.
    pub fn new(verb: &'static str, resource: impl Into<String>, error: &kube::Error) -> Self {
        Self { verb, resource: resource.into(), failure: Failure::of(error) }
    }

    /// A request that took too long.
    pub fn late(verb: &'static str, resource: impl Into<String>, waited: std::time::Duration) -> Self {
        let failure = Failure::Unreachable(format!("no answer within {} s", waited.as_secs_f64()));
        Self { verb, resource: resource.into(), failure }
    }

    /// Whether the same request may succeed a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(self.failure, Failure::Busy(_) | Failure::Unreachable(_))
    }

    /// Whether the request may have been carried out all the same.
    pub const fn may_have_worked(&self) -> bool {
        self.is_passing() || matches!(self.failure, Failure::Other(_))
    }

    /// What this is as a reason not to start a worker.
    pub const fn rejection(&self) -> Rejection {
        match self.failure {
            Failure::Unauthorized(_) | Failure::Forbidden(_) => Rejection::Access,
            Failure::Quota(_) => Rejection::Quota,
            Failure::Admission(_) => Rejection::Admission,
            Failure::Invalid(_) => Rejection::Invalid,
            Failure::Conflict(_) => Rejection::Conflict,
            Failure::Busy(_) | Failure::Unreachable(_) => Rejection::Unreachable,
            Failure::NotFound(_) | Failure::Other(_) => Rejection::Spawn,
        }
    }
}

impl Failure {
    fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::Auth(error) => Self::Unauthorized(chain(error)),
            kube::Error::SerdeError(error) => Self::Other(format!("its answer is not understood: {error}")),
            kube::Error::BuildRequest(_) | kube::Error::HttpError(_) | kube::Error::InferConfig(_) => {
                Self::Other(chain(error))
            }
            // What these wrap says it better.
            kube::Error::Service(cause) => Self::Unreachable(chain(&**cause)),
            kube::Error::HyperError(cause) => Self::Unreachable(chain(cause)),
            error => Self::Unreachable(chain(error)),
        }
    }

    /// What an answer means.
    pub fn of_status(status: &Status) -> Self {
        let message = short(if status.message.is_empty() { &status.reason } else { &status.message });
        match (status.code, status.reason.as_str()) {
            (401, _) => Self::Unauthorized(message),
            // Quotas, admission plugins and missing roles all answer alike; only their words differ.
            (403, _) if message.contains("exceeded quota") || message.contains("failed quota") => Self::Quota(message),
            (403, _) if message.contains("cannot") && message.contains("resource") => Self::Forbidden(message),
            (403, _) => Self::Admission(message),
            (_, _) if message.contains("admission webhook") => Self::Admission(message),
            (400 | 422, _) => Self::Invalid(message),
            (409, _) => Self::Conflict(message),
            (404, _) => Self::NotFound(message),
            (429 | 500 | 502..=504, _) | (_, "ServerTimeout" | "Timeout" | "TooManyRequests") => Self::Busy(message),
            _ => Self::Other(message),
        }
    }
}

/// An error with its causes in a line: the outermost rarely says what is wrong.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut parts: Vec<String> = Vec::new();
    for cause in causes {
        // Many errors repeat their cause in their own words.
        if parts.last().is_none_or(|last| !last.contains(&cause)) {
            parts.push(cause);
        }
    }
    short(&parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u16, message: &str, expected: Rejection, passing: bool) {
        let status = Status { code, message: message.into(), ..Status::failure(message, "") };
        let error = ApiError::new("create", "pods", &kube::Error::Api(Box::new(Status { code, ..status })));
        assert_eq!((error.rejection(), error.is_passing()), (expected, passing), "{error}");
        assert!(error.to_string().starts_with("cannot create pods: "), "{error}");
    }

    #[test]
    fn answers_are_told_apart() {
        check(401, "Unauthorized", Rejection::Access, false);
        let rbac =
            "pods is forbidden: User \"x\" cannot create resource \"pods\" in API group \"\" in the namespace \"n\"";
        check(403, rbac, Rejection::Access, false);
        check(403, "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1", Rejection::Quota, false);
        check(403, "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"", Rejection::Admission, false);
        check(400, "admission webhook \"w\" denied the request: no", Rejection::Admission, false);
        check(422, "Pod \"a\" is invalid: spec.containers[0].image: Required value", Rejection::Invalid, false);
        check(409, "pods \"a\" already exists", Rejection::Conflict, false);
        check(404, "namespaces \"n\" not found", Rejection::Spawn, false);
        check(429, "slow down", Rejection::Unreachable, true);
        check(503, "apiserver is shutting down", Rejection::Unreachable, true);
    }
}
