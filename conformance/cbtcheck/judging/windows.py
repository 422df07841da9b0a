"""Windows are named after the tool's commands: between which two of them a write was made, and which lose writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.schedule import Point, parsed

Between = tuple[str, str]


def around(entries: Sequence[Entry], entry: Entry) -> Between:
    """The commands before and after a write of the guest; "" where there is none."""
    at = next(number for number, each in enumerate(entries) if each is entry)
    before = next((_said(each.point) for each in reversed(entries[:at]) if _is_command(each)), "")
    after = next((_said(each.point) for each in entries[at + 1 :] if _is_command(each)), "")
    return before, after


def _is_command(entry: Entry) -> bool:
    return entry.who == "tool" and "/before/" in entry.point


def _said(point: str) -> str:
    it = parsed(point)
    return f"{it.name} of run {it.run}"


def without_runs(between: Between) -> Between:
    """The same window of whichever run."""
    return between[0].partition(" of run ")[0], between[1].partition(" of run ")[0]


def losing(points: Sequence[str], lost: Iterable[str]) -> dict[str, Between]:
    """For each point at which a write is lost: the window that it is in, from the first such point to the last one.

    `points` are all, in order. Points that follow each other are one window, which is named after the command before
    its first point and that after its last.
    """
    those = set(lost)
    found: dict[str, Between] = {}
    begin = 0
    while begin < len(points):
        end = begin
        while end < len(points) and points[end] in those:
            end += 1
        if end > begin:
            between = (_before(points, begin), _after(points, end - 1))
            found |= dict.fromkeys(points[begin:end], between)
        begin = max(end, begin + 1)
    return found


def _before(points: Sequence[str], at: int) -> str:
    return next((_said(each) for each in reversed(points[:at]) if _kind(each).kind == "before"), "")


def _after(points: Sequence[str], at: int) -> str:
    return next((_said(each) for each in points[at:] if _kind(each).kind == "before"), "")


def _kind(point: str) -> Point:
    return parsed(point)
