"""Chains across restarts: what restores, what needs a full backup, and which event is to blame."""

from __future__ import annotations

from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow import chain_words
from cbtcheck.follow.chain_table import ChainTable
from cbtcheck.follow.chains import MOST_KEPT
from cbtcheck.follow.chains_of_frames import chains_of
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Restore, Scenario, Step
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

SIZE, G = 524288, 65536
ADD, ADD_TRANSIENT = Persist(c.AddBitmap("d", "b", G)), c.AddBitmap("d", "b", G)
CLOSE, OPEN, CRASH, OTHERS = Close("d"), Open("d"), Crash(), WrittenByOthers("d")
ANEW: tuple[Step, ...] = (c.RemoveBitmap("d", "b"), ADD)


def increment(job: str, bitmap: str = "b", mode: str = "on-success") -> c.StartBackup:
    return c.StartBackup(job, "d", "bitmap", bitmap, mode, G)  # type: ignore[arg-type]


def made(backup: c.StartBackup) -> tuple[Step, ...]:
    return backup, c.Copy(backup.job, 0, SIZE)


def full(job: str) -> c.StartBackup:
    return c.StartBackup(job, "d", "full", cluster=G)


def write(number: int) -> c.Write:
    return c.Write("d", number * G, 512)


BEGUN: tuple[Step, ...] = (ADD, *made(full("full")), write(1), *made(increment("one")), CLOSE, OPEN, write(2))
"""Nine commands: a full backup, an increment, and something to increment."""


def table_of(*steps: Step) -> ChainTable:
    frames, findings = course.replay(ReferenceAdapter(), Scenario({"d": SIZE}, steps, images=True))
    assert not findings
    return chains_of(frames, 512)


def gives(table: ChainTable) -> dict[str, str]:
    return {row.job: row.gives for row in table.rows}


def lost(table: ChainTable, job: str) -> list[tuple[str, str, int]]:
    """What is lost in a backup, for certain or perhaps; why; and the number of the command that is to blame."""
    [row] = (row for row in table.rows if row.job == job)
    return [(chain_words.ranges(each.blocks), each.why, each.blame.number) for each in row.lost]


def test_a_chain_goes_on_over_a_close() -> None:
    table = table_of(*BEGUN, CLOSE, OPEN, write(3), *made(increment("two")), Restore(("full", "one", "two")))
    assert gives(table) == {"full": "restores", "one": "restores", "two": "restores"}
    assert table.rows[-1].stacks_on == ("2",)
    assert table.right
    assert not table.no_increment


def test_so_it_does_over_a_reopening() -> None:
    again = Reopen("d", writable=False), Reopen("d", writable=True)
    table = table_of(*BEGUN, *again, write(3), *made(increment("two")), Restore(("full", "one", "two")))
    assert set(gives(table).values()) == {"restores"}


def test_after_a_crash_there_is_no_increment_and_the_table_says_so() -> None:
    table = table_of(*BEGUN, CRASH, OPEN, increment("refused"))
    assert gives(table) == {"full": "restores", "one": "restores"}
    assert [(each.bitmap, each.at.number) for each in table.no_increment] == [("b", 10)]
    assert chain_words.as_data(table)["no_increment"] == [
        {"node": "d", "bitmap": "b", "why": "d/b was left in use by a crash", "at": 10}
    ]
    told = "No increment with d/b any more, d/b was left in use by a crash: command 10 (crash)"
    assert told in chain_words.lines(table)


def test_a_bitmap_that_is_added_after_a_crash_lacks_what_the_old_one_owed() -> None:
    rest = *made(increment("two")), *made(full("again")), write(5), *made(increment("three"))
    table = table_of(*BEGUN, CRASH, OPEN, increment("refused"), write(3), *ANEW, write(4), *rest)
    assert gives(table) == {
        "full": "restores", "one": "restores", "two": "does not restore", "again": "restores", "three": "restores",
    }  # fmt: skip
    assert lost(table, "two") == [("128K+512, 192K+512", "d/b was left in use by a crash", 10)]
    assert table.rows[-1].stacks_on == ("4",)
    assert not table.no_increment


def test_so_does_one_with_another_name() -> None:
    other = Persist(c.AddBitmap("d", "other", G))
    table = table_of(*BEGUN, CRASH, OPEN, other, write(4), *made(increment("two", "other")))
    assert lost(table, "two") == [("128K+512", "d/b was left in use by a crash", 10)]


def test_what_was_in_flight_at_a_crash_is_lost_only_if_it_was_written() -> None:
    flight = c.BeginWrite("d", "w", 3 * G, 512)
    table = table_of(ADD, *made(full("full")), flight, CRASH, OPEN, ADD, *made(increment("one")))
    assert gives(table) == {"full": "restores", "one": "perhaps"}
    assert [(len(each.certain), chain_words.ranges(each.perhaps), each.blame.number)
            for each in table.rows[-1].lost] == [(0, "192K+512", 5)]  # fmt: skip
    assert chain_words.verdict(table) == "unsafe (the commands), if something was written then: one"
    assert not table.right


