"""How much the suite costs beside the implementation: steps per second with and without specification and judgement.

One run, the same commands for everybody, in turns: `python benchmarks/reference.py [--scenarios N] [--rounds N]`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from cbtcheck.adapter import Hint
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.search.draw import GUEST, JOB, OPERATOR, Hand, drawn
from cbtcheck.search.machine import Hunt, hunt_with
from cbtcheck.search.refused import nonsense
from cbtcheck.sets.bitsets import BitSets
from cbtmodel.commands import Command
from cbtmodel.node import initial
from cbtmodel.step import step

SEED = 20160121
STEPS = 30


@dataclass(frozen=True)
class History:
    disks: dict[str, int]
    commands: list[Command]


def draw(scenarios: int) -> list[History]:
    """Scenarios that play without a disagreement."""
    random = Random(SEED)
    player = Player(ReferenceAdapter())
    capabilities = player.adapter.capabilities
    histories = []
    for _ in range(scenarios):
        history = History(random.choice(capabilities.disks), [])
        player.begin(history.disks)
        for _ in range(STEPS):
            kinds = random.choice((OPERATOR, GUEST, JOB, None))
            hand = Hand(random.randrange, player.state, capabilities)
            command = nonsense(hand) if kinds is None else drawn(hand, kinds)
            history.commands.append(command)
            found = player.play(command)
            if found:
                raise SystemExit(f"the reference disagrees: {found[0]} after {command}")
        histories.append(history)
    return histories


def implementation_alone(histories: list[History]) -> int:
    adapter = ReferenceAdapter()
    for history in histories:
        before = initial(BitSets(), history.disks)
        adapter.reset(history.disks)
        for number, command in enumerate(history.commands):
            adapter.perform(command, Hint(before, number % 255 + 1))
    return sum(len(each.commands) for each in histories)


def specification_alone(histories: list[History]) -> int:
    for history in histories:
        state = initial(BitSets(), history.disks)
        for command in history.commands:
            state = step(state, command).state
    return sum(len(each.commands) for each in histories)


def all_together(histories: list[History]) -> int:
    player = Player(ReferenceAdapter())
    for history in histories:
        player.begin(history.disks)
        player.play_steps(history.commands)
    return sum(len(each.commands) for each in histories)


def drawn_by_hypothesis(histories: list[History]) -> int:
    hunt = Hunt(Player(ReferenceAdapter()))
    hunt_with(hunt, SEED, len(histories), STEPS)
    return hunt.steps


WAYS: dict[str, Callable[[list[History]], int]] = {
    "implementation alone": implementation_alone,
    "specification alone": specification_alone,
    "both, observed and judged": all_together,
    "the same, drawn by Hypothesis": drawn_by_hypothesis,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scenarios", type=int, default=300)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    histories = draw(chosen.scenarios)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(chosen.rounds):
        for name, way in WAYS.items():
            start = time.perf_counter()
            steps = way(histories)
            rates[name].append(steps / (time.perf_counter() - start))
    base = statistics.median(rates["implementation alone"])
    print(f"{chosen.scenarios} scenarios of {STEPS} steps, seed {SEED}, median of {chosen.rounds} rounds;", end=" ")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print(f"{'':32}{'steps/s':>10}{'slowest':>10}{'fastest':>10}{'ratio':>8}")
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"{name:32}{rate:10,.0f}{min(each):10,.0f}{max(each):10,.0f}{rate / base:8.2f}")


if __name__ == "__main__":
    main()
