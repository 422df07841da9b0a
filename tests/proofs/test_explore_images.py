"""Disks in images, explored: what holds, what must be seen, and each mistake with a shortest history."""

from __future__ import annotations

import io
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.cli.explored import good, print_exploration, to_plain
from cbtcheck.cli.explored_images import told
from cbtcheck.scenario.scenario import EVENTS
from cbtmodel import commands as c
from cbtmodel import image
from cbtmodel.image import Close, Crash, Happened, Open, Persist, Reopen, Stored, happen
from cbtmodel.table import Table
from cbtproofs.explorer import image_sightings
from cbtproofs.explorer.breadth_first import TooLarge
from cbtproofs.explorer.due import Due, Ledger, followed, nothing_is_missed
from cbtproofs.explorer.exploration import explore_scope
from cbtproofs.explorer.few_blocks import BLOCK
from cbtproofs.explorer.image_scopes import Asked, ImageScope, larger, standard
from cbtproofs.explorer.images import ImagesExplored, explore_images
from cbtproofs.explorer.scopes import Scope
from cbtproofs.mutants.image_mistakes import IMAGE_MISTAKES
from cbtproofs.mutants.mutant import Mutant, applied
from click.testing import CliRunner
from rich.console import Console

PAGE = (Path(__file__).parents[2] / "docs/understand/exploring.md").read_text()
ADD, WRITE = Persist(c.AddBitmap("d", "a", BLOCK)), c.Write("d", 0, BLOCK)

LOSES_NOTHING = {
    "stale-bits-are-loaded": "the bitmap says that it is not to be trusted, and nobody may use it",
    "only-what-was-there-is-stored": "the bitmap is gone, and whoever asks for it is told",
    "removed-and-stored-again": "the next close trips over it",
}
"""Mistakes that RULE-DISK finds, and by which no sound bitmap ever misses a write; each with the reason."""


def test_what_is_explored_is_what_the_page_says() -> None:
    for scope, numbers in zip(standard(), ((2_539, 38_288, 15), (1_699, 28_484, 11)), strict=True):
        found = explore_images(scope)
        assert (found.failed, found.awaited) == ((), [])
        assert (found.states, found.transitions, found.depth) == numbers
        assert re.search(rf"\| {scope} \| {found.states:,} \| {found.transitions:,} \| {found.depth} \|", PAGE)
        assert found.claims["RULE-DISK"] > 30_000
        assert found.claims["NO-LOST-WRITE"] > 1_500


@pytest.mark.skipif(os.environ.get("CBTSPEC_NIGHT") != "1", reason="takes minutes: set CBTSPEC_NIGHT=1")
@pytest.mark.parametrize("scope", larger(), ids=str)
def test_larger_scopes_hold_too(scope: ImageScope) -> None:
    assert explore_images(scope).good


def test_every_event_and_every_way_to_fail_is_in_the_alphabet() -> None:
    (one, two) = standard()
    kinds = {type(each) for each in one.alphabet}
    assert kinds >= {*EVENTS.values(), Persist}
    for kind in (Open, Reopen):
        for writable in (True, False):
            ways = {each.fails for each in two.alphabet if isinstance(each, kind) and each.writable is writable}
            assert ways == {"", "before anything", "in use", "not current"}
    assert Close("d", True) in two.alphabet


def test_all_that_is_ever_to_be_seen_is_to_be_seen_in_a_standard_scope() -> None:
    for predicate, where in image_sightings.EXPECTED:
        assert any(where(scope) for scope in standard()), predicate.__name__
        assert (predicate.__doc__ or "").endswith("."), predicate.__name__


# What is due, apart from the specification


def due_after(*history: Asked) -> tuple[Stored[frozenset[int]], Ledger]:
    stored, ledger = ImageScope().initial(), Table[Due]()
    for asked in history:
        happened = happen(stored, asked)
        assert happened.refusal is None, asked
        stored, ledger = happened.stored, followed(ledger, stored, asked, happened)
        assert all(each.holds() for each in nothing_is_missed(stored, ledger)), asked
    return stored, ledger


@pytest.mark.parametrize(
    ("history", "due"),
    [
        ((), 0),
        ((WRITE,), 1),
        ((WRITE, c.ClearBitmap("d", "a")), 0),
        ((c.DisableBitmap("d", "a"), WRITE), 0),
        ((WRITE, Close("d"), Open("d")), 1),
        ((WRITE, Crash(), Open("d")), 1),
        ((c.BeginWrite("d", "w", 0, BLOCK),), 0),
        ((c.BeginWrite("d", "w", 0, BLOCK), Crash()), 1),
        ((c.BeginWrite("d", "w", 0, BLOCK), c.Transaction((c.ClearBitmap("d", "a"),))), 0),
        ((Close("d"), image.WrittenByOthers("d")), 1),
        ((Reopen("d", False), c.DisableBitmap("d", "a"), Close("d"), Open("d"), WRITE), 1),
        ((Reopen("d", False), c.DisableBitmap("d", "a"), Reopen("d", True), WRITE), 0),
        ((WRITE, c.RemoveBitmap("d", "a")), 1),
        ((WRITE, c.RemoveBitmap("d", "a"), ADD), 0),
        ((WRITE, c.StartBackup("j", "d", "incremental", "a", cluster=BLOCK), c.Copy("j", 0, BLOCK)), 0),
        ((WRITE, c.StartBackup("j", "d", "incremental", "a", cluster=BLOCK), WRITE), 1),
        ((WRITE, c.StartBackup("j", "d", "incremental", "a", cluster=BLOCK), Close("d")), 1),
        ((WRITE, c.StartBackup("j", "d", "bitmap", "a", "always", cluster=BLOCK), Close("d")), 1),
    ],
)  # fmt: skip
def test_what_is_due(history: tuple[Asked, ...], due: int) -> None:
    assert len(due_after(ADD, *history)[1]["a"].blocks) == due


