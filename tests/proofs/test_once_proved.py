"""Mistakes that the proof once called proved, and twenty that came when it was finished: both provers find each.

Each with the theorem that it breaks, in the scenes in which that shows soonest; where the theorem is about blocks,
with a block that shows it. The right specification proves all of these scenes.
"""

from __future__ import annotations

import pytest
from cbtproofs.inductive import vacuity
from cbtproofs.inductive.prove import PROVERS, provers
from cbtproofs.inductive.script import Obligation
from cbtproofs.inductive.vacuity import Mistake
from cbtproofs.mutants.afterwards import AFTERWARDS
from cbtproofs.mutants.mutant import applied
from cbtproofs.mutants.once_proved_effects import once_proved

BY_NAME = {each.name: each for each in (*once_proved(), *AFTERWARDS)}

FOUND: dict[str, tuple[str, str, str]] = {
    "only-the-first-round": ("LOOPS", "tables and sequences", "by length"),
    "a-hundred-rounds": ("LOOPS", "tables and sequences", "by length"),
    "keeps-the-first": ("LOOPS", "tables and sequences", "by length"),
    "first-bitmap-records": ("EFFECT", "a bitmap and two others: in the middle", "Write"),
    "first-two-bitmaps-record": ("EFFECT", "a bitmap and two others: last", "Write"),
    "last-bitmap-records": ("EFFECT", "a bitmap and two others: first", "Write"),
    "last-bitmap-is-deaf": ("EFFECT", "a bitmap and two others: last", "Write"),
    "first-one-leaves": ("EFFECT", "a transaction is committed: two bitmaps", "Transaction"),
    "first-disk-drained": ("EFFECT", "a bitmap and two others: in the middle", "Transaction"),
    "first-two-disks-drained": ("EFFECT", "a bitmap and two others: last", "Transaction"),
    "first-write-lands": ("EFFECT", "a bitmap and three writes", "Transaction"),
    "first-two-writes-land": ("EFFECT", "a bitmap and three writes", "Transaction"),
    "third-write-stays-in-flight": ("EFFECT", "a bitmap and three writes", "Transaction"),
    "first-job-saves": ("EFFECT", "a job and two others: in the middle", "Write"),
    "first-two-jobs-save": ("EFFECT", "a job and two others: last", "Write"),
    "first-job-may-refuse": ("REFUSED", "a job and two others: first", "Write"),
    "two-jobs-settle": ("RELEASE", "a job and two others: last", "Write"),
    "two-of-three-cancelled": ("EFFECT", "a group of three: first", "CancelJob"),
    "two-of-three-finalized": ("EFFECT", "a group of three: first", "FinalizeJob"),
    "two-of-three-end": ("EFFECT", "a group of three: first", "CancelJob"),
    "groups-of-two": ("EFFECT", "two bitmaps", "Transaction"),
    "first-source-merged": ("OPAQUE", "a bitmap and a write", "MergeBitmaps"),
    "first-two-sources-merged": ("EFFECT", "four bitmaps", "MergeBitmaps"),
    "last-source-merged": ("OPAQUE", "a bitmap and a write", "MergeBitmaps"),
    "merge-in-transaction-is-nothing": ("EFFECT", "two bitmaps", "Transaction"),
    "merge-in-transaction-takes-one": ("EFFECT", "amid a transaction: four bitmaps", "Transaction"),
    "actions-in-reverse": ("COMPOSED", "two bitmaps", "Transaction"),
    "first-action-only": ("COMPOSED", "a bitmap and a write", "Transaction"),
    "first-two-actions-only": ("COMPOSED", "two bitmaps", "Transaction"),
    "last-action-dropped": ("COMPOSED", "two bitmaps", "Transaction"),
    "enable-disables": ("EFFECT", "a bitmap and a write", "EnableBitmap"),
    "enable-does-nothing": ("EFFECT", "a bitmap and a write", "EnableBitmap"),
    "disable-does-nothing": ("EFFECT", "a bitmap and a write", "DisableBitmap"),
    "clear-does-nothing": ("EFFECT", "a bitmap and a write", "ClearBitmap"),
    "clear-disables": ("EFFECT", "a bitmap and a write", "ClearBitmap"),
    "disabled-from-the-start": ("EFFECT", "a bitmap and a write", "AddBitmap"),
    "enabled-from-the-start": ("EFFECT", "a bitmap and a write", "AddBitmap"),
    "granularity-ignored": ("EFFECT", "a bitmap and a write", "AddBitmap"),
    "write-marks-the-disk": ("EFFECT", "a bitmap and a write", "Transaction"),
    "rounding-is-owed": ("EFFECT", "a bitmap and a write", "Transaction"),
    "merge-marks-the-disk": ("EFFECT", "a bitmap and a write", "MergeBitmaps"),
    "merge-owes-what-is-dirty": ("EFFECT", "a bitmap and a write", "MergeBitmaps"),
    "start-enables": ("EFFECT", "a bitmap and a write", "Transaction"),
    "failed-end-not-recorded": ("EFFECT", "a bitmap and a write", "EndWrite"),
    "failed-discard-not-recorded": ("EFFECT", "a bitmap and a write", "Write"),
    "ignored-discard-is-recorded": ("EFFECT", "a bitmap and a write", "Write"),
    "begun-zeroes-are-lost": ("EFFECT", "a bitmap and a write", "BeginWrite"),
    "increment-copies-everything": ("EFFECT", "a bitmap and a write", "Transaction"),
    "granules-for-clusters": ("EFFECT", "a bitmap and a write", "StartBackup"),
    "leftovers-are-everything": ("EFFECT", "a job with a bitmap, and a write", "CancelJob"),
    "success-keeps-the-marks": ("EFFECT", "a bitmap and a write", "Transaction"),
    "ignored-errors-pause": ("EFFECT", "a job with a bitmap, and a write", "Copy"),
    "policies-are-swapped": ("EFFECT", "a job with a bitmap, and a write", "Copy"),
    "more-is-copied": ("EFFECT", "a job with a bitmap, and a write", "Transaction"),
    "pause-does-nothing": ("EFFECT", "a job with a bitmap, and a write", "PauseJob"),
    "resume-does-nothing": ("EFFECT", "a job with a bitmap, and a write", "ResumeJob"),
    "cancel-is-a-failure": ("EFFECT", "a job with a bitmap, and a write", "CancelJob"),
    "the-others-have-failed": ("EFFECT", "a group", "Copy"),
    "policies-are-forgotten": ("EFFECT", "a bitmap and a write", "StartBackup"),
    "half-of-the-disk-is-rounded": ("EFFECT", "a bitmap and a write", "Transaction"),
    "names-are-letters": ("REFUSED", "a bitmap and a write", "AddBitmap"),
    "only-enabled-targets-merge": ("EFFECT", "a bitmap and a write", "MergeBitmaps"),
    "merge-enables": ("EFFECT", "two bitmaps", "MergeBitmaps"),
    "heir-is-enabled": ("EFFECT", "a bitmap and a write", "Transaction"),
    "granules-of-64k-when-frozen": ("EFFECT", "a bitmap and a write", "Transaction"),
    "nothing-is-written-somewhere": ("EFFECT", "a bitmap and a write", "Write"),
    "discards-are-not-saved-from": ("EFFECT", "a job with a bitmap, and a write", "Write"),
    "zeroes-pass-failed-copies": ("REFUSED", "a job with a bitmap, and a write", "Write"),
    "every-disks-copies-land": ("LOCAL", "two jobs on two disks", "StartBackup"),
    "remove-takes-writes-with-it": ("LOCAL", "a bitmap and a write", "RemoveBitmap"),
    "full-goes-by-its-bitmap": ("EFFECT", "a bitmap and a write", "StartBackup"),
    "errors-are-ignored-while-nothing-else-is-left": ("EFFECT", "a job with a bitmap, and a write", "Copy"),
    "saved-twice-over": ("EFFECT", "a job with a bitmap, and a write", "Write"),
    "cancelled-is-completed": ("EFFECT", "a job with a bitmap, and a write", "CancelJob"),
    "resume-resumes-the-group": ("EFFECT", "a group", "ResumeJob"),
    "pause-waits-for-the-copy": ("EFFECT", "a job with a bitmap, and a write", "PauseJob"),
    "first-finalize-wins": ("EFFECT", "a group", "FinalizeJob"),
    "removal-clears-at-once": ("EFFECT", "amid a transaction: a bitmap", "Transaction"),
    "groups-take-everybody": ("EFFECT", "a job with a bitmap, and a write", "Transaction"),
    "commit-tells-of-nobody": ("EFFECT", "a bitmap and a write", "Transaction"),
    "one-write-in-flight": ("EFFECT", "a bitmap and a write", "BeginWrite"),
}  # fmt: skip
"""By mistake: the theorem, the cast, and what is played."""


