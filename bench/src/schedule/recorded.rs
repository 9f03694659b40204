//! The times between the messages of a recording.

use std::io::BufRead;
use std::sync::Arc;

use eyre::{Result, WrapErr, ensure, eyre};

/// Messages of a recording: eight bytes are kept for each.
pub const GAPS_MAX: usize = 16 << 20;

/// Reads lines of which each begins with its moment, nanoseconds as a decimal number, then a blank
/// and the message; gives the time from each to the next, for [`super::Schedule::Recorded`]. The
/// last message's is the mean. A moment before its predecessor counts as the same.
///
/// # Errors
/// When a line has no moment, there are fewer than two or more than [`GAPS_MAX`], or reading
/// fails.
pub fn gaps(recording: impl BufRead) -> Result<Arc<[u64]>> {
    let (mut gaps_ns, mut last_ns) = (Vec::new(), None);
    for (number, line) in recording.split(b'\n').enumerate() {
        let line = line.wrap_err("cannot read the recording")?;
        let moment = line.split(|&byte| byte == b' ').next().unwrap_or_default();
        let moment = str::from_utf8(moment).ok().and_then(|text| text.parse::<u64>().ok());
        let at_ns = moment.ok_or_else(|| {
            eyre!("line {} of the recording does not begin with nanoseconds", number + 1)
        })?;
        if let Some(last_ns) = last_ns {
            ensure!(gaps_ns.len() < GAPS_MAX, "the recording has more than {GAPS_MAX} messages");
            gaps_ns.push(at_ns.saturating_sub(last_ns));
        }
        last_ns = Some(last_ns.map_or(at_ns, |last: u64| last.max(at_ns)));
    }
    ensure!(!gaps_ns.is_empty(), "the recording has fewer than two messages");
    gaps_ns.push(gaps_ns.iter().sum::<u64>() / gaps_ns.len() as u64);
    Ok(gaps_ns.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_the_next_message_is_read_from_the_first_word() {
        let text = b"1000 {\"a\": 1}\n1500 x\n1400 late\n2500 y\n";
        assert_eq!(*gaps(&text[..]).unwrap(), [500, 0, 1_000, 500]);
    }

    #[test]
    fn a_line_without_a_moment_is_named() {
        let error = gaps(&b"1 a\nnothing here\n"[..]).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(gaps(&b"5 only one\n"[..]).is_err());
    }
}
