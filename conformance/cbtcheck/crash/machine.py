"""A real QEMU with one image, to which the steps of a history happen.

The image lies on our NBD server; the daemon opens it as node `d` over node `d-file`, and the guest writes through an
export of `d`. What `qemu-img` does it does to the same storage.

A daemon takes 20 milliseconds to start, so one serves many histories.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Any, Final

from cbtwire.nbd.client import DiskClient, NbdDisconnected, NbdError, NbdRefused
from cbtwire.nbd.content import Growing
from cbtwire.nbd.server import DiskServer
from cbtwire.qcow2.writing import image_bytes

from cbtcheck.adapters.qemu.daemon import Daemon, DaemonDied, QmpRefused
from cbtcheck.crash.history import Step
from cbtcheck.crash.nodes import deletion, file_options, image_options
from cbtcheck.crash.offline import change
from cbtcheck.crash.owed import SECTOR, Account
from cbtcheck.crash.played import Done, Played, ReadByUs, Seen, read_by_guest
from cbtcheck.crash.recording import Fault, Recorder, unreachable
from cbtcheck.crash.setting import CLUSTERS, ROOM, Setting

PATIENCE: Final = 120.0
"""Seconds that a history may take, on whatever machine: what takes longer hangs."""


class Machine(ReadByUs):
    """One server and one daemon at a time. Make it with `Machine.start`, and `close` it."""

    def __init__(self, server: DiskServer, directory: str, binary: str, qemu_img: str | None) -> None:
        self._server, self._directory, self._binary, self._qemu_img = server, directory, binary, qemu_img
        self._daemon: Daemon | None = None
        self._said = ""
        """What the daemon has printed for earlier histories, and while it reached nothing any more."""
        self._kept: set[str] = set()
        """The nodes that the daemon only reads from: they stay open."""
        self._guest: DiskClient | None = None
        self._serves = False
        self._open = False
        self._read_only = False
        self.version = ""

    @classmethod
    async def start(cls, directory: str, binary: str, qemu_img: str | None) -> Machine:
        """A machine with its sockets in `directory`. Raises what `Daemon.start` does."""
        server = await DiskServer.start(os.path.join(directory, "nbd"))
        machine = cls(server, directory, binary, qemu_img)
        try:
            await machine._running()
        except BaseException:
            await server.close()
            raise
        return machine

    async def close(self) -> None:
        """Ends the daemon and the server."""
        await self._end(kill=True)
        await self._server.close()

    @property
    def pid(self) -> int:
        """The daemon's process; 0 if there is none just now."""
        return 0 if self._daemon is None else self._daemon.pid

    def kill(self) -> None:
        """Kills the daemon, without waiting: this process is about to end."""
        if self._daemon is not None:
            self._daemon.kill()

    # A history

    async def play(
        self, setting: Setting, history: tuple[Step, ...], fault: Fault | None = None, after: Played | None = None
    ) -> Played:
        """Plays a history on a new image, or on that which another one has left. `TimeoutError` if it hangs."""
        base = image_bytes(setting.size, setting.cluster_bits) if after is None else after.recorder.storage.all()
        recorder = Recorder(Growing(base, ROOM), setting.trims, fault)
        self._export("image", recorder)
        account = Account(setting.backing() or bytes(setting.size))
        played = Played(setting, base, recorder, account)
        if after is None:
            self._heard()
        else:
            account.goes_on(after.account)
            account.opened(read_by_guest(played))
        async with asyncio.timeout(PATIENCE):
            for step in history:
                await self._step(played, step)
            await self._leave()
        return played

    def _export(self, name: str, recorder: Recorder) -> None:
        with contextlib.suppress(KeyError):
            self._server.remove_export(name)
        disk = self._server.add_export(name, SECTOR)
        disk.content = recorder.storage
        disk.handler = recorder.handle

    async def _step(self, played: Played, step: Step) -> None:
        recorder, account = played.recorder, played.account
        failures = recorder.failures
        account.begin(step, len(recorder.events))
        died = False
        try:
            answer = await self._do(played, step)
        except (QmpRefused, NbdError) as refusal:
            answer = str(getattr(refusal, "description", refusal))
        except (NbdRefused, NbdDisconnected, ConnectionError) as problem:
            answer = f"the guest cannot reach its disk: {problem}"
        except DaemonDied as death:
            answer, died = str(death), True
            said = death.last_output.removeprefix(self._said).strip()
            played.broken = played.broken or f"{death}: {said[-400:]}"
        if died:
            await self._end(kill=True)
        if not self._open and step.verb not in ("offline", "open"):
            account.opened(read_by_guest(played))  # what only the daemon had in memory is gone
        harmed = recorder.failures > failures
        certain = not (step.verb == "offline" and (harmed or answer)) and not died
        account.end(step, not answer, certain, len(recorder.events))
        writable = self._open and not self._read_only
        played.done.append(Done(step, answer, harmed, len(recorder.events), len(recorder.asked), writable))

    async def _do(self, played: Played, step: Step) -> str:
        """Does a step; returns why it was refused, where no exception says so."""
        match step.verb:
            case "open":
                if self._open:
                    return "it is open already"
                await self._opened(played, step.read_only)
            case "close":
                await self._closed()
            case "quit":
                await self._end(kill=False)
            case "kill":
                await self._killed(played.recorder)
            case "reopen":
                await self._reopened(played, step.read_only)
            case "write" | "zero" | "flush":
                return await self._guest_does(played, step)
            case "offline":
                return await self._offline(step, "unmap" if played.setting.unmaps else "ignore")
            case "backup":
                await self._backup(step.name, played.setting.size)
            case _:
                await self._bitmap(step, 1 << played.setting.cluster_bits)
        return ""

    async def look(self, content: bytes, setting: Setting, names: Sequence[str], data: bool) -> Seen:
        """What QEMU sees in a state of the storage, opened read-only.

        The bits of the bitmaps of these `names` are asked for, and with `data` also what the guest reads.
        """
        daemon, backing = await self._running(), setting.backing()
        base = None if backing is None else await self._backing(daemon, backing)
        file = await self._only_read(daemon, "f", Growing(content, ROOM))
        bits = [("x-debug-block-dirty-bitmap-sha256", {"node": "s", "name": name}) for name in names]
        opened, nodes, *answers = await daemon.execute_many([
            ("blockdev-add", image_options("s", file, False, True, base)),
            ("query-named-block-nodes", {"flat": True}), *bits, *([] if data else [deletion("s")]),
        ])  # fmt: skip
        if isinstance(opened, QmpRefused):
            return Seen(opened.description)
        bitmaps = next(each.get("dirty-bitmaps", []) for each in nodes if each["node-name"] == "s")
        hashes = {
            name: answer["sha256"] for name, answer in zip(names, answers, strict=False)
            if not isinstance(answer, QmpRefused)
        }  # fmt: skip
        disk = None
        if data:
            with contextlib.suppress(NbdError):  # tables that QEMU calls corrupt
                disk = await self._read_all(setting.size)
            await daemon.execute(*deletion("s"))
        return Seen("", bitmaps, hashes, disk)

    async def _read_all(self, size: int) -> bytes:
        daemon = await self._running()
        path = await self._serving(daemon)
        await daemon.execute("block-export-add", {"type": "nbd", "id": "look", "node-name": "s", "name": "s"})
        guest = await DiskClient.connect(path, "s")
        try:
            return await guest.read(0, size)
        finally:
            await guest.close()
            gone = daemon.expect(lambda event: event["event"] == "BLOCK_EXPORT_DELETED")
            await daemon.execute("block-export-del", {"id": "look", "mode": "hard"})
            await gone

    # The daemon

    async def _running(self) -> Daemon:
        if self._daemon is None:
            self._daemon = await Daemon.start(self._binary, self._directory)
            self.version = self._daemon.version_text
            self._serves, self._said = False, ""
            self._kept.clear()
        return self._daemon

    async def _end(self, kill: bool) -> None:
        daemon, self._daemon = self._daemon, None
        await self._guest_gone()
        self._open = False
        if daemon is not None:
            if kill:
                daemon.kill()
            await daemon.stop()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._directory, "guest"))

    async def _killed(self, recorder: Recorder) -> None:
        """The daemon dies, as the storage sees it: from now on nothing that it does reaches the image.

        The process lets go of the image, and is used again; it ends if it cannot.
        """
        if not self._open:
            return
        self._server.disks["image"].handler = unreachable
        try:
            await self._closed()
            self._heard()
        except (QmpRefused, DaemonDied, ConnectionError):
            await self._end(kill=True)
        self._open = False
        self._export("image", recorder)

    def _heard(self) -> None:
        """What the daemon has printed until now is of no interest."""
        self._said = "" if self._daemon is None else self._daemon.last_output

    async def _leave(self) -> None:
        """Closes what a history has left open, so that the daemon can be used again; else it is ended."""
        if self._daemon is not None and self._open:
            try:
                await self._closed()
            except (QmpRefused, DaemonDied, ConnectionError):
                await self._end(kill=True)

    async def _opened(self, played: Played, read_only: bool) -> None:
        await self._open_node(played.setting, read_only)
        self._open, self._read_only = True, read_only
        played.account.opened(read_by_guest(played))

    async def _open_node(self, setting: Setting, read_only: bool) -> None:
        """Opens the image. `QmpRefused` if QEMU does not."""
        daemon, backing = await self._running(), setting.backing()
        base = None if backing is None else await self._backing(daemon, backing)
        file = file_options(self._server.socket_path, "image", setting.unmaps) | {"node-name": "d-file"}
        image = image_options("d", "d-file", setting.unmaps, read_only, base)
        below, above = await daemon.execute_many([("blockdev-add", file), ("blockdev-add", image)])
        for refused in (below, above):
            if isinstance(refused, QmpRefused):
                if refused is above:
                    await daemon.execute(*deletion("d-file"))
                raise refused

    async def _backing(self, daemon: Daemon, content: bytes) -> str:
        """The node of a backing file with this content."""
        return await self._only_read(daemon, f"base{len(content)}", Growing(content, len(content)))

    async def _only_read(self, daemon: Daemon, name: str, content: Growing) -> str:
        """A node that has this content from now on."""
        disk = self._server.disks.get(name) or self._server.add_export(name, SECTOR)
        disk.content = content
        if name not in self._kept:
            options = file_options(self._server.socket_path, name, False) | {"node-name": name, "read-only": True}
            await daemon.execute("blockdev-add", options)
            self._kept.add(name)
        return name

    async def _closed(self) -> None:
        await self._unexported()
        daemon = await self._running()
        for answer in await daemon.execute_many([deletion("d"), deletion("d-file")]):
            if isinstance(answer, QmpRefused):
                raise answer
        self._open = False

    async def _reopened(self, played: Played, read_only: bool) -> None:
        daemon = await self._running()
        await self._unexported()
        backing = played.setting.backing()
        base = None if backing is None else await self._backing(daemon, backing)
        options = image_options("d", "d-file", played.setting.unmaps, read_only, base)
        await daemon.execute("blockdev-reopen", {"options": [options]})
        self._read_only = read_only

    async def _bitmap(self, step: Step, cluster: int) -> None:
        daemon = await self._running()
        named: dict[str, Any] = {"node": "d", "name": step.name}
        if step.verb == "add":
            more = {"granularity": cluster * step.scale, "persistent": True, "disabled": not step.enabled}
            await daemon.execute("block-dirty-bitmap-add", named | more)
        elif step.verb == "merge":
            merged = {"node": "d", "target": step.name, "bitmaps": [step.source]}
            await daemon.execute("block-dirty-bitmap-merge", merged)
        elif step.verb in ("abort-remove", "transaction-remove"):
            actions: list[dict[str, Any]] = [{"type": "block-dirty-bitmap-remove", "data": named}]
            if step.verb == "abort-remove":
                actions.append({"type": "abort", "data": {}})
            await daemon.execute("transaction", {"actions": actions})
        else:
            await daemon.execute(f"block-dirty-bitmap-{step.verb}", named)

    async def _backup(self, name: str, size: int) -> None:
        daemon = await self._running()
        await daemon.execute("blockdev-add", {"driver": "null-co", "node-name": "target", "size": size})
        try:
            ended = daemon.expect(
                lambda event: event["event"] == "JOB_STATUS_CHANGE" and event["data"]["status"] == "null"
            )
            finished = daemon.expect(lambda event: event["event"] == "BLOCK_JOB_COMPLETED")
            await daemon.execute("blockdev-backup", {
                "job-id": "j", "device": "d", "target": "target", "sync": "incremental", "bitmap": name,
            })  # fmt: skip
            await ended
            outcome = await finished
            if "error" in outcome["data"]:
                raise QmpRefused("GenericError", outcome["data"]["error"])
        finally:
            await daemon.execute("blockdev-del", {"node-name": "target"})

    # The guest

    async def _connected(self) -> DiskClient:
        if self._guest is None or self._guest.closed:
            daemon = await self._running()
            path = await self._serving(daemon)
            await daemon.execute(
                "block-export-add", {"type": "nbd", "id": "e", "node-name": "d", "name": "d", "writable": True}
            )
            self._guest = await DiskClient.connect(path, "d")
        return self._guest

    async def _serving(self, daemon: Daemon) -> str:
        """Where the daemon offers its exports."""
        path = os.path.join(self._directory, "guest")
        if not self._serves:
            address = {"type": "unix", "data": {"path": os.path.basename(path)}}
            await daemon.execute("nbd-server-start", {"addr": address})
            self._serves = True
        return path

    async def _guest_gone(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            await guest.close()

    async def _unexported(self) -> None:
        if self._guest is None:
            return
        await self._guest_gone()
        daemon = await self._running()
        gone = daemon.expect(lambda event: event["event"] == "BLOCK_EXPORT_DELETED")
        try:
            await daemon.execute("block-export-del", {"id": "e", "mode": "hard"})
        except QmpRefused:
            gone.cancel()
            return
        await gone

    async def _guest_does(self, played: Played, step: Step) -> str:
        if not self._open or self._read_only:
            return "nobody can write to it"
        guest = await self._connected()
        if step.verb == "flush":
            await guest.flush()
            return ""
        setting, account = played.setting, played.account
        clusters = CLUSTERS[setting.cluster_bits]
        first = step.first % clusters
        count = min(step.count, clusters - first)
        each = (1 << setting.cluster_bits) // SECTOR
        data = account.begin_write(first * each, count * each, step.verb == "zero")
        well = False
        try:
            if step.verb == "zero":
                await guest.zeroes(first * each * SECTOR, len(data), may_trim=True)
            else:
                await guest.write(first * each * SECTOR, data)
            well = True
        finally:
            account.end_write(well)
        return ""

    # Without the daemon

    async def _offline(self, step: Step, discard: str) -> str:
        if self._open or self._qemu_img is None:
            return "it is open" if self._open else "there is no qemu-img"
        return await change(self._qemu_img, step, self._server.socket_path, discard)
