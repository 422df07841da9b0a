"""How targets are made to fail: the command that QEMU gets instead, and the image that it then does not make."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.judging.failing import drive_backups, failing_files, failing_node, late_sectors
from cbtcheck.judging.plan import GRANULE, SECTOR, PlannedDisk
from cbtcheck.judging.storage import empty_qcow2

DISKS = (PlannedDisk("disk0"), PlannedDisk("disk1", 20 * GRANULE, "raw"))


def drive(target: object, device: str = "drive-disk0", **more: object) -> dict[str, Any]:
    backup = {"device": device, "target": target, "sync": "full", **more}
    return {"execute": "drive-backup", "arguments": backup, "id": 7}


def transaction(*commands: dict[str, Any]) -> dict[str, Any]:
    actions = [{"type": each["execute"], "data": each["arguments"]} for each in commands]
    return {"execute": "transaction", "arguments": {"actions": actions}}


def test_a_node_has_a_failing_one_on_top_that_has_its_name() -> None:
    add = {"execute": "blockdev-add", "arguments": {"node-name": "t", "driver": "raw", "file": "f"}, "id": 1}
    found = failing_node(add, "target-EIO", [3])
    assert found["id"] == 1
    assert found["arguments"] == {
        "node-name": "t", "driver": "blkdebug", "image": {"driver": "raw", "file": "f"},
        "inject-error": [{"event": "none", "errno": 5, "sector": 3}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "known"),
    [
        (drive("/x"), 1),
        (drive("/x", "disk1", format="raw"), 1),
        (drive("/x", mode="existing", format="vmdk"), 1),
        (drive("/x", mode="existing"), 0),  # QEMU looks into it for its format
        (drive("/x", format="vmdk"), 0),
        (drive("nbd:unix:/x"), 0),
        (drive(None), 0),
        (drive("/x", "somewhere-else"), 0),
        (transaction(drive("/x"), drive("/y", "disk1"), drive("nbd:unix:/x")), 2),
        ({"execute": "transaction", "arguments": {"actions": [3, {"type": "drive-backup", "data": 3}]}}, 0),
        ({"execute": "blockdev-backup", "arguments": {"device": "disk0", "target": "/x"}}, 0),
        ({"execute": "drive-backup", "arguments": 3}, 0),
    ],
)
def test_a_file_can_be_made_to_fail_where_it_is_known_what_it_is(message: dict[str, Any], known: int) -> None:
    assert len(list(drive_backups(message, DISKS))) == known


@pytest.mark.parametrize("driver", ["qcow2", "raw", None])
def test_what_qemu_would_make_is_made_and_fails(driver: str | None, tmp_path: Path) -> None:
    target = tmp_path / "target"
    asked = drive(str(target), **({} if driver is None else {"format": driver}))
    before = copy.deepcopy(asked)
    found = failing_files(asked, "target-ENOSPC", [3], DISKS)
    assert asked == before
    assert target.read_bytes() == (bytes(DISKS[0].size) if driver == "raw" else empty_qcow2(DISKS[0].size))
    backup = found["arguments"]
    assert (found["id"], backup["mode"], backup["sync"], "format" in backup) == (7, "existing", "full", False)
    kind, _, options = backup["target"].partition(":")
    assert (kind, json.loads(options)) == ("json", {
        "driver": "blkdebug", "inject-error": [{"event": "none", "errno": 28}],
        "image": {"driver": driver or "qcow2", "file": {"driver": "file", "filename": str(target)}},
    })  # fmt: skip


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    failing_files(drive(str(target), mode="existing", format="raw"), "target-EIO", [3], DISKS)
    assert target.read_text() == "mine"


def test_every_target_of_a_transaction_fails(tmp_path: Path) -> None:
    both = transaction(drive(f"{tmp_path}/0"), drive(f"{tmp_path}/1", "disk1"))
    found = failing_files(both, "target-EIO", [3], DISKS)["arguments"]["actions"]
    assert all(each["data"]["target"].startswith("json:") for each in found)
    assert (tmp_path / "1").stat().st_size == DISKS[1].size


def test_the_sectors_that_fail_are_in_the_last_granule_that_is_whole() -> None:
    sizes = [each.size for each in DISKS]
    assert late_sectors(sizes) == [19 * GRANULE // SECTOR, 23 * GRANULE // SECTOR]
