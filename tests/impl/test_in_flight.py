"""Writes and copies that take a while, and who waits for whom."""

import errno

import pytest
from cbtimpl import BitmapAdd, BitmapClear, BitmapDisable, Refused
from cbtimpl.observation import describe

K = 65536


def test_a_write_lands_and_is_recorded_at_its_end(tracked):
    tracked.host.begin_write("n", "w", 7 * K, b"new")
    assert 7 not in tracked.dirty()
    assert tracked.source.read(7 * K, 3) == bytes(3)
    assert tracked.host.end_write("n", "w") is None
    assert 7 in tracked.dirty()
    assert tracked.source.read(7 * K, 3) == b"new"


def test_a_write_is_recorded_by_what_records_when_it_ends(tracked):
    host = tracked.host
    host.begin_write("n", "w", 7 * K, b"new")
    host.bitmap_clear("n", "b")
    host.bitmap_add("n", "late")
    host.bitmap_add("n", "off")
    host.bitmap_disable("n", "off")
    host.end_write("n", "w")
    assert (tracked.dirty(), tracked.dirty("late"), tracked.dirty("off")) == ({7}, {7}, set())


@pytest.mark.parametrize("land", [False, True])
def test_a_failed_write_is_recorded_whether_it_landed_or_not(tracked, land):
    tracked.host.begin_write("n", "w", 7 * K, b"new")
    error = tracked.host.end_write("n", "w", error=errno.EIO, land=land)
    assert error is not None
    assert error.errno == errno.EIO
    assert 7 in tracked.dirty()
    assert tracked.source.read(7 * K, 3) == (b"new" if land else bytes(3))


def test_a_job_waits_for_the_writes_of_its_source_alone(tracked):
    tracked.host.add_node("m", 16 * K)
    tracked.host.begin_write("n", "w", 7 * K, b"new")
    tracked.host.begin_write("m", "w", 0, b"new")
    target = tracked.backup()
    assert tracked.work() == {1, 3, 5, 7}, "the write was before the job"
    assert tracked.successor() == set()
    assert list(tracked.host.nodes["m"].writes) == ["w"]
    assert tracked.host.take_drained() == [("n", "w", None)]
    tracked.host.run("j")
    assert target.read(7 * K, 3) == b"new"


def test_a_transaction_waits_for_all_writes_and_copies(tracked):
    tracked.host.add_node("m", 16 * K)
    tracked.host.begin_write("m", "w", 0, b"new")
    tracked.backup()
    tracked.host.begin_write("n", "w", 7 * K, b"new")
    tracked.host.begin_copy("j", 3 * K, 1)
    tracked.host.bitmap_add("n", "old")
    tracked.host.transaction([BitmapDisable("n", "old"), BitmapAdd("n", "new")])
    assert tracked.host.nodes["m"].writes == {}
    assert (tracked.dirty("old"), tracked.dirty("new")) == ({7}, set())
    assert tracked.work() == {1, 5}
    assert tracked.host.jobs["j"].in_flight is None


def test_a_refused_command_waits_for_nothing(tracked):
    tracked.backup()
    tracked.host.begin_write("n", "w", 7 * K, b"new")
    tracked.host.begin_copy("j", 3 * K, 1)
    before = describe(tracked.host)
    for command in [
        lambda: tracked.backup("k"),
        lambda: tracked.host.transaction([BitmapAdd("n", "x"), BitmapClear("n", "b")]),
    ]:
        with pytest.raises(Refused, match="currently in use"):
            command()
        assert describe(tracked.host) == before


def test_a_copy_holds_the_content_of_its_beginning_and_a_guest_write_waits_for_it(tracked):
    target = tracked.backup()
    old = tracked.source.read(3 * K, K)
    assert tracked.host.begin_copy("j", 3 * K, 1) == [(3, 4)]
    assert tracked.work() == {1, 5}
    tracked.write(8)
    assert tracked.host.jobs["j"].in_flight is not None, "another cluster does not wait"
    tracked.write(3, byte=b"n")
    assert tracked.host.jobs["j"].in_flight is None
    assert target.read(3 * K, K) == old


def test_a_copy_in_flight_that_fails_goes_back_on_the_list(tracked):
    tracked.backup(on_target_error="ignore")
    tracked.host.begin_copy("j", 0, 16 * K)
    assert tracked.work() == set()
    tracked.host.end_copy("j", error=errno.EIO, side="target")
    assert tracked.work() == {1, 3, 5}
    tracked.host.begin_copy("j", 0, 16 * K)
    tracked.host.end_copy("j")
    assert tracked.outcomes() == [("j", "completed")]


def test_a_copy_in_flight_may_end_while_paused(tracked):
    tracked.backup()
    tracked.host.begin_copy("j", 0, 16 * K)
    tracked.host.pause("j")
    tracked.host.end_copy("j")
    assert tracked.host.jobs["j"].phase == "paused"
    tracked.host.resume("j")
    assert tracked.outcomes() == [("j", "completed")]


def test_a_copy_in_flight_ends_before_its_job_is_cancelled(tracked):
    target = tracked.backup(sync="bitmap", bitmap_mode="always")
    tracked.host.begin_copy("j", 3 * K, 1)
    tracked.host.cancel("j")
    assert tracked.dirty() == {1, 5}
    assert target.read(3 * K, K) == tracked.source.read(3 * K, K)


def test_copy_before_write_is_done_when_a_write_begins(tracked):
    target = tracked.backup()
    old = tracked.source.read(3 * K, K)
    tracked.host.begin_write("n", "w", 3 * K, b"new")
    assert target.read(3 * K, K) == old
    tracked.host.run("j")
    assert tracked.outcomes() == [("j", "completed")]
    tracked.host.end_write("n", "w")
    assert tracked.dirty() == {3}


def test_a_job_that_a_drained_copy_fails_ends_after_the_transaction(tracked):
    target = tracked.backup()
    target.arm("write")
    tracked.host.begin_copy("j", 3 * K, 1)
    tracked.host.transaction([BitmapAdd("n", "x")])
    assert tracked.outcomes() == [("j", "failed")]
    assert tracked.dirty() == {1, 3, 5}
