//! [`Job`]: what scheduler and executors say to each other.

use apportion::Resources;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::fmt;

/// Something to be done with a page: the data of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) page: String,
}

/// The two kinds of tasks, and of executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Fetch a page and tell where its links lead.
    Crawl,
    /// Make a picture of a page.
    Render,
}

/// What a crawl has found: the data of its last status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Crawled {
    /// A page, and the pages of this site that it has links to, each once; and how many links lead elsewhere.
    Page { title: Option<String>, links: Vec<String>, elsewhere: usize },
    /// No page but a file of that kind.
    File { kind: String },
    /// It is elsewhere: on a page of this site, if one is named.
    Moved { to: Option<String> },
    /// There is no such page, and why.
    Missing { why: String },
}

/// A picture: the data of the last status of a render.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rendered {
    /// The name of its file in the folder of pictures.
    pub(crate) file: String,
    pub(crate) sort: Sort,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    /// The page, as a browser draws it.
    Screenshot,
    /// Title and first words of the page.
    Card,
}

impl Kind {
    /// What a task of this kind takes.
    pub(crate) fn size(self) -> Resources {
        let size = match self {
            Self::Crawl => "cpus:0.25;mem:32",
            Self::Render => "cpus:1;mem:256",
        };
        size.parse().expect("these are resources")
    }

    /// The id of the executor on each agent that runs tasks of this kind.
    pub(crate) fn executor(self) -> &'static str {
        match self {
            Self::Crawl => "crawler",
            Self::Render => "renderer",
        }
    }
}

impl Job {
    /// The data of the task (bytes, which in v1 JSON are base64).
    pub(crate) fn to_data(&self) -> String {
        BASE64_STANDARD.encode(serde_json::to_vec(self).expect("a job has a JSON form"))
    }

    /// The job of a task, by its field `data`.
    pub(crate) fn of_data(data: Option<&Json>) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(data?.as_str()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            Kind::Crawl => "crawl",
            Kind::Render => "render",
        };
        write!(f, "{verb} {}", self.page)
    }
}
