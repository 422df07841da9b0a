"""The whole suite as ordinary pytest tests of somebody's own project.

    from cbtcheck.adapters.exec import ExecAdapter
    from cbtcheck.conformance_tests import ConformanceTests

    class TestMyTracker(ConformanceTests):
        def open_adapter(self):
            return ExecAdapter(("./my-adapter",))

Each walk of the tour, each control sequence with every write history, each workflow and each batch of drawn scenarios
is a test, and all traps together are one. One that fails shows the shortest scenario that was found, as a picture,
and the scenario itself. What the implementation does not claim is skipped. Options of the command line: see
`cbtcheck.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable, Capabilities
from cbtcheck.follow.play import Player, alike, in_the_environment, verdict_of
from cbtcheck.report.picture import picture_text
from cbtcheck.run.deal import BATCH, batch
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.repeat import Outcome, repeated
from cbtcheck.run.tour_phases import realised
from cbtcheck.scenario.capabilities import missing, missing_for
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import Scenario, as_text
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.search.families import Family, families, members
from cbtcheck.search.families.long import history
from cbtcheck.search.shorten import shorten
from cbtcheck.search.tour.contexts.plan import tour
from cbtcheck.search.tour.sizes import sizes_for, sizes_for_histories
from cbtcheck.search.tour.universal_play import ControlSequence, control_sequences, plays
from cbtcheck.search.tour.walks import Walk, not_claimed
from cbtcheck.search.traps import traps
from cbtcheck.workflows import workflows

REPLAYS = 400
"""How often a failing scenario is played again at most, to make it shorter."""


class ConformanceTests:
    """Subclass it, name the subclass `Test…`, and say in `open_adapter` how an adapter is opened.

    `profile` is *quick*, *ci* or *deep*; `examples` how many scenarios are drawn (in batches of 25), from `seed`;
    `writes` how many guest writes a history may have. `tolerates_waste`: reporting more than there need be is no
    failure. What is None is as the command line says.
    """

    profile: ClassVar[str | None] = None
    seed: ClassVar[int | None] = None
    examples: ClassVar[int | None] = None
    writes: ClassVar[int] = 4
    tolerates_waste: ClassVar[bool] = False

    def open_adapter(self) -> Adapter:
        """A new adapter; it is closed after the last test of the class."""
        raise NotImplementedError("say how the adapter is opened")

    # What pytest calls

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """One test for each walk, control sequence, workflow and batch."""
        profile = PROFILES[cls.asked_for(metafunc.config, "profile")]
        walks = tour(profile.scope)
        sequences = control_sequences(each for each in walks if not each.in_context)
        batches = -(-cls.asked_for(metafunc.config, "examples") // BATCH)
        listed: dict[str, list[tuple[str, Any]]] = {
            "walk": [(f"{number}-{_slug(each)}", (number, each)) for number, each in enumerate(walks)],
            "sequence": [(str(number), each) for number, each in enumerate(sequences)],
            "workflow": list(workflows().items()),
            "family": [(each.name.replace(" ", "-"), each) for each in families()],
            "dealt": [(str(number), number) for number in range(batches)],
        }
        for name in listed.keys() & set(metafunc.fixturenames):
            ids, values = zip(*listed[name], strict=True)
            metafunc.parametrize(name, values, ids=ids)

    @classmethod
    def asked_for(cls, config: pytest.Config, name: str) -> Any:
        """What the class says, else the command line."""
        said = getattr(cls, name)
        return config.getoption(f"cbtspec_{name}") if said is None else said

    @pytest.fixture(scope="class")
    @classmethod
    def adapter(cls) -> Iterator[Adapter]:
        """The adapter of the class. It belongs to no instance: each test has one of its own."""
        try:
            opened = cls().open_adapter()
        except (AdapterBroken, AdapterUnusable) as problem:
            pytest.fail(f"the adapter cannot be opened: {problem}", pytrace=False)
        try:
            yield opened
        finally:
            opened.close()

    # The tests

    def test_walk(self, adapter: Adapter, walk: tuple[int, Walk]) -> None:
        """A shortest scenario for edges of the specification."""
        number, each = walk
        self._skip(not_claimed(each.commands, adapter.capabilities) or _disks(each.world.disks, adapter.capabilities))
        listed = sizes_for(adapter.capabilities)
        scenario, _ = realised(each.scenario(listed[number % len(listed)]), adapter.capabilities)
        self.play(adapter, scenario)
        self._judge_doubts()

    def test_every_write_history(self, adapter: Adapter, sequence: ControlSequence) -> None:
        """Every history of guest writes against a sequence of control commands."""
        claims = adapter.capabilities
        self._skip(not_claimed(sequence.commands, claims) or _disks(sequence.disks, claims))
        for play in plays(sequence, self.writes):
            for sizes in sizes_for_histories(claims, len(play.histories)):
                self.play(adapter, realised(play.scenario(sizes), claims)[0], closely=False)
        self._judge_doubts()

    def test_workflow(self, adapter: Adapter, workflow: Scenario) -> None:
        """What users do: chains, retries, groups, checkpoints."""
        self._skip(missing_for(workflow, adapter.capabilities))
        self.play(adapter, workflow)
        self._judge_doubts()

    def test_traps(self, adapter: Adapter) -> None:
        """Short scenarios after real bugs and seeded mistakes, in the sizes that the implementation has."""
        for scenario in traps(adapter.capabilities).values():
            self.play(adapter, scenario)
        self._judge_doubts()

    def test_family(self, adapter: Adapter, family: Family, request: pytest.FixtureRequest) -> None:
        """How often, how many, where, how large: all scenarios of a family that can be played."""
        for member in members((family,), adapter.capabilities, self.asked_for(request.config, "profile")):
            if not missing_for(member.scenario, adapter.capabilities):
                self.play(adapter, member.whole(), member.family.closely)

    def test_long_histories(self, adapter: Adapter, request: pytest.FixtureRequest) -> None:
        """Histories of 100 and of 1,000 commands."""
        seed, profile = (self.asked_for(request.config, name) for name in ("seed", "profile"))
        for number, length in enumerate(PROFILES[profile].lengths()):
            self.play(adapter, history(adapter.capabilities, seed, number, length), closely=False)

    def test_drawn(self, adapter: Adapter, dealt: int, request: pytest.FixtureRequest) -> None:
        """A batch of scenarios that Hypothesis draws."""
        seed = self.asked_for(request.config, "seed")
        steps = PROFILES[self.asked_for(request.config, "profile")].steps
        for scenario in batch(adapter.capabilities, seed, dealt, steps):
            self.play(adapter, scenario, closely=False)
        self._judge_doubts()

    # One scenario

    doubted: tuple[str, ...] = ()
    """What failed once in this test, and not when it was played again: with that it neither passes nor fails."""

    def _judge_doubts(self) -> None:
        """To be called last: a test in which something was not repeatable is skipped, and says so."""
        if self.doubted:
            pytest.skip("; ".join(self.doubted))

    def play(self, adapter: Adapter, scenario: Scenario, closely: bool = True) -> None:
        """Plays a scenario; if it disagrees the test fails, with the shortest one that disagrees in this way."""
        player = Player(adapter, tolerant=self.tolerates_waste)
        player.turn_away = lambda state, command: bool(missing(state, command, adapter.capabilities))
        player.closely, player.together = closely, in_the_environment if closely else alike
        findings = player.play_scenario(scenario)
        if findings:

            def once_more() -> Outcome:
                return player.play_scenario(scenario), list(player.frames)

            came = repeated((findings, list(player.frames)), once_more, lambda: adapter.exhausted)
            if not came.counts:
                first = came.findings[0]
                self.doubted = (*self.doubted, f"not repeatable, {came.in_words}: {first}. Rule: {rule(first)}")
                return
            findings, player.frames, player.closely = came.findings, came.frames, True
            pytest.fail(_failure(player, scenario, findings), pytrace=False)

    def _skip(self, unclaimed: str) -> None:
        if unclaimed:
            pytest.skip(f"the implementation does not claim {unclaimed}")


def _failure(player: Player, scenario: Scenario, findings: list[Finding]) -> str:
    """What went wrong: a finding in words, the picture, and the scenario to keep."""
    kind = verdict_of(findings), findings[0].property

    def fails(candidate: Scenario) -> Verdict | None:
        found = player.play_scenario(candidate)
        return verdict_of(found) if found and (verdict_of(found), found[0].property) == kind else None

    frames = list(player.frames)
    replays = 3 if kind[0] is Verdict.BROKEN else REPLAYS
    shortest = shorten(scenario, fails, player.adapter.capabilities, replays)
    again = player.play_scenario(shortest)
    if again:
        frames, findings = list(player.frames), again
    else:
        shortest = scenario
    parts = [str(each) for each in findings]
    parts += [f"Rule: {each}" for each in dict.fromkeys(map(rule, findings))]
    if frames:
        parts += ["", picture_text(frames)]
    return "\n".join([*parts, "", "To play it again, save this and run cbtspec replay:", as_text(shortest)])


def _disks(disks: tuple[tuple[str, int], ...], capabilities: Capabilities) -> str:
    return f"{len(disks)} disks" if len(disks) > capabilities.max_disks else ""


def _slug(walk: Walk) -> str:
    """The last command of a walk, for its name."""
    return type(walk.commands[-1]).__name__
