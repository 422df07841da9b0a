"""Contracts of a copy job's end: when it has come, and what it does to the bitmap, for one arbitrary granule."""

from cbtimpl import granules  # noqa: F401 (for `pre:`)
from cbtimpl.backup import Failure
from cbtimpl.contracts.arithmetic import LARGEST, a_disk, shares_a_byte, two_sizes  # noqa: F401 (for `pre:`)
from cbtimpl.contracts.jobs import a_job, a_job_seen_by
from cbtimpl.contracts.life_cycle import a_bitmap, a_frozen_bitmap
from cbtimpl.contracts.registry import contract
from cbtimpl.contracts.stores import Listed, apart, listed, watched, watching  # noqa: F401 (for `pre:`)

POLICIES = ("report", "ignore", "stop")
MODES = ("on-success", "never", "always")


@contract("BackupJob.has_finished", "BackupJob.phase")
def a_job_finishes_only_if_nothing_is_left(
    cluster: int, to_do: bool, rest: bool, flying: bool, paused: bool, waiting: bool
) -> bool:
    """A job has finished exactly if it runs, is not paused, and nothing is on its list or in flight.

    pre: 0 <= cluster
    post: _
    """
    job = a_job_seen_by(cluster, to_do, False, (0, 1) if flying else None)
    job.work = watched(512, LARGEST, cluster, to_do, rest)
    job.paused = paused
    job.stage = "waiting" if waiting else "running"
    return job.has_finished() == (not (to_do or rest or flying or paused or waiting))


@contract("BackupJob.fails_on")
def the_policy_of_the_side_decides(source: bool, policy: int, other: int, paused: bool) -> bool:
    """A job fails by "report" and is paused by "stop", of the side that the error came from; paused, it stays so.

    pre: 0 <= policy < 3 and 0 <= other < 3
    post: _
    """
    job = a_job(Listed)
    job.paused = paused
    mine, others = POLICIES[policy], POLICIES[other]
    job.on_source_error, job.on_target_error = (mine, others) if source else (others, mine)
    fails = job.fails_on(Failure("source" if source else "target", OSError(5, "")))
    return fails == (mine == "report") and job.paused == (paused or mine == "stop")


@contract("BackupJob.leftovers")
def leftovers_are_rounded_out(granule: int, finer: bool, size: int, first: int, past: int) -> bool:
    """A granule is left over exactly if it shares a byte with a cluster that was not copied (one run).

    pre: a_disk(size, 1) and 0 <= granule and first < past and apart(two_sizes(finer)[0], size, (first, past))
    post: _
    """
    length, granularity = two_sizes(finer)
    job = a_job(watching(granule), size, length)
    job.bitmap = a_bitmap(granule, False, granularity=granularity, size=size)
    job.work = listed(length, size, (first, past))
    hit = shares_a_byte(granule, first * length, (past - first) * length, granularity, size)
    return (granule in job.leftovers()) == hit


@contract("BackupJob.finish", "BackupJob.synchronises", "BackupJob.keeps_leftovers", "BackupJob.leftovers")
def the_end_of_a_job_is_as_the_table_has_it(
    granule: int, own: bool, heirs: bool, to_do: bool, mode: int, success: bool, heir_enabled: bool
) -> bool:
    """What a bitmap has after its job: what was written meanwhile, and

    - what it had, if the mode is never, or on-success and the job did not succeed;
    - what was left to do, if the mode is always and the job did not succeed.

    pre: 0 <= granule and granule < granules.count(LARGEST, 512) and 0 <= mode < 3
    pre: not (to_do and success)
    post: _
    """
    job = a_job_seen_by(granule, to_do, False)
    job.bitmap_mode = MODES[mode]
    job.bitmap = job.node.bitmaps["b"] = a_frozen_bitmap(granule, own, heirs, True, heir_enabled)
    job.finish(success)
    heir = job.node.bitmaps["b"]
    before = own and (mode == 1 or (mode == 0 and not success))
    left = to_do and mode == 2 and not success
    kept = (granule in heir.bits) == (heirs or before or left) and heir.recording == heir_enabled
    return kept and heir.name == "b" and not heir.busy and not heir.frozen and list(job.node.bitmaps) == ["b"]
