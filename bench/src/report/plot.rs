//! Plots as SVG: lines over an axis, and bars of ratios.
//!
//! No font of this machine is asked for: the text is written as text, in whatever the reader's
//! program takes for `sans-serif`.

use eyre::{Result, eyre};
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter as _;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use super::scale::Kind;
use super::scale::{Scale, number};

/// Lines over an axis, one for each server.
#[derive(Debug, Clone)]
pub struct Lines {
    /// What is shown, and of what load.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines; those without a point are left out.
    pub series: Vec<Series>,
}

/// An axis: what it counts, unit included, and how it is divided.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Such as `latency, µs`.
    pub label: String,
    /// How it is divided.
    pub kind: Kind,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Series {
    /// The server's name; decides its colour, which is the same in all plots.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked: for points that were measured, rather than a curve.
    pub marked: bool,
}

/// Bars of ratios to a base, in groups.
#[derive(Debug, Clone)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// What the bars count, such as `CPU per delivery / bun`.
    pub label: String,
    /// The bars of each group, in the order of `names`.
    pub names: Vec<String>,
    /// Name and values; a value that is missing leaves its place empty.
    pub groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Lines {
    /// Draws it.
    ///
    /// # Errors
    /// When nothing can be drawn, which a defect in here would be.
    pub fn svg(&self) -> Result<String> {
        drawn(&self.title, |root| self.draw(root))
    }

    fn draw(&self, root: &Area<'_>) -> Drawn {
        let (area, side) = frame(root, &self.title)?;
        let shown = Vec::from_iter(self.series.iter().filter(|series| !series.points.is_empty()));
        let points = || shown.iter().flat_map(|series| series.points.iter());
        let x = Scale::fitting(self.x.kind, points().map(|point| point.0));
        let y = Scale::fitting(self.y.kind, points().map(|point| point.1));
        let (x_text, y_text) = (x.clone(), y.clone());
        let mut chart = ChartBuilder::on(&area)
            .margin_right(28)
            .x_label_area_size(52)
            .y_label_area_size(78)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(TEXT)
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|value| x_text.format_ext(value))
            .y_label_formatter(&|value| y_text.format_ext(value))
            .label_style(font(13))
            .axis_desc_style(font(14))
            .draw()?;
        for (place, series) in shown.iter().enumerate() {
            let look = Look::of(&series.name, place);
            let style = look.colour.stroke_width(2);
            if look.is_dashed {
                let points = series.points.iter().copied();
                chart.draw_series(DashedLineSeries::new(points, 7, 5, style))?;
            } else {
                chart.draw_series(LineSeries::new(series.points.iter().copied(), style))?;
            }
            if series.marked {
                let filled = look.colour.filled();
                let dots = series.points.iter().map(|point| Circle::new(*point, 4, filled));
                chart.draw_series(dots)?;
            }
        }
        legend(&side, shown.iter().map(|series| series.name.as_str()))?;
        Ok(root.present()?)
    }
}

impl Bars {
    /// Draws it.
    ///
    /// # Errors
    /// When nothing can be drawn, which a defect in here would be.
    pub fn svg(&self) -> Result<String> {
        drawn(&self.title, |root| self.draw(root))
    }

    fn draw(&self, root: &Area<'_>) -> Drawn {
        let (area, side) = frame(root, &self.title)?;
        let values = self.groups.iter().flat_map(|group| group.1.iter().flatten().copied());
        let y = Scale::fitting(Kind::Linear, values.chain([1.0]));
        let y_text = y.clone();
        let width = self.groups.len().max(1) as f64;
        let mut chart = ChartBuilder::on(&area)
            .margin_right(28)
            .x_label_area_size(52)
            .y_label_area_size(78)
            .build_cartesian_2d(0.0..width, y)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(TEXT)
            .y_desc(&self.label)
            .y_label_formatter(&|value| y_text.format_ext(value))
            .label_style(font(13))
            .axis_desc_style(font(14))
            .draw()?;
        let bar = 0.8 / self.names.len().max(1) as f64;
        let centred = Pos::new(HPos::Center, VPos::Bottom);
        for (group, (name, values)) in self.groups.iter().enumerate() {
            let below = Pos::new(HPos::Center, VPos::Top);
            let at = chart.backend_coord(&(group as f64 + 0.5, 0.0));
            root.draw(&Text::new(name.clone(), (at.0, at.1 + 10), font(13).pos(below)))?;
            for (place, value) in values.iter().enumerate() {
                let Some(value) = *value else { continue };
                let left = group as f64 + 0.1 + bar * place as f64;
                let corners = [(left + bar * 0.06, 0.0), (left + bar * 0.94, value)];
                let look = Look::of(&self.names[place], place);
                chart.draw_series([Rectangle::new(corners, look.colour.filled())])?;
                let top = chart.backend_coord(&(left + bar / 2.0, value));
                let said = number((value * 100.0).round() / 100.0);
                root.draw(&Text::new(said, (top.0, top.1 - 3), font(12).pos(centred)))?;
            }
        }
        let base = [(0.0, 1.0), (width, 1.0)];
        chart.draw_series(DashedLineSeries::new(base, 6, 4, TEXT.stroke_width(1)))?;
        legend(&side, self.names.iter().map(String::as_str))?;
        Ok(root.present()?)
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// What `draw` draws, as text.
fn drawn(title: &str, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(&root).map_err(|error| eyre!("cannot draw {title:?}: {error}"))?;
    drop(root);
    Ok(text)
}

/// White, with the title above; the room for the plot and that for the legend beside it.
fn frame<'a>(
    root: &Area<'a>,
    title: &str,
) -> Result<(Area<'a>, Area<'a>), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let left = Pos::new(HPos::Left, VPos::Top);
    root.draw(&Text::new(title.to_owned(), (16, 14), font(18).pos(left)))?;
    let (_, below) = root.split_vertically(46);
    Ok(below.split_horizontally(SIZE.0 - LEGEND_WIDTH))
}

