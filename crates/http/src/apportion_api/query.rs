//! [`Query`]: the parameters of a request.

use crate::answer::{Answer, bad_request};
use http::Uri;

/// The parameters behind the `?` of an address. Those that nobody asks for are ignored; of one that is there twice, the last one
/// counts.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Returns a parameter that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rfind(|(found, _)| found == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns a parameter that is a number of up to `most`, or its default.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, Answer> {
        let Some(value) = self.text(name) else { return Ok(default) };
        value
            .parse()
            .ok()
            .filter(|number| *number <= most)
            .ok_or_else(|| bad_request(format!("{name}: expected a number from 0 to {most}, found {value:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_last_one_counts() {
        let query = Query::of(&Uri::from_static("/x?framework=a%2Fb+c&limit=5&limit=7&empty=&_=1&%zz"));
        assert_eq!(query.text("framework"), Some("a/b c"));
        assert_eq!((query.text("empty"), query.text("nothing")), (None, None));
        assert_eq!(query.number("limit", 1, 10).unwrap(), 7);
        assert_eq!(query.number("offset", 3, 10).unwrap(), 3);
        for (name, most) in [("limit", 6), ("framework", 10)] {
            assert_eq!(query.number(name, 1, most).unwrap_err().status(), 400);
        }
        assert_eq!(Query::of(&Uri::from_static("/x")).text("a"), None);
    }
}
