"""Disks that lie in images: what scenarios have beyond commands, and what the specification says comes of it.

A scenario with `"images": true` has each disk in an image of its own, empty and open for writing at the beginning.
Its steps are commands, and the events of `cbtmodel.image`: `open`, `close`, `reopen`, `crash`, `written-by-others`,
and `add-bitmap` with `"persistent": true`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeAlias

from cbtmodel import commands as c
from cbtmodel.blocks import S
from cbtmodel.image import (
    Close,
    Crash,
    Event,
    Forbidden,
    Image,
    Open,
    Opened,
    Persist,
    Reopen,
    Stored,
    WrittenByOthers,
    happen,
)
from cbtmodel.image_properties import owed_in
from cbtmodel.node import State
from cbtmodel.refusal import Refused
from cbtmodel.step import Step, step
from cbtmodel.table import Table

ImageRefusal = Literal["read only", "inconsistent"]
"""Kinds of refusals that only an image knows: its disk is read-only, or a bitmap is not to be trusted."""

EVENTS: dict[str, type] = {
    "open": Open, "close": Close, "reopen": Reopen, "crash": Crash, "written-by-others": WrittenByOthers,
}  # fmt: skip
"""By the word that a scenario has for it. What is added to be stored is an `add-bitmap` there."""

NOT_TOLD = ("fails",)
"""Members of events that no scenario has: what a failing request leaves is the business of `cbtspec crash`."""

Played: TypeAlias = c.Command | Event
"""Whatever can be asked of an implementation: all steps of scenarios but `restore`."""

_KINDS: dict[str, Any] = {"not open": "not found", "no image": "not found", "open already": "exists"}


@dataclass(frozen=True, slots=True)
class Files(Generic[S]):
    """What a state does not have: the images by the names of their disks, and how they are open if they are.

    `doubted` is what is owed for certain under a name (disk, bitmap) that is openly not trusted any more, or gone, by
    the last event: whoever shows such a bitmap as a sound one has to have it. `just_opened`: nobody has looked since
    these disks were opened, so what is not there may have been openly gone from the beginning.
    """

    images: Table[Image[S]]
    opened: Table[Opened]
    doubted: Table[Table[S]]
    just_opened: tuple[str, ...] = ()

    def beside(self, state: State[S]) -> Stored[S]:
        """Both, as the specification has them."""
        return Stored(state, self.images, self.opened)

    def looked_at(self, nodes: Collection[str]) -> Files[S]:
        """Somebody has looked at the bitmaps of these disks."""
        rest = tuple(each for each in self.just_opened if each not in nodes)
        return self if rest == self.just_opened else replace(self, just_opened=rest)

    def owed_in_doubt(self, node: str, name: str) -> S | None:
        """What was owed when a name lost its trust; None if it never did."""
        return self.doubted[node].get(name) if node in self.doubted else None

    def worth(self, node: str, name: str) -> str:
        """What a bitmap of an open disk is worth: sound, inconsistent, or "" if it is not to be stored."""
        opened = self.opened.get(node)
        return "" if opened is None else opened.persistent.get(name, "")


def fresh(sizes: dict[str, int]) -> Files[Any]:
    """Empty images of disks of these sizes in bytes, all open for writing."""
    nothing: Table[Table[Any]] = Table()
    images: Table[Image[Any]] = Table({name: Image(size) for name, size in sizes.items()})
    return Files(images, Table({name: Opened(writable=True) for name in sizes}), nothing)


def step_with(files: Files[S], state: State[S], asked: Played) -> tuple[Step[S], Files[S]]:
    """What a command or an event does, in the words of `cbtmodel.step`; and the images after it."""
    before = files.beside(state)
    happened = happen(before, asked)
    why = happened.refusal
    if isinstance(why, str):
        why = _refused(why, asked)
    after = happened.stored
    just_opened = tuple(each for each in files.just_opened if each in after.opened)
    if isinstance(asked, Open) and why is None:
        just_opened = (*just_opened, asked.node)
    doubted = files.doubted
    if isinstance(asked, Event):
        doubted = _doubted(files, before, after, everything=isinstance(asked, WrittenByOthers))
    return Step(after.state, why, happened.ended), Files(after.images, after.opened, doubted, just_opened)


def happens(files: Files[S] | None, state: State[S], asked: Played) -> tuple[Step[S], Files[S] | None]:
    """The same, whether disks lie in images or not; if they do not, nothing can happen to any."""
    if files is not None:
        return step_with(files, state, asked)
    assert not isinstance(asked, Event), "what happens to images takes a scenario that has them"
    return step(state, asked), None


def as_it_came(asked: Played, refusal: str) -> Played:
    """What has happened, of what may come in more than one way; `refusal` is the answer's, "" if it was accepted."""
    if isinstance(asked, Persist) and refusal == "read only":
        return replace(asked, fails=True)  # QEMU 11 refuses it, even if the name is taken; 7.2 and 10.0 add it
    return asked


def refusal_kind(why: Refused | Forbidden | None) -> str:
    """The kind of a refusal, as implementations say it; "" if there is none."""
    if why is None or isinstance(why, Refused):
        return "" if why is None else why.kind
    return str(_KINDS.get(why, why))


def _refused(why: Forbidden, asked: object) -> Refused:
    kind: Any = refusal_kind(why)
    return Refused(kind, f"{type(asked).__name__}: {why}")


def _doubted(files: Files[S], before: Stored[S], after: Stored[S], everything: bool) -> Table[Table[S]]:
    """What was owed under each name that is not trusted any more: from when that came until it is loaded as such.

    `everything`: somebody may have written anywhere.
    """
    doubted = files.doubted
    for node, image in before.images.items():
        names = {**image.entries, **(before.opened[node].persistent if node in before.opened else {})}
        known: Table[S] = doubted.get(node, Table())
        for name in names:
            owed = owed_in(before, node, name)
            if owed is not None and owed_in(after, node, name) is None:
                known = known.put(name, before.state.space.blocks(0, image.size) if everything else owed)
        if known:
            doubted = doubted.put(node, known)
    return doubted

