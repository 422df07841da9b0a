"""`cbtspec explore`: what it prints, how it ends, and that the page about it shows what happens."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import cbtmodel.backup
import pytest
from cbtcheck.cli.command import main
from cbtcheck.cli.counterexample import frames_of
from cbtcheck.cli.explored import print_exploration, to_plain
from cbtcheck.report.picture import picture_text
from cbtcheck.scenario.scenario import KINDS
from cbtproofs.explorer import sometimes
from cbtproofs.explorer.diagram import Unreadable, diagram, dot, mermaid
from cbtproofs.explorer.exploration import explore_scope
from cbtproofs.explorer.scopes import Scope, standard
from click.testing import CliRunner, Result
from rich.console import Console

PAGE = (Path(__file__).parents[2] / "docs/understand/exploring.md").read_text()
SMALL = Scope(2, alphabet="small")


def explore(*options: str) -> Result:
    return CliRunner().invoke(main, ["explore", *options])


def shown(mark: str) -> str:
    """A block of the page."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```\n<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def no_copy_before_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def before_write(space: Any, job: Any, blocks: Any, size: int) -> Any:
        return cbtmodel.backup.content_changes(job, blocks)

    monkeypatch.setattr(cbtmodel.backup, "before_write", before_write)


def test_the_page_shows_the_diagram_that_is_drawn() -> None:
    result = explore("--mermaid", "-")
    assert result.exit_code == 0
    assert result.stdout == shown("output: cbtspec explore --mermaid -")


@pytest.mark.usefixtures("no_copy_before_write")
def test_the_page_shows_the_violation_that_is_found() -> None:
    outcome = explore_scope(SMALL)
    assert outcome.violation is not None
    text = picture_text(frames_of(SMALL, outcome.violation))
    assert f"{outcome.violation}\n{text}" == shown("violation")


def test_the_diagram_has_every_phase_of_the_scope() -> None:
    drawn = diagram(SMALL)
    assert len(drawn.states) == 5
    for render in (mermaid, dot):
        text = render(drawn)
        for word in ("absent", "free", "frozen", "running", "paused", "pending", "finalize-job (completed)"):
            assert word in text
    commands = {each.partition(" ")[0] for labels in drawn.arrows.values() for each in labels}
    assert commands < set(KINDS), "as they are spelled in scenarios"


def test_a_diagram_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(Unreadable, match="control states are too many"):
        diagram(Scope(1, bitmaps=5, jobs=1, alphabet="small"))


def test_a_scope_is_explored_and_reported() -> None:
    result = explore("--blocks", "1")
    assert result.exit_code == 0
    assert re.search(r"1 block, 1 bitmap, 1 job, 1 node, small +31 +124 ", result.stdout)
    assert "All that was checked holds, in all of 31 states" in result.stdout


def test_json_has_what_the_report_has() -> None:
    result = explore("--blocks", "4", "--format", "json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    (scope,) = data["scopes"]
    assert data["good"] is True
    assert (scope["blocks"], scope["symmetry"], scope["states"], scope["never_seen"]) == (4, True, 621, [])
    assert data["properties"]["NO-LOST-WRITE"]["claims"] > 0
    assert data["properties"]["BATCH"]["claims"] == 0
    assert scope["not_checked"] == ["BATCH"]


@pytest.mark.usefixtures("no_copy_before_write")
def test_a_violation_ends_with_its_code_and_a_picture() -> None:
    result = explore("--blocks", "2")
    assert result.exit_code == 2
    assert "violated" in result.stdout
    assert "the copied data are wrong (POINT-IN-TIME)" in result.stdout
    assert "All that was checked holds" not in result.stdout
    data = to_plain([explore_scope(SMALL)])
    assert [each["do"] for each in data["scopes"][0]["violation"]["commands"]] == [
        "add-bitmap", "write", "start-backup", "write",
    ]  # fmt: skip


def test_what_was_never_seen_ends_with_that_code_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def pigs_fly(before: Any, command: Any, step: Any) -> bool:
        """Pigs fly."""
        return False

    monkeypatch.setattr(sometimes, "EXPECTED", (*sometimes.EXPECTED, (pigs_fly, sometimes.a_bitmap_and_a_job)))
    result = explore("--blocks", "1")
    assert result.exit_code == 2
    assert "never seen: pigs_fly" in result.stdout


def test_a_property_that_was_not_checked_is_not_said_to_hold() -> None:
    outcome = explore_scope(Scope(1, jobs=0, alphabet="small"))
    console = Console(width=118, record=True, file=io.StringIO())
    print_exploration([outcome], console)
    text = console.export_text()
    assert re.search(r"DELIVERED +0 +not checked", text)
    assert re.search(r"small: no claim of [A-Z, -]*DELIVERED, [A-Z, -]+ was checked", text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--blocks", "3", "--limit", "100"), "more than 100 states; make the scope smaller"),
        (("--blocks", "9", "--limit", "100"), "more than 100 states"),
        (("--granularity", "3"), "a power of two, not 3"),
        (("--granularity", "2", "--symmetry"), "not interchangeable"),
        (("--jobs", "9"), "9"),
    ],
)
def test_what_a_caller_gets_wrong_is_said_in_one_line(options: tuple[str, ...], says: str) -> None:
    result = explore(*options)
    assert result.exit_code == 64
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_diagram_that_cannot_be_written_is_said_in_one_line() -> None:
    result = explore("--blocks", "1", "--mermaid", "/nowhere/at/all")
    assert result.exit_code == 74
    assert result.stderr == (
        "cbtspec: --mermaid: /nowhere/at/all cannot be written: No such file or directory; name another file\n"
    )


def test_the_standard_scopes_have_all_that_is_ever_to_be_seen() -> None:
    for predicate, where in sometimes.EXPECTED:
        assert any(where(scope) for scope, _ in standard()), predicate.__name__
        assert sometimes.meaning(predicate).endswith("."), predicate.__name__
