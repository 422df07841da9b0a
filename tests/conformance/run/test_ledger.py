"""The ledger of expected failures: well formed, kept to its versions, and true in every run."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cbtcheck.adapter import Adapter
from cbtcheck.adapters.mistakes import MISTAKES, host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.checking import code_of
from cbtcheck.follow.play import Player
from cbtcheck.run import course, plan
from cbtcheck.run.hunting import shortest
from cbtcheck.run.ledger import ledger as listing
from cbtcheck.run.ledger.ledger import Entry, confirm, entries, holds, matches, not_for, read, version_of
from cbtcheck.run.ledger.statistics import rate
from cbtcheck.run.ledger.triggers import TRIGGERS, triggered
from cbtcheck.run.options import Options
from cbtcheck.run.profiles import Profile
from cbtcheck.run.report import Report
from cbtcheck.scenario.scenario import Scenario
from cbtcheck.scenario.verdict import EXIT_CODES, Finding, Verdict
from cbtimpl import Host
from cbtmodel import commands as c

DEFECT = "hook-never-called"
BRIEF = Options("quick", 1, 3, None, None, Path("nowhere"))
HARMLESS = Scenario({"disk0": 32768}, (c.AddBitmap("disk0", "b", 4096),))
LISTED = list(entries())

each_entry = pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.id)


def entry_for(defect: str = DEFECT, **changes: Any) -> Entry:
    """An entry that is true of the reference implementation with this mistake."""
    made = Entry(
        "REF-1", "no write is recorded", "reference", "what happens", "why it happens", Verdict.UNSAFE, ("bits",),
        shortest(MISTAKES[defect]), attempts=1,
    )  # fmt: skip
    return replace(made, **changes)


def versions_of(entry: Entry) -> list[str]:
    """The versions that it was tried on."""
    return [".".join(map(str, version)) for version in entry.seen_in]


def adapter_with(defect: str) -> Adapter:
    return ReferenceAdapter(host_with(defect), defect) if defect else ReferenceAdapter()


@pytest.fixture(autouse=True)
def without_the_tour(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tested in test_tour.py, and takes a while."""
    monkeypatch.setattr(plan, "tour", lambda _: ())
    monkeypatch.setattr(plan, "traps", lambda _: {})
    monkeypatch.setattr(plan, "families", lambda: ())
    monkeypatch.setattr(plan, "restarts", lambda *_: {})
    monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
    monkeypatch.setattr(Profile, "lengths", lambda _: [])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """A run on the reference with this mistake (or none): just these entries, and a workflow that cannot fail."""

    def of(defect: str, *ledger: Entry) -> Report:
        monkeypatch.setattr(listing, "entries", lambda: iter(ledger))
        monkeypatch.setattr(plan, "workflows", lambda: {"harmless": HARMLESS})
        monkeypatch.setattr(plan.Plan, "drawn", lambda self: iter(()))
        options = replace(BRIEF, reports=tmp_path / "reports")
        return course.run(lambda: adapter_with(defect), options, lambda *_: None)

    return of


# The entries that there are


def test_ids_are_unique_and_name_their_files() -> None:
    folder = Path(course.__file__).parent / "ledger" / "entries"
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
    docs = Path(__file__).parents[3] / "docs" / "findings"
    for document in ("ledger.md", "what-qemu-was-found-to-do.md"):
        text = " ".join((docs / document).read_text(encoding="utf-8").split())
        assert entry.id in text, document
        assert entry.title in text, document


@each_entry
def test_an_entry_knows_what_it_lists_on_disks_of_any_name(entry: Entry) -> None:
    """Of what is turned away a sample is played on disks and bitmaps that have names of their own."""
    of_disks = [word for node in entry.scenario.disks for word in (f"{node}/", f"{node}:", f"of {node}")]
    assert [each for each in entry.seen if any(word in each for word in of_disks)] == []


