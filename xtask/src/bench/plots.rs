// SPDX-License-Identifier: GPL-2.0

//! Plots of a run, as SVG: cost against rules, layers and the length of the name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::figures::Figures;
use crate::cache;

const SIZE: (u32, u32) = (900, 560);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(200, 70, 0),
    RGBColor(0, 130, 70),
    RGBColor(150, 0, 120),
    RGBColor(110, 110, 110),
    RGBColor(160, 120, 0),
];

/// A line: its legend, and a figure for each place on the axis.
struct Line {
    legend: &'static str,
    figures: Vec<(f64, String)>,
}

/// A plot.
struct Plot {
    file: &'static str,
    title: &'static str,
    axis: &'static str,
    lines: Vec<Line>,
}

/// A line of figures whose names have `{}` where the number stands; one layer is not written.
fn line(legend: &'static str, pattern: &str, places: &[u32]) -> Line {
    let name = |place: u32| match pattern.strip_suffix("/x{}") {
        Some(setting) if place == 1 => setting.to_owned(),
        _ => pattern.replace("{}", &place.to_string()),
    };
    Line {
        legend,
        figures: places
            .iter()
            .map(|&place| (f64::from(place), name(place)))
            .collect(),
    }
}

fn plots() -> Vec<Plot> {
    let rules = |legend, pattern| line(legend, pattern, &[1, 10, 1000, 10_000]);
    let layers = |legend, pattern| line(legend, pattern, &[1, 4, 16, 64]);
    let bytes = |legend, setting| {
        line(
            legend,
            &format!("open-{{}}b {setting}"),
            &[20, 40, 80, 160, 320, 640, 1280],
        )
    };
    vec![
        Plot {
            file: "rules.svg",
            title: "open and close: instructions added, against the number of rules",
            axis: "rules",
            lines: vec![
                rules("Landlock", "open landlock/{}"),
                rules("evfilter, names", "open evfilter/name-{}"),
                rules("evfilter, names and objects", "open evfilter/object-{}"),
                rules("evfilter, paths that grant", "open evfilter/grants-{}"),
            ],
        },
        Plot {
            file: "layers-calls.svg",
            title: "getppid: instructions added, against the number of layers",
            axis: "layers",
            lines: vec![
                layers("seccomp, by number", "getppid seccomp/numbers/x{}"),
                layers("seccomp, 10 compares", "getppid seccomp/args-10/x{}"),
                layers("evfilter, by number", "getppid evfilter/numbers/x{}"),
                layers("evfilter, 10 compares", "getppid evfilter/args-10/x{}"),
            ],
        },
        Plot {
            file: "layers-names.svg",
            title: "open and close: instructions added, against the number of layers",
            axis: "layers",
            lines: vec![
                layers("Landlock, 10 rules", "open landlock/10/x{}"),
                layers("evfilter, names", "open evfilter/name-10/x{}"),
                layers("evfilter, names and objects", "open evfilter/object-10/x{}"),
                layers("evfilter, paths that grant", "open evfilter/grants-10/x{}"),
            ],
        },
        Plot {
            file: "length.svg",
            title: "open and close: instructions added, against the length of the name",
            axis: "bytes",
            lines: vec![
                bytes("Landlock, 10 rules", "landlock/10"),
                bytes("evfilter, names, 3 rules", "evfilter/name-3"),
                bytes("evfilter, names, 10,000 rules", "evfilter/name-10000"),
                bytes("evfilter, names and objects", "evfilter/object-10"),
                bytes("evfilter, paths that grant", "evfilter/grants-10"),
                bytes("evfilter, paths that deny, too", "evfilter/paths-10"),
            ],
        },
    ]
}

/// Draws the plots for which there are figures into `dir`; the files.
pub(crate) fn draw(figures: &Figures, dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for plot in plots() {
        let path = dir.join(plot.file);
        if let Some(svg) = svg(&plot, figures)? {
            cache::write_atomically(&path, svg)?;
            files.push(path);
        } else if path.exists() {
            // From an earlier run; it would be taken for one of this.
            fs::remove_file(&path)?;
        }
    }
    Ok(files)
}

/// A plot as text; `None` if not a single figure of it was measured.
fn svg(plot: &Plot, figures: &Figures) -> Result<Option<String>> {
    let lines: Vec<(&str, Vec<(f64, f64)>)> = plot
        .lines
        .iter()
        .map(|line| {
            // Both axes are logarithmic, on which there is no place for nothing.
            let point = |(x, name): &(f64, String)| Some((*x, figures.cost(name)?.max(1.0)));
            (line.legend, line.figures.iter().filter_map(point).collect())
        })
        .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
        .collect();
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let bounds = |values: Vec<f64>| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        (least * 0.8)..(most * 1.3)
    };
    if lines.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(plot.title, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(
                bounds(all().map(|(x, _)| x).collect()).log_scale(),
                bounds(all().map(|(_, y)| y).collect()).log_scale(),
            )
            .map_err(failed)?;
        let number = |value: &f64| format!("{value:.0}");
        chart
            .configure_mesh()
            .x_desc(plot.axis)
            .y_desc("instructions")
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(failed)?;
        for ((legend, points), colour) in lines.iter().zip(COLOURS) {
            chart
                .draw_series(
                    LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3),
                )
                .map_err(failed)?
                .label(*legend)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(RGBColor(200, 200, 200))
            .draw()
            .map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(Some(text))
}

/// The drawing library's errors borrow what it draws on.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("draw a plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::figures;

    #[test]
    fn lines_name_figures_and_one_layer_has_no_number() {
        let names = |line: Line| {
            line.figures
                .into_iter()
                .map(|(_, name)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(line("", "open landlock/{}", &[1, 10])),
            ["open landlock/1", "open landlock/10"]
        );
        assert_eq!(
            names(line("", "open a/x{}", &[1, 4])),
            ["open a", "open a/x4"]
        );
    }

    #[test]
    fn only_plots_with_figures_are_drawn_and_old_ones_go() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("length.svg"), "old").expect("file");
        let figures = figures(&[
            ("open none", 5000.0),
            ("open landlock/1", 6400.0),
            ("open landlock/10", 6410.0),
            ("open evfilter/name-10", 5350.0),
        ]);
        let files = draw(&figures, dir.path()).expect("plots");
        assert_eq!(
            files,
            [
                dir.path().join("rules.svg"),
                dir.path().join("layers-names.svg")
            ]
        );
        let svg = fs::read_to_string(&files[0]).expect("a plot");
        assert!(
            svg.contains("Landlock")
                && svg.contains("evfilter, names")
                && !svg.contains("paths that grant")
        );
        assert!(!dir.path().join("length.svg").exists());
    }
}
