//! A backup job: what it has copied, what is left, and what its end does to its bitmap.

use crate::bitmap::Mode;
use crate::mistake::{made, Mistake};
use crate::units::{Extent, Units};

/// What a fresh target is full of.
pub const FRESH: u8 = 238;

/// The bitmap that a backup has frozen.
#[derive(Clone, Debug)]
pub struct Held {
    pub bitmap: String,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    Paused,
    /// Nothing is left to copy, but others of the group are not so far.
    Waiting,
    /// The whole group is to be finalized.
    Pending,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Waiting => "waiting",
            Phase::Pending => "pending",
        }
    }
}

/// What a job does after an error of copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It fails.
    Report,
    /// It goes on.
    Ignore,
    /// It is paused.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyResult {
    Good,
    ReadError,
    WriteError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Completed,
    Failed,
    Cancelled,
}

impl Ending {
    pub fn name(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
        }
    }
}

/// A backup that this program makes.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub node: String,
    pub held: Option<Held>,
    /// Jobs of the same number end together.
    pub group: u64,
    pub auto_finalize: bool,
    pub on_source_error: OnError,
    pub on_target_error: OnError,
    pub phase: Phase,
    /// Clusters yet to be copied, those in flight among them.
    left: Units,
    copied: Units,
    /// The clusters of the copy in flight.
    in_flight: Option<Vec<usize>>,
    pub target: Vec<u8>,
}

/// The settings of a job that have been checked already.
#[derive(Clone, Debug)]
pub struct Settings {
    pub held: Option<Held>,
    pub auto_finalize: bool,
    pub on_source_error: OnError,
    pub on_target_error: OnError,
}

impl Job {
    /// A job that is to copy the clusters of `left`.
    pub fn new(id: &str, node: &str, size: usize, settings: Settings, left: Units, group: u64) -> Job {
        Job {
            id: id.to_owned(),
            node: node.to_owned(),
            held: settings.held,
            group,
            auto_finalize: settings.auto_finalize,
            on_source_error: settings.on_source_error,
            on_target_error: settings.on_target_error,
            phase: Phase::Running,
            copied: left.none_alike(),
            left,
            in_flight: None,
            target: vec![FRESH; size],
        }
    }

    pub fn has_copy_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub fn is_done(&self) -> bool {
        self.left.is_empty() && self.in_flight.is_none()
    }

    /// The clusters yet to be copied that the extent touches.
    pub fn left_at(&self, extent: Extent) -> Vec<usize> {
        self.left.among(extent)
    }

    /// What is left to copy, as whole clusters.
    pub fn left(&self) -> Vec<Extent> {
        self.left.extents()
    }

    /// What has reached the target, in whole clusters, but for one that the disk ends in.
    pub fn copied(&self) -> Vec<Extent> {
        self.copied.extents_on_disk()
    }

    pub fn begin_copy(&mut self, clusters: Vec<usize>) {
        self.in_flight = Some(clusters);
    }

    /// The copy in flight is over, however: take its clusters.
    pub fn take_copy_in_flight(&mut self) -> Option<Vec<usize>> {
        self.in_flight.take()
    }

    /// If a copy is in flight, it ends well.
    pub fn finish_copy_in_flight(&mut self, disk: &[u8]) {
        if let Some(clusters) = self.in_flight.take() {
            self.copy(&clusters, disk);
        }
    }

    /// These clusters reach the target.
    pub fn copy(&mut self, clusters: &[usize], disk: &[u8]) {
        for &cluster in clusters {
            let bytes = self.left.on_disk(cluster).bytes();
            self.target[bytes.clone()].copy_from_slice(&disk[bytes]);
        }
        self.left.remove_numbers(clusters);
        self.copied.add_numbers(clusters);
    }

    /// These clusters count as copied, although they are not.
    pub fn forget(&mut self, clusters: &[usize]) {
        self.left.remove_numbers(clusters);
        self.copied.add_numbers(clusters);
    }

    /// Whether a write there would have to save something that is not on its way already.
    pub fn must_save(&self, extent: Extent) -> bool {
        let on_its_way = self.in_flight.as_deref().unwrap_or_default();
        self.left_at(extent).iter().any(|cluster| !on_its_way.contains(cluster))
    }

    /// Copy before write: the guest is about to change these bytes.
    pub fn save(&mut self, extent: Extent, disk: &[u8]) {
        if made(Mistake::NoCopyBeforeWrite) || self.phase == Phase::Paused && made(Mistake::PausedSavesNothing) {
            return;
        }
        let touched = self.left.touched(extent);
        if self.in_flight.iter().flatten().any(|cluster| touched.contains(cluster)) {
            self.finish_copy_in_flight(disk);
        }
        let mut clusters = self.left_at(extent);
        if made(Mistake::SavesOneCluster) {
            clusters.truncate(1);
        }
        if made(Mistake::SavesAgain) {
            clusters.extend(self.copied.among(extent));
        }
        self.copy(&clusters, disk);
    }
}
