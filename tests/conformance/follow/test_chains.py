"""Chains: what a history's backups give back, and which command is to blame where they do not."""

import re
from pathlib import Path

import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow import chain_words
from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.follow.chains import MOST_FOLLOWED, MOST_KEPT
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Restore, Scenario, load
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from click.testing import CliRunner

ROOT = Path(__file__).parents[3]
WRONG, PAGE = ROOT / "examples/wrong-orders", ROOT / "docs/use/chains.md"
SIZE, GRANULE = 524288, 65536


def table_of(scenario: Scenario) -> ChainTable:
    frames, findings = course.replay(ReferenceAdapter(), scenario)
    assert not findings
    return chains_of(frames, scenario.block)


def of(*commands: c.Command, disks: dict[str, int] | None = None) -> ChainTable:
    return table_of(Scenario(disks or {"d": SIZE}, commands))


def add(name: str = "b") -> c.AddBitmap:
    return c.AddBitmap("d", name, GRANULE)


def full(job: str, bitmap: str | None = None, mode: str | None = None, node: str = "d") -> c.StartBackup:
    return c.StartBackup(job, node, "full", bitmap, mode, GRANULE)  # type: ignore[arg-type]


def increment(job: str, bitmap: str = "b", mode: str = "on-success") -> c.StartBackup:
    return c.StartBackup(job, "d", "bitmap", bitmap, mode, GRANULE)  # type: ignore[arg-type]


def copy(job: str, length: int = SIZE) -> c.Copy:
    return c.Copy(job, 0, length)


def write(number: int, node: str = "d") -> c.Write:
    return c.Write(node, number * GRANULE, 512)


IN_STEP = (c.Transaction((add(), full("full"))), copy("full"))

LOST = {  # the ranges that are lost, and the number of the command that is to blame
    "1-cleared-when-the-full-has-ended": ("0+64K", 5),
    "2-added-when-the-full-has-ended": ("0+128K", 5),
    "3-cleared-when-the-increment-has-ended": ("192K+64K", 7),
    "4-increments-on-a-full-that-was-cancelled": ("64K+448K", 3),
    "5-disabled-between-two-increments": ("128K+64K", 6),
    "6-removed-and-added-again": ("0+128K", 4),
    "7-a-checkpoint-of-another-instant": ("320K+64K", 4),
    "8-a-clear-that-nobody-needs": ("0+64K", 4),
}


