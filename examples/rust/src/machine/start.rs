//! Starting backups, whoever makes their copies; and those that the suite makes.

use super::{no_job, Copies, Machine};
use crate::bitmap::Mode;
use crate::disk::busy;
use crate::job::{Held, Job, OnError, Settings};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome};
use crate::units::{unit, Extent, Units};

/// Granularities and clusters beyond this are refused before anything is looked at.
pub const MAX_UNSIGNED: i64 = (1 << 32) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Full,
    Incremental,
    Bitmap,
}

/// What `start-backup` asks for.
#[derive(Clone, Debug)]
pub struct Start {
    pub job: String,
    pub node: String,
    pub sync: Sync,
    pub bitmap: Option<String>,
    pub bitmap_mode: Option<Mode>,
    pub cluster: i64,
    pub auto_finalize: bool,
    pub on_source_error: OnError,
    pub on_target_error: OnError,
}

/// A backup that the suite makes.
#[derive(Clone, Debug)]
pub struct ForeignBackup {
    id: String,
    node: String,
    held: Option<Held>,
    /// The disk at the backup's point in time.
    content: Vec<u8>,
}

impl Machine {
    /// Start a backup in this group; its job goes on when the command, or the transaction, is over.
    pub fn start_backup(&mut self, start: &Start, group: u64) -> Outcome {
        match self.copies {
            Copies::Adapter => self.start_job(start, group),
            Copies::Suite => self.start_foreign(start),
        }
    }

    /// The number of a group without jobs.
    pub fn new_group(&mut self) -> u64 {
        self.groups += 1;
        self.groups
    }

    fn start_job(&mut self, start: &Start, group: u64) -> Outcome {
        let (held, cluster) = self.check_start(start)?;
        self.drain(&start.node);
        let disk = self.disk_mut(&start.node)?;
        let (size, length) = (disk.size(), disk.content.len());
        let mut left = Units::all(size, cluster);
        if let Some(held) = &held {
            let bitmap = disk.bitmap_mut(&held.bitmap)?;
            if start.sync != Sync::Full && !made(Mistake::CopiesEverything) {
                left.clear();
                left.add_all(&bitmap.dirty);
                if made(Mistake::WorkListInwards) {
                    let mut clean = Units::all(size, bitmap.dirty.unit());
                    clean.remove_numbers(&bitmap.dirty.numbers());
                    let mut partly = left.none_alike();
                    partly.add_all(&clean);
                    left.remove_numbers(&partly.numbers());
                }
            }
            bitmap.freeze();
        }
        let settings = Settings {
            held,
            auto_finalize: start.auto_finalize,
            on_source_error: start.on_source_error,
            on_target_error: start.on_target_error,
        };
        self.targets.remove(&start.job);
        self.jobs.push(Job::new(&start.job, &start.node, length, settings, left, group));
        Ok(())
    }

    /// Everything for which a start is refused, in the protocol's order. Gives the bitmap and the cluster in bytes.
    fn check_start(&self, start: &Start) -> Outcome<(Option<Held>, u64)> {
        let invalid = |text: &str| Err(Kind::Invalid.because(text));
        if !(0..=MAX_UNSIGNED).contains(&start.cluster) {
            return invalid("the cluster is not a number of 32 bits");
        }
        let disk = self.disk(&start.node)?;
        if start.sync != Sync::Full && start.bitmap.is_none() {
            return invalid("only a full backup goes without a bitmap");
        }
        let mode = match (start.sync, start.bitmap_mode) {
            (Sync::Incremental, None | Some(Mode::OnSuccess)) => Some(Mode::OnSuccess),
            (Sync::Incremental, Some(_)) => return invalid("an incremental backup's bitmap mode is on-success"),
            (_, mode) => mode,
        };
        let held = match (&start.bitmap, mode) {
            (Some(name), mode) => {
                let bitmap = disk.bitmap(name)?;
                let Some(mode) = mode else { return invalid("a bitmap, and no bitmap mode") };
                if bitmap.is_busy() && !made(Mistake::BusyBackedUp) {
                    return Err(busy(name));
                }
                if mode == Mode::Never && start.sync != Sync::Bitmap {
                    return invalid("bitmap mode never is for sync bitmap");
                }
                Some(Held { bitmap: name.clone(), mode })
            }
            (None, Some(_)) => return invalid("a bitmap mode, and no bitmap"),
            (None, None) => None,
        };
        if !is_job_id(&start.job) {
            return invalid("that is no id for a job");
        }
        if self.jobs.iter().any(|job| job.id == start.job) {
            return Err(Kind::Exists.because(format!("there is a job {}", start.job)));
        }
        match unit(start.cluster) {
            Some(cluster) => Ok((held, cluster)),
            None => invalid("the cluster is no power of two from 512"),
        }
    }

    fn start_foreign(&mut self, start: &Start) -> Outcome {
        let disk = self.disk_mut(&start.node)?;
        if let Some(name) = &start.bitmap {
            if disk.bitmap(name)?.is_busy() && !made(Mistake::BusyBackedUp) {
                return Err(busy(name));
            }
        }
        if !made(Mistake::StartWithoutDrain) {
            disk.end_all_writes();
        }
        let mut held = None;
        if let Some(name) = &start.bitmap {
            disk.bitmap_mut(name)?.freeze();
            held = Some(Held { bitmap: name.clone(), mode: start.bitmap_mode.unwrap_or(Mode::OnSuccess) });
        }
        let content = disk.content.clone();
        self.foreign.push(ForeignBackup { id: start.job.clone(), node: start.node.clone(), held, content });
        Ok(())
    }

    /// The content of a disk at the point in time of a backup that the suite makes.
    pub fn read(&self, job: &str, offset: i64, length: i64) -> Outcome<&[u8]> {
        let found = self.foreign.iter().find(|backup| backup.id == job);
        let backup = found.ok_or_else(|| no_job(job))?;
        let extent = self.disk(&backup.node)?.extent(offset, length)?;
        if made(Mistake::ReadsPresent) {
            return Ok(&self.disk(&backup.node)?.content[extent.bytes()]);
        }
        Ok(&backup.content[extent.bytes()])
    }

    /// A backup that the suite made has ended; `left` is what it did not copy.
    pub fn end_backup(&mut self, job: &str, success: bool, left: &[Extent]) -> Outcome {
        let found = self.foreign.iter().position(|backup| backup.id == job);
        let backup = self.foreign.remove(found.ok_or_else(|| no_job(job))?);
        if let Some(held) = backup.held {
            self.disk_mut(&backup.node)?.bitmap_mut(&held.bitmap)?.thaw(held.mode, success, left);
        }
        Ok(())
    }

    /// Writes in flight on the node, and the copies in flight of its jobs, end well.
    fn drain(&mut self, node: &str) {
        for disk in self.disks.iter_mut().filter(|disk| disk.name == node) {
            if !made(Mistake::StartWithoutDrain) {
                disk.end_all_writes();
            }
            for job in self.jobs.iter_mut().filter(|job| job.node == node) {
                job.finish_copy_in_flight(&disk.content);
            }
        }
    }

    /// The same, on all disks.
    pub fn drain_all(&mut self) {
        let names: Vec<String> = self.disks.iter().map(|disk| disk.name.clone()).collect();
        for name in names {
            self.drain(&name);
        }
    }
}

/// A letter, and then letters, digits, `-`, `.`, `_`.
fn is_job_id(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id.chars().all(|other| other.is_ascii_alphanumeric() || matches!(other, '-' | '.' | '_'))
}
