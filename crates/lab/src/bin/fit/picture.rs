//! The plot of how busy the batch scheduler is, by how long the other one thinks.

use crate::omega::{Outcome, Remedy};
use clap::ValueEnum;
use plotters::prelude::*;
use std::error::Error;

/// The size of the plot, and the column from which on its legend stands.
const SIZE: (u32, u32) = (760, 360);
const LEGEND: i32 = 600;

/// Returns the colour of a curve: three that all eyes tell apart.
fn colour(remedy: Remedy) -> RGBColor {
    match remedy {
        Remedy::None => RGBColor(213, 94, 0),
        Remedy::Timeout => RGBColor(120, 120, 120),
        Remedy::Bounds => RGBColor(0, 114, 178),
    }
}

/// Plots the busyness of the batch scheduler, as SVG, with a curve for each remedy.
pub(crate) fn plot(outcomes: &[Outcome]) -> Result<String, Box<dyn Error>> {
    let times = || outcomes.iter().map(|outcome| outcome.thinking);
    let (first, last) = (times().fold(f64::MAX, f64::min), times().fold(0.0, f64::max));
    let busiest = outcomes.iter().map(|outcome| outcome.batch.busy).fold(0.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(LEGEND);
        let mut chart = ChartBuilder::on(&left)
            .caption("The batch scheduler is busy", ("sans-serif", 18).into_font())
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(48)
            .build_cartesian_2d((first..last).log_scale(), 0.0..(busiest * 1.1).max(0.1))?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("seconds for which the service scheduler thinks about a job").y_desc("part of the time");
        mesh.bold_line_style(RGBColor(232, 232, 232)).light_line_style(TRANSPARENT);
        mesh.draw()?;
        let curves = Remedy::value_variants().iter().filter(|remedy| outcomes.iter().any(|run| run.remedy == **remedy));
        for (row, remedy) in (0_i32..).zip(curves) {
            let colour = colour(*remedy);
            let points =
                || outcomes.iter().filter(|run| run.remedy == *remedy).map(|run| (run.thinking, run.batch.busy));
            chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
            chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
            let y = 60 + 24 * row;
            right.draw(&PathElement::new([(0, y), (24, y)], colour.stroke_width(2)))?;
            right.draw(&Text::new(remedy.name(), (30, y - 7), ("sans-serif", 14).into_font()))?;
        }
        root.present()?;
    }
    Ok(svg)
}
