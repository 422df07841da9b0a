"""Every refusal: its kind, QEMU's text, and nothing changed."""

import math

import pytest
from cbtimpl import MemoryDisk, Refused
from cbtimpl.observation import describe

K = 65536
BUSY = "Bitmap 'b' is currently in use by another operation and cannot be used"


def refused(scene, command):
    before = describe(scene.host)
    with pytest.raises(Refused) as caught:
        command(scene.host)
    assert describe(scene.host) == before
    return caught.value.kind, str(caught.value)


BITMAPS = [
    (lambda h: h.bitmap_add("x", "c"), "not found", "Cannot find device='x' nor node-name='x'"),
    (lambda h: h.bitmap_add("x", ""), "invalid", "Bitmap name cannot be empty"),
    (lambda h: h.bitmap_add("n", "b", 1000), "invalid", "Granularity must be power of 2 and at least 512"),
    (lambda h: h.bitmap_add("n", "c", 2**32), "invalid", "Parameter 'granularity' expects uint32_t"),
    (lambda h: h.bitmap_add("n", "c", "64K"), "invalid", "Parameter 'granularity' expects uint64"),
    (lambda h: h.bitmap_add("n", "c", True), "invalid", "Parameter 'granularity' expects uint64"),
    (lambda h: h.bitmap_add("n", "b"), "exists", "Bitmap already exists: b"),
    (lambda h: h.bitmap_add("n", "é" * 512), "invalid", "Bitmap name too long: " + "é" * 512),
    (lambda h: h.bitmap_add("n", None), "invalid", "Invalid parameter type for 'name', expected: string"),
    (lambda h: h.bitmap_add("n", "c", 512, 1), "invalid", "Invalid parameter type for 'enabled', expected: boolean"),
    (lambda h: h.bitmap_clear("x", "b"), "not found", "Node 'x' not found"),
    (lambda h: h.bitmap_clear("n", "x"), "not found", "Dirty bitmap 'x' not found"),
    (
        lambda h: h.bitmap_merge("n", "b", [("small", "s")]),
        "size mismatch",
        "Bitmaps are of different sizes (destination size is 1048576, source size is 512) and can't be merged",
    ),
    (lambda h: h.bitmap_merge("n", "b", [("x", "s")]), "not found", "Node 'x' not found"),
    (lambda h: h.bitmap_merge("n", "b", "b"), "invalid", "Invalid parameter type for 'bitmaps', expected: array"),
    (lambda h: h.add_node("n", 512), "exists", "Duplicate nodes with node-name='n'"),
]


@pytest.mark.parametrize(("command", "kind", "text"), BITMAPS)
def test_commands_on_bitmaps(tracked, command, kind, text):
    tracked.host.add_node("small", 512)
    tracked.host.bitmap_add("small", "s")
    assert refused(tracked, command) == (kind, text)


@pytest.mark.parametrize(
    "command",
    [
        lambda h: h.bitmap_clear("n", "b"),
        lambda h: h.bitmap_enable("n", "b"),
        lambda h: h.bitmap_disable("n", "b"),
        lambda h: h.bitmap_remove("n", "b"),
        lambda h: h.bitmap_merge("n", "b", [("n", "c")]),
        lambda h: h.bitmap_merge("n", "b", [("n", "b")]),
        lambda h: h.bitmap_merge("n", "c", [("n", "b")]),
        lambda h: h.backup("k", "n", MemoryDisk(16 * K), "incremental", "b"),
    ],
)
def test_a_frozen_bitmap_is_left_alone(tracked, command):
    tracked.host.bitmap_add("n", "c")
    tracked.backup()
    assert refused(tracked, command) == ("busy", BUSY)


def test_a_merge_of_nothing_asks_nothing_of_its_target(tracked):
    tracked.backup()
    tracked.host.bitmap_merge("n", "b", [])


BACKUPS = [
    ({"node": "x"}, "not found", "Cannot find device='x' nor node-name='x'"),
    ({"sync": "bitmap", "bitmap": None}, "invalid", "must provide a valid bitmap name for 'bitmap' sync mode"),
    (
        {"bitmap": None, "bitmap_mode": "never"},
        "invalid",
        "must provide a valid bitmap name for 'incremental' sync mode",
    ),
    (
        {"bitmap": "x", "bitmap_mode": "never"},
        "invalid",
        "Bitmap sync mode must be 'on-success' when using sync mode 'incremental'",
    ),
    ({"bitmap": "x", "sync": "bitmap"}, "not found", "Bitmap 'x' could not be found"),
    ({"sync": "bitmap"}, "invalid", "Bitmap sync mode must be given when providing a bitmap"),
    ({"sync": "full"}, "invalid", "Bitmap sync mode must be given when providing a bitmap"),
    (
        {"sync": "full", "bitmap_mode": "never"},
        "invalid",
        "Bitmap sync mode 'never' has no meaningful effect when combined with sync mode 'full'",
    ),
    (
        {"sync": "full", "bitmap": None, "bitmap_mode": "always"},
        "invalid",
        "Cannot specify bitmap sync mode without a bitmap",
    ),
    ({"target": "source"}, "invalid", "Source and target cannot be the same"),
    ({"target": MemoryDisk(512)}, "size mismatch", "Source and target image have different sizes"),
    ({"job": "9"}, "invalid", "Invalid job ID '9'"),
    ({"job": "old"}, "exists", "Job ID 'old' already in use"),
    ({"sync": "all"}, "invalid", "Parameter 'sync' does not accept value 'all'"),
    ({"bitmap_mode": "maybe"}, "invalid", "Parameter 'bitmap-mode' does not accept value 'maybe'"),
    ({"on_source_error": "stopp"}, "invalid", "Parameter 'on-source-error' does not accept value 'stopp'"),
    ({"cluster": 1000}, "invalid", "Cluster size must be power of 2 and at least 512"),
    ({"cluster": math.nan}, "invalid", "Parameter 'cluster' expects uint64"),
    ({"target": None}, "invalid", "Invalid parameter type for 'target', expected: Disk"),
]


