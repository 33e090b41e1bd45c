//! The pages for people at `/`: their files are in the programs, so they work without any network but that of their server.

use crate::transport::answer::{Answer, empty, only, typed};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, StatusCode};

/// What the page may load and do: its own files, and questions to the master that it comes from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of a page.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Its path; empty for the page itself.
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static FILES: [File; 9] = [
    File::page(include_str!("../page/index.html")),
    File::script("page/dom.js", include_str!("../page/dom.js")),
    File::script("page/events.js", include_str!("../page/events.js")),
    File::script("page/format.js", include_str!("../page/format.js")),
    File::script("page/framework.js", include_str!("../page/framework.js")),
    File { path: "page/icon.svg", content_type: "image/svg+xml", text: include_str!("../page/icon.svg") },
    File::script("page/lists.js", include_str!("../page/lists.js")),
    File::script("page/page.js", include_str!("../page/page.js")),
    File::style("page/style.css", include_str!("../page/style.css")),
];

impl File {
    /// Returns the page itself.
    #[must_use]
    pub const fn page(text: &'static str) -> Self {
        Self { path: "", content_type: HTML, text }
    }

    /// Returns a script. Its path has no slash in front.
    #[must_use]
    pub const fn script(path: &'static str, text: &'static str) -> Self {
        Self { path, content_type: SCRIPT, text }
    }

    /// Returns a style sheet. Its path has no slash in front.
    #[must_use]
    pub const fn style(path: &'static str, text: &'static str) -> Self {
        Self { path, content_type: STYLE, text }
    }

    /// Returns the path, without a slash in front; empty for the page itself.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the file of the master's page at that path, without a slash in front. Pages of others may use its scripts and its
    /// style.
    #[must_use]
    pub fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// Returns whether it is the page itself, to which a browser goes.
    pub(crate) fn is_page(&self) -> bool {
        self.path.is_empty()
    }

    /// Answers with the file, or that the browser has it already. The page may load its own files alone, and ask its own server
    /// alone.
    #[must_use]
    pub fn answer(&self, request: &Request<Bytes>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return only("GET");
        }
        let tag = format!("\"{:016x}\"", fnv1a(self.text.as_bytes()));
        let known = request.headers().get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
        let is_known = known.flat_map(|tags| tags.split(',')).any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
        });
        let mut answer = if is_known {
            empty(StatusCode::NOT_MODIFIED)
        } else {
            typed(StatusCode::OK, self.content_type, self.text)
        };
        let fixed: [(HeaderName, &'static str); 4] = [
            (CACHE_CONTROL, "no-cache"), // the browser asks whether its copy is the latest
            (CONTENT_SECURITY_POLICY, POLICY),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let headers = answer.headers_mut();
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.extend(HeaderValue::from_str(&tag).map(|tag| (ETAG, tag)));
        answer
    }
}

/// Returns the FNV-1a hash of a text: it tells versions of a file apart, and is the same on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(file: &File, header: Option<(HeaderName, &str)>) -> Answer {
        let mut request = Request::get("/").body(Bytes::new()).unwrap();
        request.headers_mut().extend(header.map(|(name, value)| (name, value.parse().unwrap())));
        file.answer(&request)
    }

    #[test]
    fn a_file_is_sent_once() {
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        for file in &FILES {
            let first = ask(file, None);
            assert_eq!(first.status(), StatusCode::OK);
            let tag = first.headers()[ETAG].to_str().unwrap();
            for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
                let again = ask(file, Some((IF_NONE_MATCH, &known)));
                assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
                assert_eq!(again.headers()[ETAG].to_str().unwrap(), tag);
            }
            assert_eq!(ask(file, Some((IF_NONE_MATCH, "\"other\""))).status(), StatusCode::OK);
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        let index = File::at("").unwrap().text;
        for forbidden in ["style=", "onclick", "<style", "http://", "https://", "javascript:"] {
            assert!(!index.contains(forbidden), "{forbidden}");
        }
        assert_eq!((index.matches("<script").count(), index.matches("<script src=\"page/").count()), (1, 1));
        let by_text =
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "createContextualFragment"];
        for script in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for forbidden in by_text {
                assert!(!script.text.contains(forbidden), "ids are hostile, {} has {forbidden}", script.path);
            }
        }
    }

    #[test]
    fn every_file_that_is_named_is_there() {
        for file in &FILES {
            for quote in ['"', '\''] {
                let named = file.text.split(quote).filter(|text| {
                    ["./", "page/"].iter().any(|folder| text.starts_with(folder))
                        && text.contains('.')
                        && !text.contains(' ')
                });
                for path in named.map(|path| path.replace("./", "page/")) {
                    assert!(File::at(&path).is_some(), "{} names {path}", file.path);
                }
            }
        }
    }
}
