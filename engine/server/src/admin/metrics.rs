//! `GET /metrics`: what the program counts, as Prometheus reads it (text format 0.0.4). Counters
//! only grow, and no label has a value that a client chooses.

use super::App;
use crate::denials::Denials;
use crate::intake::Sink;
use axum::extract::State;
use axum::http::{HeaderName, header};
use corecast::{Engine, Stats};
use std::fmt::Write;
use std::sync::{Arc, Weak};

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meters {
    /// Whose counters are shown; gone at the end.
    pub(crate) engine: Weak<Engine>,
    /// Who was not let in.
    pub(crate) denials: Arc<Denials>,
}

/// One family: its name without `corecast_`, what it is, and its values by their label.
type Family<'a> = (&'a str, &'a str, Vec<(&'a str, u64)>);

pub(super) async fn metrics<S: Sink>(
    State(app): State<App<S>>,
) -> ([(HeaderName, &'static str); 1], String) {
    let stats = app.desk.meters.engine.upgrade().map(|engine| engine.stats()).unwrap_or_default();
    let denials = app.desk.meters.denials.read();
    let text = text(&stats, denials, *app.draining.borrow());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn text(stats: &Stats, denials: Vec<(&'static str, u64)>, is_draining: bool) -> String {
    let mut out = String::new();
    let gauges = [
        ("connections", "Open WebSocket connections.", vec![("", stats.connections)]),
        ("queued_bytes", "Bytes that wait in queues.", vec![("", stats.queued_bytes)]),
        ("draining", "1 once the program is to end.", vec![("", u64::from(is_draining))]),
    ];
    write(&mut out, "gauge", "", gauges);
    write(&mut out, "counter", "_total", edge(stats, denials));
    write(&mut out, "counter", "_total", traffic(stats));
    out
}

/// Who was refused, held back or closed.
fn edge(stats: &Stats, denials: Vec<(&'static str, u64)>) -> [Family<'static>; 9] {
    let budgets = vec![
        ("address", stats.refused_by_address),
        ("rate", stats.refused_by_rate),
        ("user", stats.refused_by_user),
    ];
    let tls = stats.tls;
    let full = tls.handshakes.saturating_sub(tls.resumed);
    let handshakes = vec![("full", full), ("resumed", tls.resumed), ("failed", tls.failed)];
    [
        ("accepted", "TCP connections that were given a place.", vec![("", stats.accepted)]),
        ("refused", "Requests that were not upgraded, for any reason.", vec![("", stats.refused)]),
        ("budget_refusals", "Connections refused, by the budget that was used up.", budgets),
        ("denials", "Handshakes and logins that were not let in, by reason.", denials),
        ("over_budget", "Connections closed or held back.", vec![("", stats.over_budget)]),
        ("proxy_errors", "Ended for what a proxy said.", vec![("", stats.proxy_errors)]),
        ("violations", "Closed for breaking a rule.", vec![("", stats.violations)]),
        ("slow_closed", "Closed for reading too slowly.", vec![("", stats.slow_closed)]),
        ("tls_handshakes", "TLS handshakes.", handshakes),
    ]
}

/// What came in and went out.
fn traffic(stats: &Stats) -> [Family<'static>; 10] {
    let compression = stats.compression;
    let (deflates, inflates) = (compression.deflates, compression.inflates);
    let deflated =
        vec![("in", compression.deflate_bytes_in), ("out", compression.deflate_bytes_out)];
    let inflated =
        vec![("in", compression.inflate_bytes_in), ("out", compression.inflate_bytes_out)];
    [
        ("messages_in", "Messages that came in.", vec![("", stats.messages_in)]),
        ("bytes", "Bytes on sockets.", vec![("in", stats.bytes_in), ("out", stats.bytes_out)]),
        ("publishes", "Publications.", vec![("", stats.publishes)]),
        ("deliveries", "Frames handed to the kernel.", vec![("", stats.deliveries)]),
        ("conflated", "Unsent values that were replaced.", vec![("", stats.conflated)]),
        ("dropped", "Frames that a policy discarded.", vec![("", stats.dropped)]),
        ("compressed", "Messages by what was done.", vec![("in", inflates), ("out", deflates)]),
        ("deflate_bytes", "Bytes before and after compression.", deflated),
        ("inflate_bytes", "Bytes before and after decompression.", inflated),
        ("handler_panics", "Calls that panicked.", vec![("", stats.handler_panics)]),
    ]
}

fn write<'a>(
    out: &mut String,
    kind: &str,
    suffix: &str,
    families: impl IntoIterator<Item = Family<'a>>,
) {
    for (name, help, values) in families {
        let label = match name {
            "bytes" | "compressed" | "deflate_bytes" | "inflate_bytes" => "direction",
            "tls_handshakes" => "kind",
            "budget_refusals" => "budget",
            _ => "reason",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP corecast_{name}{suffix} {help}");
        let _ = writeln!(out, "# TYPE corecast_{name}{suffix} {kind}");
        for (value, count) in values {
            let _ = match value {
                "" => writeln!(out, "corecast_{name}{suffix} {count}"),
                _ => writeln!(out, "corecast_{name}{suffix}{{{label}=\"{value}\"}} {count}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_told_once_and_each_line_is_whole() {
        let mut stats = Stats::default();
        stats.refused_by_rate = 7;
        (stats.tls.handshakes, stats.tls.resumed) = (5, 2);
        let text = text(&stats, vec![("origin", 3)], true);
        for line in [
            "corecast_draining 1",
            "corecast_budget_refusals_total{budget=\"rate\"} 7",
            "corecast_denials_total{reason=\"origin\"} 3",
            "corecast_tls_handshakes_total{kind=\"full\"} 3",
            "corecast_tls_handshakes_total{kind=\"resumed\"} 2",
            "corecast_inflate_bytes_total{direction=\"out\"} 0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut names = types.clone();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), types.len()), (22, 22));
        assert!(text.ends_with('\n'));
    }
}
