"""The stateful machine: Hypothesis draws scenarios, rule by rule, from the specification's own state.

A rule each for what operators, guests and jobs do next, and one for commands that must be refused. What is drawn
depends on the specification only, never on what an implementation did, so that a seed always gives the same
scenarios; each is played as a whole when it is complete. The same machine tests the reference implementation, drives
`cbtspec check` on every adapter, and hunts the seeded mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import hypothesis
from cbtmodel.commands import Command
from cbtmodel.node import initial
from cbtmodel.step import step
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cbtcheck.adapter import Capabilities
from cbtcheck.follow.play import Frame, Player, verdict_of
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.draw import CROWD, GUEST, JOB, OPERATOR, Hand, Pick, drawn, of_a_crowd
from cbtcheck.search.from_the_seed import from_the_seed_alone
from cbtcheck.search.refused import nonsense
from cbtcheck.sets.bitsets import BitSets

DEAL_SIZE = 7
DEAL = st.binary(min_size=DEAL_SIZE, max_size=DEAL_SIZE).map(lambda deal: int.from_bytes(deal, "little"))


def picks(deal: int) -> Pick:
    """All picks of one command, from one deal: digits of a mixed radix number, so that a smaller deal is plainer.

    One deal per command, not one draw per pick: a draw costs Hypothesis as much as a write costs QEMU.
    """
    word = deal

    def pick(bound: int) -> int:
        nonlocal word
        word, digit = divmod(word, bound)
        return digit

    return pick


MOST_JOBS = 3
"""At once in a short scenario, however many are claimed: more would have little to do in it."""


def few_jobs(capabilities: Capabilities) -> Capabilities:
    """The same with so few jobs."""
    return replace(capabilities, max_jobs=min(capabilities.max_jobs, MOST_JOBS))


def machine(capabilities: Capabilities, done: Callable[[Scenario], None]) -> type[RuleBasedStateMachine]:
    """A state machine class that draws scenarios for these capabilities, and gives each to `done` when complete."""
    capabilities = few_jobs(capabilities)

    class Conformance(RuleBasedStateMachine):
        @initialize(layout=st.integers(0, len(capabilities.disks) - 1))
        def begin(self, layout: int) -> None:
            self.disks = capabilities.disks[layout]
            self.state = initial(BitSets(), self.disks)
            self.commands: list[Command] = []

        def hand(self, deal: int) -> Hand:
            return Hand(picks(deal), self.state, capabilities)

        def happens(self, command: Command) -> None:
            if not missing(self.state, command, capabilities):
                self.commands.append(command)
                self.state = step(self.state, command).state

        @rule(deal=DEAL)
        def operator(self, deal: int) -> None:
            self.happens(drawn(self.hand(deal), OPERATOR))

        @rule(deal=DEAL)
        def guest(self, deal: int) -> None:
            self.happens(drawn(self.hand(deal), GUEST))

        @rule(deal=DEAL)
        def job(self, deal: int) -> None:
            self.happens(drawn(self.hand(deal), JOB))

        @rule(deal=DEAL)
        def must_be_refused(self, deal: int) -> None:
            self.happens(nonsense(self.hand(deal)))

        def teardown(self) -> None:
            if getattr(self, "commands", None):
                done(Scenario(self.disks, tuple(self.commands), title="a drawn scenario"))

    return Conformance


def draw_scenarios(
    capabilities: Capabilities, done: Callable[[Scenario], None], *, seed: int, examples: int, steps: int,
    crowded: bool = False,
) -> None:  # fmt: skip
    """Draws about `examples` scenarios of up to `steps` commands, as fast as Hypothesis can: a list of deals each.

    `crowded`: with more of everything (see `draw.of_a_crowd`).

    The same commands as the machine's, from the same deals; what is left out is the machinery of rules, which costs
    more than a scenario takes on a real QEMU.
    """
    capabilities = few_jobs(capabilities)
    deals = st.lists(st.binary(min_size=DEAL_SIZE, max_size=DEAL_SIZE), min_size=steps // 2, max_size=steps)

    @hypothesis.seed(seed)
    @settings(examples, steps, shrink=False)
    @hypothesis.given(st.integers(0, len(capabilities.disks) - 1), deals)
    def draw(layout: int, dealt: list[bytes]) -> None:
        disks = capabilities.disks[layout]
        if crowded:
            disks = of_a_crowd(disks, capabilities)
        state = initial(BitSets(), disks)
        commands: list[Command] = []
        for deal in dealt:
            command = next_command(Hand(picks(int.from_bytes(deal, "little")), state, capabilities, crowded))
            if not missing(state, command, capabilities):
                commands.append(command)
                state = step(state, command).state
        if commands:
            done(Scenario(disks, tuple(commands), title="a drawn scenario"))

    with from_the_seed_alone():
        draw()


def next_command(hand: Hand) -> Command:
    """What happens next: an operator's, a guest's or a job's doing, or something that must be refused."""
    choose = hand.pick(8)
    if choose == 7:
        return nonsense(hand)
    operator = CROWD if hand.crowded else OPERATOR
    return drawn(hand, (operator, GUEST, JOB, operator, GUEST, JOB, JOB)[choose])


def settings(examples: int, steps: int, shrink: bool) -> hypothesis.settings:
    """Settings for a search: no example database, no deadline, nothing printed."""
    phases = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])]
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=phases,
    )


class Disagreement(Exception):
    """The implementation and the specification disagree."""


DISAGREEMENTS = {verdict: type(f"{verdict.name.title()}Disagreement", (Disagreement,), {}) for verdict in Verdict}
"""One class per verdict, so that Hypothesis does not shrink a lost write into a wrong word."""


@dataclass
class Hunt:
    """A search for a disagreement, in one process: the player, what was played, and what was found last."""

    player: Player
    scenarios: int = 0
    steps: int = 0
    found: tuple[Scenario, list[Frame], list[Finding]] | None = None

    def play(self, scenario: Scenario) -> None:
        """Plays one scenario; raises a `Disagreement` if it differs."""
        self.scenarios += 1
        findings = self.player.play_scenario(scenario)
        self.steps += len(self.player.frames)
        if findings:
            played = Scenario(scenario.disks, scenario.commands[: len(self.player.frames)], scenario.block)
            self.found = (played, list(self.player.frames), findings)
            raise DISAGREEMENTS[verdict_of(findings)](str(findings[0]))


def hunt_with(hunt: Hunt, seed: int, examples: int, steps: int, shrink: bool = True) -> bool:
    """Draws `examples` scenarios of up to `steps` commands. Returns whether a disagreement was found.

    It is then in `hunt.found`, shrunk as far as Hypothesis could if `shrink`.
    """
    hunt.found = None
    capabilities = hunt.player.adapter.capabilities
    seeded = hypothesis.seed(seed)(machine(capabilities, hunt.play))
    try:
        with from_the_seed_alone():
            run_state_machine_as_test(seeded, settings=settings(examples, steps, shrink))
    except (Disagreement, Flaky):
        return True
    return False
