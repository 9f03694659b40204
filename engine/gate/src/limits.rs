//! Every bound of the gate. What is longer, or more, is refused.

/// Bytes of a token. It is what the feed's `auth` takes, and what fits into a request's head.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Bytes of a key's id (`kid`).
pub const KID_BYTES_MAX: usize = 128;
/// Bytes of a user's name (`sub`): what fits into a topic of its own, and into a log line.
pub const USER_BYTES_MAX: usize = 128;
/// Audiences that a token may name.
pub const AUDIENCES_MAX: usize = 16;
/// The latest time that a claim may name, in seconds since 1970: the end of the year 9999. What is
/// later is no date, but a way to say "never".
pub const TIME_S_MAX: i64 = 253_402_300_799;
/// The most that clocks may differ, in seconds.
pub const LEEWAY_S_MAX: u32 = 60;

/// Bytes of a topic or a pattern: as long as a topic of the hub.
pub const PATTERN_BYTES_MAX: usize = 255;
/// Patterns of one identity, of all four verbs.
pub const PATTERNS_MAX: usize = 256;
/// Bytes of all patterns of one identity.
pub const PATTERNS_BYTES_MAX: usize = 8_192;

/// Sources of keys.
pub const SOURCES_MAX: usize = 16;
/// Keys of one source.
pub const KEYS_MAX: usize = 64;
/// Entries of a JWK set that are looked at, those that are ignored included.
pub const JWKS_ENTRIES_MAX: usize = 256;
/// Bytes of a JWK set.
pub const JWKS_BYTES_MAX: usize = 256 * 1_024;
/// Bytes of a key in a file of its own.
pub const KEY_FILE_BYTES_MAX: usize = 16 * 1_024;
/// The shortest shared secret in bytes: as long as the hash (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// The shortest RSA modulus in bits (RFC 7518 §3.3).
pub const RSA_BITS_MIN: usize = 2_048;
/// The longest RSA modulus in bits: what verifies it takes no longer one.
pub const RSA_BITS_MAX: usize = 8_192;

/// Bytes of an `Origin`, or of a rule for it: a host has 253 at most.
pub const ORIGIN_BYTES_MAX: usize = 320;
/// Origins that can be allowed.
pub const ORIGINS_MAX: usize = 256;

const _: () = {
    assert!(KID_BYTES_MAX < TOKEN_BYTES_MAX && USER_BYTES_MAX < TOKEN_BYTES_MAX);
    assert!(KEYS_MAX <= JWKS_ENTRIES_MAX && RSA_BITS_MIN <= RSA_BITS_MAX);
    assert!(USER_BYTES_MAX + "$user.".len() <= PATTERN_BYTES_MAX);
};
