"""Files that people write, however wrong they are: one line that names the mistake, exit code 64, little memory."""

import json
import os
import resource
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from cbtcheck.run.ledger import ledger
from cbtcheck.scenario import strict_json
from cbtcheck.scenario.memory import MOST_MEMORY, estimated
from cbtcheck.scenario.scenario import ScenarioError, from_bytes
from cbtmodel.commands import AddBitmap, StartBackup

GIB = 1 << 30
WRITE = {"do": "write", "node": "disk0", "offset": 0, "length": 512}


def text(**members: object) -> bytes:
    whole = {"format": "cbtspec-scenario", "version": 1, "block": 512, "disks": {"disk0": 65536}, "commands": [WRITE]}
    return json.dumps(whole | members).encode()


def cbtspec(*words: object, gib: int = 0, **more: object) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own; with no more address space than that."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (gib * GIB, gib * GIB))) if gib else None
    return subprocess.run(
        [sys.executable, "-m", "cbtcheck", *map(str, words)],
        capture_output=True, text=True, preexec_fn=limit, check=False, **more,  # type: ignore[call-overload]
    )  # fmt: skip


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a call that was refused."""
    assert done.returncode == 64, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("cbtspec: ")
    assert "Traceback" not in line
    return line


def refused(raw: bytes) -> str:
    with pytest.raises(ScenarioError) as problem:
        from_bytes(raw)
    (line,) = str(problem.value).splitlines()
    assert line.isprintable()
    return line


BAD = {
    "a disk without a name": (text(disks={"": 65536}), "a disk is named ''"),
    "a disk with a name that no file system has": (text(disks={"d" * 1024: 65536}), "names have 1 to 1023 bytes"),
    "a member twice": (text()[:-1] + b',"block":512}', "the member 'block' is there twice"),
    "a disk twice": (text().replace(b'{"disk0": 65536}', b'{"d": 512, "d": 1024}'), "the member 'd' is there twice"),
    "a field twice": (
        text().replace(b'"length": 512', b'"length": 512, "length": 1024'), "the member 'length' is there twice"
    ),
    "a member twice, spelled otherwise": (
        text()[:-1] + b',"bl\\u006fck":512}', "the member 'block' is there twice"
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + text(), "byte order mark"),
    "no UTF-8": (text(title="\xe9").replace(b"\\u00e9", b"\xe9"), "not JSON"),
    "NaN": (text().replace(b"65536", b"NaN"), "not JSON"),
    "infinity": (text().replace(b"65536", b"1e999"), "out of range"),
    "brackets without end": (b"[" * 2_000_000, "nested too deeply"),
    "brackets in a member": (text(commands=[]).replace(b"[]", b"[" * 90_000 + b"]" * 90_000), "nested too deeply"),
    "an integer of 5,000 digits": (text().replace(b"65536", b"1" * 5000), "out of range"),
    "a title that is a number": (text(title=5), "'title' must be text"),
    "an unknown member": (text(disk={}), "unknown member 'disk'"),
    "an unknown field": (text(commands=[WRITE | {"size": 1}]), "has no 'size'"),
    "a control character in a command's name": (text(commands=[{"do": "\x1b[2J"}]), r"'\x1b[2J'"),
    "a wrong type": (text(commands=[WRITE | {"offset": "0"}]), "offset"),
    "nothing": (b"", "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "says"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_in_one_line(raw: bytes, says: str) -> None:
    assert says in refused(raw)


def test_what_is_right_is_read() -> None:
    assert from_bytes(text()).disks == {"disk0": 65536}


@pytest.mark.parametrize("value", [{"a": 1, "b": [{"a": 2}]}, [], "x", 5, 1.5, None])
def test_strict_json_gives_what_json_says(value: object) -> None:
    assert strict_json.decode(json.dumps(value).encode()) == value


def test_an_entry_of_the_ledger_has_no_member_twice() -> None:
    raw = files("cbtcheck").joinpath("run", "ledger", "entries", "QEMU-1.json").read_bytes()
    assert ledger.read(raw, "entry.json").id
    with pytest.raises(ValueError, match=r"entry\.json: the member 'id' is there twice"):
        ledger.read(raw.rstrip()[:-1] + b',"id":"X"}', "entry.json")


# Memory


def full_of(disks: int, size: int) -> bytes:
    names = [f"d{number}" for number in range(disks)]
    return text(
        disks=dict.fromkeys(names, size),
        commands=[{"do": "write", "node": each, "offset": 0, "length": size} for each in names],
    )


def test_a_scenario_that_needs_more_memory_than_the_limit_is_refused() -> None:
    assert "MiB of memory" in refused(full_of(64, 64 << 20))


def test_a_scenario_within_the_limit_is_played_within_it(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_bytes(full_of(8, 64 << 20))
    done = cbtspec("replay", file, gib=3)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_backup_and_every_bitmap_counts() -> None:
    disks = {"d": 64 << 20}
    add, backup = AddBitmap("d", "b", 65536), StartBackup("j", "d", "full", cluster=65536)
    alone = estimated(disks, 512, ())
    assert alone >= 64 << 20
    assert estimated(disks, 512, [add]) >= alone + (64 << 20)
    assert estimated(disks, 512, [backup]) >= alone + 2 * (64 << 20)
    assert estimated(disks, 512, [backup] * 100) > MOST_MEMORY


@pytest.mark.parametrize("kind", ["write", "zeroes", "discard"])
@pytest.mark.parametrize("length", [10**18, 2**63 - 512, 2**64])
def test_a_write_of_exabytes_is_refused_as_one_beyond_the_disk(tmp_path: Path, kind: str, length: int) -> None:
    file = tmp_path / "scenario.json"
    file.write_bytes(text(commands=[WRITE | {"offset": 10**18, "length": length, "kind": kind}]))
    done = cbtspec("replay", file, gib=3)
    assert (done.returncode, done.stderr) == (0, "")
    assert "refused: invalid" in done.stdout


@pytest.mark.parametrize("granularity", [2**31, 2**32, 2**62, 2**63, 2**64, 10**300])
def test_a_giant_granularity_takes_no_memory(tmp_path: Path, granularity: int) -> None:
    commands = [
        {"do": "add-bitmap", "node": "disk0", "name": "b", "granularity": granularity}, WRITE,
        {"do": "start-backup", "job": "j", "node": "disk0", "sync": "full", "cluster": granularity},
        {"do": "copy", "job": "j", "offset": 0, "length": 65536},
    ]  # fmt: skip
    file = tmp_path / "scenario.json"
    file.write_bytes(text(commands=commands))
    done = cbtspec("replay", file, gib=3)
    assert (done.returncode, done.stderr) == (0, "")


# Things that are no files


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in complaint(cbtspec("replay", tmp_path))


def test_a_device_without_end() -> None:
    assert "larger than" in complaint(cbtspec("replay", "/dev/zero", gib=2))


def test_a_loop_of_symbolic_links(tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    assert "cannot be read" in complaint(cbtspec("replay", loop))


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(pipe)!r}, 'wb').write({text()!r})"])
    assert cbtspec("replay", pipe).returncode == 0
    assert writer.wait() == 0


# Text that is an order to a terminal


def test_orders_to_a_terminal_in_a_scenario_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    evil = "\x1b]0;pwn\x07\x1b[31m\x9b2J\u202e\u2066\u200b\r\nCONFORMANT"
    file = tmp_path / "scenario.json"
    disk = WRITE["node"] + evil  # type: ignore[operator]
    file.write_bytes(text(title=evil, story=evil, disks={disk: 65536}, commands=[WRITE | {"node": disk}]))
    done = cbtspec("replay", file)
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert "CONFORMANT" not in done.stdout.splitlines()
    assert done.stdout.count(r"\x1b]0;pwn\x07\x1b[31m\x9b2J\u202e\u2066\u200b\r\nCONFORMANT on") == 1
