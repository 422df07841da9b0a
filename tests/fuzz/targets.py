"""What is fuzzed: everything of the suite that reads bytes from outside, each with a few seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files

import msgspec
from cbtcheck.describe import describe
from cbtcheck.scenario import ScenarioError, from_bytes, from_data, to_data


@dataclass(frozen=True)
class Target:
    """`read` takes bytes, and raises nothing. `seeds` are right inputs, to begin with."""

    read: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


def one_line(problem: Exception) -> None:
    """A complaint is one line, and not endless."""
    text = str(problem)
    assert text.isprintable(), ascii(text)
    assert len(text) < 2000, len(text)


def scenario(raw: bytes) -> None:
    """A scenario file; what is read is written, and read again, the same."""
    try:
        found = from_bytes(raw)
    except ScenarioError as problem:
        one_line(problem)
        return
    for each in found.commands:
        one_line(ValueError(describe(each)))
    assert from_data(msgspec.json.decode(msgspec.json.encode(to_data(found)))) == found


def workflows() -> Iterable[bytes]:
    """The scenarios that come with the suite."""
    return [each.read_bytes() for each in files("cbtcheck").joinpath("workflows").iterdir() if each.name[0].isdigit()]


TARGETS = {
    "scenario": Target(scenario, workflows),
}
