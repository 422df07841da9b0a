"""`cbtspec bitmaps`: what it says of images, and that QEMU says the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.cli.command import main
from cbtwire.qcow2.bitmaps import read_image
from cbtwire.qcow2.reading import InMemory
from cbtwire.qcow2.writing import NewBitmap, image_bytes
from click.testing import CliRunner

from .daemon import Daemon
from .images import SIZE, put, usual


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["bitmaps", *words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(usual())
    return path


def test_it_says_what_there_is_and_what_that_means(image: Path) -> None:
    code, out, err = run(str(image))
    assert (code, err) == (2, "")
    assert out.splitlines() == [
        f"{image}: qcow2 version 3, 1 MiB, 3 bitmaps",
        "b0      valid, enabled, granularity 64 KiB, dirty 2 of 16 granules (128 KiB)",
        "        the next incremental backup that uses it copies these 128 KiB, and what is written until then",
        "second  valid, disabled, granularity 512 bytes, dirty 3 of 2048 granules (1.5 KiB)",
        "        it records nothing while it is disabled: a backup that uses it lacks what was written meanwhile",
        "lost    inconsistent, enabled, granularity 4 KiB",
        "        it was not stored when it was last used: no backup can use it. To go on: remove it (qemu-img bitmap "
        "--remove IMAGE NAME), add it anew, and begin with a full backup",
    ]


def test_json_has_the_same(image: Path) -> None:
    code, out, _ = run(str(image), "--json")
    said = json.loads(out)
    assert (code, said["format"], said["version"], said["trusted"]) == (2, "cbtspec-bitmaps", 1, False)
    members = ("name", "state", "dirty_granules", "dirty_bytes")
    assert [tuple(each[member] for member in members) for each in said["bitmaps"]] == [
        ("b0", "valid", 2, 131072), ("second", "valid", 3, 1536), ("lost", "inconsistent", None, None),
    ]  # fmt: skip


def test_the_last_granule_may_be_a_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_bytes(image_bytes(100 * 1024, 12, {}, [NewBitmap("b", 65536, 0b11)]))
    code, out, _ = run(str(path))
    assert code == 0
    assert "dirty 2 of 2 granules (100 KiB)" in out


def test_a_name_gives_no_orders_to_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.write_bytes(image_bytes(SIZE, 12, {}, [NewBitmap("\x1b[2J", 65536, 0)]))
    assert "\x1b" not in run(str(path))[1] + run(str(path), "--json")[1]


def test_bitmaps_that_are_ignored(image: Path) -> None:
    image.write_bytes(put(image.read_bytes(), 95, b"\0"))
    code, out, _ = run(str(image))
    assert code == 2
    assert "no bitmaps" in out
    assert "a program that knows no bitmaps has written to the image" in out


def test_an_image_that_was_cut_off(image: Path) -> None:
    whole = image.read_bytes()
    found = read_image(InMemory(image_bytes(SIZE, 12, {}, [NewBitmap("b", 65536, 5)])))
    at = found.bitmaps[0].table[0]
    image.write_bytes(image_bytes(SIZE, 12, {}, [NewBitmap("b", 65536, 5)])[:at])
    code, out, _ = run(str(image))
    assert (code, "QEMU does not open this image" in out) == (3, True)
    # The bits are the last that the file has: only they are missing.
    directory = read_image(InMemory(whole)).header.directory
    assert directory is not None
    data, first = bytearray(whole), read_image(InMemory(whole)).bitmaps[0]
    data[first.table_at : first.table_at + 8] = (1 << 30).to_bytes(8, "big")
    image.write_bytes(data)
    code, out, _ = run(str(image))
    assert code == 2
    assert f"b0      damaged, enabled, granularity 64 KiB, dirty 0 of 16 granules (0 bytes)\n        its bits should be at byte {1 << 30}, and the file ends at" in out  # noqa: E501


def test_an_image_that_qemu_refuses(image: Path) -> None:
    directory = read_image(InMemory(usual())).header.directory
    assert directory is not None
    image.write_bytes(put(usual(), directory.offset + 15, b"\4"))
    code, out, _ = run(str(image))
    assert code == 3
    said = f"Bitmap 'b0' doesn't satisfy the constraints (at byte {directory.offset})"
    assert out == f"{image}: QEMU does not open this image: {said}\n"
    assert json.loads(run(str(image), "--json")[1])["refused_at"] == directory.offset


def test_what_is_no_image(tmp_path: Path) -> None:
    cases: dict[str, bytes | None] = {
        "raw": bytes(4096), "empty": b"", "text": b"hello", "vmdk": b"KDMV" + bytes(600), "none": None,
    }  # fmt: skip
    for name, data in cases.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        code, out, err = run(str(path))
        assert (code, out, len(err.splitlines())) == (64, "", 1), name
        assert str(path) in err
    os.mkfifo(tmp_path / "fifo")
    assert run(str(tmp_path / "fifo"))[0] == 64
    assert "is a directory" in run(str(tmp_path))[2]


def test_permission_is_asked_of_the_system(image: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    image.chmod(0)
    code, _, err = run(str(image))
    assert (code, err) == (64, f"cbtspec: {image} cannot be read: Permission denied\n")


def test_nothing_is_written(image: Path) -> None:
    before, at = image.read_bytes(), image.stat().st_mtime_ns
    image.chmod(0o400)
    run(str(image))
    assert (image.read_bytes(), image.stat().st_mtime_ns) == (before, at)


def test_notes_say_what_the_image_is_beside(image: Path) -> None:
    old = bytearray(image_bytes(SIZE, 12))
    old[7] = 2
    old[72:104] = bytes(32)
    image.write_bytes(old)
    code, out, _ = run(str(image))
    assert (code, "version 2 keeps no bitmaps" in out) == (0, True)
    image.write_bytes(put(usual(), 79, b"\2"))
    assert "marked corrupt" in run(str(image))[1]
    image.write_bytes(put(usual(), 79, b"\4"))
    assert "the guest's data are in another file" in run(str(image))[1]
    image.write_bytes(put(usual(), 35, b"\2"))
    assert "encrypted" in run(str(image))[1]


# With QEMU


def tool(binary: str, name: str) -> str:
    """A tool of the same QEMU as the daemon, or else the system's."""
    beside = Path(binary).resolve().parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is neither beside the daemon nor on PATH")
    return found


