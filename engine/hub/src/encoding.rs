//! The forms in which one message leaves: each subscriber gets one, each is encoded at most once.

use corecast_wire::Frame;

/// The form in which a connection gets what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Encoding {
    /// The publisher's bytes as a message of their own: messages, the snapshot of an attach, and
    /// nothing else that a home says. No snapshot comes between messages and no notice of the
    /// topic, since nothing would tell them from a message.
    #[default]
    Raw = 0,
    /// A JSON text around them.
    Json = 1,
    /// A binary record around them.
    Binary = 2,
}

impl Encoding {
    /// All encodings, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Json, Self::Binary];
}

/// One message as frames: at most one for each encoding. A subscriber whose encoding has none
/// gets nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames([Option<Frame>; Encoding::ALL.len()]);

impl Frames {
    /// A frame for [`Encoding::Raw`] alone.
    #[must_use]
    pub fn raw(frame: Frame) -> Self {
        Self::default().with(Encoding::Raw, frame)
    }

    /// Makes the frame of each encoding that is wanted.
    #[must_use]
    pub fn encode(wanted: Wanted, mut encode: impl FnMut(Encoding) -> Frame) -> Self {
        let mut frames = Self::default();
        for encoding in Encoding::ALL.into_iter().filter(|encoding| wanted.has(*encoding)) {
            frames.0[encoding as usize] = Some(encode(encoding));
        }
        frames
    }

    /// These frames and one more.
    #[must_use]
    pub fn with(mut self, encoding: Encoding, frame: Frame) -> Self {
        self.0[encoding as usize] = Some(frame);
        self
    }

    /// The frame of an encoding.
    #[inline]
    #[must_use]
    pub const fn get(&self, encoding: Encoding) -> Option<&Frame> {
        self.0[encoding as usize].as_ref()
    }

    /// The frame of an encoding, made and kept if it is not there.
    pub fn get_or_encode(&mut self, encoding: Encoding, encode: impl FnOnce() -> Frame) -> &Frame {
        self.0[encoding as usize].get_or_insert_with(encode)
    }

    /// Changes the frame of an encoding, if there is one.
    pub(crate) fn change(&mut self, encoding: Encoding, change: impl FnOnce(Frame) -> Frame) {
        let place = &mut self.0[encoding as usize];
        *place = place.take().map(change);
    }

    /// Bytes of all frames, in both forms.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|frame| frame.len() + frame.twin().map_or(0, Frame::len)).sum()
    }
}

/// A set of encodings: those that anybody is waiting for, and those of them that anybody takes
/// compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted(u8);

impl Wanted {
    /// No encoding.
    pub const NONE: Self = Self(0);
    /// Every encoding.
    pub const ALL: Self = Self(0b111);

    /// This set and one encoding more.
    #[must_use]
    pub const fn with(self, encoding: Encoding) -> Self {
        Self(self.0 | 1 << encoding as u8)
    }

    /// This set with somebody who takes an encoding compressed, if there is such a frame.
    #[must_use]
    pub const fn with_twin(self, encoding: Encoding) -> Self {
        Self(self.0 | 0b1001 << encoding as u8)
    }

    /// Whether anybody takes the encoding compressed.
    #[inline]
    #[must_use]
    pub const fn has_twin(self, encoding: Encoding) -> bool {
        self.0 & (0b1000 << encoding as u8) != 0
    }

    /// Whether the encoding is in the set.
    #[inline]
    #[must_use]
    pub const fn has(self, encoding: Encoding) -> bool {
        self.0 & (1 << encoding as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_encoded() {
        let wanted = Wanted::NONE.with(Encoding::Json);
        let mut frames = Frames::encode(wanted, |encoding| {
            assert_eq!(encoding, Encoding::Json, "nobody wants another");
            Frame::text("{}")
        });
        assert!(frames.get(Encoding::Raw).is_none() && frames.get(Encoding::Binary).is_none());
        assert_eq!(frames.get(Encoding::Json), Some(&Frame::text("{}")));
        assert_eq!(frames.bytes(), 4);
        assert_eq!(*frames.get_or_encode(Encoding::Json, || unreachable!()), Frame::text("{}"));
        frames.get_or_encode(Encoding::Raw, || Frame::binary(b"x"));
        assert_eq!(frames.get(Encoding::Raw), Some(&Frame::binary(b"x")));
        assert!(Encoding::ALL.iter().all(|encoding| Wanted::ALL.has(*encoding)));
        assert!(!Encoding::ALL.iter().any(|encoding| Wanted::ALL.has_twin(*encoding)));
        let twin = Wanted::NONE.with_twin(Encoding::Json);
        assert!(twin.has_twin(Encoding::Json) && twin.has(Encoding::Json));
        assert!(!twin.has_twin(Encoding::Binary) && !twin.has(Encoding::Binary));
    }
}
