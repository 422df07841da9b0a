//! The whole implementation: disks, backup jobs, and the commands that concern more than one disk.

use std::collections::BTreeMap;

use crate::bitmap::{Bitmap, Mode};
use crate::disk::{busy, Change, Disk, WriteInFlight, WriteResult};
use crate::job::{CopyResult, Ending, Held, Job, OnError, Phase, Settings};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome, Refusal};
use crate::units::{unit, Extent, Units};

/// Granularities and clusters beyond this are refused before anything is looked at.
pub const MAX_UNSIGNED: i64 = (1 << 32) - 1;

/// Who makes the copies of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// This program: there are jobs.
    Adapter,
    /// The suite: this program only tracks, and keeps the content of each backup's point in time.
    Suite,
}

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

/// A backup that the suite makes.
#[derive(Clone, Debug)]
struct ForeignBackup {
    id: String,
    node: String,
    held: Option<Held>,
    /// The disk at the backup's point in time.
    content: Vec<u8>,
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

    // Backups

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

    // Jobs

    pub fn copy(&mut self, job: &str, offset: i64, length: i64, result: CopyResult) -> Outcome {
        self.begin_copy(job, offset, length)?;
        self.end_copy(job, result)
    }

    pub fn begin_copy(&mut self, id: &str, offset: i64, length: i64) -> Outcome {
        let index = self.job_index(id)?;
        let extent = self.disk(&self.jobs[index].node)?.extent(offset, length)?;
        let job = &mut self.jobs[index];
        if job.phase != Phase::Running {
            return Err(Kind::WrongPhase.because(format!("{id} is {}", job.phase.name())));
        }
        if job.has_copy_in_flight() {
            return Err(Kind::WrongPhase.because(format!("{id} has a copy in flight")));
        }
        let clusters = job.left_at(extent);
        if clusters.is_empty() {
            return Err(Kind::Invalid.because(format!("{id} has nothing left to copy there")));
        }
        job.begin_copy(clusters);
        Ok(())
    }

    pub fn end_copy(&mut self, id: &str, result: CopyResult) -> Outcome {
        let index = self.job_index(id)?;
        let job = &mut self.jobs[index];
        let Some(clusters) = job.take_copy_in_flight() else {
            return Err(Kind::Invalid.because(format!("{id} has no copy in flight")));
        };
        let policy = match result {
            CopyResult::WriteError if made(Mistake::TargetErrorSucceeds) => {
                job.forget(&clusters);
                self.settle();
                return Ok(());
            }
            CopyResult::Good => {
                if let Some(disk) = self.disks.iter().find(|disk| disk.name == job.node) {
                    job.copy(&clusters, &disk.content);
                }
                self.settle();
                return Ok(());
            }
            CopyResult::ReadError => job.on_source_error,
            CopyResult::WriteError => job.on_target_error,
        };
        match policy {
            OnError::Report => {
                if made(Mistake::GroupFailsAlone) {
                    self.groups += 1;
                    job.group = self.groups;
                }
                let group = job.group;
                self.end_group(group, |job| if job.id == id { Ending::Failed } else { Ending::Cancelled });
            }
            OnError::Stop if made(Mistake::StopGoesOn) => {}
            OnError::Ignore => {}
            OnError::Stop => job.phase = Phase::Paused,
        }
        self.settle();
        Ok(())
    }

    pub fn pause_job(&mut self, id: &str) -> Outcome {
        self.change_phase(id, Phase::Running, Phase::Paused)
    }

    pub fn resume_job(&mut self, id: &str) -> Outcome {
        self.change_phase(id, Phase::Paused, Phase::Running)?;
        if !made(Mistake::ResumeIdles) {
            self.settle();
        }
        Ok(())
    }

    fn change_phase(&mut self, id: &str, from: Phase, to: Phase) -> Outcome {
        let index = self.job_index(id)?;
        let job = &mut self.jobs[index];
        if job.phase != from {
            return Err(Kind::WrongPhase.because(format!("{id} is {}", job.phase.name())));
        }
        job.phase = to;
        Ok(())
    }

    pub fn finalize_job(&mut self, id: &str) -> Outcome {
        let job = &self.jobs[self.job_index(id)?];
        if job.phase != Phase::Pending {
            return Err(Kind::WrongPhase.because(format!("{id} is {}", job.phase.name())));
        }
        self.end_group(job.group, |_| Ending::Completed);
        Ok(())
    }

    pub fn cancel_job(&mut self, id: &str) -> Outcome {
        let group = self.jobs[self.job_index(id)?].group;
        self.end_group(group, |_| Ending::Cancelled);
        Ok(())
    }

    fn job_index(&self, id: &str) -> Outcome<usize> {
        self.jobs.iter().position(|job| job.id == id).ok_or_else(|| no_job(id))
    }

    /// Jobs with nothing left to copy go on: to waiting, as a group to pending, and to their end.
    fn settle(&mut self) {
        for job in &mut self.jobs {
            if job.phase == Phase::Running && job.is_done() {
                job.phase = Phase::Waiting;
            }
        }
        let mut groups: Vec<u64> = self.jobs.iter().map(|job| job.group).collect();
        groups.dedup();
        for group in groups {
            if self.members(group).any(|job| job.phase != Phase::Waiting) {
                continue;
            }
            if self.members(group).all(|job| job.auto_finalize || made(Mistake::FinalizesItself)) {
                self.end_group(group, |_| Ending::Completed);
            } else {
                self.jobs.iter_mut().filter(|job| job.group == group).for_each(|job| job.phase = Phase::Pending);
            }
        }
    }

    fn members(&self, group: u64) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.group == group)
    }

    /// All jobs of a group end, each in its way.
    fn end_group(&mut self, group: u64, ending: impl Fn(&Job) -> Ending) {
        let (ending_now, others) = std::mem::take(&mut self.jobs).into_iter().partition(|job| job.group == group);
        self.jobs = others;
        for job in ending_now {
            let ending = ending(&job);
            self.end_job(job, ending);
        }
    }

    fn end_job(&mut self, mut job: Job, ending: Ending) {
        if let Some(disk) = self.disks.iter_mut().find(|disk| disk.name == job.node) {
            job.finish_copy_in_flight(&disk.content);
            if let Some(held) = &job.held {
                let bitmap = disk.bitmaps.iter_mut().find(|bitmap| bitmap.name == held.bitmap);
                let cancelled = ending == Ending::Cancelled && made(Mistake::CancelCompletes);
                let completed = ending == Ending::Completed || cancelled;
                let thaw = |bitmap: &mut Bitmap| bitmap.thaw(held.mode, completed, &job.left());
                bitmap.map(thaw);
            }
        }
        self.targets.insert(job.id.clone(), job.target);
        self.ended.push(Ended { job: job.id, ending });
    }
}

fn no_job(id: &str) -> Refusal {
    Kind::NotFound.because(format!("there is no job {id}"))
}

/// A letter, and then letters, digits, `-`, `.`, `_`.
fn is_job_id(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_alphabetic())
        && id.chars().all(|other| other.is_ascii_alphanumeric() || matches!(other, '-' | '.' | '_'))
}