@pytest.mark.parametrize(("changes", "kind", "text"), BACKUPS)
def test_starting_a_job(tracked, changes, kind, text):
    tracked.backup("old", sync="full")
    arguments = {"job": "j", "node": "n", "target": MemoryDisk(16 * K), "sync": "incremental", "bitmap": "b"}
    arguments |= changes
    if arguments["target"] == "source":
        arguments["target"] = tracked.source
    assert refused(tracked, lambda host: host.backup(**arguments)) == (kind, text)


def test_a_disk_is_the_target_of_one_job(tracked):
    target = tracked.backup("j1", sync="full")
    text = "Node 'target' is busy: block device is in use by block job: backup"
    assert refused(tracked, lambda h: h.backup("j2", "n", target, "full")) == ("busy", text)


def verb(phase, name):
    return "wrong phase", f"Job 'j' in state '{phase}' cannot accept command verb '{name}'"


def test_verbs_in_the_wrong_phase(tracked):
    tracked.backup(auto_finalize=False)
    assert refused(tracked, lambda h: h.finalize("j")) == verb("running", "finalize")
    assert refused(tracked, lambda h: h.resume("j")) == ("wrong phase", "Can't resume a job that was not paused")
    tracked.host.pause("j")
    assert refused(tracked, lambda h: h.pause("j")) == ("wrong phase", "Job is already paused")
    assert refused(tracked, lambda h: h.begin_copy("j", K, 1)) == verb("paused", "copy")
    assert refused(tracked, lambda h: h.copy_next("j")) == verb("paused", "copy")
    tracked.host.resume("j")
    tracked.host.run("j")
    for name in ["pause", "resume"]:
        assert refused(tracked, lambda h, name=name: getattr(h, name)("j")) == verb("pending", name)
    for name in ["pause", "resume", "cancel", "finalize", "run", "copy_next", "end_copy"]:
        assert refused(tracked, lambda h, name=name: getattr(h, name)("x")) == ("not found", "Job not found")


def test_copies_that_make_no_sense(tracked):
    tracked.backup()
    assert refused(tracked, lambda h: h.copy("j", 0, K))[0] == "invalid"
    assert refused(tracked, lambda h: h.copy("j", K, 0))[0] == "invalid"
    assert refused(tracked, lambda h: h.copy("j", K, 1, error=0))[0] == "invalid"
    assert refused(tracked, lambda h: h.copy("j", K, 1, error=5, side="both"))[0] == "invalid"
    assert refused(tracked, lambda h: h.end_copy("j"))[0] == "invalid"
    tracked.host.begin_copy("j", K, 1)
    assert refused(tracked, lambda h: h.copy("j", 3 * K, 1))[0] == "wrong phase"
    assert refused(tracked, lambda h: h.begin_copy("j", 3 * K, 1))[0] == "wrong phase"
    assert refused(tracked, lambda h: h.run("j"))[0] == "wrong phase"


@pytest.mark.parametrize("offset", [-1, 16 * K, 2**63, 2**70, True, "0", None, math.nan, 0.5])
def test_guest_requests_off_the_disk(tracked, offset):
    assert refused(tracked, lambda h: h.write("n", offset, b"x"))[0] == "invalid"
    assert refused(tracked, lambda h: h.zeroes("n", offset, 1))[0] == "invalid"
    assert refused(tracked, lambda h: h.discard("n", offset, 1))[0] == "invalid"


def test_guest_requests_that_make_no_sense(tracked):
    assert refused(tracked, lambda h: h.write("n", 0, "text"))[0] == "invalid"
    assert refused(tracked, lambda h: h.write("x", 0, b""))[0] == "not found"
    assert refused(tracked, lambda h: h.begin_write("n", "w", 0))[0] == "invalid"
    assert refused(tracked, lambda h: h.end_write("n", "w"))[0] == "not found"
    tracked.host.begin_write("n", "w", 0, length=512)
    assert refused(tracked, lambda h: h.begin_write("n", "w", 0, b"x"))[0] == "exists"
    assert refused(tracked, lambda h: h.end_write("n", "w", land=False))[0] == "invalid"
