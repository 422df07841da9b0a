"""When a drawn command would run into a known defect: predicates over the specification's state and a command.

An entry of the ledger names one of these. Such a command is then not played in drawn scenarios, so that the search
looks behind the defect; the ledger's own scenario still confirms it in every run. Each is as narrow as its defect.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import takewhile

from cbtmodel.backup import Job
from cbtmodel.bitmap import busy
from cbtmodel.commands import (
    AddBitmap,
    BeginWrite,
    ClearBitmap,
    Command,
    Copy,
    DisableBitmap,
    EnableBitmap,
    EndCopy,
    MergeBitmaps,
    RemoveBitmap,
    StartBackup,
    Transaction,
    Write,
)
from cbtmodel.image import Event, Reopen, Soundness
from cbtmodel.node import State
from cbtmodel.step import step

from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.images import Files, Played
from cbtcheck.sets.bitsets import Bits, BitSets

OfCommands = Callable[[State[Bits], Command], bool]
Trigger = Callable[[State[Bits], Played, Files[Bits] | None], bool]
"""Of the disks, what is asked, and the images if disks lie in any."""


def accepted_before_failure(state: State[Bits], command: Command) -> tuple[object, ...]:
    """The actions of a transaction that are accepted before one is refused; none if it is accepted as a whole."""
    if not isinstance(command, Transaction) or step(state, command).refusal is None:
        return ()
    tried = command.actions
    if command.grouped:  # what is no backup fails there, at its turn
        tried = tuple(takewhile(lambda each: isinstance(each, StartBackup), tried))
    for count in range(len(tried), 0, -1):
        if step(state, Transaction(command.actions[:count])).refusal is None:
            return command.actions[:count]
    return ()


def always_backup_withdrawn(state: State[Bits], command: Command) -> bool:
    """A refused transaction in which a backup with bitmap mode *always* had been prepared already."""
    return bool(_always(accepted_before_failure(state, command)))


def undo_behind_always_backup(state: State[Bits], command: Command) -> bool:
    """A refused transaction that undoes something to a bitmap after it has withdrawn an *always* backup of it.

    What was undone last was done first: a clear or a merge, or an enable or disable that has changed something.
    """
    accepted = accepted_before_failure(state, command)
    return any(
        any(_kept_for_undoing(state, accepted, each, place) for each in accepted[:number])
        for number, place in _always(accepted).items()
    )


def undo_or_add_behind_always_backup(state: State[Bits], command: Command) -> bool:
    """The same, and that the bitmap was added by the same transaction."""
    accepted = accepted_before_failure(state, command)
    added = [
        isinstance(each, AddBitmap) and (each.node, each.name) == place
        for number, place in _always(accepted).items()
        for each in accepted[:number]
    ]
    return any(added) or undo_behind_always_backup(state, command)


def _always(accepted: Sequence[object]) -> dict[int, tuple[str, str]]:
    """The positions of backups of mode *always*, with the bitmap of each."""
    return {
        number: (each.node, each.bitmap)
        for number, each in enumerate(accepted)
        if isinstance(each, StartBackup) and each.bitmap_mode == "always" and each.bitmap is not None
    }


def _kept_for_undoing(
    state: State[Bits], accepted: Sequence[object], action: object, place: tuple[str, str]
) -> bool:
    """Whether an action keeps a bitmap at hand because it has changed it, and would have to change it back."""
    if isinstance(action, MergeBitmaps):
        return (action.node, action.target) == place and bool(action.sources)
    if isinstance(action, ClearBitmap):
        return (action.node, action.name) == place
    if not isinstance(action, EnableBitmap | DisableBitmap) or (action.node, action.name) != place:
        return False
    bitmap = state.nodes[action.node].bitmaps.get(action.name)
    added = [each.enabled for each in accepted if isinstance(each, AddBitmap) and (each.node, each.name) == place]
    return (added[0] if bitmap is None else bitmap.enabled) is isinstance(action, DisableBitmap)


def merge_of_nothing(state: State[Bits], command: Command) -> bool:
    """A merge with an empty list of sources, alone or in a transaction, that is accepted."""
    merges = actions_of(command)
    if not any(isinstance(each, MergeBitmaps) and not each.sources for each in merges):
        return False
    return step(state, command).refusal is None


def enable_of_what_is_removed(state: State[Bits], command: Command) -> bool:
    """A transaction that is refused because it enables a bitmap that it has removed before.

    A bitmap that a job has frozen comes to no harm: it records nothing anyway, and is what its successor is when the
    job ends.
    """
    accepted, failing = _failing(state, command)
    return isinstance(failing, EnableBitmap) and RemoveBitmap(failing.node, failing.name) in accepted


def enable_of_what_is_not_there(state: State[Bits], command: Command) -> bool:
    """A transaction that is refused because it enables a bitmap that does not exist, or of a disk that does not."""
    accepted, failing = _failing(state, command)
    if not isinstance(failing, EnableBitmap):
        return False
    if any(isinstance(each, AddBitmap) and each.name == failing.name for each in accepted):
        return False  # it is there by then, and a backup has frozen it
    node = state.nodes.get(failing.node)
    return node is None or failing.name not in node.bitmaps


def enable_of_what_is_not_there_or_in_a_group(state: State[Bits], command: Command) -> bool:
    """The same, or a grouped transaction that is refused because of the enable that is in it, at its turn."""
    grouped = isinstance(command, Transaction) and command.grouped
    in_a_group = grouped and isinstance(_failing(state, command)[1], EnableBitmap)
    return in_a_group or enable_of_what_is_not_there(state, command)


def _failing(state: State[Bits], command: Command) -> tuple[tuple[object, ...], object]:
    """The actions of a refused transaction that are accepted, and the one that is refused; None if there is none."""
    if not isinstance(command, Transaction) or step(state, command).refusal is None:
        return (), None
    accepted = accepted_before_failure(state, command)
    return accepted, next(iter(command.actions[len(accepted) :]), None)


def grouped_backups_withdrawn(state: State[Bits], command: Command) -> bool:
    """A grouped transaction that is refused when two backups have been prepared already."""
    if not isinstance(command, Transaction) or not command.grouped:
        return False
    return len(accepted_before_failure(state, command)) >= 2


def since_groups_are_checked_first(trigger: OfCommands) -> OfCommands:
    """A trigger as it is where a group with anything but backups in it is refused before any action is prepared."""

    def checked(state: State[Bits], command: Command) -> bool:
        refused_at_once = (
            isinstance(command, Transaction)
            and command.grouped
            and not all(isinstance(each, StartBackup) for each in command.actions)
        )
        return not refused_at_once and trigger(state, command)

    return checked


def backups_of_a_disk_end_together(state: State[Bits], command: Command) -> bool:
    """Two backups of one disk that are not a group could end while one command is carried out.

    A command that drains lets every job go on copying for a while, and so does each end of another job of the disk.
    """
    starting = len(command.actions) if isinstance(command, Transaction) else isinstance(command, StartBackup)
    if len(state.jobs) + starting < 2:
        return False
    behind, ended = made_way(state, command)
    result = step(behind, as_picked(behind, command))
    ended |= {end.job_id: end.job for end in result.ended}
    drains = isinstance(command, StartBackup | Transaction)
    if not drains and not ended:
        return saves_for_many(state, result.state)
    almost = ALMOST * max(1, len(ended))
    ending = {
        job_id: job
        for job_id, job in {**state.jobs, **result.state.jobs, **ended}.items()
        if job_id in ended or len(job.todo) <= almost * job.cluster // 512
    }
    started = {job_id: job for job_id, job in result.state.jobs.items() if job_id not in state.jobs}
    if isinstance(command, StartBackup):  # it drains for longer, also when it is refused
        hurried_on = [job for job in state.jobs.values() if len(job.todo) <= ALL * job.cluster // 512]
        if independent(hurried_on, hurried_on):
            return True
    return independent(ending.values(), {**started, **ending}.values())


def as_picked(state: State[Bits], command: Command) -> Command:
    """A copy of what the job picks itself, the first that is left, if what is asked for is copied already.

    Of several jobs of a disk the read at hand has passed, so it is the next one that fails: the last copy does not.
    A copy in flight has been read, too: what fails of it is the write, whose policy may end the job.
    """
    if isinstance(command, EndCopy) and command.result != "ok":
        return replace(command, result="write error")
    if not isinstance(command, Copy) or command.job not in state.jobs:
        return command
    job = state.jobs[command.job]
    size = state.nodes[job.node].size
    named = state.space.round_out(state.space.blocks(command.offset, command.length), job.cluster, size)
    left = BitSets().granules(job.todo, job.cluster, size)
    alone = not any(each is not job and each.node == job.node for each in state.jobs.values())
    if command.result == "read error" and left.bit_count() == 1 and not alone:
        command = replace(command, result="ok")
    if named & job.todo or not left:
        return command
    first = (left & -left).bit_length() - 1
    return replace(command, offset=first * job.cluster, length=job.cluster)


def made_way(state: State[Bits], command: Command) -> tuple[State[Bits], dict[str, Job[Bits]]]:
    """The state, and the jobs that have ended, when the copies are made that a guest write must not meet.

    A write whose copies are to fail comes when the copies at hand are made, so that it fails its own only. So does
    one that may turn out to write nothing (of no length, or a discard), where a copy is in flight; and one that would
    wait for the cluster that a job has taken on behind the one at hand: it saves the former, so the job is done, too.
    """
    ended: dict[str, Job[Bits]] = {}
    if not isinstance(command, Write | BeginWrite) or command.node not in state.nodes:
        return state, ended
    fails = command.result == "copy failed"
    written = state.space.blocks(command.offset, command.length)
    for job_id, job in list(state.jobs.items()):
        nothing = bool(job.copying) and (command.length == 0 or command.kind == "discard")
        saved = job.todo & state.space.round_out(written, job.cluster, state.nodes[job.node].size)
        apart = job.todo if nothing and not fails else job.todo - saved
        meets = (fails or nothing) and len(apart) <= WAY * job.cluster // 512
        if job.node == command.node and (meets or (saved and only_at_hand(state, job, job.todo - saved))):
            for each in (EndCopy(job_id), Copy(job_id, 0, state.nodes[job.node].size)):
                result = step(state, each)
                state = result.state
                ended |= {end.job_id: end.job for end in result.ended}
    return state, ended


def only_at_hand(state: State[Bits], job: Job[Bits], apart: Bits) -> bool:
    """Whether these blocks are the copy that waits at the gate: the one in flight, or the first that is left."""
    size = state.nodes[job.node].size
    left, apart_word = (BitSets().granules(blocks, job.cluster, size) for blocks in (job.copying or job.todo, apart))
    return bool(left) and apart_word == left & -left


def saves_for_many(before: State[Bits], after: State[Bits]) -> bool:
    """A guest write waits for copies of three backups or more, and two that are close to their ends go on."""
    saving = [
        job for job_id, job in after.jobs.items() if job_id in before.jobs and job.todo != before.jobs[job_id].todo
    ]
    close = [job for job in saving if len(job.todo) <= CLOSE * job.cluster // 512]
    return len(saving) > 2 and independent(close, close)


def independent(some: Collection[Job[Bits]], others: Collection[Job[Bits]]) -> bool:
    """Whether there are two jobs of one disk that do not belong to one group."""
    return any(one.node == other.node and one.group != other.group for one in some for other in others)


WAY, CLOSE, ALMOST, ALL = 2, 2, 6, 8
"""Clusters that a job may copy before a guest write that is not to meet its copies, while a guest write waits for the
copies of others, while another job ends, and while a backup starts.

