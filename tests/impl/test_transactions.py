"""All or nothing, in order, and jobs that end together."""

import errno

import pytest
from cbtimpl import (
    Abort,
    Backup,
    BitmapAdd,
    BitmapClear,
    BitmapDisable,
    BitmapEnable,
    BitmapMerge,
    BitmapRemove,
    Refused,
)
from cbtimpl.observation import describe

K = 65536


def backup(scene, job="j", sync="incremental", bitmap="b", node="n", **more):
    return Backup(job, node, scene.target(job), sync, bitmap, **more)


def test_later_actions_see_earlier_ones(tracked):
    tracked.host.transaction(
        [
            BitmapAdd("n", "c"),
            BitmapMerge("n", "c", [("n", "b")]),
            BitmapDisable("n", "b"),
            BitmapClear("n", "b"),
            backup(tracked, bitmap="c"),
        ]
    )
    assert tracked.work() == {1, 3, 5}
    assert tracked.dirty() == set()


def test_a_new_chain_starts_at_one_moment(tracked):
    tracked.host.transaction([BitmapClear("n", "b"), backup(tracked, sync="full", bitmap=None)])
    tracked.write(2)
    tracked.host.run("j")
    assert tracked.dirty() == {2}


def test_a_removed_bitmap_is_gone_after_the_commit(tracked):
    tracked.host.transaction([BitmapAdd("n", "c"), BitmapRemove("n", "b")])
    assert list(tracked.host.nodes["n"].bitmaps) == ["c"]


def test_no_actions_are_a_success(scene):
    scene.host.transaction([])


@pytest.mark.parametrize("mode", ["on-success", "never", "always"])
@pytest.mark.parametrize("in_flight", [False, True])
def test_a_refused_transaction_leaves_everything_as_it_was(tracked, mode, in_flight):
    tracked.host.bitmap_add("n", "off", enabled=False)
    if in_flight:
        tracked.host.begin_write("n", "w", 7 * K, b"new")
    before = describe(tracked.host)
    actions = [
        BitmapAdd("n", "c"),
        BitmapMerge("n", "c", [("n", "b")]),
        BitmapEnable("n", "off"),
        BitmapDisable("n", "off"),
        BitmapEnable("n", "off"),
        backup(tracked, sync="bitmap", bitmap_mode=mode),
        BitmapClear("n", "off"),
        BitmapRemove("n", "off"),
        Abort(),
    ]
    with pytest.raises(Refused, match="Transaction aborted using Abort action") as caught:
        tracked.host.transaction(actions)
    assert caught.value.kind == "aborted"
    assert describe(tracked.host) == before
    assert tracked.host.take_ended() == []
    tracked.write(9)
    assert 9 in tracked.dirty()


@pytest.mark.parametrize(
    ("actions", "kind", "text"),
    [
        ([BitmapRemove("n", "b"), BitmapAdd("n", "b")], "exists", "Bitmap already exists: b"),
        (
            [BitmapRemove("n", "b"), BitmapRemove("n", "b")],
            "busy",
            "Bitmap 'b' is currently in use by another operation and cannot be used",
        ),
        (["clear"], "invalid", "Parameter 'type' does not accept value 'str'"),
        ("clear", "invalid", "Invalid parameter type for 'actions', expected: array"),
        ([BitmapClear("n", "none"), BitmapAdd("n", "x", -1)], "invalid", "Parameter 'granularity' expects uint32_t"),
    ],
)
def test_refusals(tracked, actions, kind, text):
    before = describe(tracked.host)
    with pytest.raises(Refused) as caught:
        tracked.host.transaction(actions)
    assert (caught.value.kind, str(caught.value)) == (kind, text)
    assert describe(tracked.host) == before


@pytest.mark.parametrize("mode", ["never", "always"])
def test_a_frozen_bitmap_is_busy_for_the_rest_of_its_transaction(tracked, mode):
    before = describe(tracked.host)
    with pytest.raises(Refused, match="Bitmap 'b' is currently in use"):
        tracked.host.transaction([backup(tracked, sync="bitmap", bitmap_mode=mode), BitmapClear("n", "b")])
    assert describe(tracked.host) == before


