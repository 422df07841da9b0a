"""Whether a restored disk is what the disk was at an instant; and what it lacks if it is not."""

import pytest
from cbtcheck.judging.instants import STRANGE, History, Loss, fills
from cbtcheck.judging.plan import SECTOR
from cbtcheck.judging.schedule import Write

SIZE = 8 * SECTOR


def history(*writes: tuple[int, int], disks: tuple[str, ...] = ("a",)) -> History:
    """Of writes to the first disk, by first sector and number of sectors."""
    it = History(dict.fromkeys(disks, SIZE))
    for first, count in writes:
        it.write(Write("1/start", disks[0], first * SECTOR, count * SECTOR), len(it.done) + 1)
    return it


def test_every_instant_of_the_span_is_right_and_no_other() -> None:
    it = history((0, 4), (2, 4), (7, 1))
    for instant in range(4):
        (_, found), = it.compare(it.at(instant), [(1, 2)], False)
        assert found.right is (instant in (1, 2))
        assert not found.right or found.instant == instant


def test_a_write_that_is_missing_is_named() -> None:
    it = history((0, 4), (2, 4), (7, 1))
    restored = it.at(3) | {"a": it.at(3)["a"][:2] + it.at(1)["a"][2:6] + it.at(3)["a"][6:]}
    (_, found), = it.compare(restored, [(3, 3)], False)
    assert found.losses == (Loss("a", 2 * SECTOR, 2 * SECTOR, 1, 2), Loss("a", 4 * SECTOR, 2 * SECTOR, 0, 2))


def test_a_mixture_of_two_instants_is_wrong_though_each_part_is_of_one() -> None:
    it = history((0, 4), (0, 1), (7, 1))
    mixed = bytes([*it.at(1)["a"][:4], *it.at(3)["a"][4:]])
    (_, found), = it.compare({"a": mixed}, [(0, 3)], False)
    assert not found.right


def test_zeroes_that_are_missing_are_named_by_the_write_that_made_them() -> None:
    it = history((0, 8))
    it.write(Write("1/start", "a", 0, SECTOR, "zeroes"), 0)
    (_, found), = it.compare(it.at(1), [(2, 2)], False)
    assert found.losses == (Loss("a", 0, SECTOR, 1, 2),)


def test_a_discard_that_the_disk_does_not_heed_changes_nothing() -> None:
    it = history((0, 8))
    it.write(Write("1/start", "a", 0, SECTOR, "discard"), 0, [])
    assert it.at(2) == it.at(1)


def test_a_discard_that_the_disk_heeds_in_part_changes_that_part() -> None:
    it = history((0, 8))
    it.write(Write("1/start", "a", 0, 4 * SECTOR, "discard"), 0, [(SECTOR, 2 * SECTOR)])
    assert it.at(2)["a"] == bytes([1, 0, 0, 1, 1, 1, 1, 1])


def test_two_disks_of_two_instants_are_right_alone_and_wrong_together() -> None:
    it = history(disks=("a", "b"))
    it.write(Write("1/start", "a", 0, SECTOR), 1)
    it.write(Write("1/start", "b", 0, SECTOR), 2)
    restored = {"a": it.at(0)["a"], "b": it.at(2)["b"]}
    assert all(found.right for _, found in it.compare(restored, [(0, 2)], False))
    (name, found), = it.compare(restored, [(0, 2)], True)
    assert name == ""
    assert not found.right


@pytest.mark.parametrize("size", [0, SIZE - SECTOR, SIZE + SECTOR])
def test_an_image_of_another_size_is_wrong(size: int) -> None:
    it = history((0, 4))
    (_, found), = it.compare({"a": bytes(size // SECTOR)}, [(0, 1)], False)
    assert not found.right
    assert found.wrong_size == f"a has {size} bytes"


def test_a_sector_of_several_bytes_is_strange() -> None:
    assert fills(b"\x01" * SECTOR + b"\x02" * (SECTOR - 1) + b"\x03" + b"\x04" * 10) == bytes([1, STRANGE, STRANGE])


def test_what_changed_counts_granules_that_were_touched() -> None:
    it = history((0, 1), (1, 2))
    assert it.changed(0, 2, 2 * SECTOR) == 4 * SECTOR
    assert it.changed(1, 2, SECTOR) == 2 * SECTOR
    assert it.changed(2, 2, SECTOR) == 0
