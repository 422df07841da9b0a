"""The ledger of expected failures: well formed, kept to its versions, and true in every run."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cbtcheck.adapter import Adapter
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.command import code_of
from cbtcheck.ledger import Entry, confirm, entries, not_for, read, version_of
from cbtcheck.mistakes import MISTAKES, host_with
from cbtcheck.mistakes.hunting import shortest
from cbtcheck.play import Player
from cbtcheck.reports.report import Report
from cbtcheck.running import course
from cbtcheck.running.course import Options
from cbtcheck.scenario import Scenario
from cbtcheck.tour import phases as tour_phases
from cbtcheck.triggers import TRIGGERS
from cbtcheck.verdict import EXIT_CODES, Verdict
from cbtmodel import commands as c

DEFECT = "hook-never-called"
BRIEF = Options("quick", 1, 3, None, None, Path("nowhere"))
HARMLESS = Scenario({"disk0": 32768}, (c.AddBitmap("disk0", "b", 4096),))
LISTED = list(entries())

each_entry = pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.id)


def entry_for(defect: str = DEFECT, **changes: Any) -> Entry:
    """An entry that is true of the reference implementation with this mistake."""
    made = Entry(
        "REF-1", "no write is recorded", "reference", "what happens", "why it happens", Verdict.UNSAFE, "bits",
        shortest(MISTAKES[defect]), (0,), None, None, 1, False,
    )  # fmt: skip
    return replace(made, **changes)


def adapter_with(defect: str) -> Adapter:
    return ReferenceAdapter(host_with(defect), defect) if defect else ReferenceAdapter()


@pytest.fixture(autouse=True)
def without_the_tour(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tested in test_tour.py, and takes a while."""
    monkeypatch.setattr(tour_phases, "tour", lambda _: ())
    monkeypatch.setattr(course, "traps", lambda _: {})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """A run on the reference with this mistake (or none): just these entries, and a workflow that cannot fail."""

    def of(defect: str, *ledger: Entry) -> Report:
        monkeypatch.setattr(course, "entries", lambda: iter(ledger))
        monkeypatch.setattr(course, "workflows", lambda: {"harmless": HARMLESS})
        monkeypatch.setattr(course.Course, "_drawn", lambda self: None)
        options = replace(BRIEF, reports=tmp_path / "reports")
        return course.run(lambda: adapter_with(defect), options, lambda *_: None)

    return of


# The entries that there are


def test_ids_are_unique_and_name_their_files() -> None:
    folder = Path(course.__file__).parents[1] / "ledger_entries"
    assert sorted(entry.id for entry in LISTED) == sorted(file.stem for file in folder.glob("*.json"))
    assert len({entry.id for entry in LISTED}) == len(LISTED) >= 5


@each_entry
def test_an_entry_says_what_happens_and_why(entry: Entry) -> None:
    assert re.fullmatch(r"[A-Z]+-[1-9]\d*", entry.id)
    assert entry.implementation in ("reference", "qemu")
    assert entry.title
    assert entry.title[0].islower(), "a title is the end of a line"
    assert not entry.title.endswith(".")
    for text in (entry.what, entry.why):
        assert len(text) > 20
        assert text.endswith((".", ")"))
    assert entry.verdict in (Verdict.WASTEFUL, Verdict.DIVERGES, Verdict.UNSAFE, Verdict.BROKEN)
    assert entry.attempts >= 1
    assert entry.fixed_in is None or entry.first_version < entry.fixed_in
    assert entry.scenario.commands


@each_entry
def test_the_scenario_of_an_entry_is_no_mistake_of_the_specification(entry: Entry) -> None:
    """The reference does what is specified, so whoever fails here is the one that is wrong."""
    assert Player(ReferenceAdapter(), self_check=True).play_scenario(entry.scenario) == []


