//! [`Query`]: paths with parameters, and lists that come in pages.

use super::http::{Answer, Master};
use apportion_console::Failure;
use serde::Deserialize;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// The items of a page, as many as a master gives at once.
const PAGE: usize = 1_000;

/// A path with parameters.
#[derive(Debug, Clone)]
pub(super) struct Query {
    path: String,
    has_parameters: bool,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    total: usize,
    items: Vec<Json>,
}

impl Query {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), has_parameters: false }
    }

    /// Adds a parameter, if there is a value.
    pub(super) fn with(mut self, name: &str, value: Option<&String>) -> Self {
        if let Some(value) = value {
            self.path.push(if self.has_parameters { '&' } else { '?' });
            self.path += name;
            self.path.push('=');
            percent_encode(value, &mut self.path);
            self.has_parameters = true;
        }
        self
    }

    pub(super) fn into_path(self) -> String {
        self.path
    }

    /// Asks for all pages of a list, and returns the items. `seen` is called with each page.
    pub(super) fn pages(
        &self,
        master: &Master,
        mut seen: impl FnMut(&Answer) -> Result<(), Failure>,
    ) -> Result<Vec<Json>, Failure> {
        let mut all = Vec::new();
        loop {
            let page = self.clone().with("limit", Some(&PAGE.to_string())).with("offset", Some(&all.len().to_string()));
            let answer = master.get(&page.into_path())?;
            seen(&answer)?;
            let Page { total, items } = answer.read()?;
            let is_last = items.is_empty() || all.len() + items.len() >= total;
            all.extend(items);
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// Appends a text as it stands in a query.
fn percent_encode(text: &str, path: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => path.push(byte.into()),
            _ => write!(path, "%{byte:02X}").expect("a text takes all that is written to it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        let (role, none) = ("eng/büro&x=1".to_owned(), None);
        let query =
            Query::new("/apportion/explain").with("agent", none).with("role", Some(&role)).with("a", Some(&role));
        let encoded = "eng/b%C3%BCro%26x%3D1";
        assert_eq!(query.into_path(), format!("/apportion/explain?role={encoded}&a={encoded}"));
    }
}
