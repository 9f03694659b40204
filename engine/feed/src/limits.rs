//! Every bound of this crate, in bytes and in count, checked against each other at compile time.

/// Bytes of one command, as the JSON text that the client sent.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// Topics of one `subscribe` or `unsubscribe`, and topics of its `resume`.
pub const TOPICS_MAX: usize = 1_000;
/// Bytes of one topic or pattern.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Bytes of an `id` as JSON text, with the quotes of a string.
pub const ID_BYTES_MAX: usize = 64;
/// Bytes of a `key`.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of a `token`.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Bytes of the name of a user or a client.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of an epoch.
pub const EPOCH_BYTES_MAX: usize = 32;
/// Arrays and objects within each other in `data`. Many decoders of clients stop at 128.
pub const DEPTH_MAX: usize = 64;
/// Messages of one `history` answer.
pub const HISTORY_MAX: u32 = 1_000;
/// The highest rate that a subscriber may ask for, in messages per second.
pub const RATE_HZ_MAX: f64 = 1_000.0;
/// The lowest rate that a subscriber may ask for: one message per minute, the
/// longest interval of a variant.
pub const RATE_HZ_MIN: f64 = 1.0 / 60.0;
/// Characters of what a peer wrote that an error message repeats.
pub const QUOTED_CHARS_MAX: usize = 40;
/// Bytes of an error message of the parsers here.
pub const ERROR_BYTES_MAX: usize = 300;

/// Bytes of one ingest frame, without its length.
pub const INGEST_FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a publisher's name.
pub const PUBLISHER_BYTES_MAX: usize = 128;
/// Bytes of a publisher's token.
pub const PUBLISHER_TOKEN_BYTES_MAX: usize = 1_024;
/// Bytes of the message of an ingest error.
pub const INGEST_MESSAGE_BYTES_MAX: usize = 1_024;

/// What a command may be, as far as a server can choose it. The rest are this module's constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one command. Default: [`MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
    /// Topics of one command. Default: [`TOPICS_MAX`].
    pub topics_max: usize,
    /// Bytes of one topic or pattern. Default: [`TOPIC_BYTES_MAX`].
    pub topic_bytes_max: usize,
    /// Bytes of a token. Default: [`TOKEN_BYTES_MAX`].
    pub token_bytes_max: usize,
    /// Arrays and objects within each other in `data`. Default: [`DEPTH_MAX`].
    pub depth_max: usize,
    /// Messages of one `history` answer; a greater `limit` is an error. Default: [`HISTORY_MAX`].
    pub history_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            topics_max: TOPICS_MAX,
            topic_bytes_max: TOPIC_BYTES_MAX,
            token_bytes_max: TOKEN_BYTES_MAX,
            depth_max: DEPTH_MAX,
            history_max: HISTORY_MAX,
        }
    }
}

/// What an ingest frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestLimits {
    /// Bytes of one frame, without its length. Default: [`INGEST_FRAME_BYTES_MAX`].
    pub frame_bytes_max: usize,
    /// Bytes of a topic. Default: [`TOPIC_BYTES_MAX`].
    pub topic_bytes_max: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self { frame_bytes_max: INGEST_FRAME_BYTES_MAX, topic_bytes_max: TOPIC_BYTES_MAX }
    }
}

const _: () = {
    // A command at all its other bounds still fits, so that each bound can be met and told.
    assert!(TOKEN_BYTES_MAX + ID_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(TOPIC_BYTES_MAX + KEY_BYTES_MAX + 28 < INGEST_FRAME_BYTES_MAX);
    // Lengths of 16 bits stand in ingest frames.
    assert!(TOPIC_BYTES_MAX <= u16::MAX as usize && KEY_BYTES_MAX <= u16::MAX as usize);
    assert!(PUBLISHER_BYTES_MAX <= u16::MAX as usize);
    assert!(PUBLISHER_TOKEN_BYTES_MAX <= u16::MAX as usize);
    assert!(INGEST_FRAME_BYTES_MAX <= u32::MAX as usize);
    assert!(DEPTH_MAX < 128, "serde_json refuses to parse more than 128");
};
