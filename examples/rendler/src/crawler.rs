//! [`Crawler`]: an executor that fetches pages and finds their links.

use crate::job::Crawled;
use crate::page::Page;
use crate::site::{FetchError, Fetched, Site};
use crate::task_threads::{TaskError, TaskThreads};
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Fetches pages of a site, one thread per task.
#[derive(Debug)]
pub(crate) struct Crawler {
    site: Arc<Site>,
    threads: TaskThreads<Result<Crawled, CrawlError>>,
}

#[derive(Debug, thiserror::Error)]
enum CrawlError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    TaskError(#[from] TaskError),
}

impl Crawler {
    /// Returns a crawler of that site. Its threads call `waker` when a task has ended.
    pub(crate) fn new(site: Arc<Site>, waker: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { site, threads: TaskThreads::new(waker) }
    }
}

impl Executor for Crawler {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        let site = Arc::clone(&self.site);
        self.threads.launch(&task, reports, move |job, _| crawl(&site, &job.page));
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.threads.kill(&task, reports);
    }

    fn woken(&mut self, reports: &mut Reports) {
        self.threads.report(reports);
    }
}

/// Fetches a page, and resolves its links. Those to pages of the same site are distinct, in their order on the page.
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