def test_a_removal_that_11_1_accepts_is_known_in_a_transaction_too() -> None:
    entry = next(each for each in LISTED if each.id == "CRASH-11")
    there = Finding(Verdict.DIVERGES, "ONE-HEIR", "d/b0", "a bitmap", "no such bitmap")
    for kind in ("RemoveBitmap", "Transaction"):
        reply = Finding(Verdict.DIVERGES, "", kind, f"refused: read only: {kind}: read only", "accepted")
        assert matches(entry, [reply, there])


@each_entry
def test_an_entry_with_a_trigger_turns_away_its_own_scenario(entry: Entry) -> None:
    """Else the search would run into the defect, and the report be full of it."""
    assert entry.triggers
    for version in versions_of(entry):
        trigger = entry.trigger_in(version)
        assert trigger is not None, version
        player = Player(ReferenceAdapter())
        def turn_away(state: Any, asked: Any, trigger: Any = trigger, player: Player = player) -> bool:
            return triggered(trigger, state, asked, player.files)

        player.turn_away = turn_away
        player.play_scenario(entry.scenario)
        assert len(player.frames) < len(entry.scenario.commands), version


@each_entry
def test_an_entry_says_what_was_counted_on_the_versions_that_the_suite_is_played_on(entry: Entry) -> None:
    """And without luck it fails in each try, or in none."""
    assert {"7.2.22", "10.0.13", "11.1.3"} <= {*versions_of(entry)}
    assert entry.luck or all(each.failed in (0, each.tries) for each in entry.seen_in.values())
    assert any(each.failed for each in entry.seen_in.values())


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
    assert (result.outcome, result.detail) == ("gone", "did not fail in 3 tries")
    assert report.ledger_broken
    assert not report.conformant
    assert code_of(report) == EXIT_CODES["ledger"]


@pytest.mark.parametrize("changes", [{"verdict": Verdict.BROKEN}, {"seen": ("signal 11",)}])
def test_a_defect_that_fails_in_another_way_fails_the_run(
    run: Callable[..., Report], changes: dict[str, Any]
) -> None:
    report = run(DEFECT, entry_for(**changes))
    (result,) = report.ledger
    assert result.outcome == "changed"
    assert "unsafe [NO-LOST-WRITE]" in result.detail, "it says what was seen instead"
    assert report.ledger_broken
    assert code_of(report) == EXIT_CODES["ledger"]


# Luck

OURS = version_of(ReferenceAdapter().version)
assert OURS is not None


class Lucky(ReferenceAdapter):
    """The reference with a mistake that shows in every so-and-so-many-th scenario only."""

    def __init__(self, every: int) -> None:
        self.every, self.scenarios = every, -1  # one is begun before the first
        super().__init__()

    def reset(self, disks: dict[str, int]) -> None:
        self.scenarios += 1
        lucky = self.scenarios > 0 and self.scenarios % self.every == 0
        self._new_host = host_with(DEFECT) if lucky else Host
        super().reset(disks)


def lucky(counted: str, **changes: Any) -> Entry:
    """An entry that needs luck, with what was counted on the version of the reference."""
    return entry_for(luck=True, seen_in={OURS: rate(counted)} if counted else {}, **changes)


@pytest.mark.parametrize(
    ("counted", "attempts", "outcome", "tries"),
    [
        ("25 of 25", 5, "quiet", 5),  # five tries are too few, also for what failed in each
        ("25 of 25", 60, "gone", 7),  # and seven are enough
        ("4 of 25", 60, "quiet", 60),
        ("1 of 1", 60, "quiet", 60),
        ("", 6, "quiet", 6),  # nobody has counted: it is never gone
    ],
)
def test_a_race_that_does_not_occur_is_gone_only_if_that_is_improbable(
    run: Callable[..., Report], counted: str, attempts: int, outcome: str, tries: int
) -> None:
    report = run("", lucky(counted, attempts=attempts))
    (result,) = report.ledger
    assert result.outcome == outcome
    assert f"in {tries} tries" in result.detail
    assert ("a probability of" in result.detail) is bool(counted)
    assert report.ledger_broken is (outcome == "gone")
    assert code_of(report) == EXIT_CODES["ledger" if outcome == "gone" else "incomplete"]


