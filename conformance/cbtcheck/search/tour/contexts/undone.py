"""Edges of what is undone: the actions that were accepted before the one for which a transaction is refused.

For each of them, where it stood among those accepted (alone, first, in the middle, last), with the state that it
found; a merge by how many sources it had and whose bits differ. What was refused, and after which kinds of action.
For each bitmap that several of them had to do with, in which order; the undo has to go the other way. What was in
flight meanwhile. And for each merge that is refused, which of its sources was the reason, and whether those before it
had brought bits that must be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from cbtmodel import commands as c
from cbtmodel import node
from cbtmodel.node import State
from cbtmodel.refusal import Refused
from cbtmodel.step import Step
from cbtmodel.traits import verb
from cbtmodel.transaction import drain_all, prepare

from cbtcheck.search.tour.coverage import NAMES, Edge, bitmap_state
from cbtcheck.sets.bitsets import Bits

Place = tuple[str, str]
Accepted = list[tuple[c.Action, State[Bits]]]

MOST = 4
"""Counts above are told as *4+*, or so."""


def undone(before: State[Bits], command: object, result: Step[Bits]) -> Iterator[Edge]:
    """The edges of one step; there are none unless it is refused."""
    if result.refusal is None:
        return
    if isinstance(command, c.MergeBitmaps):
        yield from _refused_merge(before, command, result.refusal.kind, "alone")
    if not isinstance(command, c.Transaction) or c.malformed(command) is not None:
        return
    accepted, rest = accepted_first(before, command)
    if not rest:  # it was refused as a whole
        return
    refusing, then = rest
    if isinstance(refusing, c.MergeBitmaps):
        where = "after other actions" if accepted else "first of a transaction"
        yield from _refused_merge(then, refusing, result.refusal.kind, where)
    together = ", completing together" if command.grouped else ""
    for number, (action, found) in enumerate(accepted):
        name = NAMES[type(action)]
        position = _position(number, len(accepted))
        for given, state in _told(action, found):
            yield Edge(f"{name}: undone", given + together, state, f"undone, {position}")
        yield Edge(f"{name}: undone", "", _flying(before), "undone")
        refused = f"refused: {result.refusal.kind}"
        who = "transaction" if isinstance(refusing, c.Abort) else NAMES[type(refusing)]
        yield Edge(f"{who}: refuses", "", f"after {_kind(action)}", refused)
    yield from _in_reverse(accepted)


def accepted_first(
    before: State[Bits], command: c.Transaction
) -> tuple[Accepted, tuple[c.Action, State[Bits]] | tuple[()]]:
    """The actions before the one that is refused, each with the state that it found; and that one with its own."""
    backups = tuple(each.job for each in command.actions if isinstance(each, c.StartBackup))
    if command.grouped and len(backups) < len(command.actions):
        return [], ()
    state = drain_all(before)
    accepted: Accepted = []
    for action in command.actions:
        try:
            after = prepare(state, action, backups if command.grouped else ())
        except Refused:
            return accepted, (action, state)
        accepted.append((action, state))
        state = after
    return accepted, ()


def _position(number: int, of: int) -> str:
    if of == 1:
        return "alone"
    return "first" if number == 0 else "last" if number == of - 1 else "in the middle"


def _kind(action: c.Action) -> str:
    if isinstance(action, c.AddBitmap):
        return f"add-bitmap ({'enabled' if action.enabled else 'disabled'})"
    return NAMES[type(action)]


def _flying(before: State[Bits]) -> str:
    """What is in flight, anywhere."""
    writes = any(disk.writes for disk in before.nodes.values())
    copies = any(job.copying for job in before.jobs.values())
    found = [name for name, there in (("writes", writes), ("copies", copies)) if there]
    return f"{' and '.join(found)} in flight" if found else "beside jobs" if before.jobs else "nothing in flight"


# Actions, each with what it found


def _told(action: c.Action, found: State[Bits]) -> Iterator[tuple[str, str]]:
    """What was given, and the state."""
    if isinstance(action, c.OnBitmap):
        yield "", state_of(found, (action.node, action.name))
        return
    match action:
        case c.AddBitmap(enabled=enabled):
            yield "enabled" if enabled else "disabled", "absent"
        case c.MergeBitmaps(node, target, sources):
            yield _merge(found, action), state_of(found, (node, target))
            if len({(each.node, each.name) for each in sources}) > 1:
                for number in _with_bits_of_their_own(found, action):
                    yield f"{counted(len(sources))} sources", f"bits that only source {number} has"
        case c.StartBackup(_, node, sync, bitmap, mode):
            yield f"{sync}, {mode or 'no mode'}", "no bitmap" if bitmap is None else state_of(found, (node, bitmap))
        case c.Abort():
            return
        case _:
            assert_never(action)


def state_of(state: State[Bits], place: Place) -> str:
    """The control state of a bitmap."""
    return bitmap_state(state.nodes[place[0]].bitmaps.get(place[1]))


def counted(number: int) -> str:
    """A number in words that do not grow without end."""
    return str(number) if number < MOST else f"{MOST}+"


def _merge(found: State[Bits], action: c.MergeBitmaps) -> str:
    """How many sources, where, and who has bits that the other has not."""
    if not action.sources:
        return "0 sources"
    has = found.nodes[action.node].bitmaps[action.target].marks.dirty
    brought = found.space.empty
    for each in action.sources:
        brought = brought | found.nodes[each.node].bitmaps[each.name].marks.dirty
    more = (("the sources have more", brought - has), ("the target has more", has - brought))
    differs = [who for who, blocks in more if blocks]
    where = "here" if all(each.node == action.node for each in action.sources) else "elsewhere too"
    return f"{counted(len(action.sources))} sources, {where}, {' and '.join(differs) or 'no bit differs'}"


def _with_bits_of_their_own(found: State[Bits], action: c.MergeBitmaps) -> Iterator[str]:
    """The numbers of the sources without which the target would have less."""
    dirty = [found.nodes[each.node].bitmaps[each.name].marks.dirty for each in action.sources]
    has = found.nodes[action.node].bitmaps[action.target].marks.dirty
    for number, mine in enumerate(dirty):
        others = has
        for other, theirs in enumerate(dirty):
            others = others if other == number else others | theirs
        if mine - others:
            yield counted(number + 1)


# Several actions, one bitmap


def _in_reverse(accepted: Accepted) -> Iterator[Edge]:
    """For each bitmap what the actions did with it: the first two, with the state that they found, and any three."""
    did: dict[Place, list[str]] = {}
    first: dict[Place, str] = {}
    for action, found in accepted:
        for place, role in roles(action):
            first.setdefault(place, state_of(found, place))
            did.setdefault(place, []).append(role)
    for place, each in did.items():
        if len(each) > 1:
            yield Edge("transaction: undone", ", then ".join(each[:2]), first[place], "in reverse")
        if len(each) > 2:
            yield Edge("transaction: undone", ", then ".join(each[:3]), "any", "in reverse")


def roles(action: c.Action) -> Iterator[tuple[Place, str]]:
    """The bitmaps that an action has to do with, and how."""
    if isinstance(action, c.OnBitmap):
        yield (action.node, action.name), verb(type(action))
        return
    match action:
        case c.MergeBitmaps(node, target, sources):
            yield (node, target), "merge into"
            for each in dict.fromkeys(sources):
                if (each.node, each.name) != (node, target):
                    yield (each.node, each.name), "merge from"
        case c.StartBackup(_, node, _, bitmap):
            if bitmap is not None:
                yield (node, bitmap), "backup"
        case c.AddBitmap(node, name, _, enabled):
            yield (node, name), "add" if enabled else "add disabled"
        case c.Abort():
            return
        case _:
            assert_never(action)


# Merges that are refused


def _refused_merge(state: State[Bits], command: c.MergeBitmaps, kind: str, where: str) -> Iterator[Edge]:
    """Which of the sources is the reason; one that is the first of three has nothing to take back."""
    if command.node not in state.nodes or command.target not in state.nodes[command.node].bitmaps:
        return
    has = state.nodes[command.node].bitmaps[command.target].marks.dirty
    brought = state.space.empty
    for number, each in enumerate(command.sources):
        one = c.MergeBitmaps(command.node, command.target, (each,))
        try:
            node.merge(state, one.node, one.target, one.sources)
        except Refused:
            given = f"source {counted(number + 1)} of {counted(len(command.sources))}"
            back = "bits to take back" if brought - has else "nothing to take back"
            yield Edge("merge-bitmaps: undone", f"{given}, {where}", back, f"refused: {kind}")
            return
        brought = brought | state.nodes[each.node].bitmaps[each.name].marks.dirty
