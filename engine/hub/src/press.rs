//! Compression once for all: which messages are compressed, where their frames are made.

use std::cell::RefCell;
use std::rc::Rc;

use corecast_wire::{Deflater, Frame};
use serde::{Deserialize, Serialize};

/// What a namespace compresses for those who agreed to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// What the engine's settings say.
    #[default]
    Default,
    /// Nothing.
    Off,
    /// Messages of conflated variants, and snapshots: what has many records in one frame.
    Batches,
    /// Every message.
    All,
}

/// How a [`Press`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressConfig {
    /// What is compressed where a namespace says nothing; [`Compress::Default`] is `Batches`.
    pub what: Compress,
    /// From 1, the fastest, to 9.
    pub level: u8,
    /// Frames that are shorter are sent as they are.
    pub threshold_bytes: usize,
}

/// What a press did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PressTotals {
    /// Messages compressed, those included that did not become shorter.
    pub deflates: u64,
    /// Bytes of their frames.
    pub bytes_in: u64,
    /// Bytes of the frames that came of them; as they were where they did not become shorter.
    pub bytes_out: u64,
}

/// A shard's one deflater, shared by all that make frames there; without one it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Press(Option<Rc<RefCell<Works>>>);

#[derive(Debug)]
struct Works {
    config: PressConfig,
    deflater: Deflater,
    totals: PressTotals,
}

impl Press {
    /// A press. It takes no memory before the first message.
    ///
    /// # Panics
    /// When there is no such level.
    #[must_use]
    pub fn new(config: PressConfig) -> Self {
        let (deflater, totals) = (Deflater::new(config.level), PressTotals::default());
        Self(Some(Rc::new(RefCell::new(Works { config, deflater, totals }))))
    }

    /// What was done so far.
    #[must_use]
    pub fn totals(&self) -> PressTotals {
        self.0.as_ref().map_or_else(PressTotals::default, |works| works.borrow().totals)
    }

    /// The frame with its [twin](Frame::twin), where it is to have one. `is_batch`: it is a
    /// variant's message or a snapshot; `said`: what its namespace says.
    #[must_use]
    pub fn press(&self, frame: Frame, is_batch: bool, said: Compress) -> Frame {
        let Some(works) = &self.0 else { return frame };
        let mut works = works.borrow_mut();
        let what = if said == Compress::Default { works.config.what } else { said };
        let is_wanted = match what {
            Compress::Off => false,
            Compress::Default | Compress::Batches => is_batch,
            Compress::All => true,
        };
        if !is_wanted || frame.is_tried() || frame.len() < works.config.threshold_bytes {
            return frame;
        }
        let Works { deflater, totals, .. } = &mut *works;
        let frame = frame.with_twin(deflater);
        totals.deflates += 1;
        totals.bytes_in += frame.len() as u64;
        totals.bytes_out += frame.twin().unwrap_or(&frame).len() as u64;
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_compressed_once_and_nothing_else() {
        let long = || Frame::text(&"61000.50,61000.75;".repeat(50));
        let config = |what| PressConfig { what, level: 1, threshold_bytes: 200 };
        for (what, said, alone, batch) in [
            (Compress::Batches, Compress::Default, false, true),
            (Compress::Default, Compress::Default, false, true),
            (Compress::All, Compress::Default, true, true),
            (Compress::Off, Compress::Default, false, false),
            (Compress::All, Compress::Off, false, false),
            (Compress::All, Compress::Batches, false, true),
            (Compress::Off, Compress::All, true, true),
        ] {
            let press = Press::new(config(what));
            assert_eq!(press.press(long(), false, said).twin().is_some(), alone, "{what:?}");
            assert_eq!(press.press(long(), true, said).twin().is_some(), batch, "{what:?}");
            let deflates = u64::from(alone) + u64::from(batch);
            assert_eq!(press.totals().deflates, deflates);
        }
        let press = Press::new(config(Compress::All));
        assert!(press.press(Frame::text("short"), true, Compress::All).twin().is_none());
        let pressed = press.press(long(), true, Compress::All);
        assert_eq!(press.press(pressed.clone(), true, Compress::All), pressed);
        let totals = press.totals();
        assert_eq!((totals.deflates, totals.bytes_in), (1, long().len() as u64));
        assert!(totals.bytes_out < totals.bytes_in / 5);
        assert!(Press::default().press(long(), true, Compress::All).twin().is_none());
    }
}
