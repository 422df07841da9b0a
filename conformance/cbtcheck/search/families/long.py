"""Long histories: hundreds of commands, from the generator that also draws short scenarios.

What grows, wraps or leaks shows only after a while. Names are few, and used again and again; every second history is
crowded (see `draw.of_a_crowd`).
"""

from __future__ import annotations

from random import Random

from cbtmodel.commands import Command
from cbtmodel.node import initial
from cbtmodel.step import step

from cbtcheck.adapter import Capabilities
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.search.draw import Hand, of_a_crowd
from cbtcheck.search.traps import ended_from
from cbtcheck.sets.bitsets import BitSets


def history(capabilities: Capabilities, seed: int, number: int, length: int) -> Scenario:
    """The history of that number: `length` commands, and what it takes until every job has ended.

    It depends on the seed, the number, the length and the capabilities alone.
    """
    from cbtcheck.search.machine import next_command

    random = Random(f"{seed} {number} {length}")
    disks = capabilities.disks[number % len(capabilities.disks)]
    crowded = number % 2 == 1
    if crowded:
        disks = of_a_crowd(disks, capabilities)
    state = initial(BitSets(), disks)
    commands: list[Command] = []
    while len(commands) < length:
        command = next_command(Hand(random.randrange, state, capabilities, crowded))
        if not missing(state, command, capabilities):
            commands.append(command)
            state = step(state, command).state
    return ended_from(state, Scenario(disks, tuple(commands), title=f"a history of {length} commands"))
