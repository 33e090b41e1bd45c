//! [`Encoding`]: JSON or protobuf, as the headers of a request choose.

use crate::protobuf::{MessageType, Protobuf};
use crate::transport::answer::{Answer, bad_request, text};
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;

/// The encoding of messages: the v1 API has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the v1 API has these two")]
pub enum Encoding {
    /// JSON.
    Json,
    /// Protobuf.
    Protobuf,
}

impl Encoding {
    /// Returns the media type, as it stands in headers.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => Protobuf::CONTENT_TYPE,
        }
    }

    /// Returns the encoding of the body of a request. Case and parameters do not matter.
    ///
    /// # Errors
    ///
    /// The answer 415 for another media type, 400 for none.
    pub fn of_body(headers: &HeaderMap) -> Result<Self, Answer> {
        let expected = "'Content-Type' of application/json or application/x-protobuf";
        let Some(found) = headers.get(CONTENT_TYPE) else {
            return Err(bad_request(format!("expected a {expected}")));
        };
        let found = found.to_str().unwrap_or_default();
        let is = |known: Self| essence(found).eq_ignore_ascii_case(known.content_type());
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|known| is(*known))
            .ok_or_else(|| text(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected a {expected}, found {found:?}")))
    }

    /// Returns the encoding of the answer: JSON if the client takes it.
    ///
    /// # Errors
    ///
    /// The answer 406 if the client takes neither.
    pub fn of_answer(headers: &HeaderMap) -> Result<Self, Answer> {
        let values = headers.get_all(ACCEPT).iter().map(|value| value.to_str().unwrap_or_default());
        let accepted = values.collect::<Vec<_>>().join(",");
        if accepted.split(',').all(|range| range.trim().is_empty()) {
            return Ok(Self::Json);
        }
        let takes = |known: &Self| accepted.split(',').any(|range| allows(range, known.content_type()));
        [Self::Json, Self::Protobuf].into_iter().find(takes).ok_or_else(|| {
            let expected = "expected an 'Accept' of application/json or application/x-protobuf";
            text(StatusCode::NOT_ACCEPTABLE, format!("{expected}, found {accepted:?}"))
        })
    }

    /// Returns the encoding of the messages of a stream. A client that accepts `application/recordio` names it in `Message-Accept`, JSON
    /// if it does not.
    ///
    /// # Errors
    ///
    /// The answer 406 if the client takes neither.
    pub fn of_stream(headers: &HeaderMap) -> Result<Self, Answer> {
        if !accepts_record_io(headers) {
            return Self::of_answer(headers);
        }
        let messages = headers.get_all(MESSAGE_ACCEPT).iter().map(|value| (ACCEPT, value.clone()));
        Self::of_answer(&messages.collect())
    }

    /// Names the encoding in the headers of a stream, in the way in which the request asked for it.
    pub fn describe_stream(self, request: &HeaderMap, answer: &mut HeaderMap) {
        let content_type = HeaderValue::from_static(self.content_type());
        if accepts_record_io(request) {
            answer.insert(CONTENT_TYPE, HeaderValue::from_static(RECORD_IO));
            answer.insert(MESSAGE_CONTENT_TYPE, content_type);
        } else {
            answer.insert(CONTENT_TYPE, content_type);
        }
    }

    /// Returns a message as JSON. Bytes that are no message of that type are answered with 400.
    ///
    /// # Errors
    ///
    /// The answer 400 for bytes that are no message of that type.
    pub fn to_json(self, message: MessageType, body: &[u8]) -> Result<Cow<'_, str>, Answer> {
        match self {
            Self::Protobuf => message.to_json(body).map(Cow::Owned).map_err(|error| bad_request(error.to_string())),
            Self::Json => {
                let json = str::from_utf8(body).map_err(|error| bad_request(format!("not JSON: {error}")))?;
                // Details that the library keeps as they are have the types of the API, too: they can go out as protobuf.
                message.from_json(json).map_err(|error| bad_request(error.to_string()))?;
                Ok(Cow::Borrowed(json))
            }
        }
    }
}

/// The media type of a stream of records, whatever these are.
const RECORD_IO: &str = "application/recordio";

/// The encodings of the messages in a stream that a client takes.
const MESSAGE_ACCEPT: HeaderName = HeaderName::from_static("message-accept");

/// The encoding of the messages in a stream.
const MESSAGE_CONTENT_TYPE: HeaderName = HeaderName::from_static("message-content-type");

fn accepts_record_io(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| essence(range).eq_ignore_ascii_case(RECORD_IO))
}

/// Returns a media type without its parameters.
fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// Returns whether a range of an `Accept` header allows a media type.
fn allows(range: &str, content_type: &str) -> bool {
    let essence = essence(range);
    let weight = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    let is_refused = weight.and_then(|weight| weight.trim().parse().ok()).is_some_and(|weight: f32| weight <= 0.0);
    !is_refused
        && (essence == "*/*"
            || essence.eq_ignore_ascii_case("application/*")
            || essence.eq_ignore_ascii_case(content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let value = (!value.is_empty()).then(|| HeaderValue::from_static(value));
        value.map(|value| (name.parse().unwrap(), value)).into_iter().collect()
    }

    #[test]
    fn the_content_type_is_read_without_case_and_parameters() {
        for (value, expected) in [
            ("application/json", Ok(Encoding::Json)),
            ("Application/JSON; charset=utf-8", Ok(Encoding::Json)),
            ("application/x-protobuf", Ok(Encoding::Protobuf)),
            ("application/x-protobuffer", Err(415)),
            ("text/plain", Err(415)),
            ("", Err(400)),
        ] {
            let found = Encoding::of_body(&headers("content-type", value)).map_err(|answer| answer.status().as_u16());
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn json_is_preferred_unless_it_is_not_accepted() {
        for (value, expected) in [
            ("", Ok(Encoding::Json)),
            ("*/*", Ok(Encoding::Json)),
            ("application/*", Ok(Encoding::Json)),
            ("application/json", Ok(Encoding::Json)),
            ("application/x-protobuf", Ok(Encoding::Protobuf)),
            ("application/x-protobuf, application/json", Ok(Encoding::Json)),
            ("application/json;q=0, */*;q=0.5", Ok(Encoding::Json)), // */* allows it again
            ("application/json;q=0, application/x-protobuf", Ok(Encoding::Protobuf)),
            ("text/html, application/x-protobuf;q=0.1", Ok(Encoding::Protobuf)),
            ("text/html", Err(406)),
            ("application/json;q=0", Err(406)),
        ] {
            let found = Encoding::of_answer(&headers("accept", value)).map_err(|answer| answer.status().as_u16());
            assert_eq!(found, expected, "{value}");
        }
    }
}
