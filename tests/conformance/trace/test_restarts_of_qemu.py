"""A real QEMU that ends, and is started again: what was said to it, and what `verify` says of that.

The logs in `inputs` are what this test wrote on QEMU 7.2.22 (`--regenerate-golden`).
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from cbtcheck.trace.verify import Options, verify

INPUTS = Path(__file__).parent / "inputs"
SIZE = 1 << 20
DISK = {"driver": "qcow2", "node-name": "d", "file": {"driver": "file", "filename": "d.qcow2"}}
BITMAP = {"node": "d", "name": "b", "persistent": True}


class Logged:
    """A daemon whose conversation is written down, one message a line."""

    def __init__(self, binary: str, place: Path, log: list[str]) -> None:
        self.command = [binary, "--chardev", "stdio,id=m", "--monitor", "chardev=m"]
        self.place, self.log, self.completed = place, log, set[str]()

    def __enter__(self) -> Logged:
        self.process = subprocess.Popen(
            self.command, cwd=self.place, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._next()
        self.do("qmp_capabilities")
        return self

    def __exit__(self, kind: object, value: object, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def _next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.log.append(line)
        message: dict[str, Any] = json.loads(line)
        if message.get("event") == "BLOCK_JOB_COMPLETED":
            self.completed.add(message["data"]["device"])
        return message

    def do(self, command: str, /, **arguments: Any) -> dict[str, Any]:
        """The answer."""
        assert self.process.stdin is not None
        line = json.dumps({"execute": command, "arguments": arguments}) + "\n"
        self.log.append(line)
        self.process.stdin.write(line)
        self.process.stdin.flush()
        while True:
            message = self._next()
            if "event" not in message:
                return message

    def open(self, read_only: bool = False) -> None:
        """The disk, and something that takes what is backed up."""
        assert "return" in self.do("blockdev-add", **DISK, **{"read-only": read_only})
        assert "return" in self.do("blockdev-add", **{"driver": "null-co", "node-name": "t", "size": SIZE})
        self.do("query-named-block-nodes", flat=True)

    def over(self, job: str) -> None:
        """Waits until a job has completed."""
        while job not in self.completed:
            self._next()

    def full(self, job: str) -> None:
        """The bitmap and a full backup at one instant."""
        full = {"job-id": job, "device": "d", "target": "t", "sync": "full"}
        actions = [{"type": "block-dirty-bitmap-add", "data": BITMAP}, {"type": "blockdev-backup", "data": full}]
        assert "return" in self.do("transaction", actions=actions)
        self.over(job)

    def increment(self, job: str) -> dict[str, Any]:
        """An increment with the bitmap, or the answer why not."""
        how = {"job-id": job, "device": "d", "target": "t", "sync": "incremental", "bitmap": "b"}
        answer = self.do("blockdev-backup", **how)
        if "return" in answer:
            self.over(job)
        return answer

    def quit(self) -> None:
        """Ends it properly."""
        self.do("quit")
        self.process.wait(30)


Start = Callable[[], Logged]


def stopped_in_between(start: Start) -> None:
    """Closed properly; then looked at, read-only; then on with it."""
    with start() as daemon:
        daemon.open()
        daemon.full("full")
        daemon.increment("i1")
        daemon.quit()
    with start() as daemon:
        daemon.open(read_only=True)
        assert "error" in daemon.do("block-dirty-bitmap-clear", node="d", name="b")
        daemon.quit()
    with start() as daemon:
        daemon.open()
        daemon.increment("i2")
        daemon.quit()


def _killed(start: Start) -> None:
    with start() as daemon:
        daemon.open()
        daemon.full("full")
        daemon.quit()
    with start() as daemon:
        daemon.open()
        daemon.increment("i1")  # and is killed


def killed_then_full(start: Start) -> None:
    """Killed; the increment is refused, and there is a full backup instead."""
    _killed(start)
    with start() as daemon:
        daemon.open()
        assert "inconsistent" in daemon.increment("refused")["error"]["desc"]
        daemon.do("block-dirty-bitmap-remove", node="d", name="b")
        daemon.full("again")
        daemon.increment("i2")
        daemon.quit()


def killed_then_added_again(start: Start) -> None:
    """Killed; the bitmap is removed and added, and the tool goes on as if nothing had been."""
    _killed(start)
    with start() as daemon:
        daemon.open()
        daemon.do("block-dirty-bitmap-remove", node="d", name="b")
        daemon.do("block-dirty-bitmap-add", **BITMAP)
        daemon.increment("i2")
        daemon.quit()


KINDS: dict[str, tuple[Callable[[Start], None], list[tuple[str, str]]]] = {
    "stopped-in-between": (stopped_in_between, [("full", "restores"), ("i1", "restores"), ("i2", "restores")]),
    "killed-then-full": (
        killed_then_full,
        [("full", "restores"), ("i1", "restores"), ("again", "restores"), ("i2", "restores")],
    ),
    "killed-then-added-again": (
        killed_then_added_again, [("full", "restores"), ("i1", "restores"), ("i2", "perhaps")],
    ),
}  # fmt: skip

kinds = pytest.mark.parametrize("kind", KINDS)


def told(log: bytes) -> list[tuple[str, str]]:
    report = verify(io.BytesIO(log), Options())
    assert not report.findings
    [(table, _)] = report.tables
    if table.depends:
        [lost] = table.rows[-1].lost
        assert lost.why.startswith("d/b was left in use, so QEMU had been killed, and added again in line")
    return [(row.job, row.gives) for row in table.rows]


@kinds
def test_what_was_recorded_of_a_real_qemu(kind: str) -> None:
    assert told((INPUTS / f"qemu-{kind}.jsonl").read_bytes()) == KINDS[kind][1]


@kinds
def test_the_same_on_the_qemu_that_is_here(
    kind: str, binary: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    play, expected = KINDS[kind]
    image = shutil.which("qemu-img", path=f"{Path(binary).parent}:/usr/bin")
    if image is None:
        pytest.skip("there is no qemu-img")
    subprocess.run([image, "create", "-q", "-f", "qcow2", "d.qcow2", str(SIZE)], cwd=tmp_path, check=True)
    log: list[str] = []
    play(lambda: Logged(binary, tmp_path, log))
    if request.config.getoption("--regenerate-golden", default=False):
        (INPUTS / f"qemu-{kind}.jsonl").write_text("".join(log), encoding="utf-8")
    assert told("".join(log).encode()) == expected
