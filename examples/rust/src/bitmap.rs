//! A named bitmap, and the successor that it has while a job holds it.

use crate::mistake::{made, made_once, Mistake};
use crate::units::{Extent, Units};

/// What a backup does to its bitmap at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    OnSuccess,
    Never,
    Always,
}

/// Some granules of a disk are dirty, and more become so while it records.
#[derive(Clone, Debug)]
pub struct Bitmap {
    pub name: String,
    /// Its own dirty granules. While it is frozen, these do not change.
    pub dirty: Units,
    recording: bool,
    /// There is one exactly while a job has this bitmap frozen.
    successor: Option<Successor>,
    /// Removed by an action of the transaction that is going on.
    removed: bool,
}

/// What is recorded instead of a frozen bitmap.
#[derive(Clone, Debug)]
pub struct Successor {
    pub dirty: Units,
    pub recording: bool,
}

impl Bitmap {
    /// A clean bitmap.
    pub fn new(name: &str, size: u64, granularity: u64, recording: bool) -> Bitmap {
        let dirty = Units::none(size, granularity);
        Bitmap { name: name.to_owned(), dirty, recording, successor: None, removed: false }
    }

    pub fn is_frozen(&self) -> bool {
        self.successor.is_some()
    }

    pub fn is_busy(&self) -> bool {
        self.is_frozen() || self.removed
    }

    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// It is to go when the command, or the transaction, ends.
    pub fn remove(&mut self) {
        self.removed = true;
    }

    pub fn successor(&self) -> Option<&Successor> {
        self.successor.as_ref()
    }

    /// Whether guest writes are recorded under its name, by itself or by its successor.
    pub fn is_recording(&self) -> bool {
        self.successor.as_ref().map_or(self.recording, |successor| successor.recording)
    }

    pub fn set_recording(&mut self, recording: bool) {
        self.recording = recording;
    }

    /// The guest has, or may have, changed these bytes.
    pub fn record(&mut self, extent: Extent) {
        if made(Mistake::LostWriteDuringJob) && self.is_frozen() || made_once(Mistake::LostOnce) {
            return;
        }
        if self.is_recording() || made(Mistake::DisabledRecords) {
            let extent = mistaken(extent, &self.dirty);
            self.successor.as_mut().map_or(&mut self.dirty, |successor| &mut successor.dirty).add(extent);
        }
    }

    /// A job takes it.
    pub fn freeze(&mut self) {
        self.successor = Some(Successor { dirty: self.dirty.none_alike(), recording: self.recording });
    }

    /// The job that had it has ended. `left` is what it has not copied.
    pub fn thaw(&mut self, mode: Mode, completed: bool, left: &[Extent]) {
        let Some(successor) = self.successor.take() else { return };
        let forget = match mode {
            Mode::OnSuccess if made(Mistake::SuccessKeepsAll) => false,
            Mode::OnSuccess => completed || made(Mistake::AbdicatesOnFailure),
            Mode::Never => completed && made(Mistake::NeverForgets),
            Mode::Always => true,
        };
        if forget {
            self.dirty.clear();
        }
        if completed || !made(Mistake::ForgetsSuccessor) {
            self.dirty.add_all(&successor.dirty);
        }
        if mode == Mode::Always && !completed && !made(Mistake::AlwaysForgetsLeft) {
            for &extent in left {
                self.dirty.add(extent);
            }
        }
        self.recording = successor.recording && !made(Mistake::DeafAfterJob);
    }
}

/// What is recorded of a write, if a mistake is made.
fn mistaken(extent: Extent, granules: &Units) -> Extent {
    let (unit, end) = (granules.unit(), extent.offset + extent.length);
    let whole = |end: u64| (end / unit * unit).saturating_sub(extent.offset);
    let length = if made(Mistake::LastGranuleMissed) && end / unit > extent.offset / unit {
        whole(end)
    } else if made(Mistake::TailForgotten) {
        extent.length.min(whole(granules.size()))
    } else if extent.length > 0 && (made(Mistake::NeighbourMarked) || made_once(Mistake::WastefulOnce)) {
        extent.length + unit
    } else {
        extent.length
    };
    Extent { length, ..extent }
}
