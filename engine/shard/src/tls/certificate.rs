//! What a certificate of ours says: for which hosts, and for how long (RFC 5280). rustls verifies
//! certificates and tells neither; the files are the operator's own.

/// What is read of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Its DNS names, wildcards included.
    pub(super) names: Vec<String>,
    /// The first second in which it is valid, since 1970.
    pub(super) not_before: u64,
    /// The last one.
    pub(super) not_after: u64,
}

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` of a TBSCertificate: its version.
const VERSION: u8 = 0xa0;
/// `[3]`: its extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[2]` of a GeneralName: a DNS name.
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17, the subject's alternative names.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

impl Certificate {
    /// Reads a certificate in DER. None where it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Elements(Elements(der).expect(SEQUENCE)?);
        let mut fields = Elements(certificate.expect(SEQUENCE)?);
        let (mut tag, _) = fields.next()?;
        if tag == VERSION {
            // Then the serial number is next.
            (tag, _) = fields.next()?;
        }
        let _serial = tag;
        let (_algorithm, _issuer) = (fields.next()?, fields.next()?);
        let mut validity = Elements(fields.expect(SEQUENCE)?);
        let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
        let mut names = Vec::new();
        while let Some((tag, content)) = fields.next() {
            if tag == EXTENSIONS {
                names = alternative_names(content)?;
            }
        }
        Some(Self { names, not_before, not_after })
    }
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut extensions = Elements(Elements(extensions).expect(SEQUENCE)?);
    while let Some((tag, extension)) = extensions.next() {
        let mut parts = Elements(extension);
        if tag != SEQUENCE || parts.expect(OBJECT_IDENTIFIER)? != ALTERNATIVE_NAMES {
            continue;
        }
        let (mut tag, mut value) = parts.next()?;
        if tag == BOOLEAN {
            // Whether it is critical.
            (tag, value) = parts.next()?;
        }
        if tag != OCTET_STRING {
            return None;
        }
        let mut general = Elements(Elements(value).expect(SEQUENCE)?);
        while let Some((tag, name)) = general.next() {
            if tag == DNS_NAME {
                names.push(String::from_utf8(name.to_vec()).ok()?);
            }
        }
    }
    Some(names)
}

/// Elements of DER, one behind the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let count = usize::from(long & 0x7f);
                let (digits, rest) = rest.split_at_checked(count).filter(|_| count <= 4)?;
                (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// Seconds since 1970. Years before that count as 1970.
///
//= RFC 5280 §4.1.2.5.1
//# Where YY is greater than or equal to 50, the year SHALL be
//# interpreted as 19YY
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = (number(text, 0..2)?, text.get(2..)?);
            (if year >= 50 { 1_900 + year } else { 2_000 + year }, rest)
        }
        GENERALIZED_TIME => (number(text, 0..4)?, text.get(4..)?),
        _ => return None,
    };
    let (month, day) = (number(rest, 0..2)?, number(rest, 2..4)?);
    let (hour, minute, second) = (number(rest, 4..6)?, number(rest, 6..8)?, number(rest, 8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days of the civil calendar, with years that begin in March.
    let shifted = if month <= 2 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    let days = days.saturating_sub(719_468);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn number(text: &str, range: std::ops::Range<usize>) -> Option<u64> {
    text.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        let utc = |text: &str| time((UTC_TIME, text.as_bytes()));
        let long = |text: &str| time((GENERALIZED_TIME, text.as_bytes()));
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("000229120000Z"), Some(951_825_600));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(long("20500101000000Z"), Some(2_524_608_000));
        assert_eq!(long("99991231235959Z"), Some(253_402_300_799));
        assert_eq!(utc("500101000000Z"), Some(0), "1950");
        for wrong in ["", "7001", "701301000000Z", "700100000000Z", "70010100000xZ"] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0; 64]]
        {
            assert_eq!(Certificate::read(bytes), None, "{bytes:?}");
        }
    }
}
