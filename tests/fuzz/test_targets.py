"""The fuzzers' targets on their seeds, and on a few hundred changes of each; `fuzz.py` goes on from there."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutate import mutated_lines
from targets import TARGETS

sys.path.remove(str(Path(__file__).parent))

CHANGES = {"scenario": 300, "protocol": 1500, "oracle": 300, "trace": 60, "log": 40}
"""By target: of all its seeds together."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_is_nearly_right_is_a_traceback(name: str) -> None:
    target, dice = TARGETS[name], random.Random(20160121)
    seeds = list(target.seeds())
    assert seeds
    for each in seeds:
        target.read(each)
    for _ in range(CHANGES[name]):
        changed = dice.choice(seeds)
        for _ in range(dice.choice((1, 1, 2, 4))):
            changed = mutated_lines(changed, dice)
        target.read(changed)
        target.read(changed[: dice.randrange(len(changed) + 1)])
