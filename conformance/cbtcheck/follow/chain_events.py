"""Follows what backups give back across closes, crashes and the like, and which of these is to blame.

What becomes of points and links is the specification's (`cbtmodel.image_chain`). Added are the reasons: an event
that takes a bitmap away, or the trust in it, takes what it owed; and a bitmap that is added later under its name
lacks all that changed before, because of that event.
"""

from __future__ import annotations

from typing import assert_never

from cbtmodel import image_chain
from cbtmodel.blocks import S
from cbtmodel.chain import Chains
from cbtmodel.image import Close, Crash, Event, Happened, Open, Persist, Reopen, Stored, WrittenByOthers
from cbtmodel.image_chain import may_have_changed, without_an_end
from cbtmodel.image_properties import owed_in
from cbtmodel.node import State
from cbtmodel.record import replace
from cbtmodel.step import Step

from cbtcheck.follow.chains import ChainsFollowed, without_the_long_gone
from cbtcheck.follow.reasons import At, Reason, Reasons
from cbtcheck.scenario.images import Files, Played


def follow_event(
    followed: ChainsFollowed[S], at: At, before: Stored[S], event: Event, happened: Happened[S]
) -> ChainsFollowed[S]:
    """An event has happened to images; if it was refused, nothing has."""
    if happened.refusal is not None:
        return followed
    if isinstance(event, Persist):
        added = Step(happened.stored.state, None, happened.ended)
        return followed.step(at, before.state, event.add, added)
    then = followed.told()
    after = _lacked(then, at, before, event, happened)
    in_doubt = isinstance(event, Crash | WrittenByOthers)

    def all_that_may_be(chains: Chains[S]) -> Chains[S]:
        return image_chain.follow_event(chains, before, event, happened)

    if not in_doubt:
        return after.went_on(at, after.both(all_that_may_be), event, happened.ended, before.state.space.empty)
    surely = without_an_end(then.chains if then.surely is None else then.surely, happened)
    chains = all_that_may_be(then.chains)
    some = any(point is not chains.points.get(number) for number, point in then.chains.points.items())
    if some:
        after = replace(after, surely=surely)
    gone = replace(after, chains=chains, surely=surely if some else after.surely)
    return after.went_on(at, gone, event, (), before.state.space.empty)


def _lacked(
    followed: ChainsFollowed[S], at: At, before: Stored[S], event: Event, happened: Happened[S]
) -> ChainsFollowed[S]:
    """What bitmaps lack from now on: what has changed, if they do not record; and all they owed, if they are gone."""
    after = followed
    for node in before.images:
        changes = may_have_changed(before, event, happened, node)
        if node in before.state.nodes:
            after = after.lacked(at, before.state, node, changes)
        for name in _names(before, node):
            after = _without_trust(after, at, before, event, happened, (node, name), changes)
    return replace(after, reasons=without_the_long_gone(dict(after.reasons)))


def _names(before: Stored[S], node: str) -> dict[str, None]:
    """All bitmaps of a disk, in memory and in its image."""
    bitmaps = before.state.nodes[node].bitmaps if node in before.state.nodes else {}
    return dict.fromkeys((*before.images[node].entries, *bitmaps))


def _without_trust(
    followed: ChainsFollowed[S], at: At, before: Stored[S], event: Event, happened: Happened[S],
    place: tuple[str, str], changes: S,
) -> ChainsFollowed[S]:  # fmt: skip
    """If this event has taken a bitmap, or the trust in it: what it owed is in it no more, nor what changes."""
    owed, others = owed_in(before, *place), isinstance(event, WrittenByOthers) and event.node == place[0]
    if owed is None and not others:
        return followed
    if owed_in(happened.stored, *place) is not None:
        return followed
    known = followed.reasons.get(place, Reasons())
    there = place[1] in happened.stored.images[place[0]].entries
    known = replace(
        known, distrusted=(_why(before, event, there, place), at), removed=known.removed if there else at
    )  # fmt: skip
    after = replace(followed, reasons={**followed.reasons, place: known})
    lacks = changes if owed is None else owed | changes
    first = after.first_on(place[0], at)
    return after.lacks(place, Reason(known.distrusted[0], at, lacks, first, at, at)) if known.distrusted else after


def _why(before: Stored[S], event: Event, there: bool, place: tuple[str, str]) -> str:
    """Why a bitmap is gone, or not to be trusted any more; `there`: it has an entry in its image still."""
    node, name = place
    opened = before.opened.get(node)
    stored = opened is not None and name in opened.persistent
    match event:
        case WrittenByOthers():
            return "the image was written by others"
        case Crash():
            return f"{node}/{name} was left in use by a crash" if there else f"{node}/{name} was gone with a crash"
        case Close(fails=True):
            return f"{node}/{name} could not be stored by a close"
        case Close() if not stored:
            return f"{node}/{name} was not to be stored, and gone with the close"
        case Close():
            return f"{node}/{name} was gone with the close of an image that was only read"
        case Open():
            return f"{node}/{name} was left in use by an opening that failed"
        case Reopen() | Persist():
            return f"{node}/{name} was not to be trusted any more"
        case _:
            assert_never(event)


def chained(
    followed: ChainsFollowed[S], at: At, before: State[S], files: Files[S] | None, asked: Played, done: Step[S],
    now: Files[S] | None,
) -> ChainsFollowed[S]:  # fmt: skip
    """A command or an event, in a history in which disks may lie in images: `files` before it, and `now`."""
    if not isinstance(asked, Event):
        return followed.step(at, before, asked, done)
    assert files is not None
    assert now is not None
    return follow_event(
        followed, at, files.beside(before), asked, Happened(now.beside(done.state), done.refusal, done.ended)
    )
