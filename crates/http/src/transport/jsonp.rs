//! JSONP: `?jsonp=f` makes a script of a JSON answer, for pages of other hosts.

use crate::transport::answer::{Answer, bad_request};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{StatusCode, Uri};

/// The longest name of a callback in bytes.
const MAX_NAME: usize = 128;

/// Returns an answer as the script that the query asks for, if it does and the answer is JSON.
pub fn wrapped(asked: &Uri, mut answer: Answer) -> Answer {
    let query = asked.query().unwrap_or_default();
    let Some((_, callback)) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "jsonp") else {
        return answer;
    };
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|found| found == "application/json");
    if answer.status() != StatusCode::OK || !is_json {
        return answer;
    }
    if !is_name(&callback) {
        return bad_request(format!("jsonp: expected the name of a function, found {callback:?}"));
    }
    let json = String::from_utf8_lossy(answer.body());
    // JSON may have these two in texts, scripts of old may not.
    let json = json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    *answer.body_mut() = Bytes::from(format!("{callback}({json});"));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Returns whether a text is the name of a function, as in `f` or `angular.callbacks._0`: nothing else may stand in a script.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))
    };
    text.len() <= MAX_NAME && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::answer::{empty, typed};

    fn json() -> Answer {
        typed(StatusCode::OK, "application/json", "{\"a\":\"\u{2028}\"}")
    }

    #[test]
    fn json_becomes_a_call() {
        let answer = wrapped(&Uri::from_static("/state?x=1&jsonp=angular.callbacks._0"), json());
        assert_eq!(&answer.body()[..], b"angular.callbacks._0({\"a\":\"\\u2028\"});");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/javascript");
        assert_eq!(wrapped(&Uri::from_static("/state"), json()).headers()[CONTENT_TYPE], "application/json");
        assert!(wrapped(&Uri::from_static("/health?jsonp=f"), empty(StatusCode::OK)).body().is_empty());
    }

    #[test]
    fn only_names_are_called() {
        for wrong in ["", "1f", "a%20b", "alert(1)//", "f%3Bg", "a..b", ".a", "a%5B0%5D", "%3Cscript%3E", "\u{e4}"] {
            let asked: Uri = format!("/state?jsonp={}", wrong.replace('\u{e4}', "%C3%A4")).parse().unwrap();
            assert_eq!(wrapped(&asked, json()).status(), 400, "{wrong}");
        }
        let long = format!("/state?jsonp={}", "a".repeat(MAX_NAME + 1));
        assert_eq!(wrapped(&long.parse().unwrap(), json()).status(), 400);
    }
}
