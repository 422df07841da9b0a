"""Images of the reference implementation: what is stored, what is loaded, and what each bitmap may be asked for."""

import errno
from collections.abc import Callable, Mapping

import pytest
from cbtimpl import Abort, BitmapRemove, Host, MemoryDisk, Refused
from cbtimpl.images import StoredBitmap

G = 4096


class Kept:
    """Entries in memory. `failing`: calls that do what they do, and fail."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredBitmap] = {}
        self.failing: set[str] = set()

    def entries(self) -> dict[str, StoredBitmap]:
        return dict(self.kept)

    def mark_in_use(self) -> None:
        self.kept = {name: StoredBitmap(each.granularity, each.enabled, True) for name, each in self.kept.items()}
        self.may_fail("mark_in_use")

    def store(self, bitmaps: Mapping[str, StoredBitmap]) -> None:
        self.kept = {name: each for name, each in bitmaps.items() if not each.in_use or name in self.kept}
        self.may_fail("store")

    def remove(self, name: str) -> None:
        self.kept.pop(name, None)
        self.may_fail("remove")

    def may_fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(errno.EIO, "it fails")


@pytest.fixture
def store() -> Kept:
    return Kept()


@pytest.fixture
def host(store: Kept) -> Host:
    made = Host()
    made.add_image("d", MemoryDisk(8 * G), store)
    made.open_image("d")
    made.add_persistent("d", "b", G)
    return made


def kind(call: object, *words: object) -> str:
    with pytest.raises(Refused) as refused:
        call(*words)  # type: ignore[operator]
    return refused.value.kind


def test_a_close_stores_what_is_persistent_and_an_opening_marks_it(host: Host, store: Kept) -> None:
    host.bitmap_add("d", "t", G)
    host.write("d", 0, b"x")
    assert store.kept == {}
    host.close_image("d")
    assert store.kept == {"b": StoredBitmap(G, True, False, ((0, 1),))}
    node = host.open_image("d")
    assert store.kept["b"].in_use
    assert list(node.bitmaps) == ["b"]
    assert (list(node.bitmaps["b"].bits.runs()), node.bitmaps["b"].recording) == ([(0, 1)], True)


def test_what_a_crash_leaves_is_inconsistent_until_it_is_removed(host: Host, store: Kept) -> None:
    host.close_image("d")
    host.open_image("d")
    host.crash()
    for _ in range(2):
        bitmap = host.open_image("d").bitmaps["b"]
        assert (bitmap.inconsistent, bitmap.recording, bitmap.bits.is_empty()) == (True, False, True)
        host.close_image("d")
        assert store.kept["b"].in_use
    host.open_image("d")
    assert kind(host.bitmap_enable, "d", "b") == "inconsistent"
    assert kind(host.bitmap_clear, "d", "b") == "inconsistent"
    assert kind(host.bitmap_merge, "d", "b", [("d", "b")]) == "inconsistent"
    assert kind(host.backup, "j", "d", MemoryDisk(8 * G), "incremental", "b") == "inconsistent"
    host.bitmap_remove("d", "b")
    assert store.kept == {}


def test_what_is_only_read_is_not_changed(host: Host, store: Kept) -> None:
    host.close_image("d")
    host.open_image("d", read_only=True)
    assert not store.kept["b"].in_use
    assert kind(host.write, "d", 0, b"x") == "read only"
    assert kind(host.bitmap_clear, "d", "b") == "read only"
    assert kind(host.bitmap_remove, "d", "b") == "read only"
    host.bitmap_disable("d", "b")
    host.close_image("d")
    assert store.kept["b"].enabled


def test_a_reopening_stores_and_marks(host: Host, store: Kept) -> None:
    host.write("d", G, b"x")
    host.reopen_image("d", read_only=True)
    assert store.kept == {"b": StoredBitmap(G, True, False, ((1, 2),))}
    host.reopen_image("d", read_only=True)
    host.reopen_image("d", read_only=False)
    assert store.kept["b"].in_use
    host.write("d", 0, b"x")
    host.backup("j", "d", MemoryDisk(8 * G), "incremental", "b", cluster=G)
    assert kind(host.reopen_image, "d", True) == "busy"


def test_a_close_waits_for_writes_and_cancels_jobs(host: Host, store: Kept) -> None:
    host.write("d", 0, b"x")
    host.backup("j", "d", MemoryDisk(8 * G), "incremental", "b", cluster=G)
    host.begin_write("d", "w", 3 * G, b"x")
    host.close_image("d")
    assert [(end.job, end.outcome) for end in host.take_ended()] == [("j", "cancelled")]
    assert store.kept["b"].runs == ((0, 1), (3, 4))


def test_a_removal_that_is_taken_back_is_in_the_file_again_with_the_next_store(host: Host, store: Kept) -> None:
    host.close_image("d")
    host.open_image("d")
    assert kind(host.transaction, [BitmapRemove("d", "b"), Abort()]) == "aborted"
    assert store.kept == {}
    host.close_image("d")
    assert store.kept == {"b": StoredBitmap(G, True, False)}


def test_what_is_not_there_or_there_already(host: Host) -> None:
    assert kind(host.open_image, "nobody") == "not found"
    assert kind(host.open_image, "d") == "exists"
    assert kind(host.add_image, "d", MemoryDisk(G), Kept()) == "exists"
    host.add_node("plain", G)
    assert kind(host.close_image, "plain") == "not found"
    assert kind(host.reopen_image, "nobody", True) == "not found"


# The file fails


def fails(call: Callable[..., object], *words: object) -> None:
    with pytest.raises(OSError, match="it fails"):
        call(*words)


def test_an_opening_that_fails_leaves_it_closed(host: Host, store: Kept) -> None:
    host.close_image("d")
    store.failing = {"mark_in_use"}
    fails(host.open_image, "d")
    assert "d" not in host.nodes
    store.failing = set()
    assert host.open_image("d").bitmaps["b"].inconsistent


def test_a_close_that_fails_closes_it_all_the_same(host: Host, store: Kept) -> None:
    host.backup("j", "d", MemoryDisk(8 * G), "incremental", "b", cluster=G)
    store.failing = {"store"}
    fails(host.close_image, "d")
    assert "d" not in host.nodes
    assert [(end.job, end.outcome) for end in host.take_ended()] == [("j", "completed")]


@pytest.mark.parametrize("failing", [{"store"}, {"store", "mark_in_use"}])
def test_after_a_reopening_that_fails_nothing_valid_is_in_the_file_while_writes_go_on(
    host: Host, store: Kept, failing: set[str]
) -> None:
    host.begin_write("d", "w", 3 * G, b"x")
    store.failing = failing
    fails(host.reopen_image, "d", True)
    assert not host.nodes["d"].writes
    assert store.kept["b"].in_use
    assert host.nodes["d"].read_only == (failing != {"store"})
    store.failing = set()
    host.reopen_image("d", True)
    host.reopen_image("d", False)
    host.write("d", 0, b"x")
    host.close_image("d")
    assert store.kept["b"].runs == ((0, 1), (3, 4))


def test_a_reopening_for_writing_that_fails_leaves_it_only_read(host: Host, store: Kept) -> None:
    host.reopen_image("d", True)
    store.failing = {"mark_in_use"}
    fails(host.reopen_image, "d", False)
    assert kind(host.write, "d", 0, b"x") == "read only"
    assert kind(host.bitmap_clear, "d", "b") == "read only"


def test_a_removal_that_fails_is_none(host: Host, store: Kept) -> None:
    host.begin_write("d", "w", 0, b"x")
    store.failing = {"remove"}
    fails(host.bitmap_remove, "d", "b")
    fails(host.transaction, [BitmapRemove("d", "b")])
    store.failing = set()
    assert not host.nodes["d"].bitmaps["b"].busy
    host.close_image("d")
    assert store.kept["b"].runs == ((0, 1),)
