"""A QEMU that the tool starts itself: the suite is asked by the wrapper, and comes between the two."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from cbtcheck.host.pace import Patience
from cbtcheck.judging import wrapper
from cbtcheck.judging.emulator import BINARIES, STARTS, EmulatorProblem, binary_of
from cbtcheck.judging.guest import ByMonitor, Device
from cbtcheck.judging.monitor import MonitorLost, OwnMonitor, Refused
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.proxy import Proxy
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.terminal import Terminal
from cbtcheck.judging.waiting import comes, within

MOST_SOCKETS = 16


class HostedEmulator:
    """Waits until the tool starts its QEMU: once for each schedule, and once more after it has been ended."""

    def __init__(self, plan: Plan, storage: Storage, directory: Path) -> None:
        self.plan, self.storage, self.directory = plan, storage, directory
        self.binary = binary_of(plan)
        self.version = ""
        self.tool_socket = str(directory / "qemu-tool")
        self.path = directory / "emulator"
        """The wrapper, for the tool."""
        self.proxy: Proxy | None = None
        self.nodes: dict[str, str] = {}
        """QEMU's names of the disks' nodes."""

        self._own_socket, self._control = str(directory / "qemu-own"), str(directory / "control")
        self._output: Terminal | None = None
        self._monitor: OwnMonitor | None = None
        self._pid = 0
        self._ready: asyncio.Task[Device] | None = None

    @property
    def monitor(self) -> OwnMonitor:
        """The suite's own monitor."""
        assert self._monitor is not None
        return self._monitor

    @property
    def died(self) -> str:
        """How it has ended; "" if it runs."""
        return "QEMU has ended, and the tool has not been asked to end it" if _gone(self._pid) else ""

    async def ends(self, seconds: float) -> bool:
        """Waits for its end; whether it has ended by then."""
        patience = Patience(seconds)
        while not _gone(self._pid) and not patience.expired():
            await asyncio.sleep(0.02)
        return _gone(self._pid)

    async def listen(self) -> None:
        """Makes the wrapper, and waits for it."""
        words = [sys.executable, "-I", "-S", wrapper.__file__, self._control, self.binary]
        self.path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        self.path.chmod(0o755)
        listening = socket.socket(socket.AF_UNIX)
        Path(self._control).unlink(missing_ok=True)
        listening.bind(self._control)
        listening.listen(4)
        listening.setblocking(False)
        self._ready = asyncio.ensure_future(self._accept(listening))

    async def start(self) -> Device:
        """Waits until the tool has started it. `EmulatorProblem` if it does not."""
        assert self._ready is not None
        if not await comes(self._ready, STARTS):
            raise EmulatorProblem(
                f"the tool's setup has not started {BINARIES['system']} by way of {{emulator}} within {STARTS:g} s"
            )
        return await self._ready

    async def kill(self) -> None:
        """Ends it, as a crash does."""
        if self._ready is not None:
            self._ready.cancel()
        if self._monitor is not None:
            await self._monitor.close()
            self._monitor = None
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            await self.ends(STARTS)
        if self._output is not None:
            self._output.close()
            self._output = None

    async def quit(self) -> None:
        """Ends it in good order."""
        with suppress(MonitorLost, Refused, OSError, TimeoutError):
            await within(STARTS, self.monitor.execute("quit"))
        await self.ends(STARTS)
        await self.kill()

    async def _accept(self, listening: socket.socket) -> Device:
        loop = asyncio.get_running_loop()
        with listening:
            connection, _ = await loop.sock_accept(listening)
            with connection:
                connection.setblocking(True)
                connection.settimeout(STARTS)
                try:
                    return await self._serve(connection)
                except (OSError, ValueError, MonitorLost, Refused) as problem:
                    raise EmulatorProblem(f"QEMU as the tool starts it: {problem}") from None

    async def _serve(self, connection: socket.socket) -> Device:
        assert self.proxy is not None
        arguments, sockets, folder = _asked(connection)
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self._pid = struct.unpack("3i", peer)[0]
        changed, place = self._between(arguments)
        output = self._output = Terminal()
        answer = {"arguments": changed, "terminal": os.ttyname(output.inside)}
        connection.sendall(json.dumps(answer).encode() + b"\n")
        patience = Patience(STARTS)
        while self._monitor is None:
            try:
                self._monitor = await OwnMonitor.connect(self._own_socket)
            except OSError:
                if self.died or patience.expired():
                    raise EmulatorProblem(self.died or f"it does not answer within {STARTS:g} s") from None
                await asyncio.sleep(0.02)
        output.started()
        self.version = self._monitor.version
        blocks = await self._monitor.execute("query-block")
        for disk in self.plan.disks:
            of_it = [each for each in blocks if each.get("qdev") == disk.device and "inserted" in each]
            if not of_it:
                there = ", ".join(str(each.get("qdev")) for each in blocks)
                raise EmulatorProblem(f"disk {disk.name}: there is no device {disk.device} (there are: {there})")
            self.nodes[disk.name] = of_it[0]["inserted"]["node-name"]
        await self.proxy.listen(sockets[place] if isinstance(place, int) else folder / place)
        return ByMonitor(self._monitor, output, {each.name: f"-d {each.device}" for each in self.plan.disks})

    def _between(self, arguments: list[str]) -> tuple[list[str], int | str]:
        """The arguments with our sockets in them, and where the tool expects QEMU's: a number or a path.

        `EmulatorProblem` if the tool's monitor is in no form that is known.
        """
        changed, place = list(arguments), None
        control = [re.search(r"chardev=([^,]+)", each) for each in arguments if "mode=control" in each]
        name = control[0][1] if control and control[0] else ""
        for at, each in enumerate(arguments):
            found = re.match(rf"socket,id={re.escape(name)},(?:fd=(\d+)|path=([^,]+))", each) if name else None
            if found is not None:
                place = int(found[1]) if found[1] else found[2]
                changed[at] = f"socket,id={name},path={self.tool_socket},server=on,wait=off"
            unix = re.match(r"unix:([^,]+)", each) if at and arguments[at - 1] == "-qmp" else None
            if unix is not None:
                place = unix[1]
                changed[at] = f"unix:{self.tool_socket},server=on,wait=off"
        if place is None:
            raise EmulatorProblem("its monitor is neither a -chardev socket with mode=control nor -qmp unix:")
        own = f"socket,id=cbtspec,path={self._own_socket},server=on,wait=off"
        return [*changed, "-chardev", own, "-mon", "chardev=cbtspec,mode=control"], place


def _gone(pid: int) -> bool:
    """Whether a process has ended; 0 is none yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return bool(pid)
    return state in "ZX"


def _asked(connection: socket.socket) -> tuple[list[str], dict[int, socket.socket], Path]:
    """What the wrapper says: the arguments, its sockets by their numbers there, and where it was started."""
    length = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
    first, descriptors, _, _ = socket.recv_fds(connection, 1, MOST_SOCKETS)
    said = json.loads(first + connection.recv(length - 1, socket.MSG_WAITALL))
    opened = [socket.socket(fileno=each) for each in descriptors]
    return said["arguments"], dict(zip(said["sockets"], opened, strict=True)), Path(said["directory"])
