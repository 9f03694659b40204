//! The plots of a comparison, out of its sections.

use eyre::Result;

use super::File;
use super::plot::{Axis, Bars, Kind, Lines, Series};
use super::summary::{Figure, Section, Turn};
use crate::command::compare::saturation::Saturation;
use crate::measure::median;

/// Latency by percentile: one line for each server, medians over the rounds at each percentile. The
/// file is named by `name`, which no other section of the report may have.
///
/// # Errors
/// When it cannot be drawn.
pub fn latency(name: &str, section: &Section) -> Result<File> {
    let series = section.servers.iter().map(|server| Series {
        name: server.clone(),
        points: curve(section, server),
        marked: false,
    });
    let lines = Lines {
        title: format!("Latency by percentile, {}", section.name),
        x: axis("percentile of the deliveries", Kind::Percentile),
        y: axis("latency from the intended send time, µs", Kind::Log),
        series: series.collect(),
    };
    Ok((format!("latency-{}.svg", file_name(name)), lines.svg()?))
}

/// A figure of several sections over what differs between them.
#[derive(Debug, Clone)]
pub struct Sweep<'a> {
    /// The name of the file, without `.svg`.
    pub file: &'a str,
    /// The title.
    pub title: String,
    /// What differs, with its unit.
    pub x: &'a str,
    /// Each section's place on that axis.
    pub sections: Vec<(f64, &'a Section)>,
}

impl Sweep<'_> {
    /// One line for each server. The figure is divided by `unit`, which `label` names.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn plot(&self, figure: &Figure, unit: f64, label: &str) -> Result<File> {
        let servers = self.sections.first().map_or(&[][..], |(_, section)| &section.servers);
        let series = servers.iter().map(|server| Series {
            name: server.clone(),
            points: self
                .sections
                .iter()
                .filter_map(|(x, section)| Some((*x, section.median(server, figure)? / unit)))
                .collect(),
            marked: true,
        });
        let lines = Lines {
            title: self.title.clone(),
            x: axis(self.x, Kind::Log),
            y: axis(label, Kind::Log),
            series: series.collect(),
        };
        Ok((format!("{}.svg", self.file), lines.svg()?))
    }
}

/// Bars of CPU per delivery, p50 and p99 beside the base, a group for each section and figure.
///
/// # Errors
/// When it cannot be drawn.
pub fn ratios(sections: &[Section]) -> Result<Vec<File>> {
    let Some(first) = sections.first() else { return Ok(Vec::new()) };
    let figures = [
        ("cpu", "CPU per delivery", Figure::CpuPerDelivery),
        ("p50", "latency p50", Figure::P50),
        ("p99", "latency p99", Figure::P99),
    ];
    let draw = |(name, what, figure): (&str, &str, Figure)| {
        let group = |section: &Section| {
            let ratio = |server: &String| section.ratio(server, &section.base, &figure);
            let values = first.servers.iter().map(|server| Some(ratio(server)?.median));
            (section.name.clone(), values.collect())
        };
        let bars = Bars {
            title: format!("{what} beside {} (less is better)", first.base),
            label: format!("{what} / {}", first.base),
            names: first.servers.clone(),
            groups: sections.iter().map(group).collect(),
        };
        Ok((format!("ratios-{name}.svg"), bars.svg()?))
    };
    figures.into_iter().map(draw).collect()
}

/// A figure over the rates that were tried, a line for each server, up to the lowest rate that it
/// did not keep up with.
///
/// # Errors
/// When it cannot be drawn.
pub fn by_rate(
    file: &str,
    note: &str,
    found: &[Saturation],
    figure: &Figure,
    label: &str,
) -> Result<File> {
    let series = found.iter().map(|one| {
        let until = one.failed_rate.unwrap_or(f64::INFINITY);
        let point = |(rate, turn): &(f64, Turn)| {
            let value = figure.of(turn.outcome.as_ref()?)?;
            (*rate <= until).then_some((*rate, value / 1e3))
        };
        let mut points = Vec::from_iter(one.steps.iter().filter_map(point));
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Series { name: one.server.clone(), points, marked: true }
    });
    let lines = Lines {
        title: format!("{label}, by rate, {note}"),
        x: axis("messages a second", Kind::Log),
        y: axis(label, Kind::Log),
        series: series.collect(),
    };
    Ok((format!("{file}.svg"), lines.svg()?))
}

/// A section's name as part of a file's name.
#[must_use]
pub fn file_name(name: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    name.chars().map(plain).collect()
}

fn axis(label: &str, kind: Kind) -> Axis {
    Axis { label: label.to_owned(), kind }
}

/// The rounds' curves have the same percentiles as far as they reach: at each, their median. The
/// slowest of all is left out, which stands at no place of this axis.
fn curve(section: &Section, server: &str) -> Vec<(f64, f64)> {
    let curves = Vec::from_iter(section.outcomes(server).map(|outcome| &outcome.latency.curve));
    let Some(longest) = curves.iter().max_by_key(|curve| curve.len()) else { return Vec::new() };
    let points = longest.iter().filter(|(percentile, _)| *percentile < 100.0);
    points
        .map(|(percentile, _)| {
            let same = |curve: &&Vec<(f64, u64)>| {
                let point = curve.iter().find(|point| (point.0 - percentile).abs() < 1e-9)?;
                Some(point.1 as f64 / 1e3)
            };
            let values = Vec::from_iter(curves.iter().filter_map(same));
            (100.0 / (100.0 - percentile), median(&values))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::section;
    use super::*;

    #[test]
    fn curves_are_medians_at_each_percentile_without_the_slowest() {
        let section = section(&[("corecast", &[Some(1.0), Some(1.0)]), ("bun", &[None])]);
        assert_eq!(curve(&section, "corecast"), [(1.0, 0.5), (2.0, 1.0), (100.0, 9.0)]);
        assert!(curve(&section, "bun").is_empty());
        let (name, svg) = latency(&section.name, &section).unwrap();
        assert_eq!(name, "latency-1000x128-50.svg");
        assert!(svg.contains("corecast") && !svg.contains("\nbun\n"), "{svg}");
    }

    #[test]
    fn a_sweep_has_a_point_for_each_section_that_was_measured() {
        let sections = [section(&[("bun", &[Some(2e3)])]), section(&[("bun", &[None])])];
        let (title, x) = ("Cost by subscribers".to_owned(), "subscribers");
        let sections = vec![(10.0, &sections[0]), (100.0, &sections[1])];
        let sweep = Sweep { file: "subscribers", title, x, sections };
        let (_, svg) = sweep.plot(&Figure::CpuPerDelivery, 1e3, "CPU, µs").unwrap();
        assert_eq!(svg.matches("<circle").count(), 1);
    }
}
