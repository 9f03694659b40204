//! A shared secret, as it stands in a file or a variable.

use super::error::KeyError;
use crate::limits::{KEY_FILE_BYTES_MAX, SECRET_BYTES_MIN};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncoding {
    /// Its bytes themselves. The end of the line behind a text is no part of it.
    #[default]
    Raw,
    /// base64url, with or without padding.
    Base64url,
}

/// The bytes of a secret, long enough for HS256.
pub(super) fn read(content: &[u8], encoding: SecretEncoding) -> Result<Vec<u8>, KeyError> {
    if content.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyError::TooLong);
    }
    // Who signs with what is public lets anybody sign.
    if content.trim_ascii_start().starts_with(b"-----BEGIN") {
        return Err(KeyError::PemAsSecret);
    }
    let secret = match encoding {
        SecretEncoding::Raw => without_line_end(content).to_vec(),
        SecretEncoding::Base64url => {
            let decoded = BASE64URL.decode(content.trim_ascii());
            decoded.map_err(|_| KeyError::SecretEncoding)?
        }
    };
    strong(secret)
}

/// Checks that a secret is long enough, and not obviously none.
pub(super) fn strong(secret: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    //= RFC 7518 §3.2
    //# A key of the same size as the hash output (for instance, 256 bits for
    //# "HS256") or larger MUST be used with this algorithm.
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError::ShortSecret(secret.len()));
    }
    if secret.iter().all(|byte| *byte == secret[0]) {
        return Err(KeyError::PlainSecret);
    }
    Ok(secret)
}

/// Editors and `echo` end a text with a line end; random bytes may end with the same byte.
fn without_line_end(content: &[u8]) -> &[u8] {
    let text = content.strip_suffix(b"\n").unwrap_or(content);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let is_text = text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    if is_text { text } else { content }
}

/// With or without padding: people copy both.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_its_line_end_and_random_bytes_lose_nothing() {
        let text = b"0123456789abcdef0123456789abcdef";
        for end in ["", "\n", "\r\n"] {
            let content = [&text[..], end.as_bytes()].concat();
            assert_eq!(read(&content, SecretEncoding::Raw), Ok(text.to_vec()), "{end:?}");
        }
        let random = [&[0x80; 20][..], &[0x81; 20], b"\n"].concat();
        assert_eq!(read(&random, SecretEncoding::Raw), Ok(random));
    }

    #[test]
    fn base64url_is_read_with_and_without_padding() {
        let secret: Vec<u8> = (0..32).map(|byte| byte * 8).collect();
        let padded = "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg=";
        for text in [padded, padded.trim_end_matches('='), &format!("{padded}\n")] {
            assert_eq!(read(text.as_bytes(), SecretEncoding::Base64url), Ok(secret.clone()));
        }
        let error = read(b"not base64!", SecretEncoding::Base64url);
        assert_eq!(error, Err(KeyError::SecretEncoding));
    }

    #[test]
    fn a_weak_secret_is_refused_and_told_how_to_make_a_better_one() {
        let raw = |content: &[u8]| read(content, SecretEncoding::Raw).expect_err("weak");
        assert_eq!(raw(b"secret\n"), KeyError::ShortSecret(6));
        assert_eq!(raw(&[7; 64]), KeyError::PlainSecret);
        assert_eq!(raw(&[0; KEY_FILE_BYTES_MAX + 1]), KeyError::TooLong);
        assert_eq!(raw(b" -----BEGIN PUBLIC KEY-----\nMIIB"), KeyError::PemAsSecret);
        let short = read(b"AAgQGCAo", SecretEncoding::Base64url);
        assert_eq!(short, Err(KeyError::ShortSecret(6)));
        assert!(KeyError::ShortSecret(6).to_string().contains("openssl rand"));
    }
}
