"""What is judged of one disk does not depend on what happens to another one at the same time.

Histories of two disks are told together, interval by interval, and each for itself. So windows are large that have
several parts, and what contradicts itself on one disk must neither hide what the other one has lost, nor accuse it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from cbtmodel import commands as c
from histories import SIZE, Op, changed, history, verify

Line = tuple[int, int, dict[str, Any]]
"""When it begins, of which history it is, and what is told of it."""


def renamed(line: dict[str, Any], number: int) -> dict[str, Any]:
    """The same of another disk and another job."""
    text = json.dumps(line)
    return json.loads(text if number == 0 else text.replace('"d"', '"e"').replace('"j"', '"k"'))


def told(lines: list[Line], disks: str, copies: bool) -> bytes:
    head = {"format": "cbtspec-trace", "version": 1, "disks": dict.fromkeys(disks, SIZE),
            "copies": "recorded" if copies else "unknown"}  # fmt: skip
    return "\n".join(json.dumps(each) for each in [head, *(line for _, _, line in lines)]).encode()


def drawn(random: Random, copies: bool, wrong: bool) -> list[Line]:
    """Two histories, in the order of begin; `wrong`: with some looks, and some replies, as they were not."""
    lines: list[Line] = []
    for number in range(2):
        ops = history(random, 9, copies, slack=random.choice([(0, 5, 15, 25), (15, 35, 55)]))
        ops = [changed_op(random, op) if wrong else op for op in ops]
        lines += [(op.begin, number, renamed(op.line(), number)) for op in ops]
    return sorted(lines, key=lambda line: line[0])


def changed_op(random: Random, op: Op) -> Op:
    if op.command is None and random.random() < 0.3:
        return replace(op, seen=changed(random, op.seen) or op.seen)
    is_command = op.command is not None and not isinstance(op.command, str | c.Write)
    if is_command and not op.ended and random.random() < 0.08:
        return replace(op, reply="not found" if op.reply == "accepted" else "accepted")
    return op


def accused(lines: list[Line], disks: str, copies: bool) -> set[tuple[int, int]]:
    """Which lines are told of, as (history, number in it)."""
    counted = [0, 0]
    places = []
    for _, number, _ in lines:
        places.append((number, counted[number]))
        counted[number] += 1
    return {places[line - 2] for line, _ in verify(told(lines, disks, copies))}


def alone(lines: list[Line], number: int, copies: bool) -> set[tuple[int, int]]:
    mine = [each for each in lines if each[1] == number]
    return accused(mine, "de"[number], copies)


@pytest.mark.parametrize("copies", [True, False])
def test_true_histories_of_two_disks_are_never_a_false_alarm(copies: bool) -> None:
    for seed in range(150):
        lines = drawn(Random(seed), copies, wrong=False)
        assert not accused(lines, "de", copies), seed


@pytest.mark.parametrize("copies", [True, False])
def test_a_disk_is_accused_together_with_another_one_if_it_is_alone(copies: bool) -> None:
    """A line that is told of in one way and not in the other is rare: where worlds differ, less is remembered."""
    same = other = 0
    for seed in range(200):
        lines = drawn(Random(seed), copies, wrong=True)
        together, apart = accused(lines, "de", copies), alone(lines, 0, copies) | alone(lines, 1, copies)
        assert {number for number, _ in together} == {number for number, _ in apart}, seed
        same, other = same + len(together & apart), other + len(together ^ apart)
    assert other < 0.03 * same, (same, other)
