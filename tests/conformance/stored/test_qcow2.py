"""The reader of qcow2 images: what it reads, what it refuses, and that it agrees with QEMU about both."""

from __future__ import annotations

import os
import random
from pathlib import Path
from struct import unpack

import pytest
from cbtwire.qcow2.bitmaps import bits, read_image
from cbtwire.qcow2.guest import guest_data
from cbtwire.qcow2.reading import BadImage, InFile, InMemory, NotQcow2
from cbtwire.qcow2.refcounts import free_but_used, refcount
from cbtwire.qcow2.writing import COPIED, NewBitmap, beside_raw_data, image_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from .daemon import Daemon
from .images import B0, SIZE, put, usual

CLUSTERS = (9, 12, 16)
TOGETHER = 25
"""So many spoilt images for one example of Hypothesis, which costs more than they do."""
MANY = (100_000 if os.environ.get("CBTSPEC_NIGHT") == "1" else 3_000) // TOGETHER
MET_BY_QEMU = 3_000 if os.environ.get("CBTSPEC_NIGHT") == "1" else 200
IMAGE = usual()
HEADER = read_image(InMemory(IMAGE)).header
FIRST = read_image(InMemory(IMAGE)).bitmaps[0]
EXTENSION = 112
"""Where the extension of bitmaps begins in images that are written here."""


@pytest.mark.parametrize("cluster_bits", CLUSTERS)
def test_what_was_written_is_read(cluster_bits: int) -> None:
    source = InMemory(usual(cluster_bits))
    image = read_image(source)
    read = [
        (each.name, each.granularity, each.auto, each.in_use, bits(source, image.header, each))
        for each in image.bitmaps
    ]
    assert read == [
        ("b0", 65536, True, False, 0b101),
        ("second", 512, False, False, 1 << 7 | 0b11 << 40),
        ("lost", 4096, True, True, 0),
    ]
    disk = guest_data(source, image.header)
    cluster = 1 << cluster_bits
    expected = b"a" * cluster + bytes(4 * cluster) + b"b" * cluster
    assert disk == expected.ljust(SIZE, b"\0")
    assert free_but_used(source, image) == []


