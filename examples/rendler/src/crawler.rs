//! [`Crawler`]: the executor that fetches pages and tells where their links lead.

use crate::job::{Crawled, Job};
use crate::page::Page;
use crate::site::{FetchError, Fetched, Site};
use crate::workshop::{Broken, PATIENCE, Workshop};
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId, TaskState, TaskStatus};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Fetches pages of a site, several at a time.
#[derive(Debug)]
pub(crate) struct Crawler {
    site: Arc<Site>,
    workshop: Workshop<Result<Crawled, CrawlError>>,
}

#[derive(Debug, thiserror::Error)]
enum CrawlError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Crawler {
    /// A crawler of that site; whoever hears the bell is to wake it.
    pub(crate) fn new(site: Arc<Site>, bell: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { site, workshop: Workshop::new(bell) }
    }
}

impl Executor for Crawler {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        let Some(job) = Job::of_data(task.details.get("data")) else {
            return reports.failed(&task.id, "its data is no job");
        };
        let until = reports.at() + PATIENCE;
        reports.running(&task.id);
        reports.wake_at(until);
        let site = Arc::clone(&self.site);
        if let Err(error) = self.workshop.begin(task.id.clone(), until, move |_| crawl(&site, &job.page)) {
            reports.failed(&task.id, &error.to_string());
        }
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.workshop.cancel(&task);
        reports.killed(&task);
    }

    fn woken(&mut self, reports: &mut Reports) {
        for task in self.workshop.late(reports.at()) {
            reports.failed(&task, &Broken::Late.to_string());
        }
        for (task, result) in self.workshop.done() {
            match result {
                Ok(found) => finish(&task, &found, reports),
                Err(error) => reports.failed(&task, &error.to_string()),
            }
        }
    }
}

/// Says that a task has ended well, and with what result. A status is acknowledged, a message may get lost.
pub(crate) fn finish(task: &TaskId, result: &impl serde::Serialize, reports: &mut Reports) {
    let mut status = TaskStatus::new(task.clone(), TaskState::Finished);
    status.data = serde_json::to_vec(result).ok();
    reports.update(status);
}

/// Fetches a page; its links to pages of the same site, each once, in their order on the page.
fn crawl(site: &Site, page: &str) -> Result<Crawled, CrawlError> {
    Ok(match site.fetch(page)? {
        Fetched::Html(html) => {
            let read = Page::read(&html);
            let (mut known, mut links, mut elsewhere) = (BTreeSet::new(), Vec::new(), 0);
            for href in read.links {
                match site.link(page, read.base.as_deref(), &href) {
                    Some(link) if known.insert(link.clone()) => links.push(link),
                    Some(_) => {}
                    None => elsewhere += 1,
                }
            }
            Crawled::Page { title: read.title, links, elsewhere }
        }
        Fetched::File(kind) => Crawled::File { kind },
        Fetched::Moved(to) => Crawled::Moved { to: site.link(page, None, &to) },
        Fetched::Missing(why) => Crawled::Missing { why },
    })
}
