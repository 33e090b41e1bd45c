//! [`Renderer`]: the executor that makes pictures of pages.

use crate::crawler::finish;
use crate::job::{Job, Rendered};
use crate::painter::{PaintError, Painter};
use crate::workshop::{Broken, PATIENCE, Workshop};
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
        let Some(job) = Job::of_data(task.details.get("data")) else {
            return reports.failed(&task.id, "its data is no job");
        };
        let until = reports.at() + PATIENCE;
        reports.running(&task.id);
        reports.wake_at(until);
        let painter = Arc::clone(&self.painter);
        let begun = self.workshop.begin(task.id.clone(), until, move |cancelled| painter.paint(&job.page, cancelled));
        if let Err(error) = begun {
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
                Ok(picture) => finish(&task, &picture, reports),
                Err(error) => reports.failed(&task, &error.to_string()),
            }
        }
    }
}

impl Drop for Renderer {
    /// No browser outlives its renderer.
    fn drop(&mut self) {
        self.workshop.close();
    }
}
