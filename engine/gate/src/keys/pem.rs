//! A public key in PEM.

use super::error::KeyError;
use super::{Algorithm, Key};
use crate::limits::{KEY_FILE_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::DecodingKey;

pub(super) fn read(content: &[u8]) -> Result<Key, KeyError> {
    if content.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyError::TooLong);
    }
    let text = std::str::from_utf8(content).map_err(|_| KeyError::NoPublicKey)?;
    check_label(text)?;
    // Which of them it is stands in the key: each reader refuses the others.
    let (algorithm, decoding) = if let Ok(key) = DecodingKey::from_rsa_pem(content) {
        (Algorithm::Rs256, key)
    } else if let Ok(key) = DecodingKey::from_ec_pem(content) {
        (Algorithm::Es256, key)
    } else if let Ok(key) = DecodingKey::from_ed_pem(content) {
        (Algorithm::EdDsa, key)
    } else {
        return Err(KeyError::NoPublicKey);
    };
    let bytes = decoding.try_get_as_bytes().map_err(|_| KeyError::NoPublicKey)?;
    match algorithm {
        Algorithm::Rs256 => check_rsa_bits(modulus(bytes).ok_or(KeyError::NoPublicKey)?)?,
        Algorithm::Es256 if !is_p256(text, bytes) => return Err(KeyError::Curve),
        Algorithm::EdDsa if bytes.len() != 32 => return Err(KeyError::NoPublicKey),
        _ => {}
    }
    Ok(Key::new(None, algorithm, decoding))
}

fn check_label(text: &str) -> Result<(), KeyError> {
    let mut labels = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN "));
    let label = labels.next().ok_or(KeyError::NoPublicKey)?.trim_end_matches('-');
    if labels.next().is_some() {
        return Err(KeyError::SeveralKeys);
    }
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Ok(()),
        "CERTIFICATE" => Err(KeyError::Certificate),
        _ if label.ends_with("PRIVATE KEY") => Err(KeyError::PrivateKey),
        _ => Err(KeyError::NoPublicKey),
    }
}

/// Checks the length of a modulus, in bytes with the greatest first.
pub(super) fn check_rsa_bits(modulus: &[u8]) -> Result<(), KeyError> {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = &modulus[zeros..];
    let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Ok(());
    }
    Err(KeyError::RsaBits(bits))
}

/// The modulus of `RSAPublicKey ::= SEQUENCE { modulus INTEGER, … }` (RFC 8017 §A.1.1).
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let (content, _) = element(der, 0x30)?;
    element(content, 0x02).map(|(modulus, _)| modulus)
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let count = usize::from(first & 0x7f);
    let (length, rest) = match first {
        0..=0x7f => (count, rest),
        _ if count > 2 => return None,
        _ => {
            let (digits, rest) = rest.split_at_checked(count)?;
            let value = digits.iter().fold(0, |value, digit| value << 8 | usize::from(*digit));
            (value, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (found == tag).then_some((content, rest))
}

/// Whether an uncompressed point stands on P-256, by the curve that is named beside it. Other
/// curves have points of the same length.
fn is_p256(pem: &str, point: &[u8]) -> bool {
    const PRIME256V1: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let body: String = pem.lines().map(str::trim).filter(|line| !line.contains("--")).collect();
    let der = STANDARD.decode(body).unwrap_or_default();
    let is_named = der.windows(PRIME256V1.len()).any(|bytes| bytes == PRIME256V1);
    is_named && point.len() == 65 && point[0] == 4
}
