"""What a trigger turns away is played in part, and something worse behind it is found; known waste is followed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import AdapterBroken, Hint, Performed
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run import course, plan
from cbtcheck.run.ledger import ledger as listing
from cbtcheck.run.ledger.ledger import Entry
from cbtcheck.run.ledger.triggers import TRIGGERS
from cbtcheck.run.options import Options
from cbtcheck.run.report import Report
from cbtcheck.run.turned_away import SAMPLES, SLOW_SAMPLES, Behind, shape
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import Verdict
from cbtmodel import commands as c

DISKS = {"disk0": 32768}
ADD = c.AddBitmap("disk0", "b", 4096)
NOTHING = c.MergeBitmaps("disk0", "b", ())
IN_TRANSACTION = c.Transaction((NOTHING,))


class Crashes(ReferenceAdapter):
    """A merge of nothing crashes it; in a transaction in a way of its own, if that is to be `worse`."""

    def __init__(self, worse: bool) -> None:
        self.worse = worse
        super().__init__()

    def perform(self, command: Any, hint: Hint) -> Performed:
        actions = command.actions if isinstance(command, c.Transaction) else (command,)
        if NOTHING in actions:
            worse = self.worse and isinstance(command, c.Transaction)
            raise AdapterBroken("the daemon died with signal 6" if worse else "the daemon died with signal 11")
        return super().perform(command, hint)


def listed(**changes: Any) -> Entry:
    entry = Entry(
        "REF-1", "a crash", "reference", "what happens", "why it happens", Verdict.BROKEN, ("signal 11",),
        Scenario(DISKS, (ADD, NOTHING)), triggers=(((), TRIGGERS["merge-of-nothing"]),),
    )  # fmt: skip
    return replace(entry, **changes)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """A run that draws just these scenarios."""

    def of(adapter: Callable[[], ReferenceAdapter], entry: Entry, *drawn: Scenario) -> Report:
        class Deal:
            def __enter__(self) -> Any:
                return iter(enumerate(drawn))

            def __exit__(self, *_: Any) -> None: ...

        monkeypatch.setattr(plan, "tour", lambda _: ())
        monkeypatch.setattr(plan, "traps", lambda _: {})
        monkeypatch.setattr(plan, "families", lambda: ())
        monkeypatch.setattr(plan, "restarts", lambda *_: {})
        monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
        monkeypatch.setattr(plan.Plan, "long", lambda self: iter(()))
        monkeypatch.setattr(plan, "workflows", dict)
        monkeypatch.setattr(listing, "entries", lambda: iter([entry]))
        monkeypatch.setattr(course, "dealer", lambda *_: Deal())
        options = Options("quick", 1, len(drawn), None, None, tmp_path / "reports")
        return course.run(adapter, options, lambda *_: None)

    return of


ALONE = Scenario(DISKS, (ADD, NOTHING))
TOGETHER = Scenario(DISKS, (ADD, c.Write("disk0", 0, 512), IN_TRANSACTION))


def test_what_was_turned_away_is_the_known_defect_when_it_is_played(run: Callable[..., Report]) -> None:
    report = run(lambda: Crashes(worse=False), listed(), ALONE, TOGETHER, TOGETHER)
    assert [(each.outcome, each.turned_away) for each in report.ledger] == [("known", 3)]
    assert report.phases["turned away"] == 2, "one of each shape"
    assert report.failures == []


def test_something_worse_behind_a_trigger_is_a_failure(run: Callable[..., Report]) -> None:
    report = run(lambda: Crashes(worse=True), listed(), ALONE, TOGETHER)
    (failure,) = report.failures
    assert "signal 6" in str(failure.findings[0])
    assert failure.origin == "turned away"
    assert failure.scenario.commands == (IN_TRANSACTION,), "made short"


def test_what_was_worse_once_and_then_the_known_defect_again_is_not_repeatable(run: Callable[..., Report]) -> None:
    """Freed memory that is used may once do what it does not do again."""

    class Once(Crashes):
        in_transactions = 0

        def perform(self, command: Any, hint: Hint) -> Performed:
            if isinstance(command, c.Transaction):
                Once.in_transactions += 1
                self.worse = Once.in_transactions == 1
                if self.worse:
                    raise AdapterBroken("hang: no answer")
            return super().perform(command, hint)

    report = run(lambda: Once(worse=False), listed(), ALONE, TOGETHER)
    assert report.failures == []
    assert [str(each.findings[0]) for each in report.not_repeatable] == [
        "broken Transaction: expected an answer; seen hang: no answer"
    ]


def test_what_is_turned_away_without_need_agrees(run: Callable[..., Report]) -> None:
    def always(*_: Any) -> bool:
        return True

    entry = listed(triggers=(((), always),))
    report = run(lambda: Crashes(worse=False), entry, Scenario(DISKS, (ADD, c.Write("disk0", 0, 512))))
    assert report.phases["turned away"] == 2
    assert report.failures == []


def test_an_entry_that_is_not_for_this_version_turns_nothing_away(run: Callable[..., Report]) -> None:
    report = run(lambda: Crashes(worse=False), listed(fixed_in=(0, 0, 1)), ALONE)
    assert [(each.outcome, each.turned_away) for each in report.ledger] == [("skipped", 0)]
    assert report.phases["turned away"] == 0
    assert [each.verdict for each in report.failures] == [Verdict.BROKEN]


# Bounds


def transactions(count: int) -> list[c.Command]:
    return [c.Transaction((NOTHING,) * number) for number in range(1, count + 1)]


@pytest.mark.parametrize(("seen", "most"), [("signal 11", SAMPLES), ("hang: no answer", SLOW_SAMPLES)])
def test_of_each_defect_only_so_many_are_kept(seen: str, most: int) -> None:
    behind = Behind([])
    for command in transactions(SAMPLES + 3):
        behind.keep([listed(seen=(seen,))], Scenario(DISKS, (ADD,)), command)
    assert len(behind.samples) == most


def test_a_shape_is_kept_once_whatever_it_names() -> None:
    behind = Behind([])
    for name in ("b", "x"):
        behind.keep([listed()], Scenario(DISKS, (ADD,)), c.MergeBitmaps("disk0", name, ()))
    assert len(behind.samples) == 1
    assert shape(c.Transaction((NOTHING, c.Abort()))) != shape(c.Transaction((c.Abort(), NOTHING)))


# Waste that is known


ALWAYS = c.Transaction((c.StartBackup("j", "disk0", "bitmap", "b", "always"), c.Abort()))


class Wasteful(ReferenceAdapter):
    """A refused transaction with an always backup marks the whole bitmap; and a write before may be lost."""

    def __init__(self, unsafe: bool = False, elsewhere: bool = False) -> None:
        self.unsafe, self.elsewhere = unsafe, elsewhere
        super().__init__()

    def perform(self, command: Any, hint: Hint) -> Performed:
        performed = super().perform(command, hint)
        bitmaps = self._host.nodes["disk0"].bitmaps if "disk0" in self._host.nodes else {}
        if command == ALWAYS and "b" in bitmaps:
            for bitmap in bitmaps.values() if self.elsewhere else [bitmaps["b"]]:
                bitmap.record(0, DISKS["disk0"])
        if self.unsafe and isinstance(command, c.ClearBitmap) and "b" in bitmaps:
            bitmaps["b"].disable()
        return performed


WASTE = listed(
    verdict=Verdict.WASTEFUL, seen=("expected at most",), scenario=Scenario(DISKS, (ADD, ALWAYS)),
    triggers=(((), TRIGGERS["always-backup-withdrawn"]),),
)  # fmt: skip


def test_waste_that_is_known_turns_nothing_away_and_is_no_failure(run: Callable[..., Report]) -> None:
    report = run(Wasteful, WASTE, Scenario(DISKS, (ADD, ALWAYS, c.Write("disk0", 0, 512))))
    assert [(each.outcome, each.turned_away) for each in report.ledger] == [("known", 0)]
    assert report.failures == []


def test_what_is_worse_is_seen_behind_waste_that_is_known(run: Callable[..., Report]) -> None:
    commands = (ADD, ALWAYS, c.ClearBitmap("disk0", "b"), c.Write("disk0", 0, 512))
    report = run(lambda: Wasteful(unsafe=True), WASTE, Scenario(DISKS, commands))
    assert {each.verdict for each in report.failures} == {Verdict.UNSAFE}


def test_waste_of_another_bitmap_is_not_the_one_that_is_known(run: Callable[..., Report]) -> None:
    other = c.AddBitmap("disk0", "b2", 4096)
    report = run(lambda: Wasteful(elsewhere=True), WASTE, Scenario(DISKS, (ADD, other, ALWAYS)))
    assert {each.verdict for each in report.failures} == {Verdict.WASTEFUL}
