"""Triggers are as narrow as their defects: what runs into one is turned away, and nothing that comes near it."""

import pytest
from cbtcheck.run.ledger.triggers import (
    TRIGGERS,
    OfCommands,
    accepted_before_failure,
    always_backup_withdrawn,
    backups_of_a_disk_end_together,
    enable_of_what_is_not_there,
    enable_of_what_is_not_there_or_in_a_group,
    enable_of_what_is_removed,
    grouped_backups_withdrawn,
    hurried,
    merge_of_nothing,
    of_commands,
    since_groups_are_checked_first,
    triggered,
    undo_behind_always_backup,
    undo_or_add_behind_always_backup,
)
from cbtcheck.scenario.images import Files, Played, fresh, step_with
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.image import Close, Crash, Open, Persist, Reopen
from cbtmodel.node import State, initial
from cbtmodel.step import step

CLUSTER = 65536
SIZE = 8 * CLUSTER
ABORT, ENABLE = c.Abort(), c.EnableBitmap("d", "b")
ALWAYS = c.StartBackup("n", "d", "bitmap", "b", "always")
NEVER = c.StartBackup("n", "d", "bitmap", "b", "never")
OTHER = c.AddBitmap("d", "x", CLUSTER)
OTHER2 = c.AddBitmap("d", "y", CLUSTER)
NOTHING = c.MergeBitmaps("d", "b", ())
SOMETHING = c.MergeBitmaps("d", "b", (c.Source("d", "b2"),))


def after(*commands: Command) -> State[Bits]:
    """Two disks with two bitmaps on one of them, and then these commands, none of which is refused."""
    state = initial(BitSets(), {"d": SIZE, "e": SIZE})
    for each in (c.AddBitmap("d", "b", CLUSTER), c.AddBitmap("d", "b2", CLUSTER), *commands):
        result = step(state, each)
        assert result.refusal is None, result.refusal
        state = result.state
    return state


def full(job: str, node: str = "d", bitmap: str | None = None) -> c.StartBackup:
    return c.StartBackup(job, node, "full", bitmap, "on-success" if bitmap else None)


def transaction(*actions: c.Action, grouped: bool = False) -> c.Transaction:
    return c.Transaction(actions, grouped)


IDLE = after()
BUSY = after(full("j", bitmap="b"))


# What comes before a failure


@pytest.mark.parametrize(
    ("command", "accepted"),
    [
        (transaction(OTHER, ABORT), (OTHER,)),
        (transaction(ABORT, OTHER), ()),
        (transaction(OTHER, SOMETHING), ()),
        (transaction(OTHER, OTHER, SOMETHING), (OTHER,)),
        (OTHER, ()),
    ],
)
def test_the_actions_before_the_first_failing_one(command: Command, accepted: tuple[object, ...]) -> None:
    assert accepted_before_failure(IDLE, command) == accepted


# Each trigger: what fires, and near misses


@pytest.mark.parametrize(
    "command",
    [
        transaction(ALWAYS, ABORT),
        transaction(OTHER, ALWAYS, OTHER),
        transaction(ALWAYS, ENABLE, grouped=True),  # QEMU before 8.1 prepares the backup first
    ],
)
def test_a_backup_in_mode_always_that_is_withdrawn_triggers(command: Command) -> None:
    assert always_backup_withdrawn(IDLE, command)


@pytest.mark.parametrize(
    "command",
    [
        ALWAYS,
        transaction(ALWAYS),  # accepted
        transaction(ABORT, ALWAYS),  # never reached
        transaction(NEVER, ABORT),  # another mode
    ],
)
def test_a_backup_in_mode_always_that_is_not_withdrawn_does_not_trigger(command: Command) -> None:
    assert not always_backup_withdrawn(IDLE, command)


def test_a_backup_in_mode_always_of_a_busy_bitmap_is_refused_itself_and_does_not_trigger() -> None:
    assert not always_backup_withdrawn(BUSY, transaction(ALWAYS, ABORT))


@pytest.mark.parametrize(
    "command", [NOTHING, transaction(NOTHING), transaction(OTHER, NOTHING), transaction(NOTHING, SOMETHING)]
)
def test_a_merge_of_nothing_triggers(command: Command) -> None:
    assert merge_of_nothing(IDLE, command)


