//! Drawings of the cluster, with agents, executors and tasks, and of the shares over time.

use crate::run::{EitherScheduler, Sample};
use apportion::TaskId;
use apportion::simulation::Cluster;
use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor, SVGBackend, TRANSPARENT, Text,
    WHITE,
};
use std::error::Error;
use std::fmt::Write as _;

/// Draws each agent as a box, with a box for each executor, with a mark for each task; as many side by side as fit.
pub(crate) fn draw(cluster: &Cluster<EitherScheduler>, columns: usize) -> String {
    let (mut bands, mut used): (Vec<[String; 5]>, usize) = (Vec::new(), columns);
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
        if used + width + 2 > columns {
            bands.push(Default::default());
            used = 0;
        }
        used += width + 3; // two sides, and a blank
        if let Some([top, id, first, second, bottom]) = bands.last_mut() {
            let _ = write!(top, "┌{:─<width$}┐ ", "");
            let _ = write!(id, "│{:width$}│ ", agent.id.as_str());
            let _ = write!(first, "│{names:width$}│ ");
            let _ = write!(second, "│{tasks:width$}│ ");
            let _ = write!(bottom, "└{:─<width$}┘ ", "");
        }
    }
    bands.iter().flatten().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Returns `m` for a map, `R` for a reduce, `=` for a rank.
fn mark(task: &TaskId) -> char {
    match task.as_str().split('.').next() {
        Some("map") => 'm',
        Some("reduce") => 'R',
        _ => '=',
    }
}

/// Draws the shares over time as a strip of at most that many columns, eight steps high.
pub(crate) fn strip(samples: &[Sample], columns: usize, of: fn(&Sample) -> f64) -> String {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let column = samples.len().div_ceil(columns.max(1)).max(1);
    let mean = |chunk: &[Sample]| {
        let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        chunk.iter().map(of).sum::<f64>() / f64::from(count)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
    let step = |share: f64| STEPS[(share.clamp(0.0, 1.0) * 8.0).round() as usize];
    samples.chunks(column).map(|chunk| step(mean(chunk))).collect()
}

/// The size of the plot, and the column from which on its legend stands.
const SIZE: (u32, u32) = (960, 420);
const LEGEND: i32 = 850;

/// A framework of the plot: its name, its colour (two that all eyes tell apart), and its share.
type Curve = (&'static str, RGBColor, fn(&Sample) -> f64);
const CURVES: [Curve; 2] =
    [("hadoop", RGBColor(0, 114, 178), |sample| sample.hadoop), ("mpi", RGBColor(213, 94, 0), |sample| sample.mpi)];

/// Plots the dominant shares over time, as SVG. A share lasts until the next sample, so the curves are steps.
pub(crate) fn plot(samples: &[Sample]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(LEGEND);
        let end = samples.last().map_or(1.0, |sample| sample.at.as_secs_f64());
        let mut chart = ChartBuilder::on(&left)
            .caption("Dominant shares", ("sans-serif", 20).into_font())
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(0.0..end, 0.0..1.0)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("seconds").y_desc("share").bold_line_style(RGBColor(232, 232, 232)).light_line_style(TRANSPARENT);
        mesh.draw()?;
        for (row, (name, colour, of)) in (0_i32..).zip(CURVES) {
            let values = samples.iter().map(|sample| (sample.at.as_secs_f64(), of(sample)));
            let ends = samples.iter().skip(1).map(|sample| sample.at.as_secs_f64()).chain([end]);
            let steps = values.zip(ends).flat_map(|((at, share), end)| [(at, share), (end, share)]);
            chart.draw_series(LineSeries::new(steps, colour.stroke_width(2)))?;
            let y = 60 + 24 * row;
            right.draw(&PathElement::new([(0, y), (24, y)], colour.stroke_width(2)))?;
            right.draw(&Text::new(name, (30, y - 7), ("sans-serif", 15).into_font()))?;
        }
        root.present()?;
    }
    Ok(svg)
}