def test_who_merges_takes_over_what_is_due() -> None:
    add = c.AddBitmap("d", "b", BLOCK)
    _, ledger = due_after(ADD, WRITE, add, c.MergeBitmaps("d", "b", (c.Source("d", "a"),)))
    assert ledger["b"].blocks == {0}


def test_what_was_never_added_is_not_to_be_there() -> None:
    stored = due_after(ADD)[0]
    assert not all(each.holds() for each in nothing_is_missed(stored, Table()))


# Mistakes


@cache
def found_with(name: str, due_only: bool) -> ImagesExplored | None:
    mistake = next(each for each in IMAGE_MISTAKES if each.name == name)
    with applied(mistake):
        each_scope = (explore_images(scope, due_only=due_only) for scope in standard())
        return next((found for found in each_scope if found.failed), None)


@pytest.mark.parametrize("mistake", IMAGE_MISTAKES, ids=lambda each: each.name)
def test_a_mistake_is_found_with_a_shortest_history_and_loses_a_write_unless_it_is_said_why_not(
    mistake: Mutant
) -> None:
    by_rule, by_loss = (found_with(mistake.name, due_only) for due_only in (False, True))
    assert by_rule is not None
    assert 1 <= len(by_rule.history) <= 5
    assert f"after {len(by_rule.history)} steps" in told(by_rule)
    missed = by_loss is not None and by_loss.failed[0].id == "NO-LOST-WRITE"
    assert missed == (mistake.name not in LOSES_NOTHING)
    assert by_loss is None or 2 <= len(by_loss.history) <= 7
    never = LOSES_NOTHING.get(mistake.name, "")
    lost = f"never: {never}" if never or by_loss is None else str(len(by_loss.history))
    assert f"| {mistake.name} | {len(by_rule.history)} | {lost} |" in listed()


def listed() -> list[str]:
    table = re.search(r"<!-- mistakes of images -->\n\|.*\n\|[-|]+\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert table is not None
    return table[1].splitlines()


def test_the_page_lists_the_mistakes() -> None:
    assert [line.split(" | ")[0] for line in listed()] == [f"| {each.name}" for each in IMAGE_MISTAKES]
    assert f"each of the {len(IMAGE_MISTAKES)} mistakes" in PAGE


def test_the_page_shows_the_history_that_is_found() -> None:
    shown = re.search(r"<!-- a lost write across a crash -->\n```\n(.*?)```\n<!-- end -->", PAGE, re.DOTALL)
    found = found_with("opened-without-a-mark", due_only=True)
    assert shown is not None
    assert found is not None
    assert shown[1] == f"{told(found)}\n"


def test_a_violation_is_told() -> None:
    found = found_with("whatever-is-there-is-sound", due_only=False)
    assert found is not None
    outcomes = [explore_scope(Scope(1, alphabet="small"))]
    assert good(outcomes)
    assert not good(outcomes, None, [found])
    console = Console(width=118, record=True, file=io.StringIO())
    print_exploration(outcomes, console, None, [found])
    text = console.export_text()
    assert "3  open d, which fails (in use)" in text
    assert "The specification is not as it ought to be" in text
    assert "misses a write" not in text
    violation = to_plain(outcomes, None, [found])["images"][0]["violation"]
    assert [each["do"] for each in violation["commands"]] == ["add-bitmap", "close", "open", "open"]
    assert violation["commands"][2]["fails"] == "in use"


def test_what_was_never_seen_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def pigs_fly(before: object, asked: object, happened: object) -> bool:
        """Pigs fly."""
        return False

    monkeypatch.setattr("cbtproofs.explorer.images.EXPECTED", ((pigs_fly, image_sightings.always),))
    found = explore_images(ImageScope(jobs=0, flight=False, switches=False))
    assert not found.good
    console = Console(width=118, record=True, file=io.StringIO())
    print_exploration([explore_scope(Scope(1, alphabet="small"))], console, None, [found])
    assert "never seen: pigs_fly" in console.export_text()


def test_a_specification_that_trips_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(stored: Stored[frozenset[int]], event: object) -> Happened[frozenset[int]]:
        raise KeyError("oops")

    monkeypatch.setattr(image, "close", trips)
    found = explore_images(ImageScope())
    assert [str(each) for each in found.failed] == ["TOTAL: the specification trips: KeyError: 'oops'"]
    assert found.history == (Close("d"),)


def test_a_limit_is_kept() -> None:
    with pytest.raises(TooLarge):
        explore_images(ImageScope(), limit=100)


def test_the_command_explores_images_with_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbtcheck.cli.explore.standard", lambda: ((Scope(1, alphabet="small"), False),))
    monkeypatch.setattr("cbtcheck.cli.explore.CHAINS", (1, 1))
    tiny = ImageScope(jobs=0, flight=False, switches=False, fails=False)
    monkeypatch.setattr("cbtcheck.cli.explore.standard_images", lambda: (tiny,))
    shown = CliRunner().invoke(main, ["explore"])
    assert shown.exit_code == 0
    assert "no bitmap that seems sound misses a write" in shown.stdout
    data = json.loads(CliRunner().invoke(main, ["explore", "--format", "json"]).stdout)
    (of_images,) = data["images"]
    assert (of_images["states"], of_images["never_seen"], of_images["violation"]) == (
        explore_images(tiny).states, [], None,
    )  # fmt: skip
    one_scope = CliRunner().invoke(main, ["explore", "--jobs", "0", "--format", "json"])
    assert json.loads(one_scope.stdout)["images"] == []
