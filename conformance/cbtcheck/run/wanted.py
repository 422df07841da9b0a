"""What `--only` names, and what of a run is about it.

A walk of the tour is about what its aims are about: the edges for whose sake it is there. Each edge is an aim of one
walk, so no edge of what is named is left out, inside transactions neither. A family says itself what it is about.
Workflows, traps and drawn scenarios are about whatever they hold, and so are restarts and the tour of images.
RULE-DISK and the events of images are about these two only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cbtmodel import commands as c
from cbtmodel.commands import FinalizeJob, StartBackup, Transaction
from cbtmodel.node import State, initial
from cbtmodel.step import step
from cbtmodel.traits import traits_of, verb

from cbtcheck.follow.judge_images import RULE_DISK
from cbtcheck.run.tally import PROPERTIES, WRITING
from cbtcheck.scenario.images import EVENTS, fresh, step_with
from cbtcheck.scenario.scenario import KINDS, Restore, Scenario, spelled, word_for
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.sets.bitsets import Bits, BitSets

DRAWN_ONE_IN = 5
"""With `--only`, of the drawn scenarios of a profile one in so many: they are about nothing in particular."""

ACTIONS = {verb(kind): spelled(kind.__name__) for kind in c.ACTIONS if kind not in (c.StartBackup, c.Abort)} | {
    "backup": "start-backup"
}
"""How the parameters of an edge call the actions of a transaction that is taken back."""

CHANGING = frozenset(name for name, kind in KINDS.items() if traits_of(kind).reach == "a bitmap") - {"remove-bitmap"}
COPYING = frozenset(name for name, kind in KINDS.items() if issubclass(kind, c.Copying))
ON_JOB = frozenset(name for name, kind in KINDS.items() if issubclass(kind, c.OnJob))
STARTING = frozenset({"start-backup"})

OF_IMAGES = frozenset({RULE_DISK, *EVENTS})
"""Names that only restarts and the tour of images are about: the rule of images, and what happens to images."""


def commands_of(edge: Edge) -> frozenset[str]:
    """The commands and actions that an edge is about."""
    named = set(edge.command.split(": ")) & KINDS.keys()
    if edge.command == "transaction: undone":
        named |= {ACTIONS[word] for word in re.findall("|".join(ACTIONS), edge.given)}
    return frozenset(named)


def _ends_a_job(edge: Edge) -> bool:
    return re.search(r"\ba job |\bjobs ", edge.outcome) is not None


def _taken_back(edge: Edge) -> bool:
    return edge.command.endswith((": undone", ": refuses"))


def _accepted(edge: Edge, commands: frozenset[str]) -> bool:
    return bool(commands_of(edge) & commands) and not edge.outcome.startswith("refused")


def _records(edge: Edge) -> bool:
    """Whether a guest write is there, also one that fails since nothing could be copied before it."""
    return bool(commands_of(edge) & WRITING) and edge.outcome not in ("refused: invalid", "refused: not found")


def _marks_change(edge: Edge) -> bool:
    """Whether bits appear, go, or are handed on."""
    handed_on = _accepted(edge, CHANGING | STARTING | {"remove-bitmap"}) or _ends_a_job(edge)
    return _records(edge) or handed_on or _taken_back(edge)


def _copies(edge: Edge) -> bool:
    """Whether content is copied, or a guest write overtakes a copy, or a job starts."""
    written = commands_of(edge) & WRITING and "no job" not in edge.state
    overtakes = written and re.search(r"cop|jobs?\b", f"{edge.given} {edge.state}") is not None
    return _accepted(edge, COPYING | STARTING) or bool(overtakes) or _ends_a_job(edge)


@dataclass(frozen=True)
class Subject:
    """A property as a subject: the edges that are about it, and the commands of scenarios that are."""

    edge: Callable[[Edge], bool]
    commands: frozenset[str]


SUBJECTS: dict[str, Subject] = {
    "NO-LOST-WRITE": Subject(_marks_change, WRITING | CHANGING | STARTING),
    "POINT-IN-TIME": Subject(_copies, STARTING),
    "DELIVERED": Subject(lambda edge: _accepted(edge, COPYING) or _ends_a_job(edge), STARTING),
    "FAILURE-KEEPS": Subject(
        lambda edge: "cancelled" in edge.outcome or "failed" in edge.outcome
        or bool(re.search(r"cancelled|failed", edge.given)) or "error" in edge.given, STARTING,
    ),
    "FROZEN-IS-STILL": Subject(
        lambda edge: bool(re.search(r"frozen|successor", edge.state)) or _accepted(edge, STARTING), STARTING,
    ),
    "ONE-HEIR": Subject(
        lambda edge: _accepted(edge, STARTING | {"add-bitmap", "remove-bitmap"}) or _ends_a_job(edge)
        or _taken_back(edge), STARTING | {"add-bitmap", "remove-bitmap"},
    ),
    "ATOMIC": Subject(
        lambda edge: edge.outcome.startswith("refused") or _taken_back(edge), frozenset(KINDS) - {"abort", "restore"},
    ),
    "EXACT": Subject(_marks_change, WRITING | CHANGING | STARTING),
    "RELEASE": Subject(
        lambda edge: _ends_a_job(edge) or _accepted(edge, ON_JOB | STARTING), STARTING,
    ),
}  # fmt: skip
"""By the ID of a property; RULE-DISK, which no edge is about, is apart."""


def names_for_only() -> list[str]:
    """What `--only` understands: the IDs of properties, and the names of commands and of events of images."""
    commands = [name for name in KINDS if name not in ("abort", "restore")]
    return [*PROPERTIES, *commands, *EVENTS]


def only_of_images(only: str | None) -> bool:
    """Whether what is named is about restarts and the tour of images only, so that nothing else is played."""
    return only in OF_IMAGES


def concerns(aims: Iterable[Edge], only: str | None) -> bool:
    """Whether one of these edges is about this property or command; all are if nothing is named."""
    if only is None:
        return True
    if only in SUBJECTS:
        return any(map(SUBJECTS[only].edge, aims))
    return any(only in commands_of(each) for each in aims)


def exercises(scenario: Scenario, only: str | None, subject: frozenset[str] | None = None) -> bool:
    """Whether a scenario has what is named, in transactions too; with a `subject`, also whether that has it."""
    if only is None:
        return True
    if only == RULE_DISK:
        return scenario.images
    wanted = SUBJECTS[only].commands if only in SUBJECTS else frozenset({only})
    if subject is not None:
        wanted &= subject
    if not wanted & _kinds(scenario):
        return False
    return only != "ATOMIC" or _refuses(scenario)


def _kinds(scenario: Scenario) -> frozenset[str]:
    """The commands of a scenario, the actions of its transactions, and what brings a job to its end by hand."""
    listed: list[object] = []
    for each in scenario.commands:
        listed.append(each)
        if isinstance(each, Transaction) and isinstance(each.actions, tuple):
            listed += each.actions
    if any(isinstance(each, StartBackup) and each.auto_finalize is False for each in listed):
        listed.append(FinalizeJob(""))
    return frozenset(map(word_for, listed))


def _refuses(scenario: Scenario) -> bool:
    """Whether the specification refuses one of its commands."""
    state: State[Bits] = initial(BitSets(scenario.block), scenario.disks)
    files = fresh(scenario.disks) if scenario.images else None
    for each in scenario.commands:
        if isinstance(each, Restore):
            continue
        if files is None:
            result = step(state, each)
        else:
            result, files = step_with(files, state, each)
        if result.refusal is not None:
            return True
        state = result.state
    return False
