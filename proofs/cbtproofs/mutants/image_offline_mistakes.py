"""Mistakes in what is done to the bitmaps of a closed image: with each, RULE-DISK fails."""

from __future__ import annotations

from cbtmodel import commands as c
from cbtmodel import image_offline
from cbtmodel.blocks import S
from cbtmodel.image import Close, Happened, Open, Stored, happen
from cbtmodel.image_offline import Offline

from cbtproofs.mutants.mutant import Mutant, declaring

OFFLINE_MISTAKES: list[Mutant] = []
instead_of = declaring(OFFLINE_MISTAKES)


@instead_of(image_offline.offline)
def left_in_use(stored: Stored[S], what: Offline) -> Happened[S]:
    """A tool ends without closing the image: what it did is in no file, and all bitmaps are in use."""
    opened = happen(stored, Open(what.node))
    if opened.refusal is not None:
        return opened
    done = happen(opened.stored, what.operation)
    return Happened(Stored(stored.state, done.stored.images), done.refusal)


@instead_of(image_offline.offline)
def others_are_forgotten(stored: Stored[S], what: Offline) -> Happened[S]:
    """The image has nothing but the bitmap that was named."""
    opened = happen(stored, Open(what.node))
    if opened.refusal is not None:
        return opened
    done = happen(opened.stored, what.operation)
    left = done.stored
    for name in stored.images[what.node].entries:
        left = left if name == what.name else happen(left, c.RemoveBitmap(what.node, name)).stored
    return Happened(happen(left, Close(what.node)).stored, done.refusal)


@instead_of(image_offline.offline)
def done_although_refused(stored: Stored[S], what: Offline) -> Happened[S]:
    """A bitmap that is not to be trusted is healed: it is removed, and added anew."""
    opened = happen(stored, Open(what.node))
    if opened.refusal is not None:
        return opened
    done = happen(opened.stored, what.operation)
    if done.refusal == "inconsistent":
        removed = happen(opened.stored, c.RemoveBitmap(what.node, what.name)).stored
        done = Happened(removed, done.refusal)
    return Happened(happen(done.stored, Close(what.node)).stored, done.refusal)