@pytest.mark.parametrize(("size", "cluster_bits"), [(512, 9), (8 << 16, 16), ((5 << 16) + 1536, 16), (1 << 20, 9)])
def test_an_image_beside_raw_data_has_its_place_for_each_cluster(size: int, cluster_bits: int) -> None:
    source = InMemory(beside_raw_data(size, cluster_bits))
    image = read_image(source)
    header, cluster = image.header, 1 << cluster_bits
    assert (header.length, header.incompatible, image.bitmaps) == (size, 4, ())
    l1 = unpack(f">{header.l1_entries}Q", source.read(header.l1_offset, 8 * header.l1_entries))
    entries = [
        entry for at in l1 for entry in unpack(f">{cluster // 8}Q", source.read(at & ~COPIED, cluster)) if entry
    ]
    assert [entry & ~COPIED for entry in entries] == [each * cluster for each in range(-(-size // cluster))]
    with pytest.raises(ValueError, match="no image of 100 bytes"):
        beside_raw_data(100, cluster_bits)


def test_a_bitmap_of_several_clusters_is_read_piece_by_piece() -> None:
    size, full = 9 << 20, (1 << 4096) - 1
    word = full | 1 << 4100 | 1 << (4 * 4096 + 7)
    source = InMemory(image_bytes(size, 9, {}, [NewBitmap("b", 512, word)]))
    image = read_image(source)
    assert bits(source, image.header, image.bitmaps[0]) == word
    assert image.bitmaps[0].table[0] == 1  # all ones, without a cluster


def test_a_backing_file_is_seen_where_nothing_is_written() -> None:
    source = InMemory(image_bytes(8192, 12, {1: b"x" * 4096}))
    disk = guest_data(source, read_image(source).header, backing=b"y" * 100)
    assert disk == (b"y" * 100).ljust(4096, b"\0") + b"x" * 4096


def test_an_image_without_its_autoclear_bit_has_no_bitmaps() -> None:
    image = read_image(InMemory(put(IMAGE, 95, b"\0")))
    assert image.bitmaps == ()
    assert image.header.ignored


def test_a_cluster_that_counts_as_free_is_found() -> None:
    counts = next(at for at in range(0, len(IMAGE), 4096) if IMAGE[at : at + 6] == b"\0\1\0\1\0\1")
    where = counts + 2 * (FIRST.table_at // 4096)
    spoilt = InMemory(put(IMAGE, where, b"\0\0"))
    assert refcount(spoilt, HEADER, FIRST.table_at) == 0
    assert free_but_used(spoilt, read_image(spoilt)) == [("table of b0", FIRST.table_at)]


DIRECTORY = HEADER.directory
assert DIRECTORY is not None
BAD = {
    "Image is not in qcow2 format": (0, b"X"),
    "Unsupported qcow2 version 4": (7, b"\4"),
    "Unsupported cluster size: 2^8": (23, b"\x08"),
    "qcow2 header too short": (100, b"\0\0\0\x50"),
    "qcow2 header exceeds cluster size": (100, b"\0\1\0\0"),
    "Invalid backing file offset": (8, b"\1"),
    "Unsupported qcow2 feature(s): Unknown incompatible feature: 8000000000000000": (72, b"\x80"),
    "Unsupported encryption method 9": (35, b"\x09"),
    "Image does not contain a reference count table": (56, bytes(4)),
    "Active L1 table offset invalid": (47, b"\1"),
    "Active L1 table too large": (36, b"\xff"),
    "L1 table is too small": (24, b"\0\0\1"),
    "Reference count entry width too large; may not exceed 64 bits": (99, b"\7"),
    "Header extension too large": (EXTENSION + 4, b"\0\1"),
    "bitmaps_ext: Invalid extension length": (EXTENSION + 7, b"\x10"),
    "bitmaps_ext: Reserved field is not zero": (EXTENSION + 12, b"\1"),
    "bitmaps_ext: Image has 65536 bitmaps, exceeding the QEMU supported maximum of 65535": (
        EXTENSION + 8, b"\0\1\0\0",
    ),
    "found bitmaps extension with zero bitmaps": (EXTENSION + 8, bytes(4)),
    "bitmaps_ext: invalid bitmap directory offset": (EXTENSION + 31, b"\1"),
    "bitmaps_ext: bitmap directory size (72057594037928032) exceeds the maximum supported size (67107840)": (
        EXTENSION + 16, b"\1",
    ),
    "Requested bitmap directory size is zero": (EXTENSION + 16, bytes(8)),
    "Less bitmaps found than specified in header extension": (EXTENSION + 11, b"\x09"),
    "More bitmaps found than specified in header extension": (EXTENSION + 11, b"\x02"),
    "Broken bitmap directory": (EXTENSION + 23, b"\x21"),
    "Bitmap extra data is not supported": (DIRECTORY.offset + 23, b"\1"),
    "Bitmap 'b0' doesn't satisfy the constraints": (DIRECTORY.offset + 15, b"\4"),
    "Could not read bitmap_table table from image for bitmap 'b0': Invalid argument": (FIRST.table_at, b"\xff"),
    "Could not read bitmap_table table from image for bitmap 'b0': Input/output error": (
        DIRECTORY.offset, b"\xff",
    ),
    "Failed to read bitmap directory: Input/output error": (EXTENSION + 24, b"\xff"),
    "Bitmap already exists: b0": (0, b""),
    "Could not read bitmap 'b0' from image: Invalid argument": (DIRECTORY.offset + 11, b"\2"),
}  # fmt: skip


def spoilt(what: str) -> bytes:
    if what.startswith("Bitmap already"):
        return image_bytes(SIZE, 12, {}, [B0, B0])
    return put(IMAGE, *BAD[what])


@pytest.mark.parametrize("what", BAD)
def test_a_bad_image_is_refused_with_what_and_where(what: str) -> None:
    with pytest.raises(BadImage) as caught:
        read_image(InMemory(spoilt(what)))
    assert caught.value.what == what
    assert 0 <= caught.value.offset < len(IMAGE)
    assert isinstance(caught.value, NotQcow2) is (what == "Image is not in qcow2 format")


def mutated(random_number: random.Random) -> bytes:
    """Some bytes are others, mostly where it hurts; or the end is missing."""
    image = bytearray(usual(random_number.choice(CLUSTERS)))
    header = read_image(InMemory(image)).header
    assert header.directory is not None
    places = (0, 0, EXTENSION, header.directory.offset, header.l1_offset, random_number.randrange(len(image)))
    for _ in range(random_number.randint(1, 3)):
        at = random_number.choice(places) + random_number.randrange(112)
        width = random_number.choice((1, 1, 2, 4, 8))
        value = random_number.choice((0, 1, 2, 255, random_number.randrange(1 << 8 * width))) % (1 << 8 * width)
        image[at : at + width] = value.to_bytes(width, "big")
    if random_number.random() < 0.1:
        del image[random_number.randrange(len(image)) :]
    return bytes(image)


def read_all(image: bytes) -> dict[str, tuple[int, bool, bool, int]]:
    """Everything that can be read: name → granularity, auto, in use, bits."""
    source = InMemory(image)
    found = read_image(source)
    free_but_used(source, found)
    if found.header.length <= 1 << 24:
        try:
            guest_data(source, found.header)
        except BadImage:
            assert found.header  # the bitmaps can be had all the same
    return {
        each.name: (each.granularity, each.auto, each.in_use, bits(source, found.header, each))
        for each in found.bitmaps
        if found.header.length // each.granularity <= 1 << 27
    }


@settings(max_examples=MANY, deadline=None)
@given(st.integers(0, 2**63))
def test_a_spoilt_image_is_read_or_refused_and_nothing_else(seed: int) -> None:
    for number in range(TOGETHER):
        image = mutated(random.Random(f"{seed}/{number}"))
        try:
            read_all(image)
        except BadImage as problem:
            refused = bool(problem.what) and problem.offset >= 0
            assert refused


@settings(max_examples=MANY, deadline=None)
@given(st.binary(max_size=400))
def test_anything_is_read_or_refused(data: bytes) -> None:
    for image in (data, IMAGE[:72] + data, IMAGE[: DIRECTORY.offset] + data):
        try:
            read_all(image)
        except BadImage:
            assert image is not IMAGE


@pytest.mark.qemu
@pytest.mark.parametrize("cluster_bits", CLUSTERS)
def test_qemu_opens_what_was_written(binary: str, tmp_path: Path, cluster_bits: int) -> None:
    path = tmp_path / "image.qcow2"
    path.write_bytes(usual(cluster_bits))
    with Daemon(binary) as daemon:
        assert daemon.open(path) == ""
        seen = {each["name"]: each for each in daemon.bitmaps()}
        assert {name: each["count"] for name, each in seen.items()} == {"b0": 131072, "second": 1536, "lost": 0}
        assert [name for name, each in seen.items() if each.get("inconsistent")] == ["lost"]
        daemon.close()
        assert daemon.open(path, read_only=False) == ""
        daemon.close()
    with path.open("rb") as file:
        source = InFile(file.fileno())
        assert [each.in_use for each in read_image(source).bitmaps] == [False, False, True]


@pytest.mark.qemu
def test_qemu_refuses_with_the_same_words(binary: str, tmp_path: Path) -> None:
    path = tmp_path / "image.qcow2"
    different = {}
    with Daemon(binary) as daemon:
        for what in BAD:
            path.write_bytes(spoilt(what))
            said = daemon.open(path)
            if what not in said:
                different[what] = said
            if not said:
                daemon.close()
    assert not different


@pytest.mark.qemu
def test_qemu_agrees_about_spoilt_images(binary: str, tmp_path: Path) -> None:
    """Both refuse an image, or both open it and have the same bitmaps with as many dirty granules."""
    path, opened = tmp_path / "image.qcow2", 0
    with Daemon(binary) as daemon:
        for seed in range(MET_BY_QEMU):
            image = mutated(random.Random(seed))
            path.write_bytes(image)
            said = daemon.open(path)
            try:
                ours = read_all(image)
            except BadImage:
                assert said, seed
                continue
            if said and not any(each in said for each in ("bitmap", "Bitmap", "extension")):
                continue  # refused because of what no bitmap has to do with: refcounts, snapshots, a backing file
            assert not said, (seed, said)
            opened += 1
            seen = {each["name"]: (each["granularity"], each["count"]) for each in daemon.bitmaps()}
            assert seen == {name: (each[0], each[0] * each[3].bit_count()) for name, each in ours.items()}, seed
            daemon.close()
    assert MET_BY_QEMU // 10 < opened < MET_BY_QEMU
