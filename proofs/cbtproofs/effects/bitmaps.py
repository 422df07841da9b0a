"""What a step does to bitmaps: all of it.

A bitmap that an operator names is what he made of it. Any other has what a guest wrote while it recorded, and nothing
more; and if its job began or ended, it is as `released` says. Where several actions of a transaction name a bitmap,
nothing is said of it here: then the transaction is what its actions are, one by one (`inductive.transactions`).
"""

from __future__ import annotations

from typing import Any

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap, Marks
from cbtmodel.claims import Fact, all_bitmaps
from cbtmodel.traits import changed_bitmap

from cbtproofs.effects.during import Claims, During, Place, no_marks, same_marks


def of_bitmaps(step: During) -> Claims:
    """Every bitmap after a step is what the step makes of it, and there is no other."""
    there = {(node, name) for node, name, _ in all_bitmaps(step.before)}
    now_there = {(node, name): each for node, name, each in all_bitmaps(step.after)}
    for node, name, then in all_bitmaps(step.before):
        if name not in step.foggy and not named_by_several(step, (node, name)):
            yield from of_one(step, node, name, then, now_there.get((node, name)))
    added = {(each.node, each.name): each for each in step.actions if isinstance(each, c.AddBitmap)}
    if step.part != "commit":
        for place in now_there.keys() - there:
            yield Fact(f"{'/'.join(place)}: is there because it was added", place in added)
        for place, action in added.items():
            if not named_by_several(step, place):
                yield from of_new(action, now_there.get(place), no_marks(step.before))


def named_by_several(step: During, place: Place) -> bool:
    """Whether several actions of a transaction have to do with a bitmap."""
    if len(step.actions) < 2:
        return False
    return any(changed_bitmap(each) == place for each in step.actions)


def of_new(action: c.AddBitmap, now: Bitmap[Any] | None, nothing: Marks[Any]) -> Claims:
    """A new bitmap is clean, and as it was asked for."""
    where = f"{action.node}/{action.name}"
    yield Fact(f"{where}: was added, so it is there", now is not None)
    if now is not None:
        yield from same_marks(where, now.marks, nothing)
        yield Fact(f"{where}: has the granularity that was asked for", now.granularity == action.granularity)
        yield Fact(f"{where}: is enabled as was asked for", now.enabled == action.enabled)
        yield Fact(f"{where}: is free", now.successor is None and not now.leaving)


def of_one(step: During, node: str, name: str, then: Bitmap[Any], now: Bitmap[Any] | None) -> Claims:
    """What becomes of a bitmap that was there."""
    where = f"{node}/{name}"
    action = next((each for each in step.actions if changed_bitmap(each) == (node, name)), None)
    if isinstance(action, c.RemoveBitmap) and step.part != "prepare":
        yield Fact(f"{where}: was removed, so it is not there", now is None)
        return
    if step.part == "commit":
        gone = bool(then.leaving)
        yield Fact(f"{where}: is gone exactly if it was leaving", gone == (now is None))
        if gone:
            return
    yield Fact(f"{where}: is there", now is not None)
    if now is None:
        return
    yield Fact(f"{where}: has the granularity that it had", now.granularity == then.granularity)
    enabled, leaving = then.enabled, then.leaving
    own = then.marks if then.successor is not None else then.marks | step.gained(node, then)
    if isinstance(action, c.RemoveBitmap):
        leaving = True
    elif isinstance(action, c.ClearBitmap):
        own = no_marks(step.before)
    elif isinstance(action, c.EnableBitmap | c.DisableBitmap):
        enabled = isinstance(action, c.EnableBitmap)
    elif isinstance(action, c.MergeBitmaps):
        own = merged(step, action, own)
    yield from of_its_job(step, node, name, then, now, own, enabled)
    yield Fact(f"{where}: is about to leave, or not", now.leaving == leaving)


def merged(step: During, action: c.MergeBitmaps, own: Marks[Any]) -> Marks[Any]:
    """What a target has after a merge: what it had, and what each of its sources has, rounded out."""
    place, size = (action.node, action.target), step.before.nodes[action.node].size
    granularity = step.before.nodes[action.node].bitmaps[action.target].granularity
    for source in action.sources:
        other = step.before.nodes[source.node].bitmaps[source.name]
        taken = other.marks | step.gained(source.node, other)
        if (source.node, source.name) == place:
            taken = own
        own = own | Marks(step.before.space.round_out(taken.dirty, granularity, size), taken.owed, taken.dirty)
    return own


def of_its_job(
    step: During, node: str, name: str, then: Bitmap[Any], now: Bitmap[Any], own: Marks[Any], enabled: Any
) -> Claims:
    """A bitmap with its successor, if a job has it; that lives, begins or ends. `own` are the marks it has now."""
    where = f"{node}/{name}"
    user = step.user(node, name)
    heir, records = no_marks(step.before), enabled
    if then.successor is not None:
        heir, records = then.successor.marks | step.gained(node, then), then.successor.enabled
    end = None if user is None else step.ended.get(user)
    if end is not None:
        yield from as_at_its_end(end, where, own, heir)
        yield from same_marks(where, now.marks, left_by(step, end, then.granularity, own, heir))
        yield Fact(f"{where}: was given back", now.successor is None)
        yield Fact(f"{where}: is enabled as its successor was", now.enabled == records)
        return
    yield from same_marks(where, now.marks, own)
    yield Fact(f"{where}: is enabled, or not", now.enabled == enabled)
    yield Fact(f"{where}: has a successor exactly if a job has it", (now.successor is None) == (user is None))
    if now.successor is not None:
        yield from same_marks(f"{where}'s successor", now.successor.marks, heir)
        yield Fact(f"{where}'s successor: is enabled, or not", now.successor.enabled == records)


def as_at_its_end(end: Ended[Any], where: str, own: Marks[Any], heir: Marks[Any]) -> Claims:
    """What is told of the bitmap of a job that has ended is how it was at the very end."""
    told = end.bitmap is not None and end.bitmap.successor is not None
    yield Fact(f"{where}: is told of as it was", told)
    if end.bitmap is not None and end.bitmap.successor is not None:
        yield from same_marks(f"{where}: at the end", end.bitmap.marks, own)
        yield from same_marks(f"{where}: at the end, its successor", end.bitmap.successor.marks, heir)


def left_by(step: During, end: Ended[Any], granularity: int, own: Marks[Any], heir: Marks[Any]) -> Marks[Any]:
    """The marks of a bitmap after its job's end, by mode and outcome."""
    if end.outcome == "completed":
        return own | heir if end.job.mode == "never" else heir
    if end.job.mode != "always":
        return own | heir
    left, size = end.job.todo, step.before.nodes[end.job.node].size
    return heir | Marks(step.before.space.round_out(left, granularity, size), left, left)
