"""The fuzzers' targets on their seeds, and on a few hundred changes of each; `fuzz.py` goes on from there."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutate import mutated_lines
from targets import TARGETS

sys.path.remove(str(Path(__file__).parent))

CHANGES = {"scenario": 300, "protocol": 1500, "oracle": 300, "trace": 600, "log": 400}
"""By target: of all its seeds together."""

DEEP = 10**6
"""Traces and logs that are changed with CBTSPEC_NIGHT=1; from a seed of its own each time, or CBTSPEC_FUZZ_SEED."""


@pytest.mark.skipif(os.environ.get("CBTSPEC_NIGHT") != "1", reason="a million inputs: CBTSPEC_NIGHT=1")
def test_no_log_and_no_trace_of_a_million_is_a_traceback() -> None:
    seed = int(os.environ.get("CBTSPEC_FUZZ_SEED", random.SystemRandom().randrange(1 << 32)))
    dice = random.Random(seed)
    pool = [(name, each) for name in ("trace", "log") for each in TARGETS[name].seeds()]
    for number in range(DEEP):
        name, changed = dice.choice(pool)
        for _ in range(dice.choice((1, 1, 2, 4))):
            changed = mutated_lines(changed, dice)
        if dice.random() < 0.3:
            changed = changed[: dice.randrange(len(changed) + 1)]
        try:
            TARGETS[name].read(changed)
        except Exception as problem:
            problem.add_note(f"input {number} of seed {seed}, for {name}: {changed!r}")
            raise


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
