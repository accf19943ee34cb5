use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use flott_core::failure::Domain;
use flott_resource_manager::Error as ResourceError;

use super::shapes::Errors;
use crate::{blobs::BlobError, error::Error, planner::PlanError};

/// A refusal as it goes out: a status and lines of text, the gist first.
#[derive(Debug, PartialEq, Eq)]
pub struct RestError {
    /// The status.
    pub status: StatusCode,
    /// The lines.
    pub errors: Vec<String>,
}

impl RestError {
    /// A refusal with one line.
    pub fn new(status: StatusCode, error: impl ToString) -> Self {
        Self { status, errors: vec![error.to_string()] }
    }

    /// 400.
    pub fn bad_request(error: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 404.
    pub fn not_found(error: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// 413.
    pub fn too_large(limit: u64) -> Self {
        let line = format!("the request is larger than the {limit} bytes that rest.server.max-content-length allows");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, line)
    }

    /// 413, of what is kept in memory: everything but the files of a multipart body.
    pub fn json_too_large(limit: u64) -> Self {
        let line = format!(
            "the request has more than the {limit} bytes that JSON may have; files are sent as parts of a \
             multipart/form-data body"
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, line)
    }

    /// 500 with the two lines that Flink gives.
    pub fn internal(error: impl ToString) -> Self {
        let cause = format!("<Exception on server side:\n{}\nEnd of exception on server side>", error.to_string());
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, errors: vec!["Internal server error.".to_owned(), cause] }
    }

    /// A piece of the path that does not parse.
    pub fn path_parameter(name: &str, value: &str) -> Self {
        Self::bad_request(format_args!(
            "Bad request, could not parse parameters: Cannot resolve path parameter ({name}) from value {value:?}."
        ))
    }

    /// A query parameter that does not parse.
    pub fn query_parameter(name: &str, value: &str) -> Self {
        Self::bad_request(format_args!(
            "Bad request, could not parse parameters: Cannot resolve query parameter ({name}) from value {value:?}."
        ))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        (self.status, Json(Errors { errors: self.errors })).into_response()
    }
}

impl From<Error> for RestError {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownJob(_) => Self::not_found(error),
            Error::Submission(_) => Self::bad_request(error),
            Error::NoCheckpoints(_) | Error::NoSavepointDirectory => Self::bad_request(error),
            Error::Snapshot(error) => match error.domain() {
                Domain::User => Self::bad_request(error),
                Domain::Environment | Domain::Internal => Self::internal(error),
            },
            Error::Rescale(failure) if failure.domain == Domain::User => Self::bad_request(Error::Rescale(failure)),
            Error::Rescale(_) => Self::new(StatusCode::CONFLICT, error),
            Error::Duplicate(_) | Error::Over(_) | Error::Ended { .. } => Self::new(StatusCode::CONFLICT, error),
            Error::Starting | Error::Ending | Error::NotBegun(_) | Error::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
            }
            Error::Blob(error) => error.into(),
            Error::Resources(error) => error.into(),
            Error::Store(_) | Error::Lost(_) => {
                tracing::error!(%error, "a request could not be answered");
                Self::internal(error)
            }
        }
    }
}

impl From<BlobError> for RestError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(_) => Self::not_found(error),
            BlobError::Mismatch { .. } => Self::bad_request(error),
            BlobError::TooLarge { limit } => Self::too_large(limit),
            BlobError::Io { .. } => {
                tracing::error!(%error, "blob storage failed");
                Self::internal(error)
            }
        }
    }
}

impl From<ResourceError> for RestError {
    fn from(error: ResourceError) -> Self {
        match &error {
            // Flink answers 500 here, and in these words.
            ResourceError::UnknownWorker(worker) => {
                Self::internal(format_args!("No TaskExecutor registered under {worker}."))
            }
            ResourceError::Refused { .. } => Self::not_found(error),
            ResourceError::NoAnswer { .. } => Self::new(StatusCode::GATEWAY_TIMEOUT, error),
            ResourceError::Busy { .. } | ResourceError::Ended => Self::new(StatusCode::SERVICE_UNAVAILABLE, error),
            ResourceError::Option { .. } | ResourceError::NotStopped { .. } => Self::internal(error),
        }
    }
}

impl From<PlanError> for RestError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Sandbox { .. } => Self::internal(error),
            // What the program does wrong is the fault of who has sent it, and its message is for them.
            PlanError::Program { .. }
            | PlanError::TimedOut { .. }
            | PlanError::Graph(_)
            | PlanError::NotAProgram { .. } => Self::bad_request(error),
        }
    }
}