@pytest.mark.parametrize(
    "command",
    [
        SOMETHING,
        transaction(c.ClearBitmap("d", "b"), c.MergeBitmaps("d", "b", (c.Source("d", "b"),))),
        c.MergeBitmaps("d", "unknown", ()),
        c.MergeBitmaps("nowhere", "b", ()),
        transaction(OTHER, ABORT, NOTHING),  # never reached
        c.ClearBitmap("d", "b"),
    ],
)
def test_other_merges_do_not_trigger(command: Command) -> None:
    assert not merge_of_nothing(IDLE, command)


UNKNOWN = c.EnableBitmap("d", "unknown")


@pytest.mark.parametrize(
    "command", [transaction(UNKNOWN), transaction(c.EnableBitmap("nowhere", "b")), transaction(OTHER, UNKNOWN)]
)
def test_an_enable_of_what_is_not_there_triggers(command: Command) -> None:
    assert enable_of_what_is_not_there(IDLE, command)
    assert enable_of_what_is_not_there_or_in_a_group(IDLE, command)
    assert not enable_of_what_is_removed(IDLE, command)


@pytest.mark.parametrize(
    "command",
    [transaction(c.RemoveBitmap("d", "b"), ENABLE), transaction(OTHER, c.RemoveBitmap("d", "b"), OTHER2, ENABLE)],
)
def test_an_enable_of_what_the_transaction_has_removed_triggers(command: Command) -> None:
    assert enable_of_what_is_removed(IDLE, command)
    assert not enable_of_what_is_not_there_or_in_a_group(IDLE, command)


@pytest.mark.parametrize("command", [transaction(full("n"), ENABLE, grouped=True), transaction(ENABLE, grouped=True)])
def test_an_enable_in_a_group_triggers_where_groups_are_not_checked_first(command: Command) -> None:
    assert enable_of_what_is_not_there_or_in_a_group(IDLE, command)
    assert not enable_of_what_is_not_there(IDLE, command)


ENABLES = (enable_of_what_is_not_there, enable_of_what_is_not_there_or_in_a_group, enable_of_what_is_removed)


@pytest.mark.parametrize("trigger", ENABLES)
def test_an_enable_of_a_bitmap_that_a_job_uses_does_not_trigger_by_itself(trigger: OfCommands) -> None:
    assert not trigger(BUSY, ENABLE)


@pytest.mark.parametrize("trigger", ENABLES)
@pytest.mark.parametrize(
    "command",
    [
        transaction(ENABLE),
        transaction(full("n", bitmap="b"), ENABLE),  # frozen: QEMU 7.2 was seen to do no harm
        transaction(OTHER, full("n", bitmap="x"), c.EnableBitmap("d", "x")),  # so is one that it has added itself
        transaction(ENABLE, ABORT),  # another action fails
        transaction(ABORT, UNKNOWN),  # never reached
        transaction(c.DisableBitmap("d", "unknown")),
        UNKNOWN,
        transaction(full("n"), c.DisableBitmap("d", "b"), grouped=True),
        transaction(c.RemoveBitmap("d", "b2"), ABORT, ENABLE),  # never reached
    ],
)
def test_an_enable_that_succeeds_or_is_not_reached_does_not_trigger(trigger: OfCommands, command: Command) -> None:
    assert not trigger(IDLE, command)


def test_an_enable_does_not_trigger_if_something_before_it_in_a_group_fails() -> None:
    command = transaction(full("n"), full("n"), ENABLE, grouped=True)
    assert not enable_of_what_is_not_there_or_in_a_group(IDLE, command)


# A bitmap that is used after it was freed


@pytest.mark.parametrize(
    "first",
    [
        c.ClearBitmap("d", "b"),
        c.DisableBitmap("d", "b"),
        c.MergeBitmaps("d", "b", (c.Source("d", "b2"),)),
    ],
)
@pytest.mark.parametrize("last", [ABORT, full("n"), UNKNOWN])
def test_what_is_undone_behind_an_always_backup_of_the_same_bitmap_triggers(first: c.Action, last: c.Action) -> None:
    assert undo_behind_always_backup(IDLE, transaction(first, ALWAYS, last))
    assert undo_behind_always_backup(IDLE, transaction(OTHER, first, OTHER2, ALWAYS, last))


def test_an_enable_that_is_undone_behind_an_always_backup_triggers_if_it_has_changed_something() -> None:
    disabled = after(c.DisableBitmap("d", "b"))
    assert undo_behind_always_backup(disabled, transaction(ENABLE, ALWAYS, ABORT))
    assert not undo_behind_always_backup(disabled, transaction(c.DisableBitmap("d", "b"), ALWAYS, ABORT))
    assert not undo_behind_always_backup(IDLE, transaction(ENABLE, ALWAYS, ABORT))


