//! Drawings of the cluster, with agents, executors and tasks, and of the shares over time.

use crate::run::{EitherScheduler, Sample};
use apportion::TaskId;
use apportion::simulation::Cluster;
use plotters::prelude::{
    BLUE, ChartBuilder, IntoDrawingArea, IntoFont, LineSeries, PathElement, RED, SVGBackend, WHITE,
};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// Draws each agent as a box, with a box for each executor, with a mark for each task.
pub(crate) fn draw(cluster: &Cluster<EitherScheduler>) -> String {
    let mut lines = [String::new(), String::new(), String::new(), String::new(), String::new()];
    for agent in cluster.master().state().agents {
        let mut boxes = Vec::new();
        for executor in cluster.executors().filter(|executor| executor.agent == agent.id) {
            let tasks: String = cluster.tasks_of(executor).map(mark).collect();
            let width = executor.executor.as_str().len().max(tasks.chars().count());
            boxes.push((format!("{:width$}", executor.executor.as_str()), format!("{tasks:width$}")));
        }
        let row = |part: fn(&(String, String)) -> &String| {
            boxes.iter().map(|boxed| format!("│{}│", part(boxed))).collect::<Vec<_>>().join(" ")
        };
        let (names, tasks) = (row(|boxed| &boxed.0), row(|boxed| &boxed.1));
        let width = names.chars().count().max(agent.id.as_str().len() + 2).max(10);
        let _ = write!(lines[0], "┌{:─<width$}┐ ", "");
        let _ = write!(lines[1], "│{:width$}│ ", agent.id.as_str());
        let _ = write!(lines[2], "│{names:width$}│ ");
        let _ = write!(lines[3], "│{tasks:width$}│ ");
        let _ = write!(lines[4], "└{:─<width$}┘ ", "");
    }
    lines.each_ref().map(|line| line.trim_end()).join("\n")
}

/// Returns `m` for a map, `R` for a reduce, `=` for a rank.
fn mark(task: &TaskId) -> char {
    match task.as_str().split('.').next() {
        Some("map") => 'm',
        Some("reduce") => 'R',
        _ => '=',
    }
}

/// Draws the shares over time as a strip of columns, eight steps high.
pub(crate) fn strip(samples: &[Sample], of: fn(&Sample) -> f64) -> String {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let column = samples.len().div_ceil(72).max(1);
    let mean = |chunk: &[Sample]| {
        let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        chunk.iter().map(of).sum::<f64>() / f64::from(count)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
    let step = |share: f64| STEPS[(share.clamp(0.0, 1.0) * 8.0).round() as usize];
    samples.chunks(column).map(|chunk| step(mean(chunk))).collect()
}

/// Plots the dominant shares over time.
pub(crate) fn plot(samples: &[Sample], file: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let end = samples.last().map_or(1.0, |sample| sample.at.as_secs_f64());
    let mut chart = ChartBuilder::on(&root)
        .caption("Dominant shares", ("sans-serif", 20).into_font())
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..end, 0.0..1.0)?;
    chart.configure_mesh().x_desc("seconds").y_desc("share").draw()?;
    let line = |of: fn(&Sample) -> f64| samples.iter().map(move |sample| (sample.at.as_secs_f64(), of(sample)));
    chart
        .draw_series(LineSeries::new(line(|sample| sample.hadoop), &BLUE))?
        .label("hadoop")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE));
    chart
        .draw_series(LineSeries::new(line(|sample| sample.mpi), &RED))?
        .label("mpi")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED));
    chart.configure_series_labels().border_style(BLUE).background_style(WHITE).draw()?;
    root.present()?;
    Ok(())
}
