//! A disk: its content, its bitmaps, and the guest writes that are in flight.

use crate::bitmap::Bitmap;
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

    pub fn add_bitmap(&mut self, name: &str, granularity: i64, enabled: bool) -> Outcome {
        let granularity = unit(granularity)
            .ok_or_else(|| Kind::Invalid.because(format!("granularity {granularity} is no power of two from 512")))?;
        if self.bitmap(name).is_ok() {
            return Err(Kind::Exists.because(format!("{} has a bitmap {name}", self.name)));
        }
        if name.len() > MAX_NAME {
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
        for bitmap in &mut self.bitmaps {
            bitmap.record(extent);
        }
    }

    /// All guest writes in flight end, well.
    pub fn end_all_writes(&mut self) {
        for write in std::mem::take(&mut self.writes) {
            self.end_write(write.extent, write.change, WriteResult::Good);
        }
    }
}

pub fn busy(name: &str) -> Refusal {
    Kind::Busy.because(format!("{name} is in use"))
}
