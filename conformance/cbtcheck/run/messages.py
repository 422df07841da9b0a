"""What the processes of a run tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from cbtcheck.adapter import Capabilities
from cbtcheck.adapters import Opening
from cbtcheck.run.gather import Known
from cbtcheck.run.options import Options
from cbtcheck.run.part import Part
from cbtcheck.run.plan import Item


@dataclass(frozen=True)
class Greeting:
    """To a worker, first: what it plays on, and with which options.

    `home` is the directory for what is temporary; without one it makes a directory of its own.
    """

    opening: Opening
    options: Options
    home: str = ""


@dataclass(frozen=True)
class Task:
    """To a worker: items to play, and what is known. Without items it only says what it has opened."""

    items: tuple[Item, ...]
    known: Known


@dataclass(frozen=True)
class Introduction:
    """What a worker has opened."""

    name: str
    version: str
    capabilities: Capabilities


@dataclass(frozen=True)
class Played:
    """From a worker: the parts of each item of its task; if it was `interrupted`, of those that it had begun."""

    introduction: Introduction
    parts: list[list[Part]]
    interrupted: bool


@dataclass(frozen=True)
class CannotBegin:
    """From a worker, instead: it has no adapter: there is none of that name (`unknown`), or it is `broken`."""

    why: str
    unknown: bool
    broken: bool = False


@dataclass(frozen=True)
class Defect:
    """From a worker, instead: a mistake of the suite, with its traceback, has ended it."""

    traceback: str


Answer = Played | CannotBegin | Defect
