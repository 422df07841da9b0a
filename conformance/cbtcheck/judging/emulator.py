"""A real QEMU: its process, the two monitors (the tool's and our own), and the guest's disks in it.

It lives in a directory of its own and ends with the process that started it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

from cbtcheck.host.child.guard import PR_SET_PDEATHSIG, prctl
from cbtcheck.judging.guest import ByExport, ByMonitor, Device
from cbtcheck.judging.monitor import MonitorLost, OwnMonitor, Refused
from cbtcheck.judging.plan import Plan, PlannedDisk
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.terminal import Terminal
from cbtcheck.judging.waiting import comes, within

STARTS = 20.0
"""Seconds that QEMU has to start, and to end when it is asked to."""

SOON, TRIES = 2.0, 5
"""Seconds after which a QEMU that has not answered is started once more, and how often it is started at most.

7.2 now and then never answers its first command, however long one waits: up to 1 in 20 starts were seen
(docs/findings/what-qemu-was-found-to-do.md).
"""

ENDS = 1.0
"""Seconds in which a QEMU that has hung up is seen to end."""

SHOWN = 600
"""Characters that are shown of what QEMU has printed last."""

BINARIES = {
    "storage-daemon": "qemu-storage-daemon", "system": "qemu-system-x86_64", "tool": "qemu-system-x86_64",
}  # fmt: skip
PACKAGES = {
    "storage-daemon": "Debian 12: qemu-system-common; later and Ubuntu: qemu-utils or qemu-system-common",
    "system": "Debian, Ubuntu: qemu-system-x86",
    "tool": "Debian, Ubuntu: qemu-system-x86",
}


class EmulatorProblem(Exception):
    """There is no QEMU, or it cannot be started; the message is one line."""


def binary_of(plan: Plan) -> str:
    """The path of the emulator. `EmulatorProblem`."""
    named = plan.binary or (os.environ.get("CBTSPEC_QEMU", "") if plan.kind == "storage-daemon" else "")
    wanted = named or BINARIES[plan.kind]
    found = shutil.which(wanted)
    if found is None:
        raise EmulatorProblem(
            f"there is no {wanted} ({PACKAGES[plan.kind]}); another one is named by [emulator] binary, or --qemu"
        )
    return found


HALF_HEARD = "JSON parse error"
"""What QEMU says of a command of which it has not got all. QEMU 7.2 now and then misses what is sent to its second
monitor at once: all of the first command, as a rule, and then it says nothing.
"""


class Emulator:
    """One QEMU after the other, on the same disks."""

    def __init__(self, plan: Plan, storage: Storage, directory: Path) -> None:
        self.plan, self.storage, self.directory = plan, storage, directory
        self.binary = binary_of(plan)
        self.version = ""
        self.tool_socket = str(directory / "qemu-tool")
        self._own_socket, self._guest_socket = str(directory / "qemu-own"), str(directory / "guest")
        self._process: asyncio.subprocess.Process | None = None
        self._monitor: OwnMonitor | None = None
        self._output: Terminal | None = None

    @property
    def monitor(self) -> OwnMonitor:
        """The suite's own monitor."""
        assert self._monitor is not None
        return self._monitor

    @property
    def died(self) -> str:
        """How it has ended though nobody asked for it; "" if it runs."""
        code = None if self._process is None else self._process.returncode
        if code is None:
            return ""
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"QEMU has ended by itself ({how}){self._said()}"

    async def start(self) -> Device:
        """Starts it, again if it does not answer; returns the guest's way to its disks. `EmulatorProblem`."""
        for _ in range(TRIES - 1):
            try:
                return await self._started(SOON)
            except TimeoutError:
                await self.kill()
        try:
            return await self._started(STARTS)
        except TimeoutError:
            raise EmulatorProblem(f"{self.binary}: it does not answer within {STARTS:g} s{self._said()}") from None

    async def _started(self, seconds: float) -> Device:
        """Starts it. `TimeoutError` if it does not answer within so many seconds, `EmulatorProblem`."""
        listening = [_listen(path) for path in (self.tool_socket, self._own_socket)]
        output = self._output = Terminal()
        try:
            self._process = await asyncio.create_subprocess_exec(
                self.binary, *self._arguments([each.fileno() for each in listening]),
                stdin=asyncio.subprocess.DEVNULL, stdout=output.inside, stderr=output.inside, cwd=self.directory,
                pass_fds=[each.fileno() for each in listening], start_new_session=True,
                preexec_fn=partial(prctl, PR_SET_PDEATHSIG, signal.SIGKILL),
            )  # fmt: skip
        except OSError as problem:
            raise EmulatorProblem(f"{self.binary} cannot be started: {problem.strerror}") from None
        finally:
            output.started()
            for each in listening:
                each.close()
        try:
            self._monitor = await within(seconds, OwnMonitor.connect(self._own_socket))
            self.version = self._monitor.version
            return await within(seconds, self._disks())
        except TimeoutError:  # which is an `OSError`, too
            raise
        except Refused as problem:
            if HALF_HEARD in str(problem):
                raise TimeoutError from None
            raise EmulatorProblem(f"{self.binary}: {problem}{self._said()}") from None
        except (OSError, MonitorLost) as problem:
            await comes(asyncio.ensure_future(self._process.wait()), ENDS)
            raise EmulatorProblem(f"{self.binary}: {self.died or f'{problem}{self._said()}'}") from None

    async def kill(self) -> None:
        """Ends it, as a crash does."""
        process, self._process = self._process, None
        if self._monitor is not None:
            await self._monitor.close()
            self._monitor = None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None

    async def quit(self) -> None:
        """Ends it in good order: bitmaps are stored."""
        with suppress(MonitorLost, Refused, OSError, TimeoutError):
            await within(STARTS, self.monitor.execute("quit"))
        if self._process is not None:
            await comes(asyncio.ensure_future(self._process.wait()), STARTS)
        await self.kill()

    def _arguments(self, numbers: list[int]) -> list[str]:
        daemon = self.plan.kind == "storage-daemon"
        chardev, monitor = ("--chardev", "--monitor") if daemon else ("-chardev", "-mon")
        words = [] if daemon else [
            "-S", "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-machine",
            "q35" if self.plan.devices else "none",
        ]  # fmt: skip
        for name, number in zip(("tool", "own"), numbers, strict=True):
            words += [chardev, f"socket,id={name},fd={number},server=on,wait=off", monitor]
            words.append(f"chardev={name}" + ("" if daemon else ",mode=control"))
        if not daemon:
            words += [word for disk in self.plan.disks for word in self._drive(disk)]
        return [*words, *self.plan.arguments]

    def _drive(self, disk: PlannedDisk) -> list[str]:
        below = _flat("file", self.storage.below(disk))
        options = f"if=none,id=drive-{disk.name},node-name={disk.name},driver={disk.format},discard=unmap,{below}"
        device = ["-device", f"virtio-blk-pci,id=dev-{disk.name},drive=drive-{disk.name}"]
        return ["-drive", options, *(device if self.plan.devices else [])]

    async def _disks(self) -> Device:
        names = [each.name for each in self.plan.disks]
        if self.plan.kind == "system":
            assert self._output is not None
            return ByMonitor(self.monitor, self._output, {name: f"drive-{name}" for name in names})
        for disk in self.plan.disks:
            options = {"driver": disk.format, "node-name": disk.name, "discard": "unmap"}
            await self.monitor.execute("blockdev-add", **options, file=self.storage.below(disk))
        with suppress(FileNotFoundError):
            os.unlink(self._guest_socket)
        address = {"type": "unix", "data": {"path": self._guest_socket}}
        await self.monitor.execute("nbd-server-start", addr=address)
        for name in names:
            await self.monitor.execute(
                "block-export-add", type="nbd", id=f"guest-{name}", **{"node-name": name}, name=name, writable=True
            )
        return await ByExport.connect(self._guest_socket, names)

    def _said(self) -> str:
        text = "" if self._output is None else " ".join(self._output.text.split())[-SHOWN:]
        return f"; it has printed: {text}" if text else ""


def _listen(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen(8)
    return listening


def _flat(prefix: str, options: dict[str, object]) -> str:
    parts = []
    for key, value in options.items():
        name = f"{prefix}.{key}"
        parts.append(_flat(name, value) if isinstance(value, dict) else f"{name}={value}")
    return ",".join(parts)
