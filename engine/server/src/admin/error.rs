//! How the admin port says no: `{"error":{"code":…,"message":…,"field":…}}`.

use super::limits::RETRY_AFTER_S;
use crate::intake::{Fault, Refusal};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(pub(crate) Fault);

impl ApiError {
    pub(crate) fn new(code: u16, message: impl Into<String>) -> Self {
        Self(Fault::whole(code, message))
    }

    /// Too much was pending for too long.
    pub(crate) fn full() -> Self {
        Self::new(503, "too many messages are pending: nothing was published, try again later")
    }

    /// The same within a list of results.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Shown<'a> {
            code: u16,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
        }
        let Fault { code, field, message } = &self.0;
        json!({ "error": Shown { code: *code, message, field: field.as_deref() } })
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::full(),
            Refusal::Stopped => Self::new(503, "the server is ending"),
            Refusal::Bequeathed => Self::new(503, "another process has taken over: send it again"),
            Refusal::Bad(fault) => Self(fault),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, JSON, format!("{}\n", self.to_json())).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        // RFC 9110 §15.5.2: a 401 says what is asked for.
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The header of all answers with a body.
pub(crate) const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];