@pytest.mark.qemu
def test_qemu_img_says_the_same(binary: str, image: Path) -> None:
    done = subprocess.run(
        [tool(binary, "qemu-img"), "info", "--output=json", str(image)], capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)["format-specific"]["data"]["bitmaps"]
    ours = json.loads(run(str(image), "--json")[1])["bitmaps"]
    assert [(each["name"], each["granularity"], *(flag in each["flags"] for flag in ("in-use", "auto")))
            for each in theirs] == [
        (each["name"], each["granularity"], each["state"] == "inconsistent", each["enabled"]) for each in ours
    ]  # fmt: skip


@pytest.mark.qemu
def test_an_image_in_use_and_what_comes_of_it(binary: str, image: Path) -> None:
    with Daemon(binary) as daemon:
        assert daemon.open(image, read_only=True) == ""
        seen: dict[str, Any] = {each["name"]: each for each in daemon.bitmaps()}
        code, out, _ = run(str(image))
        assert (code, "open for reading" in out) == (2, True)
        for each in json.loads(run(str(image), "--json")[1])["bitmaps"]:
            theirs = seen[each["name"]]
            assert bool(theirs.get("inconsistent")) is (each["state"] == "inconsistent")
            assert theirs["granularity"] == each["granularity"]
            assert theirs["count"] == (each["dirty_granules"] or 0) * each["granularity"]
        daemon.close()
        assert daemon.open(image, read_only=False) == ""
        code, out, _ = run(str(image))
        assert code == 6
        assert "a program has this image open for writing" in out
        assert "b0      in use, enabled, granularity 64 KiB\n" in out
    # The daemon was killed.
    code, out, _ = run(str(image))
    assert code == 2
    assert "b0      inconsistent" in out