def test_what_is_gone_says_how_improbable_that_is(run: Callable[..., Report]) -> None:
    (result,) = run("", lucky("25 of 25", attempts=60)).ledger
    assert result.detail == (
        "did not fail in 7 tries; as it failed in 25 of 25 tries, a probability of 2e-07"
    )  # fmt: skip


@pytest.mark.parametrize(("every", "outcome"), [(1, "known"), (6, "known"), (7, "quiet")])
def test_a_race_is_tried_until_it_occurs(every: int, outcome: str) -> None:
    player = Player(Lucky(every))
    assert confirm(lucky("4 of 25", attempts=6), player, player.adapter.version).outcome == outcome


def test_a_race_that_fails_in_another_way_has_changed_also_if_it_is_lucky(run: Callable[..., Report]) -> None:
    (result,) = run(DEFECT, lucky("4 of 25", attempts=3, verdict=Verdict.BROKEN)).ledger
    assert result.outcome == "changed"


def test_a_race_that_was_not_seen_in_a_version_is_not_played_there(run: Callable[..., Report]) -> None:
    report = run(DEFECT, lucky("0 of 85"))
    (result,) = report.ledger
    assert (result.outcome, result.detail) == ("skipped", "not seen in this version: it failed in 0 of 85 tries")
    assert report.phases["ledger"] == 0


@pytest.mark.parametrize(
    ("outcome", "counted", "turns_away"),
    [
        ("known", "", True),
        ("known", "4 of 25", True),
        ("quiet", "4 of 25", True),
        ("quiet", "", False),
        ("skipped", "0 of 85", False),
        ("gone", "25 of 25", False),
        ("changed", "25 of 25", False),
    ],
)
def test_an_entry_turns_commands_away_only_where_it_holds(outcome: str, counted: str, turns_away: bool) -> None:
    assert holds(lucky(counted), outcome, ReferenceAdapter().version) is turns_away


@pytest.mark.parametrize(("version", "counted"), [("7.2.22", "4 of 5"), ("7.2.30", "4 of 5"), ("7.3", None)])
def test_what_was_counted_is_for_a_version_and_its_patch_levels(version: str, counted: str | None) -> None:
    entry = entry_for(seen_in={(7, 2, 9): rate("1 of 5"), (7, 2, 22): rate("4 of 5")})
    assert entry.rate_in(f"qsd {version} (Debian)") == (rate(counted) if counted else None)


def test_a_trigger_is_for_the_versions_since_which_it_describes_the_defect() -> None:
    old, new = TRIGGERS["grouped-backups-withdrawn"], TRIGGERS["backups-of-a-group-withdrawn"]
    entry = entry_for(triggers=(((6, 0), old), ((8, 1), new)))
    assert [entry.trigger_in(f"qsd {each}") for each in ("5.2", "7.2.22", "8.1", "11.1.3")] == [None, old, new, new]


def test_a_race_that_occurs_in_another_scenario_is_known_there_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    race = entry_for(luck=True, scenario=HARMLESS)
    monkeypatch.setattr(listing, "entries", lambda: iter([race]))
    monkeypatch.setattr(plan, "workflows", lambda: {"w": shortest(MISTAKES[DEFECT])})
    monkeypatch.setattr(plan.Plan, "drawn", lambda self: iter(()))
    report = course.run(lambda: adapter_with(DEFECT), replace(BRIEF, reports=tmp_path), lambda *_: None)
    assert [each.outcome for each in report.ledger] == ["known"]
    assert report.failures == []


