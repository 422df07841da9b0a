//! The life of the jobs that this program runs: copies, pauses, and their ends, alone or as a group.

use super::{no_job, Ended, Machine};
use crate::bitmap::Bitmap;
use crate::job::{CopyResult, Ending, Job, OnError, Phase};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome};

impl Machine {
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
    pub(super) fn settle(&mut self) {
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
                let cancelled = ending == Ending::Cancelled && made(Mistake::CancelCompletes);
                let completed = ending == Ending::Completed || cancelled;
                if completed && made(Mistake::SuccessClearsOthers) {
                    let others = disk.bitmaps.iter_mut().filter(|bitmap| bitmap.name != held.bitmap);
                    others.for_each(|bitmap| bitmap.dirty.clear());
                }
                let bitmap = disk.bitmaps.iter_mut().find(|bitmap| bitmap.name == held.bitmap);
                let thaw = |bitmap: &mut Bitmap| bitmap.thaw(held.mode, completed, &job.left());
                bitmap.map(thaw);
            }
        }
        self.targets.insert(job.id.clone(), job.target);
        self.ended.push(Ended { job: job.id, ending });
    }
}
