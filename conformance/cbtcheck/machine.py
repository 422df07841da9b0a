"""The stateful test: Hypothesis draws commands, the specification and an implementation play them side by side.

A rule each for what operators, guests and jobs do next, and one for commands that must be refused. The same
machine tests the reference implementation, drives `cbtspec check` on every adapter, and hunts the seeded mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hypothesis
from cbtmodel.commands import Command
from cbtmodel.node import State
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cbtcheck.bitsets import Bits
from cbtcheck.draw import GUEST, JOB, OPERATOR, Hand, Pick, drawn, nonsense
from cbtcheck.play import Frame, Player, verdict_of
from cbtcheck.scenario import Scenario, spelled
from cbtcheck.verdict import Finding, Verdict

TurnAway = Callable[[State[Bits], Command], bool]


class Disagreement(Exception):
    """The implementation and the specification disagree."""


DISAGREEMENTS = {verdict: type(f"{verdict.name.title()}Disagreement", (Disagreement,), {}) for verdict in Verdict}
"""One class per verdict, so that Hypothesis does not shrink a lost write into a wrong word."""


def picks(deal: tuple[int, int]) -> Pick:
    """All picks of one command, from one deal: digits of a mixed radix number, so that a smaller deal is plainer.

    One deal per command, not one draw per pick: a draw costs Hypothesis as much as a write costs QEMU.
    """
    word = deal[0] | deal[1] << BITS

    def pick(bound: int) -> int:
        nonlocal word
        word, digit = divmod(word, bound)
        return digit

    return pick


BITS = 24  # Hypothesis draws evenly up to this many bits
DEAL = st.tuples(st.integers(0, (1 << BITS) - 1), st.integers(0, (1 << BITS) - 1))


@dataclass
class Hunt:
    """What the machines of one search share: the player, what to turn away, and the shortest disagreement so far."""

    player: Player
    turn_away: TurnAway = lambda state, command: False
    only: frozenset[str] | None = None
    scenarios: int = 0
    steps: int = 0
    found: tuple[Scenario, list[Frame], list[Finding]] | None = None
    on_scenario: Callable[[], None] = lambda: None


def machine(hunt: Hunt) -> type[RuleBasedStateMachine]:
    """The state machine class for a hunt: rules for what the adapter claims."""
    capabilities = hunt.player.adapter.capabilities

    class Conformance(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.commands: list[Command] = []

        @initialize(layout=st.integers(0, len(capabilities.disks) - 1))
        def begin(self, layout: int) -> None:
            hunt.scenarios += 1
            hunt.on_scenario()
            self.disks = capabilities.disks[layout]
            hunt.player.begin(self.disks)

        def hand(self, deal: tuple[int, int]) -> Hand:
            return Hand(picks(deal), hunt.player.state, capabilities)

        def play(self, command: Command) -> None:
            if spelled(type(command).__name__) not in capabilities.commands:
                return
            if hunt.turn_away(hunt.player.state, command):
                return
            hunt.steps += 1
            self.commands.append(command)
            findings = hunt.player.play(command)
            if findings:
                scenario = Scenario(self.disks, tuple(self.commands), hunt.player.block, "a drawn scenario")
                hunt.found = (scenario, list(hunt.player.frames), findings)
                raise DISAGREEMENTS[verdict_of(findings)](str(findings[0]))

        @rule(deal=DEAL)
        def operator(self, deal: tuple[int, int]) -> None:
            self.play(drawn(self.hand(deal), OPERATOR))

        @rule(deal=DEAL)
        def guest(self, deal: tuple[int, int]) -> None:
            self.play(drawn(self.hand(deal), GUEST))

        @rule(deal=DEAL)
        def job(self, deal: tuple[int, int]) -> None:
            self.play(drawn(self.hand(deal), JOB))

        @rule(deal=DEAL)
        def must_be_refused(self, deal: tuple[int, int]) -> None:
            self.play(nonsense(self.hand(deal)))

    return Conformance


def settings(examples: int, steps: int) -> hypothesis.settings:
    """Settings for a search: no example database, no deadline, nothing printed."""
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )


def hunt_with(hunt: Hunt, seed: int, examples: int, steps: int) -> bool:
    """Draws `examples` scenarios of up to `steps` commands. Returns whether a disagreement was found.

    It is then in `hunt.found`, shrunk as far as Hypothesis could.
    """
    hunt.found = None
    seeded = hypothesis.seed(seed)(machine(hunt))
    try:
        run_state_machine_as_test(seeded, settings=settings(examples, steps))
    except Disagreement:
        return True
    return False
