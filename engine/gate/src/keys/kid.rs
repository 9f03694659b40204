//! Ids of keys. One is only ever compared with those of a set; it makes no path and no address.

use crate::limits::KID_BYTES_MAX;

/// Whether a text can be a key's id: printable ASCII that needs no escape anywhere, and nothing
/// that climbs out of a directory. Issuers use names, hashes in base64, addresses and dates.
pub(crate) fn is_kid(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@#|,".contains(&byte);
    (1..=KID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !text.contains("..")
        && !text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_climbs_nowhere_and_breaks_no_line() {
        for kid in ["2024-05", "RmZ+/7w=", "https://idp.example/key#1", "a", "did:web:x#k|1"] {
            assert!(is_kid(kid), "{kid}");
        }
        let long = "a".repeat(KID_BYTES_MAX + 1);
        for kid in [
            "",
            "../../etc/passwd",
            "a/../b",
            "/dev/null",
            "a b",
            "a\n",
            "a\0",
            "a\"",
            "a\\b",
            "a'--",
            "ä",
            "%2e%2e%2f",
            "$(id)",
            &long,
        ] {
            assert!(!is_kid(kid), "{kid}");
        }
    }
}
