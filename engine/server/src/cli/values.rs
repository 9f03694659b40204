//! Values of options that clap does not read by itself: addresses, CPU lists, sizes, durations.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The most CPUs a list may name.
const CPUS_MAX: usize = 4_096;

/// Reads `ADDR:PORT`. `localhost:PORT` is 127.0.0.1, `:PORT` is every address of the machine.
///
/// # Errors
///
/// What the text should look like.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let port = |port: &str| port.parse::<u16>().ok();
    let address = match text.rsplit_once(':') {
        Some(("localhost", after)) => port(after).map(|p| (Ipv4Addr::LOCALHOST, p).into()),
        Some(("", after)) => port(after).map(|p| (Ipv4Addr::UNSPECIFIED, p).into()),
        _ => text.parse().ok(),
    };
    address.ok_or_else(|| "expected ADDR:PORT, such as 127.0.0.1:9001 or [::1]:9001".to_owned())
}

/// CPU numbers, in the order in which they are given: `0,2-4`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus: Vec<usize> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |digits: &str| {
                let digits = digits.trim();
                digits
                    .parse::<usize>()
                    .map_err(|_| format!("{digits:?} is no CPU number (as in 0,2-4)"))
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(format!("the range {first}-{last} goes backwards"));
            }
            if last - first >= CPUS_MAX - cpus.len() {
                return Err(format!("more than {CPUS_MAX} CPUs"));
            }
            for cpu in first..=last {
                if cpus.contains(&cpu) {
                    return Err(format!("CPU {cpu} is named twice"));
                }
                cpus.push(cpu);
            }
        }
        Ok(Self(cpus))
    }
}

/// Reads a size in bytes: `65536`, `64KiB`, `4MiB`, `1GiB`; `K`, `M` and `G` mean the same.
///
/// # Errors
///
/// What the text should look like.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || "expected bytes, such as 65536, 64KiB or 4MiB".to_owned();
    let (number, unit) = split_unit(text);
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Reads a duration: `500ms`, `30s`, `5m`, `1h`. A number alone has no unit and is refused, except
/// 0.
///
/// # Errors
///
/// What the text should look like.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration with its unit, such as 500ms, 30s or 5m".to_owned();
    let (number, unit) = split_unit(text);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" | "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "" if number == 0 => Some(0),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, address) in [
            ("127.0.0.1:9001", "127.0.0.1:9001"),
            ("localhost:80", "127.0.0.1:80"),
            (":9001", "0.0.0.0:9001"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(listen(text), Ok(address.parse().expect("an address")), "{text}");
        }
        for bad in ["", "9001", "127.0.0.1", "localhost:x", ":70000", "example.org:80"] {
            assert!(listen(bad).expect_err(bad).contains("ADDR:PORT"), "{bad}");
        }
    }

    #[test]
    fn cpu_lists_are_read_in_their_order() {
        let list = |text: &str| text.parse::<CpuList>().map(|list| list.0);
        assert_eq!(list("0"), Ok(vec![0]));
        assert_eq!(list("0,2-4"), Ok(vec![0, 2, 3, 4]));
        assert_eq!(list("5, 1-2"), Ok(vec![5, 1, 2]));
        for (bad, word) in [
            ("", "no CPU number"),
            ("a", "\"a\""),
            ("1-", "no CPU number"),
            ("-1", "no CPU number"),
            ("3-1", "backwards"),
            ("1,1", "twice"),
            ("0-3,2", "twice"),
            ("0-99999999999", "more than 4096"),
            ("0-4096", "more than 4096"),
        ] {
            let error = list(bad).expect_err(bad);
            assert!(error.contains(word), "{bad}: {error}");
        }
        assert_eq!(list("0-4095").map(|cpus| cpus.len()), Ok(4_096));
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in
            [("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("4M", 4 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "x", "-1", "1.5M", "1kb", "99999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_their_units() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("0", 0), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "s", "-1s", "1.5s", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
