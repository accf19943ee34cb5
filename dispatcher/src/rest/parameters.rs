//! Path and query parameters, with Flink's words for those that do not parse.

use std::{collections::BTreeMap, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
};

use flott_core::id::TriggerId;
use serde::de::DeserializeOwned;

use super::error::RestError;

/// The parameters of a request, by name.
#[derive(Debug, Default)]
pub struct Parameters {
    path: BTreeMap<String, String>,
    query: Vec<(String, String)>,
}

impl Parameters {
    /// A parameter of the path.
    ///
    /// # Errors
    /// 400 when it does not parse.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, RestError> {
        let text = self.path.get(name).map_or("", String::as_str);
        text.parse().map_err(|_| RestError::path_parameter(name, &shortened(text)))
    }

    /// A parameter of the query; `None` when it is absent or empty.
    ///
    /// # Errors
    /// 400 when it does not parse.
    pub fn query<T: FromStr>(&self, name: &str) -> Result<Option<T>, RestError> {
        let Some((_, text)) = self.query.iter().find(|(key, value)| key == name && !value.is_empty()) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| RestError::query_parameter(name, &shortened(text)))
    }
}

/// A JSON body; nothing at all is an empty object.
///
/// # Errors
/// 400 when it is not of this form.
pub fn json_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, RestError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| RestError::bad_request(format_args!("Request did not match expected format: {error}")))
}

/// The id that a caller has given to a request, if any.
///
/// # Errors
/// 400 when it is none.
pub fn trigger_id(given: Option<String>) -> Result<Option<TriggerId>, RestError> {
    given.map(|text| text.parse().map_err(RestError::bad_request)).transpose()
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RestError> {
        let path = RawPathParams::from_request_parts(parts, state).await.map_err(RestError::bad_request)?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let Query(query) =
            Query::<Vec<(String, String)>>::from_request_parts(parts, state).await.map_err(RestError::bad_request)?;
        Ok(Self { path, query })
    }
}
