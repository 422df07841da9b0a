"""A program that stores bitmaps on a block device, in whatever form: `cbtspec crash exec`.

The device is an NBD export of ours (its socket is in the environment, as CBTSPEC_NBD; its name is *device*). What is
to be done comes as lines on the program's standard input; what it answers is read line by line, until *ok*,
*refused: …* or *failed: …*. The program opens a state that a crash has left as it opens anything else, and shows what
it finds; that is compared with what is owed.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from typing import Final

from cbtwire.nbd.content import Growing
from cbtwire.nbd.disk import Disk, Request
from cbtwire.nbd.server import DiskServer

from cbtcheck.crash.history import Step
from cbtcheck.crash.judge import LOST, UNOPENABLE, Judgement
from cbtcheck.crash.owed import SECTOR, Account, Expected, missing
from cbtcheck.crash.played import Done, Played
from cbtcheck.crash.recording import Fault, Recorder
from cbtcheck.crash.setting import CLUSTERS, Setting
from cbtcheck.crash.states import Found, State, enumerate_states

DEVICE: Final = 4 << 20
"""Bytes of the device."""
LONGEST_ANSWER: Final = 1 << 22
DEADLINE: Final = 60.0
"""Seconds for an answer."""
LEFT_OUT: Final = ("reopen", "offline", "abort-remove")
"""Steps that a program is not asked for."""


class ProgramMissing(Exception):
    """It cannot be started. The message is one line."""


class ProgramBroken(Exception):
    """It ended, or answers what is no answer. The message is one line."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A bitmap as the program shows it."""

    valid: bool
    enabled: bool
    granularity: int
    bits: int


class _OnState:
    """A state as a disk: reads are noted by the state itself, and writes are refused."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handle(self, request: Request) -> None:
        """For the server."""
        if request.kind == "read":
            data = self._state.read(request.offset, request.length).ljust(request.length, b"\0")
            request.disk.content.write(request.offset, data)
            request.complete()
        elif request.kind == "flush":
            request.complete()
        else:
            request.fail(1)


class Program:
    """Plays histories on a program. Make it with `start`, and `close` it."""

    def __init__(self, server: DiskServer, command: tuple[str, ...]) -> None:
        self._server, self._command = server, command
        self._process: asyncio.subprocess.Process | None = None
        self._open = False
        self._read_only = False
        self.version = f"the program {command[0]}"

    @classmethod
    async def start(cls, directory: str, command: tuple[str, ...]) -> Program:
        """A program whose device is served in `directory`. `ProgramMissing` if it cannot be started."""
        program = cls(await DiskServer.start(os.path.join(directory, "device")), command)
        try:
            await program._running()
        except OSError as problem:
            await program.close()
            raise ProgramMissing(problem.strerror or str(problem)) from problem
        return program

    async def close(self) -> None:
        """Ends it."""
        await self._end()
        await self._server.close()

    def kill(self) -> None:
        """Kills it, without waiting: this process is about to end."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    # Histories

    async def play(
        self, setting: Setting, history: tuple[Step, ...], fault: Fault | None = None, after: Played | None = None
    ) -> Played:
        """Plays a history on a device of zeroes, or on that which another one has left."""
        base = b"" if after is None else after.recorder.storage.all()
        recorder = Recorder(Growing(base, DEVICE), setting.trims, fault)
        disk = self._offer()
        disk.content, disk.handler = recorder.storage, recorder.handle
        account = Account(bytes(setting.size))
        played = Played(setting, base, recorder, account)
        if after is not None:
            account.goes_on(after.account)
        for step in history:
            if step.verb not in LEFT_OUT:
                await self._step(played, step)
        await self._end()
        return played

    async def _step(self, played: Played, step: Step) -> None:
        recorder, account = played.recorder, played.account
        failures = recorder.failures
        account.begin(step, len(recorder.events))
        answer = await self._do(played, step)
        account.end(step, not answer, True, len(recorder.events))
        position, asked = len(recorder.events), len(recorder.asked)
        writable = self._open and not self._read_only
        played.done.append(Done(step, answer, recorder.failures > failures, position, asked, writable))

    async def _do(self, played: Played, step: Step) -> str:
        setting = played.setting
        if step.verb == "open":
            if self._open:
                return "it is open"
            how = "ro" if step.read_only else "rw"
            answer, _ = await self._ask(f"open {how} {setting.size}")
            self._open, self._read_only = not answer, step.read_only
            if self._open:
                _, lines = await self._ask("read")
                played.account.opened(_data(lines) or None)
            return answer
        if not self._open:
            return "" if step.verb == "kill" else "it is not open"
        if step.verb == "kill":
            await self._end()
            return ""
        if step.verb in ("close", "quit"):
            self._open = False
            return (await self._ask("close"))[0]
        if step.verb in ("write", "zero"):
            return await self._write(played, step)
        if step.verb == "flush":
            return (await self._ask("flush"))[0]
        if self._read_only:
            return "it is read-only"
        return (await self._ask(_line(step, 1 << setting.cluster_bits)))[0]

    async def _write(self, played: Played, step: Step) -> str:
        if self._read_only:
            return "it is read-only"
        clusters, each = CLUSTERS[played.setting.cluster_bits], 1 << played.setting.cluster_bits
        first = step.first % clusters
        count = min(step.count, clusters - first)
        data = played.account.begin_write(first * each // SECTOR, count * each // SECTOR, step.verb == "zero")
        number = int.from_bytes(data[:8], "little")
        answer, _ = await self._ask(f"write {first * each} {count * each} {number}")
        played.account.end_write(not answer)
        return answer

    # States

    async def states(
        self, played: Played, assumption: str, seed: int = 0, start: int = 0, one_in: int = 100
    ) -> Found:
        """Every state of a history, each opened by the program."""
        loop = asyncio.get_running_loop()

        def judging(state: State, expected: Expected) -> Judgement:
            return asyncio.run_coroutine_threadsafe(self._judged(state, expected, played.setting), loop).result()

        work = partial(
            enumerate_states, played.base, played.recorder.events, played.account.versions, judging, assumption, seed,
            start, one_in,
        )  # fmt: skip
        found = await asyncio.to_thread(work)
        await self._end()
        return found

    async def _judged(self, state: State, expected: Expected, setting: Setting) -> Judgement:
        disk = self._offer()
        disk.handler = _OnState(state).handle
        answer, _ = await self._ask(f"open ro {setting.size}")
        if answer:
            return Judgement(UNOPENABLE, f"the program does not open it: {answer}")
        _, lines = await self._ask("bitmaps")
        shown = _bitmaps(lines)
        _, lines = await self._ask("read")
        content = _data(lines)
        await self._ask("close")
        states = tuple((name, "valid" if each.valid else "inconsistent") for name, each in shown.items())
        if len(content) != setting.size:
            return Judgement(UNOPENABLE, "the program cannot read the disk", states)
        why = next((why for name, each in shown.items() if (why := _lie(name, each, expected, content))), "")
        return Judgement(LOST if why else "", why, states)

    # The process

    def _offer(self) -> Disk:
        if "device" in self._server.disks:
            self._server.remove_export("device")
        return self._server.add_export("device", DEVICE)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env=os.environ | {"CBTSPEC_NBD": self._server.socket_path}, limit=LONGEST_ANSWER,
            )  # fmt: skip
        return self._process

    async def _end(self) -> None:
        process, self._process, self._open = self._process, None, False
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
            assert process.stdin is not None
            process.stdin.close()

    async def _ask(self, line: str) -> tuple[str, list[str]]:
        """What it answers: "" or why not, and the lines before that. Raises `ProgramBroken`."""
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        lines: list[str] = []
        try:
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()
            while True:
                said = await asyncio.wait_for(process.stdout.readline(), DEADLINE)
                text = said.decode(errors="replace").rstrip("\n")
                if not said:
                    raise ProgramBroken(f"it ended at '{line}'")
                if text == "ok":
                    return "", lines
                if text.startswith(("refused: ", "failed: ")):
                    return text, lines
                lines.append(text)
        except ConnectionError:  # it has gone before it was asked
            raise ProgramBroken(f"it ended at '{line}'") from None
        except ValueError as problem:
            raise ProgramBroken(f"at '{line}': {problem}") from None
        except TimeoutError:
            raise ProgramBroken(f"no answer to '{line}' for {DEADLINE:.0f} s") from None