def failing(prover: str, name: str) -> list[Obligation]:
    """What fails of the theorem in the scenes in which a mistake shows."""
    property_id, cast, kind = FOUND[name]
    prove = provers((prover,))[prover]
    said = [each for scene in Mistake(name, cast, kind).scenes() for each in prove(scene.script)]
    assert said, "no such scene"
    return [each for each in said if each.id == property_id and each.counterexample is not None]


def test_each_has_a_place_and_there_are_twenty_that_came_afterwards() -> None:
    assert set(FOUND) == set(BY_NAME)
    assert len(AFTERWARDS) == 20


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("name", FOUND)
def test_a_mistake_that_was_once_proved_is_found(name: str, prover: str) -> None:
    with applied(BY_NAME[name]):
        found = failing(prover, name)
    assert found


def test_the_right_specification_has_none_of_them() -> None:
    for name in FOUND:
        assert failing("universal disk", name) == []


NO_BLOCK = """
    only-the-first-round a-hundred-rounds keeps-the-first first-one-leaves first-disk-drained first-two-disks-drained
    third-write-stays-in-flight first-job-may-refuse two-jobs-settle two-of-three-cancelled two-of-three-finalized
    two-of-three-end groups-of-two first-source-merged last-source-merged first-action-only enable-disables
    enable-does-nothing disable-does-nothing clear-disables disabled-from-the-start enabled-from-the-start
    granularity-ignored start-enables ignored-errors-pause policies-are-swapped pause-does-nothing resume-does-nothing
    cancel-is-a-failure the-others-have-failed policies-are-forgotten names-are-letters merge-enables heir-is-enabled
    granules-of-64k-when-frozen zeroes-pass-failed-copies every-disks-copies-land remove-takes-writes-with-it
    errors-are-ignored-while-nothing-else-is-left resume-resumes-the-group first-finalize-wins groups-take-everybody
"""
OF_NO_BLOCK = frozenset(NO_BLOCK.split())
"""They break what is said of flags, phases, sizes, refusals, or who is there: not of blocks."""


@pytest.mark.parametrize("prover", PROVERS)
@pytest.mark.parametrize("name", FOUND)
def test_a_mistake_about_blocks_is_shown_with_a_block(name: str, prover: str) -> None:
    with applied(BY_NAME[name]):
        found = failing(prover, name)
    shown = [each.counterexample for each in found if each.counterexample is not None]
    has_block = any(each.before.sets or each.after.sets for each in shown)
    assert has_block != (name in OF_NO_BLOCK)
    if not has_block and FOUND[name][0] != "LOOPS":
        assert any(each.before.control or each.after.control or each.note for each in shown), "nothing is shown"


def test_those_of_vacuity_are_among_them() -> None:
    named = {mistake.mutant for seeded in vacuity.SEEDED.values() for mistake in seeded}
    assert named & set(FOUND)
