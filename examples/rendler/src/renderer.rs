//! [`Renderer`]: an executor that makes pictures of pages.

use crate::job::Rendered;
use crate::painter::{PaintError, Painter};
use crate::task_threads::TaskThreads;
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId};
use std::sync::Arc;
use std::time::Duration;

/// Makes pictures of the pages of a site, one thread per task.
#[derive(Debug)]
pub(crate) struct Renderer {
    painter: Arc<Painter>,
    threads: TaskThreads<Result<Rendered, PaintError>>,
}

impl Renderer {
    /// Returns a renderer that uses that painter. Its threads call `waker` when a task has ended.
    pub(crate) fn new(painter: Arc<Painter>, waker: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { painter, threads: TaskThreads::new(waker) }
    }
}

impl Executor for Renderer {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        let painter = Arc::clone(&self.painter);
        self.threads.launch(&task, reports, move |job, cancelled| painter.paint(&job.page, cancelled));
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.threads.kill(&task, reports);
    }

    fn woken(&mut self, reports: &mut Reports) {
        self.threads.report(reports);
    }
}

impl Drop for Renderer {
    /// Kills all browsers.
    fn drop(&mut self) {
        self.threads.close();
    }
}
