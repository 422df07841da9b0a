"""A real QEMU with one image, to which the steps of a history happen.

The image lies on our NBD server; the daemon opens it as node `d` over node `d-file`, and the guest writes through an
export of `d`. What `qemu-img` does it does to the same storage.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, Final

from cbtwire.nbd.client import DiskClient, NbdDisconnected, NbdError, NbdRefused
from cbtwire.nbd.content import Growing
from cbtwire.nbd.server import DiskServer
from cbtwire.qcow2.writing import image_bytes

from cbtcheck.adapters.qemu.daemon import Daemon, DaemonDied, QmpRefused
from cbtcheck.crash.history import Step
from cbtcheck.crash.offline import change
from cbtcheck.crash.owed import SECTOR, Account
from cbtcheck.crash.played import Done, Played, ReadByUs, Seen, read_by_guest
from cbtcheck.crash.recording import Fault, Recorder
from cbtcheck.crash.setting import CLUSTERS, ROOM, Setting

PATIENCE: Final = 120.0
"""Seconds that a history may take, on whatever machine: what takes longer hangs."""


class Machine(ReadByUs):
    """One server and one daemon at a time. Make it with `Machine.start`, and `close` it."""

    def __init__(self, server: DiskServer, directory: str, binary: str, qemu_img: str | None) -> None:
        self._server, self._directory, self._binary, self._qemu_img = server, directory, binary, qemu_img
        self._daemon: Daemon | None = None
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
        if after is not None:
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
            played.broken = played.broken or f"{death}: {death.last_output.strip()[-400:]}"
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
            case "quit" | "kill":
                await self._end(kill=step.verb == "kill")
            case "reopen":
                await self._reopened(played, step.read_only)
            case "write" | "zero" | "flush":
                return await self._guest_does(played, step)
            case "offline":
                return await self._offline(step, self._file(played.setting.trims)["discard"])
            case "backup":
                await self._backup(step.name, played.setting.size)
            case _:
                await self._bitmap(step, 1 << played.setting.cluster_bits)
        return ""

    async def look(self, content: bytes, setting: Setting, data: bool) -> Seen:
        """What QEMU sees in a state of the storage, opened read-only; with `data`, also what the guest reads."""
        self._export("state", Recorder(Growing(content, ROOM)))
        backing = setting.backing()
        try:
            await self.open_node(self._file("none", "state"), "s", True, backing)
        except QmpRefused as refusal:
            return Seen(refusal.description)
        daemon = await self._running()
        nodes = await daemon.execute("query-named-block-nodes", {"flat": True})
        bitmaps = next(each.get("dirty-bitmaps", []) for each in nodes if each["node-name"] == "s")
        hashes = {}
        for each in bitmaps:
            answer = await daemon.execute("x-debug-block-dirty-bitmap-sha256", {"node": "s", "name": each["name"]})
            hashes[each["name"]] = answer["sha256"]
        disk = None
        if data:
            with contextlib.suppress(NbdError):  # tables that QEMU calls corrupt
                disk = await self._read_all(setting.size)
        await self.close_node("s")
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
            self._serves = False
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

    async def _leave(self) -> None:
        """Closes what a history has left open, so that the daemon can be used again; else it is ended."""
        if self._daemon is not None and self._open:
            try:
                await self._closed()
            except (QmpRefused, DaemonDied, ConnectionError):
                await self._end(kill=True)

    async def _opened(self, played: Played, read_only: bool) -> None:
        await self.open_node(self._file(played.setting.trims), "d", read_only, played.setting.backing())
        self._open, self._read_only = True, read_only
        played.account.opened(read_by_guest(played))

    def _file(self, trims: str, export: str = "image") -> dict[str, Any]:
        server: dict[str, Any] = {"type": "unix", "path": self._server.socket_path}
        discard = {"discard": "ignore" if trims == "none" else "unmap"}
        return {"driver": "nbd", "server": server, "export": export} | discard

    async def open_node(self, file: dict[str, Any], name: str, read_only: bool, backing: bytes | None) -> None:
        """Opens an image as a node of this name. `QmpRefused` if QEMU does not."""
        daemon = await self._running()
        if backing is not None:
            self._backing(backing)
            await self._added(daemon, self._file("none", "base") | {"node-name": "base", "read-only": True})
        try:
            await self._added(daemon, file | {"node-name": f"{name}-file"})
            try:
                await self._added(daemon, self._image(name, read_only, backing is not None, file["discard"]))
            except QmpRefused:
                await daemon.execute("blockdev-del", {"node-name": f"{name}-file"})
                raise
        except QmpRefused:
            if backing is not None:
                await daemon.execute("blockdev-del", {"node-name": "base"})
            raise

    @staticmethod
    def _image(name: str, read_only: bool, backed: bool, discard: str) -> dict[str, Any]:
        backing = "base" if backed else None
        return {
            "driver": "qcow2", "node-name": name, "file": f"{name}-file", "read-only": read_only, "backing": backing,
            "discard": discard,
        }  # fmt: skip

    @staticmethod
    async def _added(daemon: Daemon, options: dict[str, Any]) -> None:
        await daemon.execute("blockdev-add", options)

    def _backing(self, content: bytes) -> None:
        if "base" not in self._server.disks or self._server.disks["base"].size != len(content):
            self._export("base", Recorder(Growing(content, len(content))))

    async def close_node(self, name: str) -> None:
        """Closes it, and what lies below."""
        daemon = await self._running()
        await daemon.execute("blockdev-del", {"node-name": name})
        await daemon.execute("blockdev-del", {"node-name": f"{name}-file"})
        with contextlib.suppress(QmpRefused):
            await daemon.execute("blockdev-del", {"node-name": "base"})

    async def _closed(self) -> None:
        await self._unexported()
        await self.close_node("d")
        self._open = False

    async def _reopened(self, played: Played, read_only: bool) -> None:
        daemon = await self._running()
        await self._unexported()
        discard = self._file(played.setting.trims)["discard"]
        options = self._image("d", read_only, played.setting.backed, discard)
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
        await self._added(daemon, {"driver": "null-co", "node-name": "target", "size": size})
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
            await daemon.execute("nbd-server-start", {"addr": {"type": "unix", "data": {"path": path}}})
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
