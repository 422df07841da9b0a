"""Schedules that failed, by mistake: those that lose a write in the same window, or fail in the same way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cbtcheck.judging.play import Outcome
from cbtcheck.judging.verdicts import Judgement, Reason
from cbtcheck.judging.windows import Between, losing, without_runs

Kind = tuple[str, ...]


@dataclass
class Shown:
    """A kind of failure: an outcome that shows it, made short, and how many schedules had it.

    `between`: the commands between which writes are lost, if it is a window of the tool. `faults`: how many of the
    schedules had which fault, "" for none.
    """

    outcome: Outcome
    between: Between = ("", "")
    schedules: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    saved: Path | None = None
    verified: str = ""


def main_reason(outcome: Outcome) -> Reason | None:
    """The first of its worst reasons."""
    found = [each for each in outcome.reasons if each.judgement is outcome.judgement]
    return found[0] if found else None


def grouped(points: Sequence[str], failed: Sequence[Outcome]) -> list[Shown]:
    """The kinds of failures, the worst first. `points`: all of a run in which nothing happens, in order."""
    alone = [each for each in failed if not each.schedule.faults and each.judgement is Judgement.UNSAFE]
    reasons = [reason for each in alone if (reason := main_reason(each)) is not None]
    windows = losing(points, (each.window for each in reasons))
    found: dict[Kind, Shown] = {}
    for outcome in sorted(failed, key=lambda each: bool(each.schedule.faults)):
        kind, between = _kind(outcome, windows)
        shown = found.setdefault(kind, Shown(outcome, between))
        shown.schedules += 1
        shown.faults[outcome.schedule.faults[0].kind if outcome.schedule.faults else ""] += 1
    return sorted(found.values(), key=lambda each: -each.outcome.judgement.severity)


def _kind(outcome: Outcome, windows: dict[str, Between]) -> tuple[Kind, Between]:
    reason = main_reason(outcome)
    if reason is None:
        return (outcome.judgement.value,), ("", "")
    between = windows.get(reason.window)
    if outcome.judgement is Judgement.UNSAFE and between is not None:
        return ("window", *without_runs(between)), between
    return (outcome.judgement.value, reason.text.partition(":")[0].replace(reason.run, "")), ("", "")