def test_only_jobs_can_be_grouped(tracked):
    with pytest.raises(Refused) as caught:
        tracked.host.transaction([BitmapClear("n", "none"), backup(tracked)], grouped=True)
    text = "Action 'block-dirty-bitmap-clear' does not support transaction property completion-mode = grouped"
    assert (caught.value.kind, str(caught.value)) == ("invalid", text)
    with pytest.raises(Refused, match="Abort action"):
        tracked.host.transaction([backup(tracked), Abort()], grouped=True)


@pytest.fixture
def pair(tracked):
    """Two nodes, `n` with {1, 3, 5} in `b` and `m` with {2, 4} in `b`, and a way to back up both together."""
    tracked.host.add_node("m", 16 * K)
    tracked.host.bitmap_add("m", "b")
    tracked.write(2, 4, node="m")

    def start(sync="incremental", mode=None, **more):
        tracked.host.transaction(
            [
                backup(tracked, "j1", sync, bitmap_mode=mode, **more),
                backup(tracked, "j2", sync, node="m", bitmap_mode=mode),
            ],
            grouped=True,
        )
        return tracked

    return start


def test_a_group_waits_for_its_last_member(pair):
    scene = pair()
    scene.host.run("j1")
    assert scene.host.jobs["j1"].phase == "waiting"
    scene.write(9)
    assert scene.successor() == {9}
    scene.host.run("j2")
    assert scene.outcomes() == [("j1", "completed"), ("j2", "completed")]
    assert (scene.dirty(), scene.dirty(node="m")) == ({9}, set())


def test_one_member_can_make_the_group_wait_and_any_member_finalizes_it(pair):
    scene = pair(auto_finalize=False)
    scene.host.run("j1")
    scene.host.run("j2")
    assert {job.phase for job in scene.host.jobs.values()} == {"pending"}
    scene.host.finalize("j2")
    assert scene.outcomes() == [("j1", "completed"), ("j2", "completed")]


def test_one_failure_ends_all(pair):
    scene = pair()
    scene.host.run("j1")
    scene.host.copy_next("j2", error=errno.EIO)
    assert scene.outcomes() == [("j2", "failed"), ("j1", "cancelled")]
    assert (scene.dirty(), scene.dirty(node="m")) == ({1, 3, 5}, {2, 4})


def test_with_always_a_fully_copied_member_is_synchronised_although_its_group_failed(pair):
    scene = pair("bitmap", "always")
    scene.host.run("j1")
    scene.host.cancel("j2")
    assert scene.outcomes() == [("j2", "cancelled"), ("j1", "cancelled")]
    assert (scene.dirty(), scene.dirty(node="m")) == (set(), {2, 4})


def test_cancelling_a_waiting_member_ends_all(pair):
    scene = pair()
    scene.host.run("j1")
    scene.host.begin_copy("j2", 2 * K, 1)
    scene.host.cancel("j1")
    assert scene.outcomes() == [("j1", "cancelled"), ("j2", "cancelled")]
    assert scene.targets["j2"].read(2 * K + 100, 1) == b"x", "the copy in flight ended first"


def test_jobs_that_are_not_grouped_live_alone(tracked):
    tracked.host.bitmap_add("n", "c")
    tracked.host.transaction([backup(tracked, "j1"), backup(tracked, "j2", "full", None)])
    tracked.host.cancel("j1")
    tracked.host.run("j2")
    assert tracked.outcomes() == [("j1", "cancelled"), ("j2", "completed")]


def test_a_group_with_nothing_to_copy_completes_after_the_last_action(scene):
    scene.host.bitmap_add("n", "b")
    scene.host.bitmap_add("n", "c")
    scene.host.transaction([backup(scene, "j1"), backup(scene, "j2", bitmap="c")], grouped=True)
    assert scene.outcomes() == [("j1", "completed"), ("j2", "completed")]
