"""When a drawn command would run into a known defect: predicates over the specification's state and a command.

An entry of the ledger names one of these. Such a command is then not played in drawn scenarios, so that the search
looks behind the defect; the ledger's own scenario still confirms it in every run. Each is as narrow as its defect.
"""

from __future__ import annotations

from collections.abc import Callable

from cbtmodel.commands import Command, EnableBitmap, MergeBitmaps, StartBackup, Transaction
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
    """A merge with an empty list of sources into a bitmap that exists, alone or reached in a transaction."""
    if isinstance(command, Transaction):
        reached = accepted_before_failure(state, command) or command.actions
        return any(isinstance(each, MergeBitmaps) and not each.sources for each in reached)
    if not isinstance(command, MergeBitmaps) or command.sources:
        return False
    return step(state, command).refusal is None


def failed_enable_in_transaction(state: State[Bits], command: Command) -> bool:
    """A transaction that is refused because it enables a bitmap that is busy, or that does not exist."""
    if not isinstance(command, Transaction) or step(state, command).refusal is None:
        return False
    failing = command.actions[len(accepted_before_failure(state, command)) :][:1]
    return bool(failing) and isinstance(failing[0], EnableBitmap)


def backups_of_a_disk_end_together(state: State[Bits], command: Command) -> bool:
    """Two backups of one disk that are not a group end, or could end, while one command is carried out.

    A command that drains lets each of them make a few copies, and so does the end of another.
    """
    jobs = dict(state.jobs)
    result = step(state, command)
    ended = {end.id for end in result.ended}
    jobs |= {end.id: end.job for end in result.ended if end.id not in jobs}
    drains = isinstance(command, StartBackup | Transaction)
    if not drains and not ended:
        return False
    ending = [
        (job.node, job.group)
        for id, job in jobs.items()
        if id in ended or len(job.todo) <= CLUSTERS_IN_A_DRAIN * job.cluster // 512
    ]
    return any(one != other and one[0] == other[0] for one in ending for other in ending)


CLUSTERS_IN_A_DRAIN = 10
"""A start drains up to four times, and each time a job may make the two copies that it has taken on."""

TRIGGERS: dict[str, Trigger] = {
    "always-backup-withdrawn": always_backup_withdrawn,
    "backups-of-a-disk-end-together": backups_of_a_disk_end_together,
    "failed-enable-in-transaction": failed_enable_in_transaction,
    "merge-of-nothing": merge_of_nothing,
}
