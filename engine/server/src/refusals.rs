//! What the log is told of those who were refused or held back: one line for a while, however many.

use corecast::Stats;

/// What was told already.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    told: Stats,
}

impl Refusals {
    /// Tells what has come since the last line, if anything.
    pub(crate) fn tell(&mut self, now: Stats) {
        if let Some(line) = self.line(now) {
            tracing::info!("since the last such line: {line}");
        }
    }

    fn line(&mut self, now: Stats) -> Option<String> {
        let before = std::mem::replace(&mut self.told, now);
        let counts = [
            (
                now.refused_by_address,
                before.refused_by_address,
                "refused for their address's share",
            ),
            (now.refused_by_rate, before.refused_by_rate, "refused for coming too often"),
            (now.refused_by_user, before.refused_by_user, "refused for their user's share"),
            (now.proxy_errors, before.proxy_errors, "ended for what their proxy said, or did not"),
            (now.over_budget, before.over_budget, "closed or held back for sending too much"),
        ];
        let grown = counts.into_iter().filter(|(now, before, _)| now > before);
        let words: Vec<_> =
            grown.map(|(now, before, what)| format!("{} {what}", now - before)).collect();
        (!words.is_empty()).then(|| format!("connections {}", words.join(", ")))
    }
}

/// How many were refused since the start, for a line of status; nothing where nobody was.
pub(crate) fn total(stats: &Stats) -> String {
    let refused = stats.refused_by_address + stats.refused_by_rate + stats.refused_by_user;
    match refused {
        0 => String::new(),
        refused => format!(", {} refused", crate::report::thousands(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        let mut refusals = Refusals::default();
        let mut stats = Stats::default();
        stats.refused = 9;
        assert_eq!(refusals.line(stats), None, "pages and bad requests are no news");
        stats.refused_by_rate = 3;
        stats.over_budget = 1;
        let line = refusals.line(stats).expect("news");
        assert!(line.contains("3 refused for coming too often, 1 closed or held back"), "{line}");
        assert_eq!(refusals.line(stats), None);
        stats.refused_by_rate = 5;
        assert!(refusals.line(stats).is_some_and(|line| line.starts_with("connections 2 refused")));
        assert_eq!(total(&stats), ", 5 refused");
        assert_eq!(total(&Stats::default()), "");
    }
}
