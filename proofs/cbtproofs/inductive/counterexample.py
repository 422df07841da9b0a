"""A failed obligation as something that can be looked at: one block, before and after the command.

For each set of blocks: is our block in it? For each bitmap and job: its control state, as far as the path has decided
it; what nobody has looked at is left open, since it makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cbtmodel.bitmap import Bitmap
from cbtmodel.claims import all_bitmaps, sets_of
from cbtmodel.node import State

from cbtproofs.inductive.paths import Fog, Undecided

Has = Callable[[Any], bool]


@dataclass(frozen=True)
class Sight:
    """One moment. `sets`: whether the block is in each (by the set's place); `control`: what is known by name."""

    sets: dict[str, bool] = field(default_factory=dict)
    control: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Counterexample:
    """The block before and after. Of a fact about control state there is no block, and `sets` are empty.

    If the specification tripped there is nothing to see, but what it said (`note`).
    """

    before: Sight = field(default_factory=Sight)
    after: Sight = field(default_factory=Sight)
    note: str = ""


def counterexample(before: State[Any], after: State[Any], has: Has | None) -> Counterexample:
    """What is seen of two states. `has` says whether the block is in a set; None if there is no block."""
    return Counterexample(_sight(before, has), _sight(after, has))


def _sight(state: State[Any], has: Has | None) -> Sight:
    listed = [] if has is None else [*sets_of(state), *_in_flight(state)]
    sets = {where: has(blocks) for where, blocks in listed if has is not None and not isinstance(blocks, Fog)}
    control = {f"{node}/{name}": _of_bitmap(bitmap) for node, name, bitmap in all_bitmaps(state)}
    for job_id, job in state.jobs.items():
        phase = f"{_open(job.phase)}{', paused' if _open(job.paused) == 'True' else ''}"
        control[job_id] = f"{phase}, {_open(job.mode)}" if job.bitmap is not None else phase
    return Sight(sets, control)


def _in_flight(state: State[Any]) -> Iterator[tuple[str, Any]]:
    for node in state.nodes.values():
        yield from ((f"{write_id} in flight", blocks) for write_id, blocks in node.writes.items())


def _of_bitmap(bitmap: Bitmap[Any]) -> str:
    words = {"True": "enabled", "False": "disabled"}.get(_open(bitmap.enabled), "enabled or not")
    if bitmap.successor is not None:
        heir = {"True": "that records", "False": "that does not record"}.get(_open(bitmap.successor.enabled), "")
        words += f", frozen, with a successor {heir}".rstrip()
    return words + (", leaving" if _open(bitmap.leaving) == "True" else "")


def _open(value: Any) -> str:
    """A value, or what it may be; looking does not decide it."""
    return repr(value).replace("'", "") if isinstance(value, Undecided) else str(value)