CLEAR = c.ClearBitmap("d", "b")


@pytest.mark.parametrize(
    "command",
    [
        transaction(CLEAR, ALWAYS),  # accepted
        transaction(ALWAYS, CLEAR, ABORT),  # refused at the clear: the bitmap is frozen
        transaction(CLEAR, NEVER, ABORT),  # the bitmap stays
        transaction(CLEAR, ABORT, ALWAYS),  # never reached
        transaction(c.ClearBitmap("d", "b2"), ALWAYS, ABORT),  # another bitmap
        transaction(c.MergeBitmaps("d", "b2", (c.Source("d", "b"),)), ALWAYS, ABORT),  # it is the source
        transaction(NOTHING, ALWAYS, ABORT),  # nothing to undo
        transaction(OTHER, ALWAYS, ABORT),
        transaction(ALWAYS, ABORT),
        CLEAR,
    ],
)
def test_what_comes_near_to_that_does_not_trigger(command: Command) -> None:
    assert not undo_behind_always_backup(IDLE, command)
    assert not undo_or_add_behind_always_backup(IDLE, command)


def test_a_bitmap_that_the_transaction_has_added_triggers_where_its_abort_keeps_the_bitmap() -> None:
    command = transaction(OTHER, c.StartBackup("n", "d", "bitmap", "x", "always"), ABORT)
    assert undo_or_add_behind_always_backup(IDLE, command)
    assert not undo_behind_always_backup(IDLE, command)


def test_a_bitmap_that_was_added_disabled_has_changed_when_it_is_enabled_and_not_otherwise() -> None:
    always = c.StartBackup("n", "d", "bitmap", "x", "always")
    off = c.AddBitmap("d", "x", CLUSTER, enabled=False)
    assert undo_behind_always_backup(IDLE, transaction(off, c.EnableBitmap("d", "x"), always, ABORT))
    assert not undo_behind_always_backup(IDLE, transaction(OTHER, c.EnableBitmap("d", "x"), always, ABORT))


# Groups that are refused before any action is prepared (since 8.1)


def test_a_group_with_anything_but_backups_does_not_trigger_where_groups_are_checked_first() -> None:
    group = transaction(*TWO_BACKUPS, ABORT, grouped=True)
    assert grouped_backups_withdrawn(IDLE, group)
    assert not since_groups_are_checked_first(grouped_backups_withdrawn)(IDLE, group)
    assert not since_groups_are_checked_first(always_backup_withdrawn)(IDLE, transaction(ALWAYS, ABORT, grouped=True))


def test_a_group_of_backups_triggers_there_all_the_same() -> None:
    group = transaction(*TWO_BACKUPS, full("n"), grouped=True)
    assert since_groups_are_checked_first(grouped_backups_withdrawn)(IDLE, group)
    assert since_groups_are_checked_first(always_backup_withdrawn)(IDLE, transaction(ALWAYS, ABORT))


TWO_BACKUPS = (full("n"), full("m", "e"))


@pytest.mark.parametrize(
    "actions",
    [
        (*TWO_BACKUPS, ABORT),
        (full("n"), full("m"), ABORT),  # of one disk
        (*TWO_BACKUPS, full("n")),  # the id is taken
        (*TWO_BACKUPS, c.ClearBitmap("d", "b")),  # no bitmap may be changed in a group
    ],
)
def test_a_group_that_fails_after_two_backups_triggers(actions: tuple[c.Action, ...]) -> None:
    assert grouped_backups_withdrawn(IDLE, transaction(*actions, grouped=True))
    assert not grouped_backups_withdrawn(IDLE, transaction(*actions))


@pytest.mark.parametrize(
    "actions", [TWO_BACKUPS, (full("n"), ABORT), (full("n"), ABORT, full("m")), (full("n"), full("n"), full("m"))]
)
def test_a_group_that_succeeds_or_fails_before_does_not_trigger(actions: tuple[c.Action, ...]) -> None:
    assert not grouped_backups_withdrawn(IDLE, transaction(*actions, grouped=True))


WHOLE_DISK = c.Write("d", 0, SIZE)
TWO_JOBS = after(transaction(full("j"), full("k")))


def test_a_write_that_ends_two_jobs_of_a_disk_triggers() -> None:
    assert backups_of_a_disk_end_together(TWO_JOBS, WHOLE_DISK)