def test_what_only_looks_like_a_race_is_a_failure_where_its_trigger_says_no(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    race = entry_for(luck=True, scenario=HARMLESS, triggers=(((), TRIGGERS["merge-of-nothing"]),))
    monkeypatch.setattr(listing, "entries", lambda: iter([race]))
    monkeypatch.setattr(plan, "workflows", lambda: {"w": shortest(MISTAKES[DEFECT])})
    monkeypatch.setattr(plan.Plan, "drawn", lambda self: iter(()))
    report = course.run(lambda: adapter_with(DEFECT), replace(BRIEF, reports=tmp_path), lambda *_: None)
    assert [each.verdict for each in report.failures] == [Verdict.UNSAFE]


@pytest.mark.parametrize(
    ("seen", "known"),
    [
        ("the daemon died with signal 11", True),
        ("the daemon died with signal 6 | hbitmap_free: Assertion `!hb->meta' failed.", True),
        ("hang: no answer to transaction", True),
        ("hang: no answer to a guest write to disk0", False),
    ],
)
def test_what_is_used_after_it_was_freed_crashes_in_one_of_several_ways(seen: str, known: bool) -> None:
    """QEMU 7.2.22 ends by the one in some replays, by the other in others, and hung in one of 240."""
    (entry,) = (each for each in LISTED if each.id == "QEMU-7")
    assert matches(entry, [Finding(Verdict.BROKEN, "", "Transaction", "an answer", f"crash: {seen}")]) is known


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
    monkeypatch.setattr(plan, "workflows", dict)

    class Deal:
        def __enter__(self) -> Any:
            return iter(enumerate(drawn))

        def __exit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(course, "dealer", lambda *_: Deal())
    options = replace(BRIEF, reports=tmp_path)
    trigger = TRIGGERS["merge-of-nothing"]
    for defect, turned_away in ((DEFECT, 3), ("", 0)):
        monkeypatch.setattr(listing, "entries", lambda: iter([entry_for(triggers=(((), trigger),))]))
        report = course.run(lambda defect=defect: adapter_with(defect), options, lambda *_: None)
        assert [each.turned_away for each in report.ledger] == [turned_away]
        merges = report.commands["merge-bitmaps"]
        assert merges.accepted + merges.refused.total() == (3 if not turned_away else 1), "one of them as a sample"
        assert report.phases["turned away"] == (1 if turned_away else 0)


# Entries that are not well formed

GOOD: dict[str, Any] = {
    "id": "X-1", "title": "t", "implementation": "qemu", "what": "w", "why": "y", "verdict": "unsafe", "seen": "s",
    "scenario": {"format": "cbtspec-scenario", "version": 1, "disks": {"d": 65536}, "commands": []},
}  # fmt: skip


def test_a_minimal_entry_is_for_all_versions_and_has_no_trigger() -> None:
    entry = read(msgspec.json.encode(GOOD), "X-1.json")
    assert not_for(entry, "0.0.1") == not_for(entry, "99.0") == ""
    assert (entry.triggers, entry.attempts, entry.luck, entry.seen_in) == ((), 3, False, {})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"trigger": "full-moon"}, "unknown trigger 'full-moon'"),
        ({"severity": "high"}, "unknown field `severity`"),
        ({"verdict": "bad"}, "'bad' is not a valid Verdict"),
        ({"verdict": "exact"}, "'exact' is no failure"),
        ({"verdict": 3}, "Expected `str`"),
        ({"attempts": 0}, "`int` >= 1"),
        ({"attempts": 61}, "`int` <= 60"),
        ({"trigger": {"8.1": "full-moon"}}, "unknown trigger 'full-moon'"),
        ({"trigger": {"new": "merge-of-nothing"}}, "'new' is no version"),
        ({"seen-in": {"7.2.22": "mostly"}}, "'mostly' is no count"),
        ({"seen-in": {"old": "1 of 1"}}, "'old' is no version"),
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
