//! The whole implementation: disks, backup jobs, and the commands that concern more than one disk.

mod jobs;
mod start;

use std::collections::BTreeMap;

use self::start::ForeignBackup;
pub use self::start::{Start, Sync, MAX_UNSIGNED};
use crate::bitmap::Bitmap;
use crate::disk::{busy, Change, Disk, WriteInFlight, WriteResult};
use crate::job::{Ending, Job};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome, Refusal};
use crate::units::Extent;

/// Who makes the copies of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// This program: there are jobs.
    Adapter,
    /// The suite: this program only tracks, and keeps the content of each backup's point in time.
    Suite,
}

/// What `write` and `begin-write` ask for.
#[derive(Clone, Debug)]
pub struct GuestWrite {
    pub node: String,
    pub offset: i64,
    pub length: i64,
    pub change: Change,
    pub result: WriteResult,
}

/// A job has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub job: String,
    pub ending: Ending,
}

/// All state. A copy of it is what a refused transaction goes back to.
#[derive(Clone, Debug)]
pub struct Machine {
    copies: Copies,
    disks: Vec<Disk>,
    jobs: Vec<Job>,
    foreign: Vec<ForeignBackup>,
    /// Of jobs that have ended, by their ids.
    targets: BTreeMap<String, Vec<u8>>,
    groups: u64,
    /// What has ended since it was last asked for.
    ended: Vec<Ended>,
}

impl Machine {
    pub fn new(copies: Copies) -> Machine {
        Machine {
            copies,
            disks: Vec::new(),
            jobs: Vec::new(),
            foreign: Vec::new(),
            targets: BTreeMap::new(),
            groups: 0,
            ended: Vec::new(),
        }
    }

    pub fn copies(&self) -> Copies {
        self.copies
    }

    /// Forget everything.
    pub fn reset(&mut self, disks: Vec<Disk>) {
        *self = Machine { disks, ..Machine::new(self.copies) };
    }

    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    pub fn disk(&self, name: &str) -> Outcome<&Disk> {
        let found = self.disks.iter().find(|disk| disk.name == name);
        found.ok_or_else(|| Kind::NotFound.because(format!("there is no node {name}")))
    }

    pub fn disk_mut(&mut self, name: &str) -> Outcome<&mut Disk> {
        let found = self.disks.iter_mut().find(|disk| disk.name == name);
        found.ok_or_else(|| Kind::NotFound.because(format!("there is no node {name}")))
    }

    /// The bitmaps of all disks.
    pub fn all_bitmaps(&mut self) -> impl Iterator<Item = &mut Bitmap> {
        self.disks.iter_mut().flat_map(|disk| &mut disk.bitmaps)
    }

    /// The target of a job that has ended.
    pub fn target(&self, job: &str) -> Outcome<&[u8]> {
        let found = self.targets.get(job).map(Vec::as_slice);
        found.ok_or_else(|| Kind::NotFound.because(format!("there is no target of {job}")))
    }

    /// The jobs that have ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    // Bitmaps

    pub fn merge_bitmaps(&mut self, node: &str, target: &str, sources: &[(String, String)]) -> Outcome {
        let into = self.disk(node)?;
        let merged_into = into.bitmap(target)?;
        let mut merged = merged_into.dirty.clone();
        if made(Mistake::MergeReplaces) && !sources.is_empty() {
            merged.clear();
        }
        for (source_node, name) in sources {
            let from = self.disk(source_node)?;
            let source = from.bitmap(name)?;
            if let Some(used) = [merged_into, source].iter().find(|bitmap| bitmap.is_busy()) {
                return Err(busy(&used.name));
            }
            if from.size() != into.size() && !made(Mistake::SizesUnchecked) {
                return Err(Kind::SizeMismatch.because(format!("{node} and {source_node} are not of the same size")));
            }
            assert!(!made(Mistake::PanicsOnMerge), "this is the mistake that was asked for");
            if made(Mistake::MergeByNumber) {
                merged.add_numbers(&source.dirty.numbers());
            } else {
                merged.add_all(&source.dirty);
            }
        }
        self.disk_mut(node)?.bitmap_mut(target)?.dirty = merged;
        if made(Mistake::SourceEmptied) {
            for (source_node, name) in sources.iter().filter(|(on, name)| (on.as_str(), name.as_str()) != (node, target)) {
                self.disk_mut(source_node)?.bitmap_mut(name)?.dirty.clear();
            }
        }
        Ok(())
    }

