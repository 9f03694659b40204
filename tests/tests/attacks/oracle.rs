//! What RFC 6455 says of the first two bytes of a frame and of close codes, written down a second
//! time.

/// What must come of a frame with these first two bytes, at the start of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The two bytes alone break the protocol: 1002 at once.
    BrokenHeader,
    /// The header is fine, but continues no message: 1002.
    NothingToContinue,
    /// The first or only frame of a text or binary message.
    Message { text: bool, whole: bool },
    /// Answered with a Pong.
    Ping,
    /// Ignored.
    Pong,
    /// Answered with this code, if the payload is nothing but zeros.
    Close(u16),
}

/// §5.1 and §5.2, bit by bit.
pub(crate) fn verdict(first: u8, second: u8) -> Verdict {
    let bit = |byte: u8, number: u8| byte >> (7 - number) & 1 == 1;
    let (fin, masked) = (bit(first, 0), bit(second, 0));
    if bit(first, 1) || bit(first, 2) || bit(first, 3) || !masked {
        return Verdict::BrokenHeader;
    }
    let length = second - 128;
    let control_is_fine = fin && length < 126;
    match first % 16 {
        0 => Verdict::NothingToContinue,
        1 => Verdict::Message { text: true, whole: fin },
        2 => Verdict::Message { text: false, whole: fin },
        8 if control_is_fine => Verdict::Close(match length {
            // An empty body: the answer says 1000.
            0 => 1000,
            // Half a code, or the code 0.
            _ => 1002,
        }),
        9 if control_is_fine => Verdict::Ping,
        10 if control_is_fine => Verdict::Pong,
        _ => Verdict::BrokenHeader,
    }
}

/// The code that answers a Close with `code`: itself, if the registry of §7.4 (as IANA keeps it)
/// lets an endpoint send it.
pub(crate) fn answer_to_close(code: u16) -> u16 {
    const REGISTERED: &[u16] =
        &[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    let private = code / 1000 == 3 || code / 1000 == 4;
    if private || REGISTERED.contains(&code) { code } else { 1002 }
}
