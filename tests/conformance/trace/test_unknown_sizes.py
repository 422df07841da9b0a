"""Nodes whose size is in no log: a merge that was accepted says that two of them are alike, and is no finding."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cbtcheck.trace.report import TraceReport
from cbtcheck.trace.verify import Options, verify

GREETING = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 0}, "package": ""}, "capabilities": []}}


def log(sizes: dict[str, int], *said: tuple[str, dict[str, Any]], refused: str = "") -> bytes:
    """A log whose commands are all accepted, but the last one if there is a text for that."""
    shown = [{"node-name": name, "image": {"virtual-size": size}} for name, size in sizes.items()]
    lines: list[Any] = [GREETING, {"execute": "query-named-block-nodes"}, {"return": shown}]
    for name, arguments in said:
        lines += [{"execute": name, "arguments": arguments}, {"return": {}}]
    if refused:
        lines[-1] = {"error": {"class": "GenericError", "desc": refused}}
    return "\n".join(map(json.dumps, lines)).encode()


def add(node: str, name: str) -> tuple[str, dict[str, Any]]:
    return "block-dirty-bitmap-add", {"node": node, "name": name, "granularity": 65536}


def merge(node: str, target: str, other: str, name: str) -> tuple[str, dict[str, Any]]:
    return "block-dirty-bitmap-merge", {"node": node, "target": target, "bitmaps": [{"node": other, "name": name}]}


def in_one(*actions: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    return "transaction", {"actions": [{"type": kind, "data": data} for kind, data in actions]}


def judged(text: bytes) -> TraceReport:
    return verify(io.BytesIO(text), Options("qmp"))


ADDED = add("d", "b"), add("s", "t"), add("x", "u")


@pytest.mark.parametrize("merges", [
    [merge("s", "t", "d", "b")], [merge("d", "b", "s", "t")], [in_one(merge("s", "t", "d", "b"))],
    [merge("s", "t", "x", "u"), merge("x", "u", "d", "b")], [merge("x", "u", "s", "t")],
])  # fmt: skip
def test_a_merge_with_a_node_of_unknown_size_is_no_finding(merges: list[tuple[str, dict[str, Any]]]) -> None:
    assert judged(log({"d": 4 << 20}, *ADDED, *merges)).number == 0


def test_a_merge_between_two_sizes_is_one_still() -> None:
    found = judged(log({"d": 4 << 20, "s": 8 << 20}, *ADDED, merge("s", "t", "d", "b")))
    assert found.number == 1
    assert "size mismatch" in str(found.findings[0][1])


def test_so_is_a_node_that_cannot_be_like_two_others() -> None:
    sizes = {"d": 4 << 20, "s": 8 << 20}
    assert judged(log(sizes, *ADDED, merge("x", "u", "d", "b"), merge("x", "u", "s", "t"))).number == 1


def test_a_refused_merge_says_nothing_of_sizes() -> None:
    text = "Bitmaps are of different sizes (destination size is 8, source size is 4) and can't be merged"
    assert judged(log({"d": 4 << 20}, *ADDED, merge("s", "t", "d", "b"), refused=text)).number == 0