@each_entry
def test_an_entry_has_a_paragraph_in_both_documents(entry: Entry) -> None:
    docs = Path(__file__).parents[2] / "docs"
    for document in ("ledger.md", "what-qemu-was-found-to-do.md"):
        text = " ".join((docs / document).read_text(encoding="utf-8").split())
        assert entry.id in text, document
        assert entry.title in text, document


@each_entry
def test_an_entry_with_a_trigger_turns_away_its_own_scenario(entry: Entry) -> None:
    """Else the search would run into the defect, and the report be full of it."""
    assert entry.trigger is not None
    player = Player(ReferenceAdapter(), turn_away=entry.trigger)
    player.play_scenario(entry.scenario)
    assert len(player.frames) < len(entry.scenario.commands)


# Versions


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("qemu-storage-daemon 7.2.22 (Debian 1:7.2+dfsg-7)", (7, 2, 22)),
        ("cbtimpl 0.1.0 with the seeded mistake 'x'", (0, 1, 0)),
        ("8", (8,)),
        ("", None),
    ],
)
def test_a_version_is_the_first_number_in_a_text(text: str, version: tuple[int, ...] | None) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("running", "reason"),
    [
        ("qsd 7.0.9", "only since 7.1"),
        ("qsd 7.1.0", ""),
        ("qsd 7.10.0", ""),
        ("qsd 9.0.4", ""),
        ("qsd 7.1", ""),
        ("qsd 9.1", "fixed in 9.1"),
        ("qsd 9.1.0", "fixed in 9.1"),
        ("qsd 10.0.13", "fixed in 9.1"),
    ],
)
def test_an_entry_is_for_the_versions_from_the_first_until_the_fixed_one(running: str, reason: str) -> None:
    assert not_for(entry_for(first_version=(7, 1), fixed_in=(9, 1)), running) == reason


@pytest.mark.parametrize("changes", [{"first_version": (0, 2)}, {"fixed_in": (0, 1)}])
def test_an_entry_for_other_versions_is_skipped_with_the_reason(
    run: Callable[..., Report], changes: dict[str, Any]
) -> None:
    report = run(DEFECT, entry_for(**changes))
    (result,) = report.ledger
    assert result.outcome == "skipped"
    assert result.detail in ("only since 0.2", "fixed in 0.1")
    assert report.phases["ledger"] == 0, "it was not played"
    assert not report.ledger_broken


def test_entries_for_others_are_not_played(run: Callable[..., Report]) -> None:
    report = run(DEFECT, entry_for(implementation="qemu"))
    assert report.ledger == []
    assert report.phases["ledger"] == 0


# What comes of an entry in a run


def test_a_defect_that_still_fails_as_listed_is_known_and_no_failure(run: Callable[..., Report]) -> None:
    report = run(DEFECT, entry_for())
    (result,) = report.ledger
    assert (result.outcome, result.detail) == ("known", "what happens")
    assert report.verdict is Verdict.KNOWN
    assert report.conformant
    assert code_of(report) == EXIT_CODES["incomplete"]


def test_a_defect_that_is_gone_fails_the_run(run: Callable[..., Report]) -> None:
    report = run("", entry_for(attempts=3))
    (result,) = report.ledger
    assert (result.outcome, result.detail) == ("gone", "did not fail in 3 attempts")
    assert report.ledger_broken
    assert not report.conformant
    assert code_of(report) == EXIT_CODES["ledger"]


@pytest.mark.parametrize("changes", [{"verdict": Verdict.BROKEN}, {"seen": "signal 11"}])
def test_a_defect_that_fails_in_another_way_fails_the_run(
    run: Callable[..., Report], changes: dict[str, Any]
) -> None:
    report = run(DEFECT, entry_for(**changes))
    (result,) = report.ledger
    assert result.outcome == "changed"
    assert "unsafe [NO-LOST-WRITE]" in result.detail, "it says what was seen instead"
    assert report.ledger_broken
    assert code_of(report) == EXIT_CODES["ledger"]


