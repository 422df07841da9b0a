"""What a session's log tells of when jobs began and how they ended, seen from the end of the session.

A log may lack replies: a job that is seen to run has begun, so the command that began it was accepted. It may lack
events, too, as one by `qmp-shell` does: then nothing tells when a job ended, and only a query that still shows it
tells how.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cbtmodel.backup import Outcome

from cbtcheck.trace.pairs import Pairs, Sent
from cbtcheck.trace.qmp_commands import starts

ENDS = ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED")
RUNS = frozenset({"running", "paused", "ready", "standby", "waiting", "pending"})
"""States that a job has only once the command that began it, or its whole transaction, was accepted."""


@dataclass
class KnownOfJobs:
    """`proven`: commands without a reply that were accepted, by the number of the message with which they were sent.

    `outcomes`: how a job ended that began with a command of that number, where the log tells. `late`: events are not
    where they happened, as where a shell prints them when it has a prompt.
    """

    proven: set[int] = field(default_factory=set)
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    late: bool = False
    _events: int = 0
    _seen: set[int] = field(default_factory=set)
    _lost: dict[str, int] = field(default_factory=dict)
    _latest: dict[str, int] = field(default_factory=dict)
    _created: set[str] = field(default_factory=set)
    _created_for: set[int] = field(default_factory=set)
    _running: set[str] = field(default_factory=set)
    _early: dict[str, Outcome | None] = field(default_factory=dict)
    """Jobs that were over before the command that began them was answered, with how, if that was told."""

    @property
    def unheard(self) -> bool:
        """Whether no event about any job is in the session, or none where it happened."""
        return self.late or not self._events

    def told(self, event: dict[str, Any], pairs: Pairs) -> None:
        """An event."""
        job_id = job_of(event)
        if job_id is None:
            return
        name, data = event["event"], event["data"]
        status = data.get("status") if name == "JOB_STATUS_CHANGE" else None
        starting = [sent for sent in pairs.waiting if job_id in starts(sent.name, sent.arguments)]
        if status == "created":
            # QEMU says so before it replies.
            self.late = self.late or (not starting and job_id in self._running and job_id not in self._created)
            self._created.add(job_id)
            self._created_for.update(sent.moment for sent in starting)
        self._events += 1
        if status in (*RUNS, None):
            self._runs(job_id, starting)
        if name in ENDS:
            came: Outcome = "failed" if "error" in data else "completed"
            self._over(job_id, "cancelled" if name == "BLOCK_JOB_CANCELLED" else came, bool(starting))
        elif status in ("aborting", "concluded", "null"):
            self._over(job_id, None, bool(starting))

    def _over(self, job_id: str, outcome: Outcome | None, starting: bool) -> None:
        if job_id not in self._running and starting:
            self._early[job_id] = outcome or self._early.get(job_id)
        elif outcome is not None and job_id in self._latest:
            self._ended(job_id, outcome)
        self._running.discard(job_id)

    def _ended(self, job_id: str, outcome: Outcome) -> None:
        self.outcomes.setdefault((job_id, self._latest[job_id]), outcome)
        self._running.discard(job_id)

    def _runs(self, job_id: str, waiting: Iterable[Sent]) -> None:
        for sent in reversed([*waiting]):
            # While an older job of that id runs, only that another one was created tells anything.
            if job_id not in self._running or sent.moment in self._created_for:
                self._seen.add(sent.moment)
                return
        if job_id in self._lost:
            self._prove(self._lost[job_id], [job_id])

    def lost(self, commands: Iterable[Sent]) -> None:
        """The replies of these are not in the log."""
        for sent in commands:
            jobs = [*starts(sent.name, sent.arguments)]
            if sent.moment in self._seen:
                self._prove(sent.moment, jobs)
            else:
                self._lost.update(dict.fromkeys(jobs, sent.moment))

    def _prove(self, moment: int, jobs: Iterable[str]) -> None:
        self.proven.add(moment)
        for job_id in jobs:
            self._lost.pop(job_id, None)
            self._latest[job_id] = moment

    def answered(self, sent: Sent, reply: dict[str, Any]) -> None:
        """A command was answered."""
        said, begun = reply.get("return"), [*starts(sent.name, sent.arguments)]
        if said is None:
            for job_id in begun:
                self._early.pop(job_id, None)
            return
        for job_id in begun:
            self._lost.pop(job_id, None)
            self._latest[job_id] = sent.moment
            if job_id not in self._early:
                self._running.add(job_id)
            elif (outcome := self._early.pop(job_id)) is not None:
                self._ended(job_id, outcome)
        if sent.name in ("query-jobs", "query-block-jobs") and isinstance(said, list):
            shown = {str(each.get("id" if sent.name == "query-jobs" else "device")): each
                     for each in said if isinstance(each, dict)}  # fmt: skip
            for job_id in [*self._running]:
                self.late = self.late or job_id not in shown
            for job_id, each in shown.items():
                self._shown(each, job_id)

    def _shown(self, job: dict[str, Any], job_id: str) -> None:
        if job.get("status") in RUNS:
            self._runs(job_id, ())
        elif job.get("status") == "concluded" and job_id in self._latest:
            self._ended(job_id, "failed" if job.get("error") else "completed")


def job_of(event: dict[str, Any]) -> str | None:
    """The backup job that an event is about, None if it is about none."""
    name, data = event["event"], event.get("data")
    if not isinstance(data, dict) or not (name.startswith("BLOCK_JOB_") or name == "JOB_STATUS_CHANGE"):
        return None
    if data.get("type", "backup") != "backup":
        return None
    job_id = data.get("id" if name in ("JOB_STATUS_CHANGE", "BLOCK_JOB_PENDING") else "device")
    return job_id if isinstance(job_id, str) else None
