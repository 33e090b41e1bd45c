//! [`Query`]: the parameters behind the `?` of a path.

use std::collections::BTreeMap;

/// The parameters of a request. Of one that is given twice the last counts, as in Mesos.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query of a URI, which may be none.
    pub(crate) fn of(uri: &http::Uri) -> Self {
        let parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(parameters.into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Keeps these parameters alone: requests that differ in others are the same.
    pub(crate) fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| names.contains(&name.as_str()));
        self
    }
}
