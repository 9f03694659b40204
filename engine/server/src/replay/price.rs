//! Prices by their value, for the order of a book: the venue's text stays what is told.

/// A decimal number as so many parts of 10⁻¹⁸: exact, so that no two prices become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Price(u128);

/// Digits behind the point at most.
const DECIMALS_MAX: usize = 18;
/// Digits before the point at most: with all decimals still less than 2¹²⁸.
const WHOLE_DIGITS_MAX: usize = 20;

impl Price {
    /// `61837.63000000`: digits, and perhaps a point and more of them. None for anything else, or
    /// more digits than there is room for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = split(text)?;
        if whole.len() > WHOLE_DIGITS_MAX || decimals.len() > DECIMALS_MAX {
            return None;
        }
        let digits = whole.bytes().chain(decimals.bytes());
        let value = digits.fold(0_u128, |value, digit| value * 10 + u128::from(digit - b'0'));
        let missing = DECIMALS_MAX - decimals.len();
        Some(Self(value * 10_u128.pow(missing as u32)))
    }
}

/// Whether a decimal number is zero; none when it is no number.
pub(crate) fn is_zero(text: &str) -> Option<bool> {
    let (whole, decimals) = split(text)?;
    Some(whole.bytes().chain(decimals.bytes()).all(|digit| digit == b'0'))
}

/// The digits before and behind the point.
fn split(text: &str) -> Option<(&str, &str)> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, decimals)) => {
            (is_digits(whole) && is_digits(decimals)).then_some((whole, decimals))
        }
        None => is_digits(text).then_some((text, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_ordered_by_value() {
        let texts = ["0", "0.000000000000000001", "1", "1.05", "1.5", "9.99", "10", "61837.63000"];
        let prices: Vec<_> =
            texts.iter().map(|text| Price::parse(text).expect("a price")).collect();
        assert!(prices.is_sorted_by(|a, b| a < b), "{prices:?}");
        assert_eq!(Price::parse("1.50"), Price::parse("01.5"));
        let most = format!("{}.{}", "9".repeat(WHOLE_DIGITS_MAX), "9".repeat(DECIMALS_MAX));
        assert!(Price::parse(&most) > Price::parse("99999999999999999999"));
    }

    #[test]
    fn what_is_no_price_is_none() {
        let long =
            ["1".repeat(WHOLE_DIGITS_MAX + 1), format!("1.{}", "1".repeat(DECIMALS_MAX + 1))];
        let texts = ["", ".", "1.", ".1", "-1", "+1", "1e5", "1.2.3", "NaN", " 1", "٣"];
        for text in texts.into_iter().chain(long.iter().map(String::as_str)) {
            assert_eq!(Price::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn zero_has_many_forms() {
        for (text, zero) in
            [("0", Some(true)), ("0.00000000", Some(true)), ("0.001", Some(false)), ("x", None)]
        {
            assert_eq!(is_zero(text), zero, "{text:?}");
        }
    }
}