def test_beside_it_what_is_lost_for_certain_is_said_to_be() -> None:
    flight = c.BeginWrite("d", "w", 3 * G, 512)
    table = table_of(*BEGUN, flight, CRASH, OPEN, *ANEW, *made(increment("two")), write(5), *made(increment("three")))
    for row in table.rows[2:]:
        assert row.gives == "does not restore"
        [each] = row.lost
        assert (chain_words.ranges(each.certain), chain_words.ranges(each.perhaps)) == (
            "128K+512", "128K+512, 192K+512"
        )  # fmt: skip


def test_what_others_write_may_be_anywhere() -> None:
    rest = *made(increment("two")), *made(full("again"))
    table = table_of(*BEGUN, CLOSE, OTHERS, OPEN, ADD, write(4), *rest)
    assert gives(table) == {"full": "restores", "one": "restores", "two": "does not restore", "again": "restores"}
    [each] = table.rows[2].lost
    assert (each.why, each.blame.number) == ("the image was written by others", 11)
    assert (chain_words.ranges(each.certain), chain_words.ranges(each.perhaps)) == ("128K+512", "0+256K, 320K+192K")


def test_a_backup_that_a_close_cancels_leaves_its_bitmap_as_it_was() -> None:
    under_way = increment("two"), c.Copy("two", 0, G), write(3)
    table = table_of(*BEGUN, *under_way, CLOSE, OPEN, *made(increment("three")), Restore(("full", "one", "three")))
    assert gives(table) == {"full": "restores", "one": "restores", "three": "restores"}
    assert [(each.job, each.outcome, each.ended.number) for each in table.failed] == [("two", "cancelled", 13)]


def test_what_one_of_mode_always_has_copied_counts() -> None:
    under_way = write(3), increment("two", mode="always"), c.Copy("two", 0, 3 * G)
    all_four = Restore(("full", "one", "two", "three"))
    table = table_of(*BEGUN, *under_way, CLOSE, OPEN, *made(increment("three")), all_four)
    assert gives(table) == {"full": "restores", "one": "restores", "two": "in part", "three": "restores"}


def test_a_backup_that_a_crash_takes_along_is_none() -> None:
    name = "two"  # which the next one has, too
    table = table_of(*BEGUN, increment(name), write(3), CRASH, OPEN, *ANEW, *made(increment(name)))
    assert [(each.job, each.outcome, each.ended.number) for each in table.failed] == [(name, "gone", 12)]
    assert lost(table, name) == [("128K+512, 192K+512", "d/b was left in use by a crash", 12)]
    said = "No backup: two of d, begun by command 10"
    [told] = (each for each in chain_words.lines(table) if each.startswith(said))
    assert told.endswith("gone at command 12")


def test_a_full_backup_that_a_crash_takes_along_is_nothing_to_lay_anything_over() -> None:
    table = table_of(ADD, full("full"), CRASH, OPEN, ADD, write(1), *made(increment("one")))
    [(_, why, blame)] = lost(table, "one")
    assert (why, blame) == ("there is no backup to lay it over, full gone", 3)


def test_a_bitmap_that_is_not_to_be_stored_is_gone_with_a_close() -> None:
    begun = ADD_TRANSIENT, *made(full("full")), write(1), CLOSE, OPEN
    assert [(each.why, each.at.number) for each in table_of(*begun).no_increment] == [
        ("d/b was not to be stored, and gone with the close", 5)
    ]
    table = table_of(*begun, write(2), ADD_TRANSIENT, write(3), *made(increment("one")))
    why = "d/b was not to be stored, and gone with the close"
    assert lost(table, "one") == [("64K+512, 128K+512", why, 5)]


def test_one_that_was_never_stored_is_gone_with_a_crash() -> None:
    table = table_of(ADD, *made(full("full")), write(1), CRASH, OPEN, ADD, *made(increment("one")))
    assert lost(table, "one") == [("64K+512", "d/b was gone with a crash", 5)]


def test_a_bitmap_that_was_only_read_at_a_crash_is_as_good_as_before() -> None:
    read = CLOSE, Open("d", writable=False), CRASH, OPEN
    table = table_of(*BEGUN, *read, write(3), *made(increment("two")), Restore(("full", "one", "two")))
    assert set(gives(table).values()) == {"restores"}


def test_an_operator_who_removes_it_is_told_no_more_that_there_is_no_increment() -> None:
    assert not table_of(*BEGUN, CRASH, OPEN, c.RemoveBitmap("d", "b")).no_increment


def test_the_last_close_is_no_end_of_the_table() -> None:
    table = table_of(*BEGUN, CLOSE)
    assert set(gives(table).values()) == {"restores"}
    assert "lost" not in "".join(chain_words.lines(table))


def test_many_crashes_with_writes_in_flight_keep_no_more_than_others() -> None:
    steps: list[Step] = [ADD, *made(full("full"))]
    for number in range(MOST_KEPT + 10):
        flight = c.BeginWrite("d", "w", 3 * G, 512)
        steps += [*made(full(f"f{number}")), flight, CRASH, OPEN]
    table = table_of(*steps)
    assert set(gives(table).values()) == {"restores"}
    assert table.forgotten
