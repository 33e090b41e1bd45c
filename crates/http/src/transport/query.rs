//! [`Query`]: the parameters behind the `?` of a path.

use crate::transport::answer::{Answer, bad_request};
use http::Uri;
use std::collections::BTreeMap;

/// The parameters of a request. Those that nobody asks for are ignored; of one that is given twice the last counts, as in Mesos.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query of a URI, which may be none.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        let parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(parameters.into_owned().collect())
    }

    /// Returns a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a parameter that is there and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns a parameter that is a number of up to `most`, or its default.
    ///
    /// # Errors
    ///
    /// The answer 400 for anything else.
    pub fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, Answer> {
        let Some(value) = self.text(name) else { return Ok(default) };
        value
            .parse()
            .ok()
            .filter(|number| *number <= most)
            .ok_or_else(|| bad_request(format!("{name}: expected a number from 0 to {most}, found {value:?}")))
    }

    /// Keeps these parameters alone: requests that differ in others are the same.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| names.contains(&name.as_str()));
        self
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
