//! What was measured, as text.

use serde::Serialize;

use super::Way;
use crate::measure::{median, table};
use crate::outcome::{Cost, Outcome};
use crate::workload::flood::Round;
use crate::workload::idle;

/// Everything that was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Report {
    pub(super) delivery: Vec<(Way, Outcome)>,
    pub(super) handshake: Vec<(Way, Outcome)>,
    pub(super) idle: Vec<(Way, Outcome)>,
    pub(super) storm: Vec<Round>,
}

/// Medians over the rounds, and ratios within rounds.
pub(super) fn describe(report: &Report) -> String {
    let mut text = String::new();
    for part in [delivery(&report.delivery), handshake(&report.handshake), idle(&report.idle)] {
        text += &part;
    }
    text + &storm(&report.storm)
}

fn of(outcomes: &[(Way, Outcome)], way: Way, value: impl Fn(&Outcome) -> f64) -> Vec<f64> {
    outcomes.iter().filter(|(one, _)| *one == way).map(|(_, outcome)| value(outcome)).collect()
}

fn cost(outcome: &Outcome) -> Cost {
    outcome.cost.unwrap_or_default()
}

fn extra(outcome: &Outcome, name: &str) -> f64 {
    outcome.extra.get(name).copied().unwrap_or(f64::NAN)
}

/// A heading, the unit of its figures, and where they are.
type Column = (&'static str, f64, fn(&Outcome) -> f64);

/// A row for each way that was measured: medians, each divided by `unit`.
fn rows(outcomes: &[(Way, Outcome)], columns: &[Column]) -> Vec<Vec<String>> {
    let headings = std::iter::once("").chain(columns.iter().map(|column| column.0));
    let mut rows = vec![Vec::from_iter(headings.map(str::to_owned))];
    for (way, name) in [(Way::Plain, "ws"), (Way::Full, "wss"), (Way::Resumed, "wss, resumed")] {
        if outcomes.iter().all(|(one, _)| *one != way) {
            continue;
        }
        let mut row = vec![name.to_owned()];
        for (_, unit, value) in columns {
            let middle = median(&of(outcomes, way, value)) / unit;
            let digits = if middle < 100.0 { 2 } else { 0 };
            row.push(format!("{middle:.digits$}"));
        }
        rows.push(row);
    }
    rows
}

fn delivery(outcomes: &[(Way, Outcome)]) -> String {
    let Some((_, first)) = outcomes.first() else { return String::new() };
    let table = table(&rows(
        outcomes,
        &[
            ("µs/delivery", 1e3, |one| cost(one).cpu_ns_per_delivery),
            ("p50 µs", 1e3, |one| one.latency.ns_p50 as f64),
            ("p99 µs", 1e3, |one| one.latency.ns_p99 as f64),
            ("missing", 1.0, |one| one.missing as f64),
            ("server CPU %", 0.01, |one| cost(one).cpu_share),
            ("client CPU %", 0.01, |one| one.client.cpu_share),
            ("client lag p99 µs", 1e3, |one| one.client.lag_ns_p99 as f64),
        ],
    ));
    let each = |way| of(outcomes, way, |one| cost(one).cpu_ns_per_delivery);
    let (plain, secure) = (each(Way::Plain), each(Way::Full));
    let pairs = || secure.iter().zip(&plain);
    let ratio = Vec::from_iter(pairs().map(|(secure, plain)| secure / plain));
    let more = Vec::from_iter(pairs().map(|(secure, plain)| (secure - plain) / 1e3));
    let share = Vec::from_iter(pairs().map(|(secure, plain)| (1.0 - plain / secure) * 100.0));
    format!(
        "{}\n{table}CPU per delivery, wss / ws: {}; {:.2} µs more, {:.0} % of a wss delivery\n\n",
        first.workload,
        spread(&ratio),
        median(&more),
        median(&share),
    )
}

fn handshake(outcomes: &[(Way, Outcome)]) -> String {
    let Some((_, first)) = outcomes.first() else { return String::new() };
    let table = table(&rows(
        outcomes,
        &[
            ("CPU µs each", 1e3, |one| cost(one).cpu_ns_per_delivery),
            ("a second", 1.0, |one| extra(one, "handshakes_per_second")),
            ("p50 µs", 1e3, |one| one.latency.ns_p50 as f64),
            ("p99 µs", 1e3, |one| one.latency.ns_p99 as f64),
            ("resumed", 1.0, |one| extra(one, "sessions_resumed")),
            ("server CPU %", 0.01, |one| cost(one).cpu_share),
            ("client CPU %", 0.01, |one| one.client.cpu_share),
        ],
    ));
    format!("{}\n{table}\n", first.workload)
}

fn idle(outcomes: &[(Way, Outcome)]) -> String {
    let Some((_, first)) = outcomes.first() else { return String::new() };
    let columns: [Column; 2] = [
        ("bytes each", 1.0, |one| extra(one, idle::BYTES_PER_CONNECTION)),
        ("KiB kept after close", 1024.0, |one| extra(one, "rss_anon_bytes_kept_after_close")),
    ];
    format!("{}\n{}\n", first.workload, table(&rows(outcomes, &columns)))
}

fn storm(rounds: &[Round]) -> String {
    let Some(first) = rounds.first() else { return String::new() };
    let us = |value: fn(&Round) -> u64| {
        let values = rounds.iter().map(|round| value(round) as f64 / 1e3);
        format!("{:.0}", median(&Vec::from_iter(values)))
    };
    let share = |value: fn(&Round) -> &Outcome| {
        let values = rounds.iter().map(|round| cost(value(round)).cpu_share * 100.0);
        format!("{:.0} %", median(&Vec::from_iter(values)))
    };
    let rate = Vec::from_iter(rounds.iter().map(|round| round.attack.rate()));
    let answers = rounds.iter().map(|round| {
        let answered = round.attack.ends().get("TLS answer").copied().unwrap_or(0);
        answered as f64 / round.attack.seconds
    });
    let table = table(&[
        ["", "p50 µs", "p99 µs", "client lag p99 µs", "server CPU"].map(str::to_owned).to_vec(),
        vec![
            "in peace".into(),
            us(|round| round.quiet.latency.ns_p50),
            us(|round| round.quiet.latency.ns_p99),
            us(|round| round.quiet.client.lag_ns_p99),
            share(|round| &round.quiet),
        ],
        vec![
            "in the storm".into(),
            us(|round| round.flooded.latency.ns_p50),
            us(|round| round.flooded.latency.ns_p99),
            us(|round| round.flooded.client.lag_ns_p99),
            share(|round| &round.flooded),
        ],
    ]);
    format!(
        "wss, {}, beside {:.0} handshakes begun a second, {:.0} of them answered\n{table}\
         p99 in the storm / in peace: {}; lost: {}\n",
        first.quiet.workload,
        median(&rate),
        median(&Vec::from_iter(answers)),
        spread(&Vec::from_iter(rounds.iter().map(Round::p99_ratio))),
        rounds.iter().map(Round::lost).sum::<u64>(),
    )
}

/// The median of ratios, with the least and the greatest.
fn spread(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} (rounds {least:.2} to {greatest:.2})", median(ratios))
}
