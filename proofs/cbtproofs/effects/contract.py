"""The contract as a whole: what provers and explorers check of every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbtmodel import commands as c
from cbtmodel.node import State
from cbtmodel.step import Step

from cbtproofs.effects.bitmaps import of_bitmaps
from cbtproofs.effects.during import Claims, During, Part
from cbtproofs.effects.jobs import of_disks, of_ends, of_jobs
from cbtproofs.effects.refusals import of_refusals

EFFECT, REFUSED = "EFFECT", "REFUSED"
OF_EFFECTS: tuple[Callable[[During], Claims], ...] = (of_bitmaps, of_jobs, of_ends, of_disks)


def effects(
    before: State[Any], command: Any, done: Step[Any], part: Part = "step", foggy: frozenset[str] = frozenset()
) -> Claims:
    """Whatever is there after a command is what the command makes of it: no more, and no less."""
    if done.refusal is None:
        step = During(before, command, done, part, foggy)
        for each in OF_EFFECTS:
            yield from each(step)


def refusals(before: State[Any], command: Any, done: Step[Any], part: Part = "step") -> Claims:
    """A command is refused exactly when there is a reason, and for one of the reasons that there are."""
    if part == "prepare":
        yield from of_refusals(before, command.actions[0], done.refusal)
    elif not isinstance(command, c.Transaction):
        yield from of_refusals(before, command, done.refusal)
