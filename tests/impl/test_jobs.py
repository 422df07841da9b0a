"""Backup jobs: what they copy, when, what they do about errors, and what becomes of the bitmap."""

import errno

import pytest
from cbtimpl.errors import CopyFailed

K = 65536


def test_an_incremental_copies_the_dirty_clusters_and_the_successor_takes_the_name(tracked, image):
    target = tracked.backup()
    assert tracked.work() == {1, 3, 5}
    tracked.write(8)
    assert (tracked.dirty(), tracked.successor()) == ({1, 3, 5}, {8})
    assert tracked.host.nodes["n"].bitmaps["b"].recording
    tracked.host.run("j")
    assert tracked.outcomes() == [("j", "completed")]
    assert tracked.dirty() == {8}
    expected = bytearray(image(tracked.source))
    expected[8 * K : 9 * K] = bytes(K)
    assert image(target) == bytes(expected)


def test_each_increment_of_a_chain_restores_its_own_moment(tracked, image):
    restored = bytearray(16 * K)
    for number in range(4):
        moment = image(tracked.source)
        target = tracked.backup(f"j{number}")
        selected = tracked.work(f"j{number}")
        tracked.write(number, 15 - number, byte=bytes([65 + number]))
        tracked.host.run(f"j{number}")
        for cluster in selected:
            restored[cluster * K : (cluster + 1) * K] = target.read(cluster * K, K)
        assert bytes(restored) == moment


@pytest.mark.parametrize("cluster", [512, 4096, K, 4 * K])
def test_the_target_holds_the_moment_of_the_start_whatever_the_guest_does(tracked, image, cluster):
    moment = image(tracked.source)
    target = tracked.backup(sync="full", cluster=cluster)
    tracked.write(0, 2, 4, byte=b"new")
    tracked.host.zeroes("n", K + 7, 5 * K)
    tracked.host.run("j")
    assert image(target) == moment
    assert tracked.outcomes() == [("j", "completed")]


def test_clusters_are_selected_outwards(scene):
    scene.host.bitmap_add("n", "b", granularity=4096)
    scene.host.write("n", 3 * K + 4096, b"x")
    scene.backup()
    assert scene.work() == {3}


def test_a_cluster_is_copied_before_the_guest_changes_it_and_only_once(tracked):
    target = tracked.backup()
    old = tracked.source.read(3 * K, K)
    tracked.write(3, byte=b"1")
    tracked.write(3, byte=b"2")
    assert target.read(3 * K, K) == old
    assert tracked.work() == {1, 5}
    assert set(tracked.host.jobs["j"].copied.granules()) == {3}


def test_a_cluster_that_was_not_selected_never_reaches_the_target(tracked):
    target = tracked.backup()
    tracked.write(2)
    assert not any(target.read(2 * K, K))


def test_a_guest_write_that_cannot_be_copied_first_is_refused(tracked, image):
    target = tracked.backup()
    before = image(tracked.source)
    target.arm("write", 3 * K, K)
    with pytest.raises(CopyFailed) as caught:
        tracked.host.write("n", K, b"y" * (5 * K))
    assert (caught.value.kind, caught.value.error.errno) == ("copy failed", errno.EIO)
    assert image(tracked.source) == before
    assert tracked.work() == {3, 5}, "what was copied stays copied"
    assert tracked.successor() == set()
    assert tracked.host.jobs["j"].phase == "running"


def test_a_discard_is_swallowed_while_a_job_is_on_the_node(tracked, image):
    before = image(tracked.source)
    tracked.backup()
    tracked.host.discard("n", 0, 16 * K)
    assert image(tracked.source) == before
    assert tracked.successor() == set()
    assert tracked.work() == {1, 3, 5}


def test_each_job_has_its_own_moment(tracked, image):
    first = tracked.backup("j1", sync="full")
    moment1 = image(tracked.source)
    tracked.write(4, byte=b"1")
    second = tracked.backup("j2", sync="full")
    moment2 = image(tracked.source)
    tracked.write(4, byte=b"2")
    tracked.host.run("j2")
    tracked.host.run("j1")
    assert (image(first), image(second)) == (moment1, moment2)


OUTCOMES = [
    # sync, mode, clusters copied of {1, 3, 5} or all, success, then with a write to 8: dirty
    ("incremental", None, True, {8}),
    ("incremental", None, False, {1, 3, 5, 8}),
    ("bitmap", "on-success", True, {8}),
    ("bitmap", "on-success", False, {1, 3, 5, 8}),
    ("bitmap", "never", True, {1, 3, 5, 8}),
    ("bitmap", "never", False, {1, 3, 5, 8}),
    ("bitmap", "always", True, {8}),
    ("bitmap", "always", False, {3, 5, 8}),
    ("full", "on-success", True, {8}),
    ("full", "on-success", False, {1, 3, 5, 8}),
    ("full", "always", True, {8}),
    ("full", "always", False, set(range(16)) - {1}),
]


