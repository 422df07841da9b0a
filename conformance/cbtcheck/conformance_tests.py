"""The whole suite as ordinary pytest tests of somebody's own project.

    from cbtcheck.adapters.exec import ExecAdapter
    from cbtcheck.conformance_tests import ConformanceTests

    class TestMyTracker(ConformanceTests):
        def open_adapter(self):
            return ExecAdapter(("./my-adapter",))

The tests play the items of the plan that `cbtspec check` plays, in the same way: each walk of the tour, each control
sequence with every write history, each workflow, each family, each subject of restarts, each world of the tour of
images and each batch of drawn scenarios is a test; all traps together are one, and so are the long histories, the
defects that are known, and what was turned away because of them. One that fails shows the shortest scenario that was
found, as a picture, and the scenario itself. What the implementation does not claim is skipped. Options of the
command line: see `cbtcheck.pytest_plugin`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cbtcheck.adapter import PERSISTENCE, Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.report.picture import picture_text
from cbtcheck.run.course import Course
from cbtcheck.run.deal import BATCH
from cbtcheck.run.gather import Known, Samples
from cbtcheck.run.options import Options
from cbtcheck.run.part import Part
from cbtcheck.run.plan import EveryHistory, Given, Grown, Item, Plan, WalkedInImages
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.report import Failure, LedgerResult
from cbtcheck.scenario.rules import rule
from cbtcheck.scenario.scenario import as_text
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.families import families
from cbtcheck.search.restarts import subject, subjects
from cbtcheck.search.tour.contexts.plan import tour
from cbtcheck.search.tour.images.world import image_worlds
from cbtcheck.search.tour.universal_play import ControlSequence, control_sequences
from cbtcheck.search.tour.walks import Walk
from cbtcheck.workflows import workflows


class Played:
    """The plan of a class of tests, and what is known of it so far."""

    def __init__(self, adapter: Adapter, options: Options) -> None:
        self.name = adapter.name
        self.plan = Plan(adapter.name, adapter.capabilities, options)
        self.samples = Samples()
        self._parts: list[Part] = []
        self._course = Course(adapter, options, lambda *_: None, lambda: False, self._parts.append)
        self._known = Known()
        self.ledger: tuple[LedgerResult, ...] = ()
        confirmed = (part.confirmed for part in self.play(self.plan.ledger()))
        self.ledger = tuple(each for each in confirmed if each is not None)
        self.walks = {item.number: item for item in self.plan.tour()}
        self.sequences = {
            item.what.sequence: item for item in self.plan.histories() if isinstance(item.what, EveryHistory)
        }
        self.workflows = {each.what.name: each for each in self.plan.workflows() if isinstance(each.what, Given)}
        self.families = [*self.plan.families()]
        self.restarts: defaultdict[str, list[Item]] = defaultdict(list)
        for each in self.plan.restarts():
            if isinstance(each.what, Given):
                self.restarts[subject(each.what.name)].append(each)
        self.images: defaultdict[str, list[Item]] = defaultdict(list)
        for each in self.plan.images():
            if isinstance(each.what, WalkedInImages):
                self.images[each.what.walk.world].append(each)
        self._known = Known(self.ledger)

    def play(self, items: Iterable[Item]) -> list[Part]:
        """Plays items; what came of them."""
        self._parts.clear()
        for item in items:
            known = Known(self._known.confirmed, shapes=self.samples.shapes)
            self._course.play_item(item, known)
        for part in self._parts:
            self.samples.add(part.samples)
        return [*self._parts]


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
        """One test for each walk, control sequence, workflow, family, subject of restarts, world and batch."""
        scope = PROFILES[cls.asked_for(metafunc.config, "profile")].scope
        walks = tour(scope)
        sequences = control_sequences(each for each in walks if not each.in_context)
        batches = -(-cls.asked_for(metafunc.config, "examples") // BATCH)
        listed: dict[str, list[tuple[str, Any]]] = {
            "walk": [(f"{number}-{_slug(each)}", number) for number, each in enumerate(walks)],
            "sequence": [(str(number), each) for number, each in enumerate(sequences)],
            "workflow": [(name, name) for name in workflows()],
            "family": [(each.name.replace(" ", "-"), each.name) for each in families()],
            "subject": [(each.replace(" ", "-"), each) for each in subjects()],
            "world": [(each.name.replace(",", "").replace(" ", "-"), each.name) for each in image_worlds(scope)],
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

    @pytest.fixture(scope="class")
    @classmethod
    def played(cls, adapter: Adapter, request: pytest.FixtureRequest) -> Played:
        """The plan of the class, whose ledger is confirmed."""
        profile, seed, examples = (cls.asked_for(request.config, name) for name in ("profile", "seed", "examples"))
        return Played(adapter, Options(profile, seed, examples, None, None, Path(), writes=cls.writes))

    # The tests

    def test_known_defects(self, played: Played) -> None:
        """What is known of this implementation fails as it is listed, or else the ledger is to be reviewed."""
        if not played.ledger:
            pytest.skip(f"no defect of '{played.name}' is listed")
        wrong = [f"{each.id} is {each.outcome}: {each.detail}" for each in played.ledger]
        wrong = [line for line, each in zip(wrong, played.ledger, strict=True) if each.outcome in ("gone", "changed")]
        assert not wrong, "\n".join(wrong)

    def test_walk(self, played: Played, walk: int) -> None:
        """A shortest scenario for edges of the specification."""
        self.play(played, [played.walks[walk]])

    def test_every_write_history(self, played: Played, sequence: ControlSequence) -> None:
        """Every history of guest writes against a sequence of control commands."""
        item = played.sequences.get(sequence)
        self.play(played, [item] if item is not None else [])

    def test_workflow(self, played: Played, workflow: str) -> None:
        """What users do: chains, retries, groups, checkpoints."""
        self.play(played, [played.workflows[workflow]])

    def test_traps(self, played: Played) -> None:
        """Short scenarios after real bugs and seeded mistakes, in the sizes that the implementation has."""
        self.play(played, played.plan.traps())

    def test_family(self, played: Played, family: str) -> None:
        """How often, how many, where, how large: all scenarios of a family that can be played."""
        items = [each for each in played.families if isinstance(each.what, Grown) and each.what.family == family]
        self.play(played, items)

    def test_restarts(self, played: Played, subject: str) -> None:
        """Disks in images that are closed, reopened and left by a crash: what the profile plays of a subject."""
        if PERSISTENCE not in played.plan.claims.features:
            pytest.skip(f"the implementation does not claim {PERSISTENCE}")
        if not played.restarts[subject]:
            pytest.skip("the profile plays none of these with this seed")
        self.play(played, played.restarts[subject])

    def test_tour_of_images(self, played: Played, world: str) -> None:
        """Every event and every command in every state of a disk in an image: what the profile plays of a world."""
        if PERSISTENCE not in played.plan.claims.features:
            pytest.skip(f"the implementation does not claim {PERSISTENCE}")
        self.play(played, played.images[world])

    def test_long_histories(self, played: Played) -> None:
        """Histories of 100 and of 1,000 commands."""
        self.play(played, played.plan.long())

    def test_drawn(self, played: Played, dealt: int) -> None:
        """A batch of scenarios that Hypothesis draws."""
        self.play(played, [each for each in played.plan.drawn() if each.number == dealt * BATCH])

    def test_what_was_turned_away(self, played: Played) -> None:
        """A sample of what was not played because of known defects is one of them, and nothing worse."""
        if not played.samples.listed:
            pytest.skip("nothing was turned away")
        self.play(played, played.plan.turned_away(played.samples.listed))

    # Items

    def play(self, played: Played, items: Iterable[Item]) -> None:
        """Plays items; if one disagrees the test fails, with the shortest scenario that disagrees in this way.

        What failed once, and not when it was played again, neither passes nor fails: with that the test is skipped.
        """
        parts = played.play(items)
        failures = [each for part in parts for _, each in part.failures]
        if self.tolerates_waste:
            failures = [each for each in failures if each.verdict is not Verdict.WASTEFUL]
        if failures:
            worst = max(failures, key=lambda each: each.verdict.severity)
            pytest.fail(_in_words(worst), pytrace=False)
        doubted = [each for part in parts for _, each in part.not_repeatable]
        if doubted:
            pytest.skip("; ".join(f"not repeatable, {each.scenario.title}: {_first(each)}" for each in doubted))
        if not any(part.scenarios for part in parts):
            pytest.skip(next(_reasons(parts), "the implementation does not claim what this takes"))


def _reasons(parts: Iterable[Part]) -> Iterator[str]:
    """Why nothing was played."""
    for part in parts:
        yield from part.not_claimed.values()
        yield from filter(None, (*part.missed_because.values(), *part.image_edges_missed.values()))


def _first(failure: Failure) -> str:
    return f"{failure.findings[0]}. Rule: {rule(failure.findings[0])}"


def _in_words(failure: Failure) -> str:
    """What went wrong: a finding in words, the picture, and the scenario to keep."""
    parts = [str(each) for each in failure.findings]
    parts += [f"Rule: {each}" for each in dict.fromkeys(map(rule, failure.findings))]
    if failure.frames:
        parts += ["", picture_text(failure.frames)]
    return "\n".join([*parts, "", "To play it again, save this and run cbtspec replay:", as_text(failure.scenario)])


def _slug(walk: Walk) -> str:
    """The last command of a walk, for its name."""
    return type(walk.commands[-1]).__name__