def test_the_last_copy_of_a_job_triggers_while_another_of_the_disk_is_close_to_its_end() -> None:
    almost = after(transaction(full("j"), full("k")), c.Copy("k", 0, 3 * CLUSTER))
    assert backups_of_a_disk_end_together(almost, c.Copy("j", 0, SIZE))


def test_a_read_error_behind_the_last_copy_of_a_job_triggers() -> None:
    """Seen on 11.1, in a long history: with two jobs the read at hand has passed, and so the copy ends the job."""
    almost = after(full("j"), full("k"), c.Copy("j", 0, SIZE - CLUSTER), c.Copy("k", 0, SIZE - 2 * CLUSTER))
    failing = c.Copy("j", 0, 1, "read error")
    stopping = step(almost, c.Copy("j", SIZE - CLUSTER, 1, "read error"))
    assert stopping.ended, "the policy is to report"
    stop = after(c.StartBackup("j", "d", "full", on_source_error="stop"), full("k"),
                 c.Copy("j", 0, SIZE - CLUSTER), c.Copy("k", 0, SIZE - 2 * CLUSTER))  # fmt: skip
    assert backups_of_a_disk_end_together(stop, failing)
    two_left = after(c.StartBackup("j", "d", "full", on_source_error="stop"), full("k"),
                     c.Copy("j", 0, SIZE - 2 * CLUSTER), c.Copy("k", 0, SIZE - 2 * CLUSTER))  # fmt: skip
    assert not backups_of_a_disk_end_together(two_left, failing)


def test_a_read_error_of_a_copy_in_flight_triggers_if_a_write_error_would_end_the_job() -> None:
    """Seen on 11.1, every time, with seed 114: what is in flight has been read, so its write fails instead."""
    begun = after(c.StartBackup("j", "d", "full", on_source_error="ignore"), full("k"),
                  c.Copy("k", 0, SIZE - CLUSTER), c.BeginCopy("j", 0, 1))  # fmt: skip
    assert not step(begun, c.EndCopy("j", "read error")).ended
    assert backups_of_a_disk_end_together(begun, c.EndCopy("j", "read error"))
    safe = after(c.StartBackup("j", "d", "full", on_source_error="ignore", on_target_error="ignore"), full("k"),
                 c.Copy("k", 0, SIZE - CLUSTER), c.BeginCopy("j", 0, 1))  # fmt: skip
    assert not backups_of_a_disk_end_together(safe, c.EndCopy("j", "read error"))


def test_a_write_behind_the_last_copy_at_hand_of_two_jobs_triggers() -> None:
    """Seen in every try on 7.2, from a long history: that copy is made first, and the write saves the rest."""
    two_left = (c.Copy("j", 0, SIZE - 2 * CLUSTER), c.Copy("k", 0, SIZE - 2 * CLUSTER))
    close = after(transaction(full("j"), full("k")), *two_left)
    behind = c.Write("d", SIZE - CLUSTER, 1)
    assert backups_of_a_disk_end_together(close, behind)
    assert not backups_of_a_disk_end_together(close, c.Write("d", SIZE - 2 * CLUSTER, 1))  # the one at hand
    assert not backups_of_a_disk_end_together(after(transaction(full("j"), full("k")), two_left[0]), behind)


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (TWO_JOBS, c.Write("d", 0, SIZE - CLUSTER)),  # a cluster is left to both
        (TWO_JOBS, c.Copy("j", 0, CLUSTER)),
        (TWO_JOBS, c.Copy("j", 0, SIZE)),  # the other one has all of its 8 clusters yet to copy
        (after(full("j")), WHOLE_DISK),  # one job
        (after(transaction(full("j"), full("k", "e")), c.Copy("k", 0, 5 * CLUSTER)), WHOLE_DISK),  # two disks
        (after(transaction(full("j"), full("k"), grouped=True)), WHOLE_DISK),  # a group ends one after the other
    ],
    ids=["not yet", "one cluster", "far from it", "one job", "two disks", "a group"],
)
def test_jobs_that_do_not_end_together_do_not_trigger(state: State[Bits], command: Command) -> None:
    assert not backups_of_a_disk_end_together(state, command)


def test_the_ends_of_a_group_trigger_beside_a_job_that_copies_while_each_of_them_ends() -> None:
    """Seen in every try on 11.1: the third one copied all of its 8 clusters while two ended."""
    half = 4 * CLUSTER
    group = (transaction(full("j"), full("k"), grouped=True), c.Copy("j", 0, half), c.Copy("k", 0, half))
    beside = after(*group, full("n"))
    assert backups_of_a_disk_end_together(beside, c.CancelJob("j"))
    assert not backups_of_a_disk_end_together(after(*group, full("n", "e")), c.CancelJob("j"))
    assert not backups_of_a_disk_end_together(after(full("j"), full("n")), c.CancelJob("j"))


