//! [`Renderer`]: the executor that makes pictures of pages.

use crate::job::Rendered;
use crate::painter::{PaintError, Painter};
use crate::workshop::Workshop;
use apportion::executor::{Executor, Reports};
use apportion::{Task, TaskId};
use std::sync::Arc;
use std::time::Duration;

/// Makes pictures of the pages of a site, several at a time.
#[derive(Debug)]
pub(crate) struct Renderer {
    painter: Arc<Painter>,
    workshop: Workshop<Result<Rendered, PaintError>>,
}

impl Renderer {
    /// A renderer that has pictures made so; whoever hears the bell is to wake it.
    pub(crate) fn new(painter: Arc<Painter>, bell: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { painter, workshop: Workshop::new(bell) }
    }
}

impl Executor for Renderer {
    fn launch(&mut self, task: Task, reports: &mut Reports) {
        let painter = Arc::clone(&self.painter);
        self.workshop.launch(&task, reports, move |job, cancelled| painter.paint(&job.page, cancelled));
    }

    fn kill(&mut self, task: TaskId, _: Option<Duration>, reports: &mut Reports) {
        self.workshop.kill(&task, reports);
    }

    fn woken(&mut self, reports: &mut Reports) {
        self.workshop.report(reports);
    }
}

impl Drop for Renderer {
    /// No browser outlives its renderer.
    fn drop(&mut self) {
        self.workshop.close();
    }
}