@pytest.mark.parametrize(("sync", "mode", "success", "dirty"), OUTCOMES)
def test_the_bitmap_after_the_job(tracked, sync, mode, success, dirty):
    tracked.backup(sync=sync, bitmap="b", bitmap_mode=mode)
    tracked.write(8)
    tracked.copy(1)
    if success:
        tracked.host.run("j")
    else:
        tracked.host.cancel("j")
    assert tracked.outcomes() == [("j", "completed" if success else "cancelled")]
    # in a full job the write to 8 was copied first, and is dirty because it was written
    assert tracked.dirty() == dirty
    bitmap = tracked.host.nodes["n"].bitmaps["b"]
    assert (bitmap.busy, bitmap.frozen, bitmap.recording, bitmap.name) == (False, False, True, "b")


def test_leftovers_are_widened_to_clusters(scene):
    scene.host.bitmap_add("n", "b", granularity=4096)
    scene.host.write("n", 0, b"x")
    scene.backup(sync="bitmap", bitmap_mode="always")
    scene.host.cancel("j")
    assert scene.dirty() == set(range(16))


def test_a_disabled_bitmap_stays_disabled_through_a_job(tracked):
    tracked.host.bitmap_disable("n", "b")
    tracked.backup()
    tracked.write(8)
    tracked.host.run("j")
    assert tracked.dirty() == set()
    assert not tracked.host.nodes["n"].bitmaps["b"].recording


def test_nothing_to_copy_is_done_at_once(scene):
    scene.host.bitmap_add("n", "b")
    scene.backup()
    assert scene.outcomes() == [("j", "completed")]
    assert scene.host.jobs == {}


def test_copy_before_write_can_finish_a_job(tracked):
    tracked.backup()
    tracked.write(1, 3, 5)
    assert tracked.outcomes() == [("j", "completed")]
    assert tracked.dirty() == {1, 3, 5}


def test_a_job_that_is_not_to_finalize_itself_waits_frozen(tracked):
    tracked.backup(auto_finalize=False)
    tracked.host.run("j")
    assert tracked.host.jobs["j"].phase == "pending"
    tracked.write(9)
    assert (tracked.dirty(), tracked.successor()) == ({1, 3, 5}, {9})
    tracked.host.finalize("j")
    assert tracked.dirty() == {9}


def test_a_job_cancelled_while_pending_has_nothing_left_over(tracked):
    tracked.backup(sync="bitmap", bitmap_mode="always", auto_finalize=False)
    tracked.host.run("j")
    tracked.host.cancel("j")
    assert tracked.outcomes() == [("j", "cancelled")]
    assert tracked.dirty() == set()


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("injected", [True, False])
def test_report_fails_the_job(tracked, side, injected):
    target = tracked.backup()
    if injected:
        tracked.host.copy("j", 3 * K, K, error=errno.EIO, side=side)
    else:
        (tracked.source if side == "source" else target).arm("read" if side == "source" else "write", 3 * K, K)
        tracked.host.run("j")
    assert tracked.outcomes() == [("j", "failed")]
    assert tracked.dirty() == {1, 3, 5}


def test_ignore_tries_again(tracked):
    target = tracked.backup(on_target_error="ignore")
    target.arm("write", 3 * K, K)
    tracked.copy(3)
    assert tracked.work() == {1, 3, 5}
    tracked.host.run("j")
    assert tracked.outcomes() == [("j", "completed")]


def test_ignore_does_not_try_for_ever(tracked):
    target = tracked.backup(on_target_error="ignore")
    target.arm("write", 3 * K, K, count=None)
    tracked.host.run("j")
    assert tracked.work() == {3}
    assert tracked.host.jobs["j"].phase == "running"


def test_stop_pauses_until_resumed(tracked):
    tracked.backup(on_source_error="stop")
    tracked.source.arm("read", 3 * K, K)
    tracked.host.run("j")
    assert tracked.host.jobs["j"].phase == "paused"
    assert tracked.work() == {3, 5}
    tracked.host.resume("j")
    tracked.host.run("j")
    assert tracked.outcomes() == [("j", "completed")]


def test_a_policy_is_for_its_own_side(tracked):
    tracked.backup(on_source_error="ignore", on_target_error="stop")
    tracked.host.copy_next("j", error=errno.EIO, side="source")
    assert tracked.host.jobs["j"].phase == "running"
    tracked.host.copy_next("j", error=errno.EIO, side="target")
    assert tracked.host.jobs["j"].phase == "paused"


def test_a_paused_job_copies_before_writes_and_does_not_end(tracked):
    target = tracked.backup()
    old = tracked.source.read(3 * K, K)
    tracked.host.pause("j")
    tracked.write(1, 3, 5, byte=b"z")
    assert target.read(3 * K, K) == old
    assert tracked.work() == set()
    assert tracked.host.jobs["j"].phase == "paused"
    tracked.host.resume("j")
    assert tracked.outcomes() == [("j", "completed")]
