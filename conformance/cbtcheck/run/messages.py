"""What the processes of a run tell each other."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cbtcheck.adapter import Capabilities
from cbtcheck.run.gather import Scope
from cbtcheck.run.part import Part
from cbtcheck.run.report import LedgerResult


@dataclass(frozen=True)
class Introduction:
    """From a worker, first: what it has opened. The first worker also tells the `scope` of the run."""

    name: str
    version: str
    capabilities: Capabilities
    scope: Scope | None


@dataclass(frozen=True)
class CannotBegin:
    """From a worker, instead: it has no adapter: there is none of that name (`unknown`), or it is `broken`."""

    why: str
    unknown: bool
    broken: bool = False


@dataclass(frozen=True)
class Defect:
    """From a worker, last: a mistake of the suite, with its traceback, ends it."""

    traceback: str


@dataclass(frozen=True)
class Confirmed:
    """From the first worker, and passed on to the others: what came of the ledger."""

    results: list[LedgerResult]


@dataclass(frozen=True)
class Played:
    """From a worker: its next parts, in their order."""

    parts: list[Part]


@dataclass(frozen=True)
class Stopped:
    """From a worker, last: it has played all its own, it was `interrupted`, or its adapter is `exhausted`."""

    interrupted: bool
    exhausted: bool = False


class Order(enum.Enum):
    """To a worker: enough has failed; or, leave everything as it is."""

    ENOUGH = "enough"
    STOP = "stop"


FromWorker = Introduction | CannotBegin | Defect | Confirmed | Played | Stopped
ToWorker = Confirmed | Order
