"""Reads a trace line by line, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

from cbtcheck.scenario.strict_json import BOM, WITH_A_BOM
from cbtcheck.trace.events import TraceProblem

LONGEST_LINE = 16 << 20
"""The most bytes of a line."""


def lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Every line with its number, from 1; without its end. `TraceProblem` if one is too long."""
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 2), b""), 1):
        if len(line) > LONGEST_LINE and (len(line) > LONGEST_LINE + 1 or not line.endswith(b"\n")):
            raise TraceProblem(number, f"longer than {LONGEST_LINE} bytes; is it a trace?")
        if number == 1 and line.startswith(BOM):
            raise TraceProblem(number, WITH_A_BOM)
        if number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise TraceProblem(number, "it is UTF-16, as PowerShell's '>' writes it: save it as UTF-8")
        yield number, line


class _Twice(Exception):
    pass


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def refuse_duplicates(number: int, line: bytes) -> None:
    """`TraceProblem` if an object has a member twice: readers would not agree on which of them counts."""
    try:
        json.loads(line, object_pairs_hook=_members)
    except _Twice as twice:
        raise TraceProblem(number, f"the member {str(twice)[:60]!r} is there twice") from None
    except (ValueError, RecursionError) as problem:
        raise TraceProblem(number, f"not JSON: {problem}") from None
