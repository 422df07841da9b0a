"""Judges replies: whether a command was accepted or refused as specified, and how the jobs ended that it ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cbtmodel.commands import StartBackup, Transaction
from cbtmodel.step import Step

from cbtcheck.adapter import Reply
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.verdict import Finding, Verdict

Ends = Iterable[tuple[str, str]]
"""Jobs that ended, by their ids, with their outcomes."""


def is_answered_by(result: Step[Any], command: Played, refusal: str) -> bool:
    """Whether a command may be answered so: refused with this kind, or accepted ("")."""
    expected = "" if result.refusal is None else result.refusal.kind
    return expected == refusal or bool(expected and refusal and may_name_another_reason(command))


def may_name_another_reason(command: Played) -> bool:
    """Where a grouped transaction has more than one thing wrong, which is named depends on the version.

    QEMU looks at the completion mode first since 8.1, and action by action before (blockdev.c).
    """
    if not isinstance(command, Transaction) or not command.grouped:
        return False
    return any(not isinstance(action, StartBackup) for action in command.actions)


def judge_reply(command: Played, reply: Reply, result: Step[Any]) -> list[Finding]:
    """Whether a command was answered as specified."""
    if is_answered_by(result, command, reply.refusal):
        return []
    wanted = f"refused: {result.refusal}" if result.refusal else "accepted"
    seen = f"refused: {reply.refusal}: {reply.text}" if reply.refusal else "accepted"
    return [Finding(Verdict.DIVERGES, "", type(command).__name__, wanted, seen)]


def judge_ends(expected: Ends, seen: Ends) -> list[Finding]:
    """Jobs that ended otherwise than specified. Success that is none is unsafe: that backup will be relied on."""
    wanted, found = sorted(expected), sorted(seen)
    if wanted == found:
        return []
    false_success = any(each[1] == "completed" and each not in wanted for each in found)
    verdict, broken = (Verdict.UNSAFE, "DELIVERED") if false_success else (Verdict.DIVERGES, "")
    return [Finding(verdict, broken, "jobs ended", outcomes(wanted), outcomes(found))]


def outcomes(ended: Ends) -> str:
    """The ends of jobs as text."""
    return ", ".join(f"{job_id} {outcome}" for job_id, outcome in sorted(ended)) or "none"