All but the first were seen under load, the second one once.
"""


def hurried(state: State[Bits]) -> State[Bits]:
    """The state if every job that can goes on to its end: what a command that drains may find."""
    for job_id, job in state.jobs.items():
        if job_id in state.jobs and job.copying:
            state = step(state, EndCopy(job_id)).state
        if job_id in state.jobs:
            state = step(state, Copy(job_id, 0, state.nodes[job.node].size)).state
    return state


def reopened_under_a_backup(state: State[Bits], asked: Played, files: Files[Bits] | None) -> bool:
    """A reopening for reading only of a disk of which a job has a bitmap."""
    if not isinstance(asked, Reopen) or asked.writable or asked.node not in state.nodes:
        return False
    return any(busy(each) for each in state.nodes[asked.node].bitmaps.values())


def in_no_file(files: Files[Bits] | None, node: str, worth: Soundness, writable: bool) -> tuple[str, ...]:
    """The bitmaps of a disk, open in this way, that are to be stored, are worth so much, and have no entry."""
    opened = files.opened.get(node) if files is not None else None
    if files is None or opened is None or opened.writable != writable:
        return ()
    image = files.images[node]
    listed = image.entries if image.current else ()
    return tuple(name for name, each in opened.persistent.items() if each == worth and name not in listed)


def reopened_without_the_entry(state: State[Bits], asked: Played, files: Files[Bits] | None) -> bool:
    """A reopening for writing of a disk with an inconsistent bitmap whose entry a withdrawn removal has taken."""
    if not isinstance(asked, Reopen) or not asked.writable:
        return False
    return bool(in_no_file(files, asked.node, "inconsistent", writable=False))


def reopened_as_it_is(state: State[Bits], asked: Played, files: Files[Bits] | None) -> bool:
    """A reopening for reading only of a disk that is only read, and has a bitmap that is to be stored and is not."""
    if not isinstance(asked, Reopen) or asked.writable:
        return False
    return bool(in_no_file(files, asked.node, "sound", writable=False))


def removed_without_the_entry(state: State[Bits], asked: Played, files: Files[Bits] | None) -> bool:
    """A removal, in a transaction too, of an inconsistent bitmap that has no entry, of a disk that is only read."""
    return any(
        each.name in in_no_file(files, each.node, "inconsistent", writable=False)
        for each in actions_of(asked)
        if isinstance(each, RemoveBitmap)
    )


def of_commands(trigger: OfCommands) -> Trigger:
    """What happens to images does not set it off."""
    return lambda state, asked, _: not isinstance(asked, Event) and trigger(state, asked)


def triggered(trigger: Trigger, state: State[Bits], command: Played, files: Files[Bits] | None = None) -> bool:
    """Whether a command would run into a defect, now or, if it drains, when jobs have ended meanwhile."""
    if trigger(state, command, files):
        return True
    return isinstance(command, Transaction) and bool(state.jobs) and trigger(hurried(state), command, files)


OF_COMMANDS: dict[str, OfCommands] = {
    "always-backup-withdrawn": always_backup_withdrawn,
    "backups-of-a-disk-end-together": backups_of_a_disk_end_together,
    "backups-of-a-group-withdrawn": since_groups_are_checked_first(grouped_backups_withdrawn),
    "enable-of-what-is-not-there": since_groups_are_checked_first(enable_of_what_is_not_there),
    "enable-of-what-is-not-there-or-in-a-group": enable_of_what_is_not_there_or_in_a_group,
    "enable-of-what-is-removed": enable_of_what_is_removed,
    "grouped-backups-withdrawn": grouped_backups_withdrawn,
    "merge-of-nothing": merge_of_nothing,
    "single-always-backup-withdrawn": since_groups_are_checked_first(always_backup_withdrawn),
    "undo-behind-always-backup": undo_behind_always_backup,
    "undo-or-add-behind-always-backup": since_groups_are_checked_first(undo_or_add_behind_always_backup),
}
TRIGGERS: dict[str, Trigger] = {
    **{name: of_commands(trigger) for name, trigger in OF_COMMANDS.items()},
    "removed-without-the-entry": removed_without_the_entry,
    "reopened-as-it-is": reopened_as_it_is,
    "reopened-under-a-backup": reopened_under_a_backup,
    "reopened-without-the-entry": reopened_without_the_entry,
}