@pytest.mark.parametrize("far", [0, 1])
def test_a_write_whose_copies_are_to_fail_triggers_if_the_copies_at_hand_end_jobs(far: int) -> None:
    """Seen in every try on 11.1: the copies that are made first, so that they do not fail, were the last ones."""
    left = (3 + far) * CLUSTER
    close = after(
        transaction(full("j"), full("k"), grouped=True), c.Copy("j", 0, SIZE - left), c.Copy("k", 0, SIZE - left),
        full("n"),
    )  # fmt: skip
    last = c.BeginWrite("d", "w", SIZE - CLUSTER, 1, "zeroes", "copy failed")
    assert backups_of_a_disk_end_together(close, last) is not bool(far)
    assert not backups_of_a_disk_end_together(close, c.Write("d", SIZE - CLUSTER, 1))


@pytest.mark.parametrize("nothing", [c.Write("d", 0, 0), c.Write("d", 0, 512, "discard")])
def test_a_write_of_nothing_triggers_if_the_last_copy_is_in_flight(nothing: Command) -> None:
    close = after(transaction(full("j"), full("k")), *(c.Copy(job, 0, SIZE - CLUSTER) for job in "jk"))
    assert backups_of_a_disk_end_together(step(close, c.BeginCopy("j", SIZE - CLUSTER, 1)).state, nothing)
    assert not backups_of_a_disk_end_together(close, c.Write("d", 0, 0))


def test_starting_a_backup_triggers_beside_two_jobs_of_one_disk_that_are_close_to_their_ends() -> None:
    """A start drains, and what is drained goes on copying for a while."""
    half = 4 * CLUSTER
    close = after(transaction(full("j"), full("k")), c.Copy("j", 0, half), c.Copy("k", 0, half))
    assert backups_of_a_disk_end_together(close, full("n", "e"))
    assert not backups_of_a_disk_end_together(after(full("j")), full("n"))
    assert not backups_of_a_disk_end_together(after(full("j"), full("k", "e")), full("n"))


def test_a_backup_that_is_refused_drains_too() -> None:
    """Seen once, on a loaded machine: both jobs had all of their 8 clusters to copy, and ended."""
    far = after(transaction(full("j"), full("k")))
    assert backups_of_a_disk_end_together(far, full("j"))


def test_a_write_that_three_backups_save_for_triggers_if_two_are_close_to_their_ends() -> None:
    """Seen once, on a loaded machine: with two clusters left to each of two of them, and all to the third one."""
    left = 3 * CLUSTER
    close = after(
        transaction(full("j"), full("k")), c.Copy("j", 0, SIZE - left), c.Copy("k", 0, SIZE - left), full("n")
    )
    last = c.BeginWrite("d", "w", SIZE - CLUSTER, 4096)
    assert backups_of_a_disk_end_together(close, last)
    assert not backups_of_a_disk_end_together(step(close, c.CancelJob("n")).state, last)
    assert not backups_of_a_disk_end_together(after(transaction(full("j"), full("k"), full("n"))), last)


# Jobs that end while a command drains


def test_hurried_jobs_have_ended_but_for_those_that_cannot() -> None:
    state = after(full("j"), full("k", "e"), c.PauseJob("k"), c.BeginCopy("j", 0, CLUSTER))
    assert list(hurried(state).jobs) == ["k"]


def test_a_transaction_is_turned_away_for_what_it_may_find_after_draining() -> None:
    """The first action is refused while the job runs; if the job ends meanwhile, the second one fails instead."""
    command = transaction(c.ClearBitmap("d", "b"), c.EnableBitmap("d", "unknown"))
    assert not enable_of_what_is_not_there(BUSY, command)
    assert triggered(of_commands(enable_of_what_is_not_there), BUSY, command)


def test_a_paused_job_does_not_end_meanwhile() -> None:
    paused = after(full("j", bitmap="b"), c.PauseJob("j"))
    command = transaction(c.ClearBitmap("d", "b"), c.EnableBitmap("d", "unknown"))
    assert not triggered(of_commands(enable_of_what_is_not_there), paused, command)


