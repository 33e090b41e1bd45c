//! Answers that are sent gzipped, where the client takes that (HTTP's `Accept-Encoding`). Streams never are: each record leaves at once.

use super::answer::Answer;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Response;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use std::io::{self, Write as _};

/// The length in bytes from which on a body is worth it, as in Mesos.
const MIN_LENGTH: usize = 1024;

/// The length in bytes from which on a body is gzipped by another thread, because it takes milliseconds.
const LONG: usize = 64 << 10;

/// Returns whether a client takes gzipped bodies.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut accepted: Option<bool> = None;
    for coding in values.flat_map(|value| value.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let is_taken = weight.and_then(|weight| weight.trim().parse().ok()).is_none_or(|weight: f32| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => return is_taken,
            "*" => accepted = Some(is_taken),
            _ => {}
        }
    }
    accepted.unwrap_or(false)
}

/// Gzips the body of an answer, if it is long enough and not encoded yet.
pub(super) async fn gzipped(mut answer: Answer) -> Answer {
    if answer.body().len() < MIN_LENGTH || answer.headers().contains_key(CONTENT_ENCODING) {
        return answer;
    }
    let body = answer.body().clone();
    let made = match body.len() >= LONG {
        true => tokio::task::spawn_blocking(move || encoded(&body)).await.map_err(io::Error::other),
        false => Ok(encoded(&body)),
    };
    match made.and_then(|made| made) {
        Ok(encoded) => {
            let headers = answer.headers_mut();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
            Box::new(Response::from_parts(answer.into_parts().0, encoded))
        }
        Err(error) => {
            tracing::warn!(%error, "an answer is not gzipped");
            answer
        }
    }
}

fn encoded(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_whether_it_takes_gzip() {
        for (value, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*;q=0, gzip", true),
            ("*", true),
            ("*, gzip;q=0.0", false),
            ("identity", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(is_accepted(&headers), expected, "{value}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
