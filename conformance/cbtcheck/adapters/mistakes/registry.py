"""What a seeded mistake is, and the list of them.

A mistake is a subclass of one part of the reference implementation (host, node, bitmap or job) that gets one thing
wrong. Its docstring is its story. Nothing global is changed: hosts with and without it live side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cbtimpl import Host
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.node import Node

from cbtcheck.scenario.verdict import Verdict


@dataclass(frozen=True)
class Mistake:
    """One seeded mistake.

    `bug` is the field bug that it is after (an ID of field-bugs.md), or empty. `verdict` is what the suite must say
    of it, `at_most` how many commands the shortest scenario that shows it may have.
    """

    name: str
    story: str
    bug: str
    verdict: Verdict
    at_most: int
    host: Callable[[], Host]


MISTAKES: dict[str, Mistake] = {}
"""All of them, by name."""


@dataclass(frozen=True)
class NarrowMistake:
    """A mistake that shows only under a condition that a phase of its own has, and no other phase.

    `line` says which: what is undone, who else is there, how many, how often, where; `found_by` names the phase. It
    has no trap, so that a phase which finds it has found the condition, not the mistake; and no row in the matrix.
    """

    name: str
    story: str
    line: str
    verdict: Verdict
    found_by: str
    host: Callable[[], Host]


NARROW: dict[str, NarrowMistake] = {}
"""All of these, by name."""

Part = TypeVar("Part", bound=type[Host] | type[Node] | type[Bitmap] | type[BackupJob])


def mistake(name: str, bug: str, verdict: Verdict, at_most: int) -> Callable[[Part], Part]:
    """Declares a subclass of a part of the reference implementation to be a mistake."""

    def declare(part: Part) -> Part:
        story = " ".join((part.__doc__ or "").split())
        MISTAKES[name] = Mistake(name, story, bug, verdict, at_most, host_class(part))
        return part

    return declare


def narrow_mistake(name: str, line: str, verdict: Verdict, found_by: str = "the tour") -> Callable[[Part], Part]:
    """Declares a subclass of a part of the reference implementation to be a narrow mistake."""

    def declare(part: Part) -> Part:
        story = " ".join((part.__doc__ or "").split())
        NARROW[name] = NarrowMistake(name, story, line, verdict, found_by, host_class(part))
        return part

    return declare


def host_class(part: type) -> type[Host]:
    """The host that is made with this part."""
    if issubclass(part, Host):
        return part
    slot = {Node: "node_class", Bitmap: "bitmap_class", BackupJob: "job_class"}
    attribute = next(attribute for base, attribute in slot.items() if issubclass(part, base))
    return type(f"HostOf{part.__name__}", (Host,), {attribute: part})


def host_with(name: str) -> Callable[[], Host]:
    """What makes hosts with that mistake. Raises `LookupError` for an unknown name."""
    known: dict[str, Mistake | NarrowMistake] = {**MISTAKES, **NARROW}
    if name not in known:
        raise LookupError(f"unknown mistake '{name}' (known: {', '.join(sorted(known))})")
    return known[name].host