def test_only_a_transaction_finds_another_state_than_the_one_that_it_was_given_in() -> None:
    def bitmap_is_free(state: State[Bits], command: Command) -> bool:
        return not state.jobs

    assert triggered(of_commands(bitmap_is_free), BUSY, transaction(ENABLE))
    assert not triggered(of_commands(bitmap_is_free), BUSY, ENABLE)


def test_nothing_triggers_on_what_is_no_command_of_its_kind() -> None:
    harmless = [c.Write("d", 0, 512), c.AddBitmap("d", "x", 512), c.Copy("j", 0, 1), c.CancelJob("j"), ENABLE]
    for name, trigger in TRIGGERS.items():
        assert not any(triggered(trigger, IDLE, each) for each in harmless), name


def test_a_copy_may_be_of_the_last_cluster_whatever_it_names() -> None:
    """QEMU picks the cluster: asked for one that is copied, it copies the one that is left."""
    full = [c.StartBackup(job, "d", "full") for job in ("j", "k")]
    copied = [c.Copy(job, number * 65536, 65536) for job in ("j", "k") for number in range(7)]
    state = initial(BitSets(), {"d": 8 * 65536})
    for each in (*full, *copied):
        state = step(state, each).state
    trigger = TRIGGERS["backups-of-a-disk-end-together"]
    assert triggered(trigger, state, c.Copy("j", 7 * 65536, 65536))
    assert triggered(trigger, state, c.Copy("j", 0, 65536))
    assert not triggered(trigger, state, c.Copy("nobody", 0, 65536))


# What happens to images


def on_images(*steps: Played) -> tuple[State[Bits], Files[Bits]]:
    """A disk in an image, after these."""
    state, files = initial(BitSets(), {"d": CLUSTER}), fresh({"d": CLUSTER})
    for each in steps:
        result, files = step_with(files, state, each)
        state = result.state
    return state, files


STORED = Persist(c.AddBitmap("d", "b", CLUSTER))
REMOVE = c.RemoveBitmap("d", "b")
WITHDRAWN = c.Transaction((REMOVE, ABORT))
INCONSISTENT = STORED, Close("d"), Open("d"), Crash(), Open("d")
READ_ONLY, FOR_WRITING = Reopen("d", writable=False), Reopen("d", writable=True)


def test_a_reopening_for_writing_is_turned_away_if_an_inconsistent_bitmap_has_no_entry() -> None:
    trigger = TRIGGERS["reopened-without-the-entry"]
    state, files = on_images(*INCONSISTENT, WITHDRAWN, READ_ONLY)
    assert triggered(trigger, state, FOR_WRITING, files)
    assert not triggered(trigger, state, READ_ONLY, files)
    assert not triggered(trigger, state, FOR_WRITING)
    with_entry = (*INCONSISTENT, READ_ONLY), (STORED, WITHDRAWN, READ_ONLY)
    for near in (*with_entry, (*INCONSISTENT, WITHDRAWN), (READ_ONLY, STORED)):
        state, files = on_images(*near)
        assert not triggered(trigger, state, FOR_WRITING, files)


def test_a_reopening_that_changes_nothing_is_turned_away_if_a_bitmap_is_in_no_file() -> None:
    trigger = TRIGGERS["reopened-as-it-is"]
    for added in ((READ_ONLY, STORED), (Close("d"), Open("d", writable=False), STORED)):
        state, files = on_images(*added)
        assert triggered(trigger, state, READ_ONLY, files)
        assert not triggered(trigger, state, FOR_WRITING, files)
    gone = *INCONSISTENT, WITHDRAWN, READ_ONLY
    for near in ((STORED,), (STORED, READ_ONLY), (READ_ONLY, STORED.add), gone, (Close("d"),)):
        state, files = on_images(*near)
        assert not triggered(trigger, state, READ_ONLY, files)


def test_a_removal_is_turned_away_if_an_inconsistent_bitmap_of_a_disk_that_is_only_read_has_no_entry() -> None:
    trigger = TRIGGERS["removed-without-the-entry"]
    state, files = on_images(*INCONSISTENT, WITHDRAWN, READ_ONLY)
    assert all(triggered(trigger, state, each, files) for each in (REMOVE, WITHDRAWN, c.Transaction((REMOVE,))))
    assert not triggered(trigger, state, c.RemoveBitmap("d", "other"), files)
    for near in ((*INCONSISTENT, WITHDRAWN), (*INCONSISTENT, READ_ONLY), (READ_ONLY, STORED)):
        state, files = on_images(*near)
        assert not triggered(trigger, state, REMOVE, files)
