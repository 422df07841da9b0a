"""Judges replies: whether a command was accepted or refused as specified, and how the jobs ended that it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cbtmodel.commands import Command, StartBackup, Transaction
from cbtmodel.step import Step

from cbtcheck.adapter import Reply
from cbtcheck.verdict import Finding, Verdict


def judge_reply(command: Command, reply: Reply, result: Step[Any]) -> list[Finding]:
    """Whether a command was answered as specified."""
    expected = "" if result.refusal is None else result.refusal.kind
    if expected == reply.refusal or (expected and reply.refusal and may_name_another_reason(command)):
        return []
    wanted = f"refused: {result.refusal}" if result.refusal else "accepted"
    seen = f"refused: {reply.refusal}: {reply.text}" if reply.refusal else "accepted"
    return [Finding(Verdict.DIVERGES, "", type(command).__name__, wanted, seen)]


def may_name_another_reason(command: Command) -> bool:
    """Where a grouped transaction has more than one thing wrong, which is named depends on the version.

    QEMU looks at the completion mode first since 8.1, and action by action before (blockdev.c).
    """
    if not isinstance(command, Transaction) or not command.grouped:
        return False
    return any(not isinstance(action, StartBackup) for action in command.actions)


def judge_ends(expected: Sequence[tuple[str, str]], seen: Sequence[tuple[str, str]]) -> Finding:
    """Jobs have ended otherwise than specified. Success that is none is unsafe: that backup will be relied on."""
    false_success = [each for each in seen if each[1] == "completed" and each not in expected]
    verdict = Verdict.UNSAFE if false_success else Verdict.DIVERGES
    property = "DELIVERED" if false_success else ""
    return Finding(verdict, property, "jobs ended", _outcomes(expected), _outcomes(seen))


def _outcomes(ended: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{id} {outcome}" for id, outcome in sorted(ended)) or "none"
