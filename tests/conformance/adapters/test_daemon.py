"""The control of a real qemu-storage-daemon, and the bits of its bitmaps."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import digest
from cbtcheck.adapters.qemu import daemon as daemon_module
from cbtcheck.adapters.qemu.bitmaps import read_bits
from cbtcheck.adapters.qemu.daemon import Daemon, DaemonDied, DaemonMissing, DaemonTooOld, QmpRefused, find_daemon
from cbtwire.nbd.client import DiskClient
from cbtwire.nbd.disk import Request
from cbtwire.nbd.server import DiskServer

SIZE = 1 << 20
CLUSTER = 1 << 16


def play(binary: str, directory: Path, scenario: Callable[[Daemon], Awaitable[None]]) -> None:
    async def body() -> None:
        daemon = await Daemon.start(binary, str(directory))
        try:
            await scenario(daemon)
            assert daemon.hook_error is None
        finally:
            await daemon.stop()
        assert daemon.died.done()

    before = open_files()
    asyncio.run(asyncio.wait_for(body(), 30))
    assert open_files() == before, "a file descriptor was left open"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


async def add_disk(daemon: Daemon, server: DiskServer, name: str) -> None:
    server.add_export(name, SIZE)
    address = {"type": "unix", "path": server.socket_path}
    node = {"driver": "nbd", "node-name": name, "server": address, "export": name}
    await daemon.execute("blockdev-add", node)


async def export_disk(daemon: Daemon, name: str, path: str) -> DiskClient:
    address = {"type": "unix", "data": {"path": path}}
    await daemon.execute("nbd-server-start", {"addr": address, "max-connections": 0})
    export = {"type": "nbd", "id": "guest", "node-name": name, "name": name, "writable": True}
    await daemon.execute("block-export-add", export)
    return await DiskClient.connect(path, name)


@pytest.mark.qemu
def test_it_says_its_version_and_refuses_in_its_own_words(binary: str, tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        assert daemon.version >= (6, 0, 0)
        assert daemon.version_text.startswith(".".join(map(str, daemon.version)))
        with pytest.raises(QmpRefused) as refused:
            await daemon.execute("blockdev-del", {"node-name": "x"})
        assert refused.value.error_class == "GenericError"
        assert "x" in refused.value.description

    play(binary, tmp_path, scenario)


@pytest.mark.qemu
def test_pipelined_replies_belong_to_their_commands(binary: str, tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        good = ("query-jobs", None)
        bad = ("job-cancel", {"id": "x"})
        answers = await daemon.execute_many([good, bad, ("query-version", None)] * 20)
        for jobs, refusal, version in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
            assert jobs == []
            assert isinstance(refusal, QmpRefused)
            assert "qemu" in version
        # A caller that loses interest must not shift the replies of the others.
        abandoned = asyncio.ensure_future(daemon.execute("query-version"))
        await asyncio.sleep(0)
        abandoned.cancel()
        assert await daemon.execute("query-jobs") == []

    play(binary, tmp_path, scenario)


@pytest.mark.qemu
def test_a_held_read_holds_the_backup_and_events_come_in_order(binary: str, tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        server = await DiskServer.start(str(tmp_path / "disks"))
        for name in ("source", "target"):
            await add_disk(daemon, server, name)
        client = await export_disk(daemon, "source", str(tmp_path / "guests"))
        bitmap = {"node": "source", "name": "b"}
        await daemon.execute("block-dirty-bitmap-add", {**bitmap, "granularity": CLUSTER})
        for cluster in (1, 3):
            await client.write(cluster * CLUSTER, b"x")

        statuses: list[str] = []
        held: list[Request] = []
        server.disks["source"].handler = lambda each: held.append(each) if each.kind == "read" else each.complete()

        def on_event(event: dict[str, Any]) -> None:
            if event["event"] == "JOB_STATUS_CHANGE":
                statuses.append(event["data"]["status"])

        daemon.on_event = on_event
        over = daemon.expect(lambda event: event.get("data", {}).get("status") == "null")
        await daemon.execute(
            "blockdev-backup",
            {"job-id": "j", "device": "source", "target": "target", "sync": "incremental", "bitmap": "b",
             "filter-node-name": "f", "x-perf": {"max-workers": 1, "max-chunk": CLUSTER}},
        )  # fmt: skip
        reads: list[tuple[str, int, int]] = []
        while len(reads) < 2:
            await asyncio.sleep(0)
            if held:
                reads.append((held[0].kind, held[0].offset, held[0].length))
                assert "waiting" not in statuses
                held.pop().complete()
        await over
        assert reads == [("read", CLUSTER, CLUSTER), ("read", 3 * CLUSTER, CLUSTER)]
        assert statuses[:2] == ["created", "running"]
        assert statuses[-4:] == ["waiting", "pending", "concluded", "null"]
        assert server.disks["target"].content.all() == server.disks["source"].content.all()
        server.disks["source"].handler = None  # quitting flushes
        await client.close()
        await daemon.stop()
        await server.close()

    play(binary, tmp_path, scenario)


@pytest.mark.qemu
@pytest.mark.parametrize("granularity", [512, 4096, CLUSTER])
def test_bits_are_read_and_predicted_exactly(binary: str, tmp_path: Path, granularity: int) -> None:
    async def scenario(daemon: Daemon) -> None:
        server = await DiskServer.start(str(tmp_path / "disks"))
        await add_disk(daemon, server, "source")
        path = str(tmp_path / "guests")
        client = await export_disk(daemon, "source", path)
        bitmap = {"node": "source", "name": "b"}
        await daemon.execute("block-dirty-bitmap-add", {**bitmap, "granularity": granularity})
        expected = 0
        for offset, length in ((0, 1), (5 * 4096 - 1, 2), (300_000, 70_000), (SIZE - 1, 1)):
            await client.write(offset, b"x" * length)
            for granule in range(offset // granularity, (offset + length - 1) // granularity + 1):
                expected |= 1 << granule
        assert await read_bits(daemon, "source", "b", path) == expected
        answer = await daemon.execute("x-debug-block-dirty-bitmap-sha256", bitmap)
        assert answer["sha256"] == digest(expected, SIZE // granularity)
        nodes = await daemon.execute("query-named-block-nodes", {"flat": True})
        assert [found["name"] for node in nodes for found in node["dirty-bitmaps"]] == ["b"]
        with pytest.raises(LookupError):
            await read_bits(daemon, "source", "c", path)
        # A bitmap that somebody exports is busy.
        export = {"type": "nbd", "id": "e", "node-name": "source", "name": "e", "bitmaps": ["b"]}
        await daemon.execute("block-dirty-bitmap-disable", bitmap)
        await daemon.execute("block-export-add", export)
        assert await read_bits(daemon, "source", "b", path) is None
        await client.close()
        await daemon.stop()
        await server.close()

    play(binary, tmp_path, scenario)


def test_the_digest_of_an_empty_bitmap_is_that_of_one_word() -> None:
    assert digest(0, 0).startswith("af5570f5a181")
    assert digest(0, 64) == digest(0, 1)
    assert digest(0, 65) != digest(0, 64)
    with pytest.raises(ValueError, match="beyond"):
        digest(2, 1)


@pytest.mark.qemu
def test_a_death_fails_what_is_in_flight_and_all_that_follows(binary: str, tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        # Stopped first, so that the reply cannot win the race against the kill.
        os.kill(daemon.pid, signal.SIGSTOP)
        pending = asyncio.ensure_future(daemon.execute("query-version"))
        await asyncio.sleep(0)
        daemon.kill()
        with pytest.raises(DaemonDied) as death:
            await pending
        assert death.value.exit_status == -9
        with pytest.raises(DaemonDied):
            await daemon.execute("query-version")
        with pytest.raises(DaemonDied):
            await daemon.execute_many([("query-version", None)])
        assert await daemon.died == -9
        assert await daemon.stop() == await daemon.stop() == -9

    play(binary, tmp_path, scenario)


@pytest.mark.qemu
def test_a_held_request_does_not_keep_the_daemon_alive(binary: str, tmp_path: Path) -> None:
    async def scenario(daemon: Daemon) -> None:
        server = await DiskServer.start(str(tmp_path / "disks"))
        await add_disk(daemon, server, "source")
        held: list[Request] = []
        server.disks["source"].handler = held.append
        client = await export_disk(daemon, "source", str(tmp_path / "guests"))
        write = client.write(0, b"x")
        while not held:
            await asyncio.sleep(0)
        assert await daemon.stop(grace=0.1) == -9
        with pytest.raises(ConnectionError):
            await write
        await client.close()
        await server.close()
        assert held[0].dead

    play(binary, tmp_path, scenario)


def script(directory: Path, body: str) -> str:
    path = directory / "daemon"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_binary_that_ends_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(DaemonDied) as death:
        asyncio.run(Daemon.start(script(tmp_path, "echo no such luck; exit 7"), str(tmp_path)))
    assert death.value.exit_status == 7
    assert "no such luck" in death.value.last_output
    assert open_files() == before


def test_a_missing_binary_names_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DaemonMissing, match="give another path"):
        asyncio.run(Daemon.start(str(tmp_path / "nothing"), str(tmp_path)))
    with pytest.raises(DaemonMissing, match="not an executable"):
        find_daemon(str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaemonMissing, match="brew install qemu"):
        find_daemon()


@pytest.mark.qemu
def test_an_old_daemon_is_refused_and_gone(binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "OLDEST_VERSION", (99, 0, 0))
    before = open_files()
    with pytest.raises(DaemonTooOld, match=r"install QEMU 99\.0 or newer"):
        asyncio.run(Daemon.start(binary, str(tmp_path)))
    assert open_files() == before
