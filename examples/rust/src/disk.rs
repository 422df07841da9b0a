//! A disk: its content, its bitmaps, and the guest writes that are in flight.

use crate::bitmap::Bitmap;
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome, Refusal};
use crate::units::{unit, Extent};

/// Longest name of a bitmap, in bytes.
const MAX_NAME: usize = 1023;

/// What a guest write makes of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Write { fill: u8 },
    Zeroes,
    Discard,
}

/// What the environment does to a guest write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteResult {
    Good,
    /// The disk reports an error; what it has then is unknown.
    Failed,
    /// Whatever must be saved for it cannot be saved.
    CopyFailed,
    /// A discard that has no effect.
    Ignored,
}

/// A guest write between its beginning and its end.
#[derive(Clone, Debug)]
pub struct WriteInFlight {
    pub id: String,
    pub extent: Extent,
    pub change: Change,
    /// The bitmaps that recorded at its beginning.
    pub yesterdays: Vec<String>,
}

/// One disk ("node") of the guest.
#[derive(Clone, Debug)]
pub struct Disk {
    pub name: String,
    pub content: Vec<u8>,
    pub bitmaps: Vec<Bitmap>,
    /// In the order in which they began.
    pub writes: Vec<WriteInFlight>,
}

impl Disk {
    /// All zeroes.
    pub fn new(name: &str, size: usize) -> Disk {
        Disk { name: name.to_owned(), content: vec![0; size], bitmaps: Vec::new(), writes: Vec::new() }
    }

    pub fn size(&self) -> u64 {
        self.content.len() as u64
    }

    pub fn bitmap(&self, name: &str) -> Outcome<&Bitmap> {
        let found = self.bitmaps.iter().find(|bitmap| bitmap.name == name);
        found.ok_or_else(|| Kind::NotFound.because(format!("{} has no bitmap {name}", self.name)))
    }

    pub fn bitmap_mut(&mut self, name: &str) -> Outcome<&mut Bitmap> {
        let found = self.bitmaps.iter_mut().find(|bitmap| bitmap.name == name);
        found.ok_or_else(|| Kind::NotFound.because(format!("{} has no bitmap {name}", self.name)))
    }

    /// The bitmap, to be changed by a command. Refused while it is busy.
    pub fn idle_bitmap(&mut self, name: &str) -> Outcome<&mut Bitmap> {
        let bitmap = self.bitmap_mut(name)?;
        if bitmap.is_busy() {
            return Err(busy(name));
        }
        Ok(bitmap)
    }

    pub fn clear_bitmap(&mut self, name: &str) -> Outcome {
        let unchecked = made(Mistake::BusyCleared) && self.bitmap(name).is_ok_and(Bitmap::is_frozen);
        let bitmap = if unchecked { self.bitmap_mut(name)? } else { self.idle_bitmap(name)? };
        bitmap.dirty.clear();
        if made(Mistake::ClearDisables) {
            bitmap.set_recording(false);
        }
        if made(Mistake::ClearsOthers) {
            self.bitmaps.iter_mut().for_each(|other| other.dirty.clear());
        }
        Ok(())
    }

    pub fn remove_bitmap(&mut self, name: &str) -> Outcome {
        let unchecked = made(Mistake::BusyRemoved) && self.bitmap(name).is_ok_and(Bitmap::is_frozen);
        let bitmap = if unchecked { self.bitmap_mut(name)? } else { self.idle_bitmap(name)? };
        bitmap.remove();
        Ok(())
    }

    pub fn add_bitmap(&mut self, name: &str, granularity: i64, enabled: bool) -> Outcome {
        let granularity = unit(granularity)
            .ok_or_else(|| Kind::Invalid.because(format!("granularity {granularity} is no power of two from 512")))?;
        if made(Mistake::ExistsUnchecked) {
            self.bitmaps.retain(|bitmap| bitmap.name != name || bitmap.is_busy());
        }
        if made(Mistake::RemovedIsFree) {
            self.bitmaps.retain(|bitmap| bitmap.name != name || !bitmap.is_removed());
        }
        if self.bitmap(name).is_ok() {
            return Err(Kind::Exists.because(format!("{} has a bitmap {name}", self.name)));
        }
        if name.len() > MAX_NAME && !made(Mistake::LongNames) {
            return Err(Kind::Invalid.because(format!("the bitmap's name has more than {MAX_NAME} bytes")));
        }
        self.bitmaps.push(Bitmap::new(name, self.size(), granularity, enabled));
        Ok(())
    }

    /// The bytes that a request names.
    pub fn extent(&self, offset: i64, length: i64) -> Outcome<Extent> {
        Extent::within(self.size(), offset, length)
            .ok_or_else(|| Kind::Invalid.because(format!("{length} bytes from {offset} are not all on {}", self.name)))
    }

    /// A guest write has reached the disk, and now ends.
    pub fn end_write(&mut self, extent: Extent, change: Change, result: WriteResult) {
        // What a failed write has done is unknown. Here it has done nothing, but it is recorded all the same.
        if result != WriteResult::Failed {
            let byte = match change {
                Change::Write { fill } => fill,
                Change::Zeroes | Change::Discard => 0,
            };
            self.content[extent.bytes()].fill(byte);
        }
        let forgotten = match change {
            _ if result == WriteResult::Failed && made(Mistake::FailedWriteForgotten) => true,
            Change::Zeroes => made(Mistake::ZeroesForgotten),
            Change::Discard => made(Mistake::DiscardForgotten),
            Change::Write { .. } => false,
        };
        if !forgotten {
            self.record(extent, |_| true);
        }
    }

    /// All bitmaps of these names that record now have it.
    fn record(&mut self, extent: Extent, named: impl Fn(&String) -> bool) {
        for bitmap in self.bitmaps.iter_mut().filter(|bitmap| named(&bitmap.name)) {
            bitmap.record(extent);
        }
    }

    /// A guest write in flight ends.
    pub fn land(&mut self, write: WriteInFlight, result: WriteResult) {
        if made(Mistake::RecordedByYesterdays) {
            self.record(write.extent, |name| write.yesterdays.contains(name));
            let bitmaps = std::mem::take(&mut self.bitmaps);
            self.end_write(write.extent, write.change, result);
            self.bitmaps = bitmaps;
        } else {
            self.end_write(write.extent, write.change, result);
        }
    }

    /// All guest writes in flight end, well.
    pub fn end_all_writes(&mut self) {
        for write in std::mem::take(&mut self.writes) {
            self.land(write, WriteResult::Good);
        }
    }
}

pub fn busy(name: &str) -> Refusal {
    let kind = if made(Mistake::WrongKind) { Kind::NotFound } else { Kind::Busy };
    kind.because(format!("{name} is in use"))
}
