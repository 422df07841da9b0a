"""What events say of jobs, and where there are none, what is taken to have happened to them.

`BLOCK_JOB_COMPLETED` and `BLOCK_JOB_CANCELLED` tell how a job ended. Where a log has only `JOB_STATUS_CHANGE`, a job
that is concluded has completed, unless it was aborting before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cbtmodel import commands as c
from cbtmodel.backup import Outcome
from cbtmodel.record import replace

from cbtcheck.scenario.actions import actions_of
from cbtcheck.trace.events import AllCopied, Change, EndOfJobs, Forgotten, StoppedByError
from cbtcheck.trace.known_jobs import ENDS, KnownOfJobs, job_of
from cbtcheck.trace.places import Places

CANCELS = ("job-cancel", "block-job-cancel")
OVER = ("concluded", "null")


class QmpJobs:
    """The jobs of one session."""

    def __init__(self, known: KnownOfJobs, places: Places) -> None:
        self._known, self._places = known, places
        self._nodes: dict[str, str] = {}
        self._aborting: dict[str, None] = {}
        self._cancelled: set[str] = set()
        self._grouped: dict[str, frozenset[str]] = {}
        self._early: set[str] = set()
        """Jobs that were over before the command that began them was answered."""

    # Commands

    def asked(self, name: str, arguments: Any) -> None:
        """A command was sent. What it does to a job may be told before it is answered."""
        job_id = arguments.get("id", arguments.get("device")) if isinstance(arguments, dict) else None
        if name in CANCELS and isinstance(job_id, str):
            self._cancelled.add(job_id)

    def began(self, command: c.Command) -> None:
        """The backups that a command has begun are in front of their disks."""
        listed = [each for each in actions_of(command) if isinstance(each, c.StartBackup)]
        grouped = isinstance(command, c.Transaction) and command.grouped
        members = frozenset(each.job for each in listed) if grouped else frozenset()
        for each in listed:
            self._cancelled.discard(each.job)
            self._grouped[each.job] = members | {each.job}
            if each.job not in self._early:
                self._nodes[each.job] = each.node
            self._early.discard(each.job)
        self._places.busy = set(self._nodes.values())

    def as_far_as_heard(self, command: c.Command) -> c.Command:
        """The command, with jobs that do not wait to be finalized, where nobody would hear that they do."""
        if not self._known.unheard:
            return command
        if isinstance(command, c.StartBackup):
            return replace(command, auto_finalize=True)
        if isinstance(command, c.Transaction):
            return replace(command, actions=tuple(
                replace(each, auto_finalize=True) if isinstance(each, c.StartBackup) else each
                for each in command.actions
            ))  # fmt: skip
        return command

    def unheard(self, command: c.Command, moment: int) -> tuple[list[Change], list[c.StartBackup]]:
        """What is taken to happen to jobs of which no event tells, when a command was accepted that was sent then.

        They end at once: when they did, makes no difference for what they have copied, which is what there was when
        they began. Of their bitmaps nothing is known until they are seen free. With that the jobs of which nobody
        knows how they ended.
        """
        if not self._known.unheard:
            return [], []
        listed = [each for each in actions_of(command) if isinstance(each, c.StartBackup)]
        found: list[Change] = []
        grouped = isinstance(command, c.Transaction) and command.grouped
        ends = [*self._outcomes(listed, moment, grouped)]
        if ends:
            found.append(EndOfJobs(tuple(ends)))
        found += [Forgotten(each.node, (each.bitmap,), closed=True) for each in listed if each.bitmap is not None]
        return found, [each for each in listed if (each.job, moment) not in self._known.outcomes]

    def _outcomes(
        self, listed: list[c.StartBackup], moment: int, grouped: bool
    ) -> Iterator[tuple[str, Outcome]]:
        shown = [self._known.outcomes.get((each.job, moment), "completed") for each in listed]
        failed = shown.index("failed") if grouped and "failed" in shown else None
        for at, (each, outcome) in enumerate(zip(listed, shown, strict=True)):
            yield each.job, outcome if failed in (None, at) else "cancelled"

    def shown(self, query: str, reply: Any) -> Change | None:
        """What a reply shows of jobs that are over, and of which no event has told that."""
        ends: list[tuple[str, Outcome]] = []
        for each in reply if query in ("query-jobs", "query-block-jobs") and isinstance(reply, list) else ():
            job_id = each.get("id" if query == "query-jobs" else "device") if isinstance(each, dict) else None
            if self._known.unheard or job_id not in self._nodes:
                continue
            if each.get("status") == "concluded":
                ends += self._over(job_id, "failed" if each.get("error") else "completed").jobs
        return EndOfJobs(tuple(ends)) if ends else None

    # Events

    def event(self, event: dict[str, Any]) -> Change | None:
        """What an event says; None if that is nothing."""
        job_id = job_of(event)
        if job_id is None or self._known.unheard:
            return None
        name, data = event["event"], event["data"]
        if name in ENDS:
            came: Outcome = "failed" if "error" in data else "completed"
            return self._over(job_id, "cancelled" if name == "BLOCK_JOB_CANCELLED" else came)
        if name == "BLOCK_JOB_PENDING":
            return AllCopied(job_id)
        if name == "BLOCK_JOB_ERROR":
            return StoppedByError(job_id) if data.get("action") == "stop" else None
        if name != "JOB_STATUS_CHANGE":
            return None
        status = data.get("status")
        if status == "created":
            self._early.discard(job_id)
            self._aborting.pop(job_id, None)
        if status == "aborting":
            self._aborting[job_id] = None
        if status in ("waiting", "pending"):
            return AllCopied(job_id)
        if status in OVER and job_id in self._nodes:
            return self._over(job_id, self._unwanted(job_id) if job_id in self._aborting else "completed")
        return None

    def _unwanted(self, job_id: str) -> Outcome:
        """How a job ended that was aborting: of a group the first failed, and the others were cancelled for that."""
        group = self._grouped.get(job_id, frozenset({job_id}))
        first = next((each for each in self._aborting if each in group), job_id)
        return "failed" if first == job_id and not group & self._cancelled else "cancelled"

    def _over(self, job_id: str, outcome: Outcome) -> EndOfJobs:
        if self._nodes.pop(job_id, None) is None:
            self._early.add(job_id)
        self._places.busy = set(self._nodes.values())
        return EndOfJobs(((job_id, outcome),))
