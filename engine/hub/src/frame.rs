//! A frame that many sockets of one shard wait for.

use core::fmt;
use std::rc::Rc;

use corecast_wire::Frame;

use crate::encoding::{Encoding, Frames};
use crate::id::Timestamp;

/// A handle to one prepared frame and the instant of its publication.
///
/// The count is not atomic: a clone per socket costs one increment of a number in cache.
#[derive(Clone)]
pub struct SharedFrame(Rc<Shared>);

struct Shared {
    frame: Frame,
    published_at: Timestamp,
}

impl SharedFrame {
    /// Puts `frame` behind a handle. `published_at` is where its latency is counted from.
    #[must_use]
    pub fn new(frame: Frame, published_at: Timestamp) -> Self {
        Self(Rc::new(Shared { frame, published_at }))
    }

    /// The frame itself.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.0.frame
    }

    /// The instant of its publication.
    #[inline]
    #[must_use]
    pub fn published_at(&self) -> Timestamp {
        self.0.published_at
    }

    /// Header and payload, as they go on the wire.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.frame.as_bytes()
    }

    /// Bytes on the wire: header and payload, so never zero.
    #[inline]
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a frame has at least its two header bytes
    pub fn len(&self) -> usize {
        self.0.frame.as_bytes().len()
    }
}

impl fmt::Debug for SharedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFrame")
            .field("bytes", &self.len())
            .field("published_at", &self.0.published_at)
            .field("handles", &Rc::strong_count(&self.0))
            .finish()
    }
}

/// One message as handles: at most one frame for each encoding, and the same compressed, made once
/// for each shard.
#[derive(Debug, Clone, Default)]
pub struct SharedFrames {
    plain: [Option<SharedFrame>; Encoding::ALL.len()],
    twins: [Option<SharedFrame>; Encoding::ALL.len()],
}

impl SharedFrames {
    /// Puts each of the frames behind a handle.
    #[must_use]
    pub fn new(frames: &Frames, published_at: Timestamp) -> Self {
        let mut made = Self::default();
        Prepared::Encoded { frames, published_at }.make(&mut made, |_, _| true);
        made
    }

    /// A frame for [`Encoding::Raw`] alone, and its twin.
    #[must_use]
    pub fn of_raw(frame: &Frame, published_at: Timestamp) -> Self {
        let mut made = Self::raw(SharedFrame::new(frame.without_twin(), published_at));
        if let Some(twin) = frame.twin() {
            made.twins[Encoding::Raw as usize] = Some(SharedFrame::new(twin.clone(), published_at));
        }
        made
    }

    /// A frame for [`Encoding::Raw`] alone.
    #[must_use]
    pub fn raw(frame: SharedFrame) -> Self {
        Self::default().with(Encoding::Raw, frame)
    }

    /// These frames and one more.
    #[must_use]
    pub fn with(mut self, encoding: Encoding, frame: SharedFrame) -> Self {
        self.plain[encoding as usize] = Some(frame);
        self
    }

    /// The frame of an encoding.
    #[inline]
    #[must_use]
    pub const fn get(&self, encoding: Encoding) -> Option<&SharedFrame> {
        self.plain[encoding as usize].as_ref()
    }

    /// The frame of an encoding for who takes it compressed: as it is, where it is not.
    #[inline]
    #[must_use]
    pub fn get_twin(&self, encoding: Encoding) -> Option<&SharedFrame> {
        self.twins[encoding as usize].as_ref().or(self.get(encoding))
    }
}

/// The frames of a publication: shared already, or as their home made them. Of the latter only
/// those are put behind handles that somebody here gets.
#[derive(Debug, Clone, Copy)]
pub enum Prepared<'a> {
    /// Handles of this shard.
    Shared(&'a SharedFrames),
    /// Frames that no shard has put behind handles.
    Encoded {
        /// The frames.
        frames: &'a Frames,
        /// The instant of their publication.
        published_at: Timestamp,
    },
}

impl Prepared<'_> {
    /// The handles, those at least of encodings that are wanted, compressed (`true`) or as they
    /// are. `made`: where they are kept.
    #[inline]
    pub(crate) fn share<'s>(
        &'s self,
        made: &'s mut SharedFrames,
        is_wanted: impl FnMut(Encoding, bool) -> bool,
    ) -> &'s SharedFrames {
        if let Self::Shared(frames) = *self {
            return frames;
        }
        self.make(made, is_wanted);
        made
    }

    #[inline]
    fn make(&self, made: &mut SharedFrames, mut is_wanted: impl FnMut(Encoding, bool) -> bool) {
        let Self::Encoded { frames, published_at } = *self else { return };
        let share = |frame: Frame| SharedFrame::new(frame, published_at);
        for encoding in Encoding::ALL {
            let Some(frame) = frames.get(encoding) else { continue };
            let twin = frame.twin().filter(|_| is_wanted(encoding, true));
            made.twins[encoding as usize] = twin.map(|twin| share(twin.clone()));
            // Without a twin this is everybody's.
            let is_wanted =
                is_wanted(encoding, false) || frame.twin().is_none() && is_wanted(encoding, true);
            made.plain[encoding as usize] = is_wanted.then(|| share(frame.without_twin()));
        }
    }
}

impl<'a> From<&'a SharedFrames> for Prepared<'a> {
    fn from(frames: &'a SharedFrames) -> Self {
        Self::Shared(frames)
    }
}

impl From<SharedFrame> for SharedFrames {
    fn from(frame: SharedFrame) -> Self {
        Self::raw(frame)
    }
}