def test_every_wrong_order_is_in_the_list_and_on_the_page() -> None:
    assert {path.stem for path in WRONG.glob("*.json")} == LOST.keys()
    rows = re.findall(r"^\| `(\d[\w-]+)` \| (\S+) \|", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {name: lost for name, (lost, _) in LOST.items()}


SHOWN = re.findall(r"<!-- output: cbtspec (.*?) -->\n```\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=["a wrong order", "a restart", "a log"])
def test_the_page_shows_what_is_printed(command: str, shown: str) -> None:
    done = CliRunner().invoke(main, [str(ROOT / word) if "/" in word else word for word in command.split()])
    assert done.exit_code == 7
    assert done.output.endswith(shown)


@pytest.mark.parametrize("name", LOST)
def test_a_wrong_order_loses_this_and_this_command_is_to_blame(name: str) -> None:
    table = table_of(load(WRONG / f"{name}.json"))
    last = table.rows[-1]
    assert table.unsafe
    assert [(chain_words.ranges(each.certain), each.blame.number) for each in last.lost] == [LOST[name]]
    below = next((row.began for row in reversed(table.rows[:-1])), None)
    assert below is None or all(below <= each.first <= each.last for each in last.lost), "changed after what is below"
    assert all(row.gives == "restores" for row in table.rows[:-1])


@pytest.mark.parametrize("name", workflows())
def test_what_users_do_right_restores(name: str) -> None:
    table = table_of(workflows()[name])
    assert table.rows
    assert {row.gives for row in table.rows} <= {"restores", "in part"}
    assert chain_words.verdict(table) == ""


@pytest.mark.parametrize("name", workflows())
def test_a_chain_that_is_restored_for_real_is_one_that_the_table_says_restores(name: str) -> None:
    scenario = workflows()[name]
    rows = {row.job: row for row in table_of(scenario).rows}
    for each in scenario.commands:
        if isinstance(each, Restore):
            *below, last = (rows[job] for job in each.jobs)
            assert not below or below[-1].number in last.stacks_on
            assert last.gives == "restores"


def test_a_clear_with_a_new_full_backup_at_its_instant_waives_nothing() -> None:
    anew = c.Transaction((c.ClearBitmap("d", "b"), full("again")))
    table = of(*IN_STEP, write(1), anew, write(2), copy("again"), increment("inc"), copy("inc"))
    assert [row.gives for row in table.rows] == ["restores"] * 3
    assert not table.waived


def test_what_the_last_clear_has_waived_is_said_although_no_increment_lacks_it_yet() -> None:
    table = of(*IN_STEP, write(1), c.ClearBitmap("d", "b"))
    waived = [(each.bitmap, each.at.number, each.certain.extents()) for each in table.waived]
    assert waived == [("b", 4, [(65536, 512)])]
    assert not table.unsafe


def test_a_backup_that_had_begun_before_does_not_have_what_was_waived() -> None:
    table = of(add(), full("full"), write(1), c.ClearBitmap("d", "b"), copy("full"))
    assert [(each.at.number, chain_words.ranges(each.certain)) for each in table.waived] == [(4, "64K+512")]


def test_a_command_that_came_after_an_increment_is_not_to_blame_for_what_that_lacks() -> None:
    away = (c.DisableBitmap("d", "b"), write(1), c.EnableBitmap("d", "b"))
    table = of(*IN_STEP, *away, increment("inc"), copy("inc"), write(1), c.ClearBitmap("d", "b"))
    assert [(each.why, each.blame.number) for each in table.rows[1].lost] == [("written while d/b was disabled", 3)]


def test_a_full_backup_that_comes_later_has_what_was_waived() -> None:
    assert not of(*IN_STEP, write(1), c.ClearBitmap("d", "b"), full("again"), copy("again")).waived


def test_an_increment_that_failed_and_is_repeated_stacks() -> None:
    table = of(
        *IN_STEP, write(1), increment("one"), write(2), c.CancelJob("one"), write(3), increment("two"), copy("two")
    )
    assert [(row.job, row.gives, row.stacks_on) for row in table.rows] == [
        ("full", "restores", ()), ("two", "restores", ("1",)),
    ]  # fmt: skip
    assert [(each.job, each.outcome, each.ended.number) for each in table.failed] == [("one", "cancelled", 6)]


def test_what_a_cancelled_best_effort_job_left_is_made_good_by_the_next_one() -> None:
    table = of(
        *IN_STEP, write(1), write(2), increment("one", mode="always"), copy("one", 2 * GRANULE), c.CancelJob("one"),
        increment("two"), copy("two"),
    )  # fmt: skip
    assert [(row.job, row.gives) for row in table.rows] == [
        ("full", "restores"), ("one", "in part"), ("two", "restores"),
    ]  # fmt: skip
    assert table.rows[2].stacks_on == ("2",)
    assert table.rows[2].not_on == ("1",)


def test_differentials_stack_on_the_full_backup_each() -> None:
    table = of(
        *IN_STEP, write(1), increment("one", mode="never"), copy("one"), write(2), increment("two", mode="never"),
        copy("two"),
    )  # fmt: skip
    assert table.rows[2].stacks_on == ("2", "1")


def test_two_disks_at_one_instant_or_not() -> None:
    disks = {"d": SIZE, "e": SIZE}
    together = of(c.Transaction((full("j"), full("k", node="e"))), copy("j"), copy("k"), disks=disks)
    apart = of(full("j"), full("k", node="e"), copy("j"), copy("k"), disks=disks)
    assert any(line.startswith("One instant for d and e") for line in chain_words.lines(together))
    assert any(line.startswith("No instant is shared by d and e") for line in chain_words.lines(apart))


def test_a_write_that_is_in_flight_when_the_bitmap_is_disabled_is_lost_by_the_disable() -> None:
    begun = (c.BeginWrite("d", "w", GRANULE, 512), c.DisableBitmap("d", "b"), c.EndWrite("d", "w"))
    table = of(*IN_STEP, *begun, c.EnableBitmap("d", "b"), increment("inc"), copy("inc"))
    assert [(each.why, each.blame.number) for each in table.rows[1].lost] == [("written while d/b was disabled", 4)]


def test_what_is_older_than_can_be_kept_is_forgotten_and_said() -> None:
    most = MOST_KEPT + MOST_FOLLOWED
    many = [each for number in range(most + 3) for each in (full(f"j{number}"), copy(f"j{number}"))]
    table = of(*many)
    assert (len(table.rows), table.forgotten) == (most, 3)
    assert [int(row.number) for row in table.rows] == list(range(4, most + 4))
    assert any("3 oldest backups" in line for line in chain_words.lines(table))


def test_increments_stack_on_the_youngest_ones_however_many_there_are() -> None:
    many = [
        each
        for number in range(MOST_FOLLOWED + 5)
        for each in (write(number % 8), increment(f"i{number}"), copy(f"i{number}"))
    ]
    table = of(*IN_STEP, *many, write(3), c.ClearBitmap("d", "b"), write(1), increment("last"), copy("last"))
    assert [row.gives for row in table.rows[:-1]] == ["restores"] * (len(table.rows) - 1)
    assert table.rows[-2].stacks_on == (table.rows[-3].number,)
    assert [chain_words.ranges(each.certain) for each in table.rows[-1].lost] == ["192K+512"]


def test_an_increment_of_which_the_full_backup_is_not_in_the_history_accuses_nobody() -> None:
    table = of(add(), write(1), increment("one"), copy("one"), write(2), increment("two"), copy("two"))
    assert [(row.gives, row.stacks_on) for row in table.rows] == [("assumed", ()), ("restores", ("1",))]
    assert not table.unsafe


def test_but_what_is_lost_after_it_is_lost() -> None:
    table = of(
        add(), write(1), increment("one"), copy("one"), write(2), c.ClearBitmap("d", "b"), write(3), increment("two"),
        copy("two"),
    )  # fmt: skip
    assert [chain_words.ranges(each.certain) for each in table.rows[1].lost] == ["128K+512"]
    assert table.unsafe