def test_a_race_that_stays_quiet_does_not_fail_the_run(run: Callable[..., Report]) -> None:
    report = run("", entry_for(sometimes=True))
    (result,) = report.ledger
    assert result.outcome == "quiet"
    assert report.conformant
    assert code_of(report) == EXIT_CODES["incomplete"]


def test_a_race_that_occurs_in_another_scenario_is_known_there_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    race = entry_for(sometimes=True, scenario=HARMLESS)
    monkeypatch.setattr(course, "entries", lambda: iter([race]))
    monkeypatch.setattr(course, "workflows", lambda: {"w": shortest(MISTAKES[DEFECT])})
    monkeypatch.setattr(course.Course, "_drawn", lambda self: None)
    report = course.run(lambda: adapter_with(DEFECT), replace(BRIEF, reports=tmp_path), lambda *_: None)
    assert [each.outcome for each in report.ledger] == ["known"]
    assert report.failures == []


def test_an_entry_is_tried_until_it_fails() -> None:
    class Lazy(Player):
        tries = 0

        def play_scenario(self, scenario: Scenario) -> list[Any]:
            self.tries += 1
            return super().play_scenario(scenario) if self.tries == 3 else []

    player = Lazy(adapter_with(DEFECT))
    assert confirm(entry_for(attempts=5), player, "1").outcome == "known"
    assert player.tries == 3


def test_what_is_known_is_looked_behind_and_the_report_says_how_often(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A merge of nothing is turned away because an entry that was confirmed says so; not if it was not confirmed."""
    drawn = [Scenario({"disk0": 32768}, (c.AddBitmap("disk0", "b", 4096), c.MergeBitmaps("disk0", "b", ())))] * 4
    monkeypatch.setattr(course, "workflows", dict)

    class Deal:
        def __enter__(self) -> Any:
            return iter(enumerate(drawn))

        def __exit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(course, "dealer", lambda *_: Deal())
    options = replace(BRIEF, reports=tmp_path)
    trigger = TRIGGERS["merge-of-nothing"]
    for defect, turned_away in ((DEFECT, 3), ("", 0)):
        monkeypatch.setattr(course, "entries", lambda: iter([entry_for(trigger=trigger)]))
        report = course.run(lambda defect=defect: adapter_with(defect), options, lambda *_: None)
        assert [each.turned_away for each in report.ledger] == [turned_away]
        merges = report.commands["merge-bitmaps"]
        assert merges.accepted + merges.refused.total() == 3 - turned_away


# Entries that are not well formed

GOOD: dict[str, Any] = {
    "id": "X-1", "title": "t", "implementation": "qemu", "what": "w", "why": "y", "verdict": "unsafe", "seen": "s",
    "scenario": {"format": "cbtspec-scenario", "version": 1, "disks": {"d": 65536}, "commands": []},
}  # fmt: skip


def test_a_minimal_entry_is_for_all_versions_and_has_no_trigger() -> None:
    entry = read(msgspec.json.encode(GOOD), "X-1.json")
    assert not_for(entry, "0.0.1") == not_for(entry, "99.0") == ""
    assert (entry.trigger, entry.attempts, entry.sometimes) == (None, 1, False)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"trigger": "full-moon"}, "unknown trigger 'full-moon'"),
        ({"severity": "high"}, "unknown field `severity`"),
        ({"verdict": "bad"}, "'bad' is not a valid Verdict"),
        ({"verdict": "exact"}, "'exact' is no failure"),
        ({"verdict": 3}, "Expected `str`"),
        ({"attempts": 0}, "`int` >= 1"),
        ({"scenario": {}}, "not a scenario"),
    ],
)
def test_an_entry_that_is_not_well_formed_is_an_error_that_names_the_file(
    changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        read(msgspec.json.encode(GOOD | changes), "X-1.json")
    assert str(error.value).startswith("X-1.json: ")


def test_what_is_not_json_is_an_error_that_names_the_file() -> None:
    with pytest.raises(ValueError, match=r"^X-1\.json: "):
        read(b"{", "X-1.json")
