//! Constructors of answers whose body is complete.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// An answer whose body is complete.
pub type Answer = Box<Response<Bytes>>;

/// Returns an answer in plain text, such as the reason of a refusal.
pub fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// Returns the answer 400 with its reason.
pub fn bad_request(reason: impl Into<String>) -> Answer {
    text(StatusCode::BAD_REQUEST, reason)
}

/// Returns an answer without a body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Box::new(Response::new(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// Returns the answer 405, which names the method that the endpoint has.
pub fn only(method: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("expected the method {method}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    answer
}

/// Returns an answer with a body of a media type.
pub fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Box::new(Response::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Returns the answer 200 with JSON.
pub fn json_text(json: &serde_json::Value) -> Answer {
    typed(StatusCode::OK, "application/json", json.to_string())
}