def _line(step: Step, cluster: int) -> str:
    match step.verb:
        case "add":
            return f"add {step.name} {cluster * step.scale} {'enabled' if step.enabled else 'disabled'}"
        case "merge":
            return f"merge {step.source} {step.name}"
        case "transaction-remove":
            return f"remove {step.name}"
        case "backup":
            return f"clear {step.name}"
        case _:
            return f"{step.verb} {step.name}"


def _bitmaps(lines: list[str]) -> dict[str, Shown]:
    shown = {}
    for line in lines:
        words = line.split()
        try:
            what, name, valid, enabled, granularity, bits = words
            if what != "bitmap" or valid not in ("valid", "inconsistent") or enabled not in ("enabled", "disabled"):
                raise ValueError
            shown[name] = Shown(valid == "valid", enabled == "enabled", int(granularity), int(bits, 16))
        except ValueError:
            raise ProgramBroken(f"'{line[:80]}' is no bitmap") from None
    return shown


def _data(lines: list[str]) -> bytes:
    try:
        return b"".join(bytes.fromhex(line.removeprefix("data ")) for line in lines)
    except ValueError:
        raise ProgramBroken("what it reads is no hexadecimal data") from None


def _lie(name: str, shown: Shown, expected: Expected, content: bytes) -> str:
    """What is wrong with a bitmap that is shown as valid; "" if nothing."""
    owed = expected.get(name, ())
    if not shown.valid:
        return ""
    reasons = []
    for each in owed:
        lacking = missing(each, content, shown.granularity, shown.bits)
        if not lacking and (shown.enabled or not each.enabled):
            return ""
        what = f"lacks granules {', '.join(map(str, lacking[:5]))}" if lacking else "will not record"
        reasons.append(f"'{name}' is valid and {what}")
    return reasons[-1] if reasons else f"'{name}' is valid, and nobody has added it"