    /// A command, or a transaction, is over: what it removed is gone, and jobs go on.
    pub fn conclude(&mut self) {
        for disk in &mut self.disks {
            disk.bitmaps.retain(|bitmap| !bitmap.is_removed());
        }
        self.settle();
    }

    // The guest

    pub fn write(&mut self, write: &GuestWrite) -> Outcome {
        let extent = self.check_write(write)?;
        if write.result == WriteResult::Ignored {
            if made(Mistake::IgnoredRecorded) {
                self.disk_mut(&write.node)?.bitmaps.iter_mut().for_each(|bitmap| bitmap.record(extent));
            }
            return Ok(());
        }
        if let Err(refusal) = self.save_before(write, extent) {
            if made(Mistake::WritesUnsaved) {
                self.disk_mut(&write.node)?.content[extent.bytes()].fill(1);
            }
            return Err(refusal);
        }
        self.disk_mut(&write.node)?.end_write(extent, write.change, write.result);
        if made(Mistake::RecordedOnAllDisks) {
            self.all_bitmaps().for_each(|bitmap| bitmap.record(extent));
        }
        self.settle();
        Ok(())
    }

    pub fn begin_write(&mut self, id: &str, write: &GuestWrite) -> Outcome {
        let extent = self.check_write(write)?;
        if self.disk(&write.node)?.writes.iter().any(|other| other.id == id) {
            return Err(Kind::Exists.because(format!("{id} is in flight on {}", write.node)));
        }
        self.save_before(write, extent)?;
        let disk = self.disk_mut(&write.node)?;
        let recording = disk.bitmaps.iter().filter(|bitmap| bitmap.is_recording());
        let yesterdays = recording.map(|bitmap| bitmap.name.clone()).collect();
        disk.writes.push(WriteInFlight { id: id.to_owned(), extent, change: write.change, yesterdays });
        self.settle();
        Ok(())
    }

    pub fn end_write(&mut self, node: &str, id: &str, result: WriteResult) -> Outcome {
        let disk = self.disk_mut(node)?;
        let Some(index) = disk.writes.iter().position(|write| write.id == id) else {
            return Err(Kind::NotFound.because(format!("{id} is not in flight on {node}")));
        };
        let write = disk.writes.remove(index);
        disk.land(write, result);
        Ok(())
    }

    fn check_write(&self, write: &GuestWrite) -> Outcome<Extent> {
        let extent = self.disk(&write.node)?.extent(write.offset, write.length)?;
        if write.result == WriteResult::Ignored && write.change != Change::Discard {
            return Err(Kind::Invalid.because("only a discard can be ignored"));
        }
        Ok(extent)
    }

    /// Copy before write, by all jobs of the node; or the refusal of the write, if that is to fail.
    fn save_before(&mut self, write: &GuestWrite, extent: Extent) -> Outcome {
        let on_node = |job: &&Job| job.node == write.node;
        let fails = write.result == WriteResult::CopyFailed;
        if let Some(job) = self.jobs.iter().filter(on_node).find(|job| fails && job.must_save(extent)) {
            return Err(Kind::CopyFailed.because(format!("{} could not save what the write changes", job.id)));
        }
        for disk in self.disks.iter().filter(|disk| disk.name == write.node) {
            for job in self.jobs.iter_mut().filter(|job| job.node == disk.name) {
                job.save(extent, &disk.content);
            }
        }
        Ok(())
    }
}

fn no_job(id: &str) -> Refusal {
    Kind::NotFound.because(format!("there is no job {id}"))
}
