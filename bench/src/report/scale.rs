//! The axes of a plot: linear, logarithmic, and the percentiles of a latency.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Evenly, from 0.
    Linear,
    /// By factors; only values above 0 can be shown.
    Log,
    /// By factors of `1 / (1 - p)`: each nine takes as much room as the one before.
    Percentile,
}

/// An axis that fits given values.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
}

impl Scale {
    /// Covers all `values` that it can show, with a little room above.
    pub(super) fn fitting(kind: Kind, values: impl Iterator<Item = f64>) -> Self {
        let shown =
            values.filter(|value| value.is_finite() && (kind == Kind::Linear || *value > 0.0));
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in shown {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let (low, high) = match kind {
            Kind::Linear => (low.min(0.0), if high > 0.0 { high * 1.08 } else { 1.0 }),
            Kind::Percentile => (1.0, high.max(100.0) * 1.2),
            Kind::Log if high / low < 10.0 => (low / 2.0, high * 2.0),
            Kind::Log => (low / 1.3, high * 1.3),
        };
        Self { kind, low, high }
    }

    fn is_log(&self) -> bool {
        self.kind != Kind::Linear
    }

    /// 0 at the lower end, 1 at the upper one.
    fn place(&self, value: f64) -> f64 {
        if self.is_log() {
            let value = value.clamp(self.low, self.high);
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Where lines and labels stand.
    fn ticks(&self) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.even_ticks(),
            Kind::Log => self.decade_ticks(),
            Kind::Percentile => [1.0, 2.0]
                .into_iter()
                .chain((1..12).map(|nines| 10_f64.powi(nines)))
                .filter(|tick| *tick <= self.high)
                .collect(),
        }
    }

    fn even_ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 6.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * decade);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    fn decade_ticks(&self) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let is_wide = self.high / self.low > 3_000.0;
        let factors: &[f64] = if is_wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
        (first..=last)
            .flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let length = f64::from(limit.1 - limit.0);
        (f64::from(limit.0) + length * self.place(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        match self.kind {
            Kind::Percentile => {
                // Digits enough for the nines that there are, and no more.
                let digits = (value.log10() - 2.0).ceil().max(0.0) as usize;
                format!("{:.digits$} %", 100.0 - 100.0 / value)
            }
            Kind::Linear | Kind::Log => number(*value),
        }
    }
}

/// A number as short as it can be said: `0.05`, `12`, `1.5k`, `2M`.
pub(super) fn number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_a_tick_for_each_nine() {
        let scale = Scale::fitting(Kind::Percentile, [1.0, 10_000.0].into_iter());
        let labels = Vec::from_iter(scale.ticks().iter().map(|tick| scale.format_ext(tick)));
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn log_axes_divide_by_factors_and_pass_over_what_they_cannot_show() {
        let scale = Scale::fitting(Kind::Log, [0.0, f64::NAN, 1.0, 100.0].into_iter());
        assert!(scale.low > 0.5 && scale.high < 200.0, "{scale:?}");
        let places = [1.0, 10.0, 100.0].map(|value| scale.map(&value, (0, 1000)));
        assert!((places[1] - places[0] - (places[2] - places[1])).abs() <= 1, "{places:?}");
        assert_eq!(scale.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.05, 12.0, 1500.0, 15_000.0, 2e6].map(number),
            ["0.05", "12", "1500", "15k", "2M"]
        );
    }
}