fn legend<'n>(side: &Area<'_>, names: impl Iterator<Item = &'n str>) -> Drawn {
    let beside = Pos::new(HPos::Left, VPos::Center);
    for (place, name) in names.enumerate() {
        let (look, y) = (Look::of(name, place), 14 + 24 * place as i32);
        let style = look.colour.stroke_width(3);
        let stretches: &[(i32, i32)] =
            if look.is_dashed { &[(4, 12), (18, 26)] } else { &[(4, 26)] };
        for (from, to) in stretches {
            side.draw(&PathElement::new(vec![(*from, y), (*to, y)], style))?;
        }
        side.draw(&Text::new(name.to_owned(), (34, y), font(13).pos(beside)))?;
    }
    Ok(())
}

fn font(pixels: i32) -> TextStyle<'static> {
    ("sans-serif", pixels).into_font().color(&TEXT)
}

struct Look {
    colour: RGBColor,
    is_dashed: bool,
}

impl Look {
    /// A known server's own, so that plots can be compared; for others by their place.
    fn of(name: &str, place: usize) -> Self {
        let known = KNOWN.iter().position(|known| *known == name);
        let is_dashed = name == "floor" || name.starts_with("corecast:");
        let colour = match known {
            Some(index) => COLOURS[index],
            None => COLOURS[KNOWN.len() - 1 - place % KNOWN.len()],
        };
        Self { colour, is_dashed }
    }
}

const KNOWN: [&str; 7] =
    ["corecast", "bun", "ws", "tokio-tungstenite", "fastwebsockets", "tokio-websockets", "floor"];

/// Told apart by all kinds of colour vision (Okabe and Ito, without the yellow).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

const TEXT: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(222, 222, 222);
const SIZE: (u32, u32) = (960, 540);
const LEGEND_WIDTH: u32 = 170;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_with_labels_and_legend_and_without_what_has_no_points() {
        let series = |name: &str, points: &[(f64, f64)]| Series {
            name: name.into(),
            points: points.to_vec(),
            marked: true,
        };
        let svg = Lines {
            title: "Latency <by> percentile".into(),
            x: Axis { label: "percentile".into(), kind: Kind::Percentile },
            y: Axis { label: "latency, µs".into(), kind: Kind::Log },
            series: vec![
                series("bun", &[(1.0, 10.0), (100.0, 90.0), (1000.0, 400.0)]),
                series("ws", &[]),
            ],
        }
        .svg()
        .unwrap();
        for said in ["&lt;by&gt;", "99.9 %", "latency, µs", "bun", "sans-serif"] {
            assert!(svg.contains(said), "{said} is not in {svg}");
        }
        assert!(!svg.contains("\nws\n"));
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn bars_leave_a_place_empty_where_nothing_was_measured() {
        let bars = Bars {
            title: "Ratios".into(),
            label: "CPU / bun".into(),
            names: vec!["corecast".into(), "bun".into()],
            groups: vec![("10x64@1000".into(), vec![None, Some(1.0)])],
        };
        let svg = bars.svg().unwrap();
        assert_eq!(svg.matches(r##"fill="#0072B2""##).count(), 0);
        assert_eq!(svg.matches(r##"fill="#D55E00""##).count(), 1);
    }
}
