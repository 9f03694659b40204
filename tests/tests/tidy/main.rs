//! What lints cannot say about the house: shape of files, arrows between crates, documents,
//! licences. Each failure names the place and the rule.

#![forbid(unsafe_code)]

mod crates;
mod documents;
mod files;
mod licences;
mod source;

use std::fmt::Write as _;

/// Fails with all `problems`, one per line; `rule` says why they are some.
#[track_caller]
fn none(rule: &str, problems: impl IntoIterator<Item = String>) {
    let mut text = String::new();
    for problem in problems {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {problem}");
    }
    assert!(text.is_empty(), "{rule}:{text}");
}
