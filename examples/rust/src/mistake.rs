//! Mistakes that this program makes on request, one at a time, to see that they are found.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// What the suite should say of a mistake, at the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Unsafe,
    Diverges,
    Wasteful,
    Broken,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Unsafe => "unsafe",
            Verdict::Diverges => "diverges",
            Verdict::Wasteful => "wasteful",
            Verdict::Broken => "broken",
        }
    }
}

macro_rules! mistakes {
    ($($mistake:ident $name:literal $verdict:ident $what:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake {
            $(#[doc = $what] $mistake,)*
        }

        /// Every mistake: its name, what should be said of it, and what it is.
        const ALL: &[(Mistake, &str, Verdict, &str)] = &[$((Mistake::$mistake, $name, Verdict::$verdict, $what),)*];
    };
}

mistakes! {
    LostWriteDuringJob "lost-write-during-job" Unsafe "a successor records nothing",
    LostOnce "lost-once" Unsafe "the tenth write is not recorded, and all others are",
    LastGranuleMissed "last-granule-missed" Unsafe "a write that ends within a granule does not mark that",
    TailForgotten "tail-forgotten" Unsafe "the granule in which the disk ends is never marked",
    ZeroesForgotten "zeroes-forgotten" Unsafe "writes of zeroes are not recorded",
    DiscardForgotten "discard-forgotten" Unsafe "discards are not recorded",
    FailedWriteForgotten "failed-write-forgotten" Unsafe "a write that fails is not recorded",
    RecordedByYesterdays "recorded-by-yesterdays" Unsafe "a write in flight is recorded by the bitmaps of its beginning",
    AbdicatesOnFailure "abdicates-on-failure" Unsafe "a bitmap forgets its own granules when its job fails",
    ForgetsSuccessor "forgets-successor" Unsafe "a bitmap forgets its successor's granules when its job fails",
    AlwaysForgetsLeft "always-forgets-left" Unsafe "bitmap mode always forgets what was left to copy",
    NeverForgets "never-forgets" Unsafe "bitmap mode never forgets, after success",
    DeafAfterJob "deaf-after-job" Unsafe "a bitmap does not record any more when its job has ended",
    CancelCompletes "cancel-completes" Unsafe "a cancelled job's bitmap is as if it had completed",
    NoCopyBeforeWrite "no-copy-before-write" Unsafe "jobs save nothing before a write",
    PausedSavesNothing "paused-saves-nothing" Unsafe "jobs that are paused save nothing before a write",
    SavesAgain "saves-again" Unsafe "copy before write also copies what has been copied already",
    SavesOneCluster "saves-one-cluster" Unsafe "only the first cluster that a write touches is saved before it",
    WritesUnsaved "writes-unsaved" Unsafe "a write happens although it is answered with copy failed",
    TargetErrorSucceeds "target-error-succeeds" Unsafe "an error of the target counts as success",
    WorkListInwards "work-list-inwards" Unsafe "a cluster is to be copied only if all of it is dirty",
    StartWithoutDrain "start-without-drain" Unsafe "writes in flight go on beyond the start of a backup",
    GroupFailsAlone "group-fails-alone" Unsafe "when a job of a group fails, the others go on",
    MergeReplaces "merge-replaces" Unsafe "the target of a merge loses its own granules",
    MergeByNumber "merge-by-number" Unsafe "granules are merged by number, whatever their sizes",
    BusyCleared "busy-cleared" Unsafe "a bitmap in use can be cleared",
    BusyRemoved "busy-removed" Unsafe "a bitmap in use can be removed",
    BusyBackedUp "busy-backed-up" Unsafe "a second backup can take a bitmap in use",
    ClearsOthers "clears-others" Unsafe "clearing a bitmap clears all of its disk",
    ClearsNamesakes "clears-namesakes" Unsafe "clearing a bitmap clears those of the same name on other disks",
    DisablesOthers "disables-others" Unsafe "disabling a bitmap disables all of its disk",
    SourceEmptied "source-emptied" Unsafe "the sources of a merge lose what they had",
    SuccessClearsOthers "success-clears-others" Unsafe "when a job completes, other bitmaps of its disk are cleared",
    ClearDisables "clear-disables" Unsafe "a bitmap that is cleared stops recording",
    ExistsUnchecked "exists-unchecked" Unsafe "a new bitmap takes the place of one of the same name",
    NotUndone "not-undone" Unsafe "a refused transaction is not undone",
    ReadsPresent "reads-present" Unsafe "what the suite reads is the disk as it is now",
    FinalizesItself "finalizes-itself" Unsafe "a job ends without being finalized",
    StopGoesOn "stop-goes-on" Diverges "a job that should be paused by an error goes on",
    ResumeIdles "resume-idles" Diverges "a job with nothing left to copy does not end when it is resumed",
    EndsInSilence "ends-in-silence" Diverges "replies do not say what jobs have ended",
    RemovedIsFree "removed-is-free" Unsafe "the name of a removed bitmap is free within the transaction",
    SizesUnchecked "sizes-unchecked" Diverges "bitmaps of disks of different sizes are merged",
    LongNames "long-names" Diverges "names of bitmaps may be of any length",
    WrongKind "wrong-kind" Diverges "a bitmap in use is refused as not found",
    WastefulOnce "wasteful-once" Wasteful "the tenth write marks the next granule, too, and no other does",
    NeighbourMarked "neighbour-marked" Wasteful "a write marks the next granule, too",
    RecordedOnAllDisks "recorded-on-all-disks" Wasteful "bitmaps record the writes of other disks, too",
    DisabledRecords "disabled-records" Wasteful "disabled bitmaps record",
    IgnoredRecorded "ignored-recorded" Wasteful "a discard without effect is recorded",
    SuccessKeepsAll "success-keeps-all" Wasteful "a bitmap keeps its own granules when its job completes",
    CopiesEverything "copies-everything" Diverges "every backup is a full one",
    PanicsOnMerge "panics-on-merge" Broken "merging two bitmaps kills the program",
}

static MADE: OnceLock<Mistake> = OnceLock::new();

/// From now on that mistake is made. Says whether there is one of that name.
pub fn make(name: &str) -> bool {
    let found = ALL.iter().find(|(_, known, ..)| *known == name);
    found.is_some_and(|&(mistake, ..)| MADE.set(mistake).is_ok())
}

/// Whether this mistake is to be made.
pub fn made(mistake: Mistake) -> bool {
    MADE.get() == Some(&mistake)
}

/// Whether this mistake is to be made, which is made once: when it could be made for the tenth time.
pub fn made_once(mistake: Mistake) -> bool {
    static CHANCES: AtomicU32 = AtomicU32::new(0);
    made(mistake) && CHANCES.fetch_add(1, Ordering::Relaxed) == 9
}

/// One line for each mistake: its name, what should be said of it, and what it is.
pub fn list() -> String {
    let line = |(_, name, verdict, what): &(Mistake, &str, Verdict, &str)| {
        format!("{name:24} {:9} {what}\n", verdict.name())
    };
    ALL.iter().map(line).collect()
}
