//! Why a command, or one topic of it, was refused, as the client is told.

use corecast::{
    AttachError, HistoryError, PatternError, PublishError, SubscribeError, TooMany, TopicError,
    UpdateError, VariantError,
};
use corecast_feed::event::{self, Event};
use corecast_feed::{ErrorCode, Id};
use corecast_gate::Denied;
use std::fmt::Display;

/// A refusal on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
    /// The field that is wrong.
    pub(crate) field: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Display) -> Self {
        Self { code, message: message.to_string(), field: None }
    }

    /// The same, naming the field; the message begins with its name.
    pub(crate) fn field(code: ErrorCode, field: &'static str, message: impl Display) -> Self {
        Self { code, message: format!("`{field}` {message}"), field: Some(field) }
    }

    /// The same, where the field is known from where it happened.
    pub(crate) fn of_field(self, field: &'static str) -> Self {
        let message = format!("`{field}`: {}", self.message);
        Self { message, field: Some(field), ..self }
    }

    /// No namespace is for this topic.
    pub(crate) fn unknown_topic() -> Self {
        Self::new(ErrorCode::NotFound, "unknown topic: no namespace is for its first token")
    }

    /// More commands wait for an answer than may.
    pub(crate) fn in_flight() -> Self {
        let message = "too many commands of this connection wait for their answers: await some";
        Self::new(ErrorCode::TooMany, message)
    }

    /// The answer to a command.
    pub(crate) fn event<'a>(&'a self, id: Option<&Id<'a>>, topic: Option<&'a str>) -> Event<'a> {
        Event::Error(event::Error {
            id: id.cloned(),
            field: self.field.map(Into::into),
            topic: topic.map(Into::into),
            ..event::Error::new(self.code, self.message.as_str())
        })
    }
}

impl From<&Denied> for Refusal {
    fn from(denied: &Denied) -> Self {
        let code = ErrorCode::from_code(denied.code()).unwrap_or(ErrorCode::Unauthenticated);
        Self::new(code, denied.reason())
    }
}

impl From<TooMany> for Refusal {
    fn from(error: TooMany) -> Self {
        Self::new(ErrorCode::TooMany, error)
    }
}

impl From<AttachError> for Refusal {
    fn from(error: AttachError) -> Self {
        let code = match error {
            AttachError::Unknown => ErrorCode::NotFound,
            AttachError::NotAllowed { interval_min_ms: 0, .. } => ErrorCode::Unsupported,
            AttachError::Topic(_) | AttachError::Variant(_) | AttachError::NotAllowed { .. } => {
                ErrorCode::Malformed
            }
            AttachError::PatternTokens { .. } => ErrorCode::TooLarge,
            AttachError::VariantAsTopic => ErrorCode::Malformed,
            AttachError::VariantsFull { .. }
            | AttachError::PresenceFull { .. }
            | AttachError::Full(_)
            | AttachError::JoinedFull
            | AttachError::PatternsFull => ErrorCode::TooMany,
            _ => ErrorCode::Unavailable,
        };
        Self::new(code, error)
    }
}

impl From<UpdateError> for Refusal {
    fn from(error: UpdateError) -> Self {
        let (code, field) = match error {
            UpdateError::Unknown => (ErrorCode::NotFound, "topic"),
            UpdateError::Topic(_) | UpdateError::Variant => (ErrorCode::Malformed, "topic"),
            UpdateError::TooLarge { .. } => (ErrorCode::TooLarge, "data"),
            UpdateError::KeyTooLong { .. } | UpdateError::KeysFull => (ErrorCode::TooLarge, "key"),
            UpdateError::NotSupported => (ErrorCode::Unsupported, "snapshot"),
            UpdateError::Full(_) => (ErrorCode::TooMany, "topic"),
            _ => return Self::new(ErrorCode::Unavailable, error),
        };
        Self::new(code, error).of_field(field)
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Update(error) => error.into(),
            PublishError::Topic(error) => error.into(),
            PublishError::TooLarge { .. } => Self::new(ErrorCode::TooLarge, error).of_field("data"),
            _ => Self::new(ErrorCode::Unavailable, error),
        }
    }
}

impl From<SubscribeError> for Refusal {
    fn from(error: SubscribeError) -> Self {
        let code = match error {
            SubscribeError::Topic(_) => ErrorCode::Malformed,
            SubscribeError::SubscriptionsFull { .. } | SubscribeError::TopicsFull { .. } => {
                ErrorCode::TooMany
            }
            _ => ErrorCode::Unavailable,
        };
        Self::new(code, error)
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        let code = match error {
            HistoryError::Unknown => ErrorCode::NotFound,
            HistoryError::NotSupported => ErrorCode::Unsupported,
        };
        Self::new(code, error).of_field("topic")
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Self {
        Self::new(ErrorCode::Malformed, error)
    }
}

impl From<VariantError> for Refusal {
    fn from(error: VariantError) -> Self {
        Self::new(ErrorCode::Malformed, error)
    }
}

impl From<PatternError> for Refusal {
    fn from(error: PatternError) -> Self {
        Self::new(ErrorCode::Malformed, error)
    }
}
