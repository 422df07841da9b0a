"""Bounds against brute force: small random histories, all orders that agree with their intervals, plain `step`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cbtmodel import commands as c
from cbtmodel.bitmap import busy, recording
from cbtmodel.node import initial, with_bitmap
from cbtmodel.step import step
from histories import SETS, SIZE, STATE, Op, changed, history, verify


def told(ops: list[Op], copies: bool) -> bytes:
    head = {"format": "cbtspec-trace", "version": 1, "disks": {"d": SIZE},
            "copies": "recorded" if copies else "unknown"}  # fmt: skip
    return "\n".join(json.dumps(each) for each in [head, *(op.line() for op in ops)]).encode()


@pytest.mark.parametrize("copies", [True, False])
def test_a_true_history_is_never_a_false_alarm(copies: bool) -> None:
    for seed in range(150):
        ops = history(Random(seed), 9, copies)
        assert verify(told(ops, copies)) == [], seed


def orders(ops: list[Op]) -> Iterator[list[tuple[Op, int]]]:
    """Every order of the moments of these that agrees with their intervals; a write has two moments, all else one."""

    def over(before: Op, after: Op) -> bool:
        first = ops.index(before) < ops.index(after)
        return first and (before.point or before.end < after.begin)

    def extend(done: list[tuple[Op, int]], left: list[tuple[Op, int]]) -> Iterator[list[tuple[Op, int]]]:
        if not left:
            yield done
        for each in left:
            op, half = each
            if half and (op, 0) in left:
                continue
            if any(other is not op and over(other, op) for other, _ in left):
                continue
            yield from extend([*done, each], [one for one in left if one is not each])

    moments = [(op, half) for op in ops for half in ((0, 1) if isinstance(op.command, c.Write) else (0,))]
    yield from extend([], moments)


MOST_ORDERS = 600


def explanations(ops: list[Op]) -> list[STATE] | None:
    """The states at the last look for every order that explains all before it; None if there are too many orders."""
    listed = list(itertools.islice(orders(ops), MOST_ORDERS + 1))
    if len(listed) > MOST_ORDERS:
        return None
    return [state for order in listed if (state := explained(order)) is not None]


def explained(order: list[tuple[Op, int]]) -> STATE | None:
    state: STATE = initial(SETS, {"d": SIZE})
    for op, half in order[:-1]:
        command, job_id = op.command, f"w{op.begin}-{op.true}"
        if command is None:
            if not fits(state, op.seen):
                return None
            state = as_seen(state, op.seen)
            continue
        if not isinstance(command, c.Write):
            done = step(state, command)
        elif half == 0:
            done = step(state, c.BeginWrite("d", job_id, command.offset, command.length))
        elif job_id in state.nodes["d"].writes:
            done = step(state, c.EndWrite("d", job_id))
        else:
            continue
        if ("accepted" if done.refusal is None else done.refusal.kind) != op.reply:
            return None
        if {end.job_id: end.outcome for end in done.ended} != op.ended:
            return None
        state = done.state
    return state


def as_seen(state: STATE, seen: dict[str, Any]) -> STATE:
    """Bits that need not be there, and were not, do not come by themselves: a bitmap has what it was seen to have."""
    for name, bitmap in state.nodes["d"].bitmaps.items():
        g = bitmap.granularity
        blocks = frozenset(b for b in bitmap.marks.dirty if [512 * b // g * g, g] in seen[name]["dirty"])
        state = with_bitmap(state, "d", name, replace(bitmap, marks=replace(bitmap.marks, dirty=blocks)))
    return state


def fits(state: STATE, seen: dict[str, Any]) -> bool:
    bitmaps = state.nodes["d"].bitmaps
    if set(bitmaps) != set(seen):
        return False
    for name, bitmap in bitmaps.items():
        g, shown = bitmap.granularity, seen[name]
        if (g, recording(bitmap), busy(bitmap)) != (shown["granularity"], shown["recording"], shown["busy"]):
            return False
        found = {offset // g for offset, _ in shown["dirty"]}
        if not {512 * b // g for b in bitmap.marks.owed} <= found <= {512 * b // g for b in bitmap.marks.dirty}:
            return False
    return True


def test_what_some_order_allows_is_allowed_and_most_of_the_rest_is_not() -> None:
    fine = tight = loose = 0
    for seed in range(200):
        random = Random(seed)
        ops = history(random, 4, True, slack=(15, 35, 55))
        if any(op.ended and isinstance(op.command, c.Write) for op in ops):
            continue  # at which of its two moments it did that is not told
        states = explanations(ops)
        if states is None:
            continue
        assert any(fits(state, ops[-1].seen) for state in states), f"{seed}: the truth"
        for _ in range(4):
            other = changed(random, ops[-1].seen)
            if other is None:
                continue
            accepted = verify(told([*ops[:-1], replace(ops[-1], seen=other)], True)) == []
            if any(fits(state, other) for state in states):
                assert accepted, f"{seed}: {other} is allowed"
                fine += 1
            elif accepted:
                loose += 1
            else:
                tight += 1
    assert fine > 10
    assert tight > 200
    assert loose <= 0.06 * tight, (fine, tight, loose)
