//! Errors of ours as problem+json: a stable code, a sentence, and where it helps a remedy and a position.
//! `pages/front.rs` shows them to persons as a page.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::domain::query::QueryError;
use crate::federation::CursorError;

/// An error as answered.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    headers: HeaderMap,
    body: Box<Fields>,
}

/// What an error says.
#[derive(Debug, Serialize)]
pub(super) struct Fields {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    byte: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sites: Option<Value>,
}

impl Problem {
    /// With a stable word and a sentence: lower-case, without a full stop.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let body = Fields {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            remedy: None,
            position: None,
            byte: None,
            sites: None,
        };
        Self { status, headers: HeaderMap::new(), body: Box::new(body) }
    }

    /// A mistake in a parameter.
    pub(super) fn parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
    }

    /// With what a person can do about it.
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.body.remedy = Some(remedy.into());
        self
    }

    /// With one outcome for every site.
    #[must_use]
    pub(super) fn sites(mut self, sites: Value) -> Self {
        self.body.sites = Some(sites);
        self
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// With a header.
    #[must_use]
    pub(super) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "bad_query", error.message).remedy(error.remedy);
        problem.body.position = Some(error.position);
        problem.body.byte = Some(error.byte);
        problem
    }
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_cursor", error.to_string())
            .remedy("write `next_cursor` of the last page, with the same `q` and `sort`; or begin again without it")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Our records hold nothing that JSON cannot.
        let body = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.extensions_mut().insert(Arc::<Fields>::from(self.body));
        response
    }
}

/// What a page shows of it.
impl Problem {
    /// What it says.
    pub(super) fn fields(&self) -> &Fields {
        &self.body
    }
}

impl Fields {
    /// The status in words.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// The stable word.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// What a person can do about it.
    pub(super) fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// Where in the query, in characters from 1.
    pub(super) fn position(&self) -> Option<usize> {
        self.position
    }
}
