"""Two orders, each at odds with a trace, whose union allows it: said, or said to be undecided, never allowed."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.trace.gathered import MOST_SINGLE
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

INPUTS = Path(__file__).parent / "inputs"
G = 65536
HEAD = {"format": "cbtspec-trace", "version": 1, "disks": {"d": 8 * G}}


def judged(*lines: dict[str, Any]) -> TraceReport:
    text = "\n".join(json.dumps(each) for each in (HEAD, *lines)).encode()
    return verify(io.BytesIO(text), Options())


def told(report: TraceReport) -> str:
    """In a word. What is in no bitmap at all is a write that is lost; a mixture is never told as one too much."""
    if report.findings:
        assert {each.verdict for _, each in report.findings} <= {Verdict.DIVERGES, Verdict.UNSAFE}
        return "at odds"
    return "allowed" if report.conformant else "undecided"


def add(name: str, at: float, **more: Any) -> dict[str, Any]:
    return {"do": "add-bitmap", "node": "d", "name": name, "granularity": G, "at": at, **more}


def write(granule: float, begin: float, end: float, length: int = 1) -> dict[str, Any]:
    return {"do": "write", "node": "d", "offset": int(granule * G), "length": length, "begin": begin, "end": end}


def act(do: str, name: str) -> dict[str, Any]:
    return {"do": do, "node": "d", "name": name}


def at_once(*actions: dict[str, Any], begin: float = 1, end: float = 1.2) -> dict[str, Any]:
    return {"do": "transaction", "actions": list(actions), "begin": begin, "end": end}


def look(at: float, interval: bool = False, **dirty: list[int]) -> dict[str, Any]:
    bitmaps = {name: {"dirty": [[each * G, G] for each in granules]} for name, granules in dirty.items()}
    when = {"begin": at, "end": at + 0.1} if interval else {"at": at}
    return {"see": "bitmaps", "node": "d", "bitmaps": bitmaps, **when}


def count(at: float, name: str, granules: int) -> dict[str, Any]:
    return {"see": "bitmaps", "node": "d", "bitmaps": {name: {"count": granules * G}}, "at": at}


BOTH = (add("a", 0), add("b", 0.1))
CLEARS = at_once(act("clear-bitmap", "a"), act("clear-bitmap", "b"))
SWITCH = at_once(act("disable-bitmap", "a"), act("enable-bitmap", "b"))
HALVES = (add("a", 0), add("b", 0.1, enabled=False))

# What happens, and for the two bitmaps (a, b) what orders can give; all else of the listed contents is at odds.
KINDS: dict[str, tuple[tuple[dict[str, Any], ...], set[tuple[tuple[int, ...], tuple[int, ...]]]]] = {
    "a transaction clears both": ((*BOTH, write(1, 0.9, 1.3), CLEARS), {((), ()), ((1,), (1,))}),
    "one records instead of the other": ((*HALVES, write(1, 0.9, 1.3), SWITCH), {((1,), ()), ((), (1,))}),
    "two writes to a granule, both cleared": (
        (*BOTH, write(1, 0.9, 1.3), write(1.5, 0.95, 1.3), CLEARS), {((), ()), ((1,), (1,))},
    ),
    "two writes to a granule, one instead of the other": (
        (*HALVES, write(1, 0.9, 1.3), write(1.5, 0.95, 1.3), SWITCH), {((1,), ()), ((), (1,)), ((1,), (1,))},
    ),
    "a write of two granules": (
        (*BOTH, write(1, 0.9, 1.3, 2 * G), CLEARS), {((), ()), ((1, 2), (1, 2))},
    ),
    "two clears that overlap, and two writes": (
        (*BOTH, write(1, 0.8, 1.4), write(2, 0.85, 1.4),
         {**act("clear-bitmap", "a"), "begin": 1, "end": 1.2},
         {**act("clear-bitmap", "b"), "begin": 1.05, "end": 1.2}),
        {(one, other) for one, other in itertools.product(((), (1,), (2,), (1, 2)), repeat=2)
         if set(one) <= set(other) or set(other) <= set(one)},
    ),
    "clear and disable": (
        (*BOTH, write(1, 0.9, 1.3), at_once(act("clear-bitmap", "a"), act("disable-bitmap", "b"))),
        {((), (1,)), ((1,), ())},
    ),
}  # fmt: skip
CONTENTS = ((), (1,), (2,), (1, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["a first", "b first", "both", "intervals"])
def test_what_some_order_gives_is_allowed_and_all_else_is_at_odds(kind: str, how: str) -> None:
    lines, right = KINDS[kind]
    single = {each for pair in right for each in pair}
    for one, other in itertools.product(CONTENTS, repeat=2):
        if not {one, other} <= single:
            continue  # the bounds of one bitmap say that
        a, b = list(one), list(other)
        looks = {
            "a first": (look(2, a=a), look(3, b=b)),
            "b first": (look(2, b=b), look(3, a=a)),
            "both": (look(2, a=a, b=b),),
            "intervals": (look(2, True, a=a), look(2.05, True, b=b), look(3, True, a=a)),
        }[how]
        expected = "allowed" if (one, other) in right else "at odds"
        assert told(judged(*lines, *looks)) == expected, (one, other)


def test_counts_tell_it_too() -> None:
    lines = (*BOTH, write(1, 0.9, 1.3), CLEARS)
    assert told(judged(*lines, count(2, "a", 1), count(3, "b", 1))) == "allowed"
    assert told(judged(*lines, count(2, "a", 1), count(3, "b", 0))) == "at odds"


def test_half_a_write_is_in_a_bitmap() -> None:
    """One bitmap is enough, if a write is of more than a granule: it was before the clear or after it, as a whole."""
    lines = (add("a", 0), write(1, 0.9, 1.3, 2 * G), {**act("clear-bitmap", "a"), "begin": 1, "end": 1.2})
    assert told(judged(*lines, look(2, a=[1, 2]))) == "allowed"
    assert told(judged(*lines, look(2, a=[]))) == "allowed"
    assert told(judged(*lines, look(2, a=[2]))) == "at odds"


def test_what_was_seen_is_remembered_across_commands() -> None:
    lines = (*BOTH, write(1, 0.9, 1.3), CLEARS, look(2, a=[1]), add("c", 2.5), write(3, 2.6, 2.7))
    assert told(judged(*lines, look(3, b=[1, 3]))) == "allowed"
    assert told(judged(*lines, look(3, b=[3]))) == "at odds"


def test_once_both_are_cleared_nothing_is_left_to_be_at_odds() -> None:
    lines = (*BOTH, write(1, 0.9, 1.3), CLEARS, look(2, a=[1]))
    again = at_once(act("clear-bitmap", "a"), act("clear-bitmap", "b"), begin=3, end=3.2)
    assert told(judged(*lines, again, look(4, a=[], b=[]))) == "allowed"


def test_a_frozen_bitmap_its_successor_and_another_one() -> None:
    start = {"do": "start-backup", "job": "j", "node": "d", "sync": "incremental", "bitmap": "a"}
    lines = (*BOTH, write(0, 0.2, 0.3), write(1, 0.9, 1.3), at_once(start, act("clear-bitmap", "b")))
    assert told(judged(*lines, look(2, a=[0, 1]), look(3, b=[]))) == "allowed"
    assert told(judged(*lines, look(2, a=[0]), look(3, b=[1]))) == "allowed"
    assert told(judged(*lines, look(2, a=[0, 1]), look(3, b=[1]))) == "at odds"


def test_too_many_to_be_told_apart_are_undecided_where_they_matter() -> None:
    writes = [write(each / 4, 0.9, 1.3) for each in range(MOST_SINGLE + 4)]
    lines = (*BOTH, *writes, CLEARS)
    mixed = (look(2, a=[0, 1, 2, 3, 4]), look(3, b=[0, 1]))
    report = judged(*lines, *mixed)
    assert told(report) == "undecided"
    assert report.counts.mixed
    assert told(judged(*lines, {**CLEARS, "begin": 1.5, "end": 1.6}, look(2, a=[], b=[]))) == "allowed"


def test_two_clears_as_it_was_reported() -> None:
    with (INPUTS / "two-clears.jsonl").open("rb") as file:
        assert told(verify(file, Options())) == "at odds"
