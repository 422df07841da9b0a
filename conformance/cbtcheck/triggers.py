"""When a drawn command would run into a known defect: predicates over the specification's state and a command.

An entry of the ledger names one of these. Such a command is then not played in drawn scenarios, so that the search
looks behind the defect; the ledger's own scenario still confirms it in every run. Each is as narrow as its defect.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import takewhile

from cbtmodel.backup import Job
from cbtmodel.commands import (
    Command,
    Copy,
    EnableBitmap,
    EndCopy,
    MergeBitmaps,
    RemoveBitmap,
    StartBackup,
    Transaction,
)
from cbtmodel.node import State
from cbtmodel.step import step

from cbtcheck.bitsets import Bits

Trigger = Callable[[State[Bits], Command], bool]


def accepted_before_failure(state: State[Bits], command: Command) -> tuple[object, ...]:
    """The actions of a transaction that are accepted before one is refused; none if it is accepted as a whole."""
    if not isinstance(command, Transaction) or step(state, command).refusal is None:
        return ()
    for count in range(len(command.actions), 0, -1):
        if step(state, Transaction(command.actions[:count])).refusal is None:
            return command.actions[:count]
    return ()


def always_backup_withdrawn(state: State[Bits], command: Command) -> bool:
    """A refused transaction in which a backup with bitmap mode *always* had been prepared already."""
    accepted = accepted_before_failure(state, command)
    return any(isinstance(each, StartBackup) and each.bitmap_mode == "always" for each in accepted)


def merge_of_nothing(state: State[Bits], command: Command) -> bool:
    """A merge with an empty list of sources, alone or in a transaction, that is accepted."""
    merges = command.actions if isinstance(command, Transaction) else (command,)
    if not any(isinstance(each, MergeBitmaps) and not each.sources for each in merges):
        return False
    return step(state, command).refusal is None


def failed_enable_in_transaction(state: State[Bits], command: Command) -> bool:
    """A transaction that is refused because it enables a bitmap that it removes, or that does not exist.

    So is every enable in a grouped one. A bitmap that a job has frozen comes to no harm: it records nothing anyway,
    and is what its successor is when the job ends.
    """
    if not isinstance(command, Transaction) or step(state, command).refusal is None:
        return False
    accepted = accepted_before_failure(state, command)
    if command.grouped:  # what is no backup fails there, at its turn
        failing = next((each for each in command.actions if not isinstance(each, StartBackup)), None)
        return isinstance(failing, EnableBitmap)
    enabled = next(iter(command.actions[len(accepted) :]), None)
    if not isinstance(enabled, EnableBitmap):
        return False
    node = state.nodes.get(enabled.node)
    there = node is not None and enabled.name in node.bitmaps
    return not there or RemoveBitmap(enabled.node, enabled.name) in accepted


def grouped_backups_withdrawn(state: State[Bits], command: Command) -> bool:
    """A grouped transaction that is refused when two backups have been prepared already."""
    if not isinstance(command, Transaction) or not command.grouped:
        return False
    accepted = accepted_before_failure(state, command)
    prepared = list(takewhile(lambda each: isinstance(each, StartBackup), accepted))  # what else there is fails
    return len(prepared) >= 2


def backups_of_a_disk_end_together(state: State[Bits], command: Command) -> bool:
    """Two backups of one disk that are not a group could end while one command is carried out.

    A command that drains lets every job go on copying for a while, and so does the end of another job of the disk.
    """
    starting = len(command.actions) if isinstance(command, Transaction) else isinstance(command, StartBackup)
    if len(state.jobs) + starting < 2:
        return False
    result = step(state, command)
    ended = {end.id: end.job for end in result.ended}
    drains = isinstance(command, StartBackup | Transaction)
    if not drains and not ended:
        return saves_for_many(state, result.state)
    ending = {
        id: job
        for id, job in {**state.jobs, **result.state.jobs, **ended}.items()
        if id in ended or len(job.todo) <= ALMOST * job.cluster // 512
    }
    started = {id: job for id, job in result.state.jobs.items() if id not in state.jobs}
    if isinstance(command, StartBackup):  # it drains for longer, also when it is refused
        hurried_on = [job for job in state.jobs.values() if len(job.todo) <= ALL * job.cluster // 512]
        if independent(hurried_on, hurried_on):
            return True
    return independent(ending.values(), {**started, **ending}.values())


def saves_for_many(before: State[Bits], after: State[Bits]) -> bool:
    """A guest write waits for copies of three backups or more, and two that are close to their ends go on."""
    saving = [job for id, job in after.jobs.items() if id in before.jobs and job.todo != before.jobs[id].todo]
    close = [job for job in saving if len(job.todo) <= CLOSE * job.cluster // 512]
    return len(saving) > 2 and independent(close, close)


def independent(some: Collection[Job[Bits]], others: Collection[Job[Bits]]) -> bool:
    """Whether there are two jobs of one disk that do not belong to one group."""
    return any(one.node == other.node and one.group != other.group for one in some for other in others)


CLOSE, ALMOST, ALL = 2, 6, 8
"""Clusters that a job may copy while a guest write waits for others, while another one ends, while a backup starts.

All of them were seen under load, the first one once.
"""


def hurried(state: State[Bits]) -> State[Bits]:
    """The state if every job that can goes on to its end: what a command that drains may find."""
    for id, job in state.jobs.items():
        if id in state.jobs and job.copying:
            state = step(state, EndCopy(id)).state
        if id in state.jobs:
            state = step(state, Copy(id, 0, state.nodes[job.node].size)).state
    return state


def triggered(trigger: Trigger, state: State[Bits], command: Command) -> bool:
    """Whether a command would run into a defect, now or, if it drains, when jobs have ended meanwhile."""
    if trigger(state, command):
        return True
    return isinstance(command, Transaction) and bool(state.jobs) and trigger(hurried(state), command)


TRIGGERS: dict[str, Trigger] = {
    "always-backup-withdrawn": always_backup_withdrawn,
    "backups-of-a-disk-end-together": backups_of_a_disk_end_together,
    "failed-enable-in-transaction": failed_enable_in_transaction,
    "grouped-backups-withdrawn": grouped_backups_withdrawn,
    "merge-of-nothing": merge_of_nothing,
}
