"""A history: steps of an operator and a guest on one image, and as one line of text that can be typed again.

Blocks are clusters of the image, so that a history is the same whatever their size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMED = ("remove", "clear", "enable", "disable", "abort-remove", "transaction-remove", "backup")
ALONE = ("close", "quit", "kill", "flush")
OFFLINE = ("add", "remove", "clear", "enable", "disable", "merge", "check")
GUEST = ("write", "zero")


class NoHistory(ValueError):
    """A text that is no history. The message is one line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `verb` is *offline* for what `qemu-img` does to an image that nobody has open; `action` says what.

    `first` and `count` are the guest's blocks; `scale` is how many blocks a granule has. `source` is merged into
    `name`. `read_only` is how it is opened, or what it is reopened as.
    """

    verb: str
    name: str = ""
    action: str = ""
    source: str = ""
    first: int = 0
    count: int = 1
    scale: int = 1
    enabled: bool = True
    read_only: bool = False

    def __str__(self) -> str:
        if self.verb in GUEST:
            return f"{self.verb} {self.first}" + (f"+{self.count}" if self.count != 1 else "")
        if self.verb in ("open", "reopen"):
            return f"{self.verb} {'ro' if self.read_only else 'rw'}"
        verb = f"offline {self.action}" if self.verb == "offline" else self.verb
        words = [verb, self.source, self.name]
        if "add" in (self.verb, self.action):
            words += ["" if self.scale == 1 else f"x{self.scale}", "" if self.enabled else "disabled"]
        return " ".join(each for each in words if each)


def told(history: tuple[Step, ...]) -> str:
    """The history as a text that `parsed` takes."""
    return "; ".join(map(str, history))


def parsed(text: str) -> tuple[Step, ...]:
    """The steps, separated by semicolons. Raises `NoHistory`."""
    steps = tuple(_step(each.split()) for each in text.split(";") if each.strip())
    if not steps:
        raise NoHistory("there is no step in the history")
    return steps


def _step(words: list[str]) -> Step:
    verb, rest = words[0], words[1:]
    if verb in ALONE and not rest:
        return Step(verb)
    if verb in ("open", "reopen") and rest in ([], ["rw"], ["ro"]) and (rest or verb == "open"):
        return Step(verb, read_only=rest == ["ro"])
    if verb in GUEST and len(rest) == 1 and (found := re.fullmatch(r"(\d{1,4})(?:\+(\d{1,4}))?", rest[0])):
        return Step(verb, first=int(found[1]), count=int(found[2] or 1))
    if verb in NAMED and len(rest) == 1:
        return Step(verb, rest[0])
    if verb == "merge" and len(rest) == 2:
        return Step(verb, rest[1], source=rest[0])
    if verb == "add" and rest:
        return _added(Step(verb, rest[0]), rest[1:])
    if verb == "offline" and rest[:1] == ["check"] and len(rest) == 1:
        return Step(verb, action="check")
    if verb == "offline" and len(rest) == 3 and rest[0] == "merge":
        return Step(verb, rest[2], action="merge", source=rest[1])
    if verb == "offline" and len(rest) >= 2 and rest[0] == "add":
        return _added(Step(verb, rest[1], action="add"), rest[2:])
    if verb == "offline" and len(rest) == 2 and rest[0] in OFFLINE:
        return Step(verb, rest[1], action=rest[0])
    raise NoHistory(f"'{' '.join(words)}' is no step of a history")


def _added(step: Step, words: list[str]) -> Step:
    scale, enabled = 1, True
    for each in words:
        if each == "disabled":
            enabled = False
        elif re.fullmatch(r"x(1|2|4|8)", each):
            scale = int(each[1:])
        else:
            raise NoHistory(f"'{each}' is neither 'disabled' nor a granularity such as x4")
    return Step(step.verb, step.name, step.action, scale=scale, enabled=enabled)
