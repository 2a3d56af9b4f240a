//! Errors as RFC 9457 has them: `application/problem+json`. Every one says what, to what, and what next.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::store::StoreError;

pub(super) const KIND: &str = "application/problem+json";

/// What went wrong with a request. `type` is `about:blank`: the status says what kind of problem it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
    headers: Vec<(HeaderName, &'static str)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A field of the request that is not as it should be.
    pub fn field(field: &str, what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {what}"))
    }

    /// The sender should come back: everything well-behaved does so after 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, "5")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(text) => Self::new(StatusCode::NOT_FOUND, text),
            StoreError::Busy(text) => Self::new(StatusCode::CONFLICT, text),
            StoreError::Refused(refusal) => Self::new(StatusCode::CONFLICT, refusal.to_string()),
            StoreError::Invalid(text) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            error => {
                tracing::error!(%error, "a request could not be served");
                // The database's own words may hold names that are nobody's business outside.
                Self::unavailable("the store can't be asked now; try again, and see the server's log")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let json = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
        for (name, value) in self.headers {
            headers.append(name, HeaderValue::from_static(value));
        }
        response
    }
}
