"""Concurrent endings are explained: some order gives every reply that was seen, or the difference is shown."""

from cbtcheck.adapter import ACCEPTED, Reply
from cbtcheck.adapters.qemu.gate import Passed
from cbtcheck.adapters.qemu.order import Trace, copies, explains, explanation, orders
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.node import State, initial
from cbtmodel.step import step

CLUSTER = 65536
BUSY = Reply("busy", "in use")
CLEAR = c.Transaction((c.ClearBitmap("d", "b"),))


def after(*commands: Command) -> State[Bits]:
    state = initial(BitSets(), {"d": 2 * CLUSTER, "e": 2 * CLUSTER})
    for each in commands:
        result = step(state, each)
        assert result.refusal is None, result.refusal
        state = result.state
    return state


def clusters(*numbers: int, begun: int | None = None) -> list[Passed]:
    return [Passed(number * CLUSTER, (number + 1) * CLUSTER, number == begun) for number in numbers]


def copied(*numbers: int, job: str = "j") -> Trace:
    return [(c.Copy(job, number * CLUSTER, CLUSTER), ACCEPTED) for number in numbers]


RUNNING = after(c.AddBitmap("d", "b", CLUSTER), c.StartBackup("j", "d", "full", "b", "on-success"))


# Copies as commands


def test_copies_are_commands_in_the_order_of_their_arrival() -> None:
    assert copies("j", clusters(1, 0), False) == copied(1, 0)


def test_a_copy_that_was_begun_ends() -> None:
    assert copies("j", clusters(0, 1, begun=0), False) == [(c.EndCopy("j"), ACCEPTED), *copied(1)]


def test_the_last_copy_may_stay_in_flight() -> None:
    left = [(c.BeginCopy("j", CLUSTER, CLUSTER), ACCEPTED)]
    assert copies("j", clusters(0, 1), True) == [*copied(0), *left]


def test_a_copy_that_was_begun_and_stays_in_flight_is_no_news() -> None:
    assert copies("j", clusters(0, begun=0), True) == []
    assert copies("j", [], True) == []


# Which order it was


def explained(asked: tuple[Command, Reply], made: dict[str, list[Passed]]) -> Trace:
    return explanation(RUNNING, orders(asked, made, [], []))


def test_a_command_that_was_accepted_although_the_bitmap_was_in_use_came_after_the_end_of_the_job() -> None:
    trace = explained((CLEAR, ACCEPTED), {"j": clusters(0, 1)})
    assert trace == [*copied(0, 1), (CLEAR, ACCEPTED)]
    assert explains(RUNNING, trace)


def test_a_command_that_was_refused_because_the_bitmap_was_in_use_came_before_the_end_of_the_job() -> None:
    trace = explained((CLEAR, BUSY), {"j": clusters(0, 1)})
    assert trace == [(CLEAR, BUSY), *copied(0, 1)]
    assert explains(RUNNING, trace)


def test_a_command_that_was_refused_for_another_reason_may_have_come_after_the_end_of_the_job() -> None:
    again = c.Transaction((c.AddBitmap("d", "b", CLUSTER), c.ClearBitmap("d", "b")))
    exists = Reply("exists", "Bitmap already exists")
    assert explains(RUNNING, explained((again, exists), {"j": clusters(0, 1)}))
    gone = c.Transaction((c.ClearBitmap("d", "b"), c.ClearBitmap("d", "other")))
    trace = explained((gone, Reply("not found", "")), {"j": clusters(0, 1)})
    assert trace == [*copied(0, 1), (gone, Reply("not found", ""))]


def test_a_start_leaves_the_last_copy_in_flight_where_the_drain_of_the_specification_ends_it() -> None:
    """Both are right if the job does not end; the first that explains the replies is taken."""
    start = (c.StartBackup("k", "d", "full"), ACCEPTED)
    trace = explanation(RUNNING, orders(start, {"j": clusters(0)}, [], []))
    assert trace == [(c.BeginCopy("j", 0, CLUSTER), ACCEPTED), start]
    assert explains(RUNNING, trace)


def test_each_job_may_have_ended_before_or_after() -> None:
    asked = (c.Transaction(()), ACCEPTED)
    two = {"j": clusters(0), "k": clusters(1)}
    assert len(list(orders(asked, two, [], []))) == 4
    assert len(list(orders(asked, {}, [], []))) == 1


def test_guest_writes_that_were_let_go_end_after_the_command() -> None:
    end = (c.EndWrite("d", "w"), ACCEPTED)
    for reply in (ACCEPTED, BUSY):
        for trace in orders((CLEAR, reply), {"j": clusters(0)}, [end], []):
            assert trace[-1] == end


def test_what_ended_on_another_disk_may_have_ended_before_or_after() -> None:
    """A start on one disk drains all others too, where a job may give its bitmap back just in time, or too late."""
    state = after(
        c.AddBitmap("d", "b", CLUSTER), c.AddBitmap("e", "b", CLUSTER),
        c.StartBackup("k", "e", "full", "b", "on-success"), c.Copy("k", 0, CLUSTER),
    )  # fmt: skip
    elsewhere = copied(1, job="k")
    start = c.StartBackup("n", "e", "full", "b", "on-success")
    for reply, first in ((BUSY, start), (ACCEPTED, elsewhere[0][0])):
        trace = explanation(state, orders((start, reply), {}, [], elsewhere))
        assert explains(state, trace)
        assert trace[0][0] == first


def test_if_no_order_explains_it_the_first_is_taken_and_differs() -> None:
    impossible = (CLEAR, Reply("size mismatch", "nonsense"))
    candidates = list(orders(impossible, {"j": clusters(0)}, [], []))
    assert not any(explains(RUNNING, each) for each in candidates)
    assert explanation(RUNNING, iter(candidates)) == candidates[0]


def test_a_trace_is_followed_state_by_state() -> None:
    assert explains(RUNNING, [(CLEAR, BUSY), *copied(0, 1), (CLEAR, ACCEPTED)])
    assert not explains(RUNNING, [*copied(0), (CLEAR, ACCEPTED)])
    assert not explains(RUNNING, [*copied(0, 1), (CLEAR, BUSY)])
