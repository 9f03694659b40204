//! One outcome as a table and a verdict.

use std::fmt::Write as _;

use super::kib;
use crate::measure::table;
use crate::outcome::Outcome;

/// A table of what was measured, and a line that says what to make of it.
pub(super) fn describe(outcome: &Outcome) -> String {
    let mut rows = vec![vec![String::new(), outcome.server.clone()]];
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("seconds", format!("{:.2}", outcome.seconds));
    if outcome.expected > 0 {
        row("published", outcome.published.to_string());
        row("delivered", format!("{} of {}", outcome.delivered, outcome.expected));
        row("deliveries/s", format!("{:.0}", outcome.deliveries_per_second()));
    }
    let latency = &outcome.latency;
    if latency.count > 0 {
        for (name, ns) in [
            ("p50 µs", latency.ns_p50),
            ("p90 µs", latency.ns_p90),
            ("p99 µs", latency.ns_p99),
            ("p99.9 µs", latency.ns_p999),
            ("max µs", latency.ns_max),
        ] {
            row(name, format!("{:.0}", ns as f64 / 1e3));
        }
    }
    if let Some(cost) = &outcome.cost {
        if outcome.delivered > 0 {
            row("server CPU µs each", format!("{:.2}", cost.cpu_ns_per_delivery / 1e3));
        }
        row("server CPU", format!("{:.1} %", cost.cpu_share * 100.0));
        row("server RSS", kib(cost.rss_bytes));
        row("kernel socket memory", kib(cost.kernel_socket_bytes));
        let (voluntary, forced) = (cost.switches_voluntary, cost.switches_forced);
        row("context switches", format!("{voluntary} + {forced} forced"));
    }
    row("client CPU", format!("{:.0} %", outcome.client.cpu_share * 100.0));
    row("client late p99 µs", format!("{:.0}", outcome.client.late_ns_p99 as f64 / 1e3));
    if outcome.client.lag_ns_max > 0 {
        row("client lag p99 µs", format!("{:.0}", outcome.client.lag_ns_p99 as f64 / 1e3));
    }
    for (name, value) in outcome.extra.iter().filter(|(_, value)| **value != 0.0) {
        let digits = if value.fract() == 0.0 { 0 } else { 3 };
        row(&name.replace('_', " "), format!("{value:.digits$}"));
    }
    let mut text = format!("{}\n{}", outcome.workload, table(&rows));
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", verdict(outcome));
    text
}

/// What to make of an outcome, in one line.
pub(super) fn verdict(outcome: &Outcome) -> String {
    let mut faults = Vec::new();
    for (count, name) in [
        (outcome.missing, "missing"),
        (outcome.duplicated, "duplicated"),
        (outcome.reordered, "out of order"),
    ] {
        if count > 0 {
            faults.push(format!("{count} deliveries {name}"));
        }
    }
    let held = outcome.extra.get("held_back_messages").copied().unwrap_or(0.0);
    if held > 0.0 {
        faults.push(format!("{held} messages not sent, as the server did not read them in time"));
    }
    let mut text = match &*faults {
        [] if outcome.expected > 0 => "Everything arrived once and in order.".to_owned(),
        [] => "Nothing was lost.".to_owned(),
        faults => format!("{}.", faults.join(", ")),
    };
    if outcome.expected > 0 && outcome.delivered == 0 {
        text += " Nothing arrived at all: does this server pass on what one connection sends to \
                 the others on its path (see --subscribe and --publish)?";
    }
    if outcome.is_latency_the_clients() && !outcome.client.bottleneck {
        text += " Deliveries waited for the client: p99 is its own as much as the server's.";
    }
    if outcome.client.bottleneck {
        text += " The client was the bottleneck: the latency is its own, not the server's.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Client, Latency};

    #[test]
    fn the_verdict_names_what_is_wrong() {
        let good = Outcome { expected: 5, delivered: 5, ..Outcome::default() };
        assert_eq!(verdict(&good), "Everything arrived once and in order.");
        let client = Client { bottleneck: true, ..Client::default() };
        let bad = Outcome { delivered: 3, missing: 2, duplicated: 1, client, ..good };
        let said = verdict(&bad);
        assert!(said.contains("2 deliveries missing, 1 deliveries duplicated"), "{said}");
        assert!(said.contains("The client was the bottleneck"), "{said}");
        let none = Outcome { expected: 5, missing: 5, ..Outcome::default() };
        assert!(verdict(&none).contains("--subscribe"), "{}", verdict(&none));
    }

    #[test]
    fn the_table_leaves_out_what_was_not_measured() {
        let latency = Latency { count: 1, ns_p50: 2_000, ..Latency::default() };
        let text = describe(&Outcome { expected: 1, seconds: 1.0, latency, ..Outcome::default() });
        assert!(text.contains("p50 µs") && !text.contains("server CPU"), "{text}");
    }
}
