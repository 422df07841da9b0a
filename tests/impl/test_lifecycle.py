"""Who records what, and the operator's commands."""

import pytest
from cbtimpl import Host
from cbtimpl.bitmap import Bitmap
from cbtimpl.observation import describe

K = 65536


def test_an_enabled_bitmap_records_and_a_disabled_one_does_not(scene) -> None:
    scene.host.bitmap_add("n", "b")
    scene.host.bitmap_add("n", "off", enabled=False)
    scene.write(2)
    assert (scene.dirty(), scene.dirty("off")) == ({2}, set())
    scene.host.bitmap_enable("n", "off")
    scene.host.bitmap_disable("n", "b")
    scene.write(4)
    assert (scene.dirty(), scene.dirty("off")) == ({2}, {4})


def test_clear_keeps_a_disabled_bitmap_disabled(tracked) -> None:
    tracked.host.bitmap_disable("n", "b")
    tracked.host.bitmap_clear("n", "b")
    tracked.write(7)
    assert tracked.dirty() == set()


@pytest.mark.parametrize(
    ("offset", "length", "dirty"),
    [(4095, 1, {0}), (8191, 2, {1, 2}), (99840, 512, {24}), (0, 4096, {0}), (4096, 0, set())],
)
def test_a_write_marks_each_granule_it_touches(offset: int, length: int, dirty: set[int]) -> None:
    host = Host()
    host.add_node("n", 100352)
    host.bitmap_add("n", "b", granularity=4096)
    host.write("n", offset, b"x" * length)
    assert set(host.nodes["n"].bitmaps["b"].bits.granules()) == dirty


def test_zeroes_and_discards_are_changes_too(scene) -> None:
    scene.host.bitmap_add("n", "b")
    scene.write(1, 2)
    scene.host.bitmap_clear("n", "b")
    scene.host.zeroes("n", K, K)
    scene.host.discard("n", 2 * K, K)
    assert scene.dirty() == {1, 2}
    assert not any(scene.source.read(0, 16 * K))


def test_a_write_that_failed_is_dirty_all_the_same(scene) -> None:
    scene.host.bitmap_add("n", "b")
    scene.source.arm("write")
    with pytest.raises(OSError, match="Input/output"):
        scene.write(3)
    assert scene.dirty() == {3}


@pytest.mark.parametrize("enabled", [True, False])
def test_a_successor_is_enabled_as_its_bitmap_was(enabled: bool) -> None:
    bitmap = Bitmap("b", 512, 4096, enabled)
    bitmap.record(0, 1)
    bitmap.freeze("j")
    bitmap.record(512, 1)
    assert bitmap.busy
    assert bitmap.recording is enabled
    assert set(bitmap.bits.granules()) == ({0} if enabled else set())
    heir = bitmap.abdicate()
    assert (heir.name, heir.busy, heir.frozen, heir.enabled) == ("b", False, False, enabled)
    assert set(heir.bits.granules()) == ({1} if enabled else set())


def test_reclaim_gives_the_bits_back() -> None:
    bitmap = Bitmap("b", 512, 4096)
    bitmap.record(0, 1)
    bitmap.freeze("j")
    bitmap.record(512, 1)
    assert bitmap.reclaim() is bitmap
    assert set(bitmap.bits.granules()) == {0, 1}
    assert not bitmap.busy


def test_merge_rounds_outwards_between_granularities_and_nodes(tracked) -> None:
    host = tracked.host
    host.add_node("m", 16 * K)
    host.bitmap_add("m", "coarse", granularity=2 * K)
    host.bitmap_add("m", "fine", granularity=K // 2, enabled=False)
    host.bitmap_merge("m", "coarse", [("n", "b")])
    host.bitmap_merge("m", "fine", [("n", "b"), ("m", "coarse"), ("m", "fine")])
    assert tracked.dirty("coarse", "m") == {0, 1, 2}
    assert tracked.dirty("fine", "m") == set(range(12))
    assert tracked.dirty() == {1, 3, 5}


def test_merging_nothing_changes_nothing_and_merging_into_nothing_copies(tracked) -> None:
    tracked.host.bitmap_add("n", "empty")
    tracked.host.bitmap_merge("n", "b", [("n", "empty")])
    assert tracked.dirty() == {1, 3, 5}
    tracked.host.bitmap_merge("n", "empty", [("n", "b")])
    assert tracked.dirty("empty") == {1, 3, 5}
    tracked.write(9)
    tracked.host.bitmap_clear("n", "empty")
    assert 9 in tracked.dirty()


def test_a_merge_that_is_refused_half_way_leaves_the_target_as_it_was(tracked) -> None:
    tracked.host.bitmap_add("n", "t")
    before = describe(tracked.host)
    with pytest.raises(Exception, match="Dirty bitmap 'none' not found"):
        tracked.host.bitmap_merge("n", "t", [("n", "b"), ("n", "none")])
    assert describe(tracked.host) == before


def test_a_removed_bitmap_is_gone_and_its_name_is_free(tracked) -> None:
    tracked.host.bitmap_remove("n", "b")
    tracked.host.bitmap_add("n", "b")
    assert tracked.dirty() == set()
