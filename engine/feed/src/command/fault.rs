//! What is wrong with a command, and how the client is told.

use core::fmt;
use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::codes::ErrorCode;
use crate::event;
use crate::limits::{ERROR_BYTES_MAX, QUOTED_CHARS_MAX};
use crate::raw::Id;

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError<'a> {
    /// 400, 405 or 413.
    pub code: ErrorCode,
    /// The field that is wrong (`topics[3]`, `policy.max_hz`); `None` where it is the whole text.
    pub field: Option<Cow<'static, str>>,
    /// What is wrong and what would be right, at most
    /// [`ERROR_BYTES_MAX`](crate::limits::ERROR_BYTES_MAX) bytes.
    pub message: String,
    /// The command's `id`, whenever it could be read.
    pub id: Option<Id<'a>>,
}

impl CommandError<'_> {
    /// The answer to the client.
    #[must_use]
    pub fn to_event(&self) -> event::Error<'_> {
        event::Error {
            id: self.id.clone(),
            field: self.field.as_deref().map(Cow::Borrowed),
            ..event::Error::new(self.code, self.message.as_str())
        }
    }
}

impl fmt::Display for CommandError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for CommandError<'_> {}

/// A [`CommandError`] without its id, which is known only at the end; the message goes on behind
/// the field's name.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    pub(super) field: Option<Cow<'static, str>>,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn of(
        code: ErrorCode,
        field: impl Into<Cow<'static, str>>,
        message: impl fmt::Display,
    ) -> Self {
        Self { code, field: Some(field.into()), message: message.to_string() }
    }

    /// The same of a field that is known better by now.
    pub(super) fn at(self, field: String) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub(super) fn wrong(field: impl Into<Cow<'static, str>>, message: impl fmt::Display) -> Self {
        Self::of(ErrorCode::Malformed, field, message)
    }

    pub(super) fn too_large(
        field: impl Into<Cow<'static, str>>,
        message: impl fmt::Display,
    ) -> Self {
        Self::of(ErrorCode::TooLarge, field, message)
    }

    /// A value of another JSON type than `expected`.
    pub(super) fn kind(
        field: impl Into<Cow<'static, str>>,
        expected: &str,
        found: &RawValue,
    ) -> Self {
        Self::wrong(field, format_args!("must be {expected}, not {}", kind_of(found.get())))
    }

    /// The text as a whole is wrong.
    pub(super) fn whole(code: ErrorCode, message: String) -> Self {
        Self { code, field: None, message }
    }

    pub(super) fn with_id(self, id: Option<Id<'_>>) -> CommandError<'_> {
        let message = match &self.field {
            Some(field) => format!("`{field}` {}", self.message),
            None => self.message,
        };
        CommandError {
            code: self.code,
            field: self.field,
            message: cut(message, ERROR_BYTES_MAX),
            id,
        }
    }
}

/// What a peer wrote, as far as an error message repeats it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

/// What kind of JSON value a text begins.
pub(super) fn kind_of(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(_) => "something that is no JSON",
        None => "an empty text",
    }
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - '…'.len_utf8()));
        text.push('…');
    }
    text
}
