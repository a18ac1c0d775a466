//! Refusals: RFC 9457 problem details, with a hint for whoever reads them.

use crate::backend::CoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Problem details (RFC 9457). `type` is stable and meant for programs; `detail` and `hint` are meant for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{title}: {detail}")]
pub struct Problem {
    /// `urn:coeur:problem:` and a kind, as `unknown-core`.
    #[serde(rename = "type")]
    #[schema(example = "urn:coeur:problem:invalid-field")]
    pub kind: Cow<'static, str>,
    pub title: Cow<'static, str>,
    pub status: u16,
    /// What was wrong, and what was expected.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
    /// The field of the request at fault, as `profile.slices[0].snssai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The line of an imported file at fault, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

macro_rules! kinds {
    ($($function:ident = $status:ident, $kind:literal, $title:literal;)+) => {$(
        pub fn $function(detail: impl Into<String>) -> Self {
            Self::new(StatusCode::$status, concat!("urn:coeur:problem:", $kind), $title, detail.into())
        }
    )+};
}

impl Problem {
    kinds! {
        invalid_field = BAD_REQUEST, "invalid-field", "A field is not what is expected";
        invalid_body = BAD_REQUEST, "invalid-body", "The body cannot be read";
        unauthorized = UNAUTHORIZED, "unauthorized", "No valid token";
        unknown_route = NOT_FOUND, "unknown-route", "There is nothing here";
        unknown_core = NOT_FOUND, "unknown-core", "No such core";
        not_found = NOT_FOUND, "not-found", "Not found";
        method_not_allowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here";
        exists = CONFLICT, "exists", "Exists already";
        unfit = CONFLICT, "unfit", "Does not fit this core";
        limit = CONFLICT, "limit-reached", "A limit is reached";
        body_too_large = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large";
        media_type = UNSUPPORTED_MEDIA_TYPE, "media-type", "Another media type is expected";
        busy = SERVICE_UNAVAILABLE, "busy", "Too much at once";
        unavailable = SERVICE_UNAVAILABLE, "core-unavailable", "The core does not answer";
        not_ready = SERVICE_UNAVAILABLE, "not-ready", "Not ready";
        internal = INTERNAL_SERVER_ERROR, "internal", "A bug of Coeur";
    }

    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            kind: kind.into(),
            title: title.into(),
            status: status.as_u16(),
            detail,
            hint: None,
            field: None,
            line: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }
}

impl From<CoreError> for Problem {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::NotFound(detail) => Self::not_found(detail),
            CoreError::Exists(detail) => Self::exists(detail),
            CoreError::Invalid(detail) => Self::invalid_field(detail),
            CoreError::Unfit(detail) => Self::unfit(detail),
            CoreError::Full(detail) => Self::limit(detail).hint("the limits of a core are in docs/configuration.md"),
            CoreError::Unavailable(detail) => Self::unavailable(detail).hint(
                "a core that died is restarted by itself; its log says why it died, and `coeur status` how often",
            ),
            CoreError::Internal(detail) => Self::internal(detail).hint("please report this, with the log of the core"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings and numbers always serialize.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"coeur\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
