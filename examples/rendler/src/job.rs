//! [`Job`]: the data of tasks and of their last statuses, between scheduler and executors.

use apportion::{Json, Resources};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The work on one page: the data of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) page: String,
}

/// The two kinds of tasks, and of executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Fetch a page and find its links.
    Crawl,
    /// Make a picture of a page.
    Render,
}

/// The result of a crawl: the data of its last status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Crawled {
    /// A page, the distinct pages of this site that it links to, and the number of its links to other sites.
    Page { title: Option<String>, links: Vec<String>, elsewhere: usize },
    /// A file of that kind, which is no page.
    File { kind: String },
    /// A redirect; `to` is none if it leads to another site.
    Moved { to: Option<String> },
    /// No such page, and why.
    Missing { why: String },
}

/// The result of a render: the data of its last status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rendered {
    /// The name of its file in the folder of pictures.
    pub(crate) file: String,
    pub(crate) kind: PictureKind,
}

/// The kind of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PictureKind {
    /// A screenshot by a browser.
    Screenshot,
    /// A card with the title and the first words of the page.
    Card,
}

impl Kind {
    /// Returns the resources of a task of this kind.
    pub(crate) fn size(self) -> Resources {
        let size = match self {
            Self::Crawl => "cpus:0.25;mem:32",
            Self::Render => "cpus:1;mem:256",
        };
        size.parse().expect("these are resources")
    }

    /// Returns the id of the executor that runs tasks of this kind, one on each agent.
    pub(crate) fn executor(self) -> &'static str {
        match self {
            Self::Crawl => "crawler",
            Self::Render => "renderer",
        }
    }
}

impl Job {
    /// Returns the data of the task (bytes, which in v1 JSON are base64).
    pub(crate) fn to_data(&self) -> String {
        BASE64_STANDARD.encode(serde_json::to_vec(self).expect("a job has a JSON form"))
    }

    /// Returns the job in the field `data` of a task.
    pub(crate) fn from_data(data: Option<&Json>) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(&*data?.as_str()?).ok()?;
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
