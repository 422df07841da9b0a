"""A real ``qemu-storage-daemon`` as a child process, commanded over QMP.

Contract: one `Daemon` is one process with one QMP connection over an inherited socket pair; nothing of it
appears in the file system. It never outlives `stop` or `kill`, nor (on Linux) the process that started it.
Times are seconds. Everything belongs to one event loop.

Order: `Daemon.on_event` is called in the order in which QEMU sent the events, and every event that QEMU
sent before a reply has been delivered when `execute` returns it. Events that QEMU sent just after the
reply may have been delivered too, so "not seen yet" proves nothing, "seen" does.
"""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from qemu.qmp import Message, QMPClient, QMPError, Runstate

from cbtcheck.adapters.qemu.daemon_process import DaemonProcess, spawn
from cbtcheck.host.lacking import lacking
from cbtcheck.host.pace import Patience

EventHook = Callable[[dict[str, Any]], None]
Command = tuple[str, Mapping[str, object] | None]

BINARY_NAME: Final = "qemu-storage-daemon"
OLDEST_VERSION: Final = (6, 0, 0)
_GRACE: Final = 2.0
_GREETING: Final = 10.0


class DaemonMissing(RuntimeError):
    """There is no qemu-storage-daemon to run; the message is one line and names the next step."""


class DaemonTooOld(RuntimeError):
    """The daemon is older than `OLDEST_VERSION`; the message is one line and names the next step."""


class QmpRefused(Exception):
    """QEMU answered a command with an error. ``error_class`` and ``description`` are QEMU's own texts."""

    def __init__(self, error_class: str, description: str) -> None:
        super().__init__(error_class, description)
        self.error_class = error_class
        self.description = description

    def __str__(self) -> str:
        return f"{self.error_class}: {self.description}"


class DaemonDied(Exception):
    """The daemon is gone: its exit status (negative: the signal's number) and the tail of its output."""

    def __init__(self, exit_status: int, last_output: str) -> None:
        super().__init__(exit_status, last_output)
        self.exit_status = exit_status
        self.last_output = last_output

    def __str__(self) -> str:
        how = f"signal {-self.exit_status}" if self.exit_status < 0 else f"exit status {self.exit_status}"
        return f"the daemon died with {how}"


def find_daemon(path: str | None = None) -> str:
    """The absolute path of the daemon: the given one, else the first on PATH; else `DaemonMissing`."""
    found = shutil.which(BINARY_NAME if path is None else path)
    if found is not None:
        return os.path.abspath(found)
    if path is not None:
        raise DaemonMissing(f"'{path}' is not an executable file: give the path of a {BINARY_NAME}")
    raise DaemonMissing(
        f"{BINARY_NAME} is not on PATH: install it (Debian, Ubuntu: apt install qemu-system-common; Fedora: "
        f"dnf install '*/{BINARY_NAME}'; macOS: brew install qemu) or give its path"
    )


class _Client(QMPClient):
    """QMPClient with a shorter way for commands: fewer bytes, no copies, no log, no history of events.

    QEMU's monitor reads its socket one byte per system call (about 4 microseconds each), so the library's
    ``id`` of 20 bytes costs a quarter of a short command. Commands go without it: QEMU answers in order
    whatever is not executed out of band. Only methods that the library documents as a subclass's to
    override or to use are touched; greeting, negotiation, framing and disconnection stay the library's.
    """

    def __init__(self, on_event: EventHook) -> None:
        super().__init__("cbtspec")
        # What the library logs as an error it raises as well; we report what it raises.
        self.logger.setLevel(logging.CRITICAL + 1)
        self._on_event = on_event
        self._replies: deque[asyncio.Future[Message]] = deque()

    def submit(self, command: str, arguments: Mapping[str, object] | None) -> "asyncio.Future[Message]":
        """Send a command now; the future gets the reply. `ConnectionError` if the connection is lost."""
        if self.runstate is not Runstate.RUNNING:
            raise ConnectionError("the QMP connection is closed")
        request: dict[str, object] = {"execute": command}
        if arguments is not None:
            request["arguments"] = arguments
        data = json.dumps(request, separators=(",", ":")).encode()
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies.append(reply)
        self._do_send(Message(data, eager=False))
        return reply

    async def fail_when_lost(self) -> None:
        """Wait until the connection is lost, then fail every command in flight with `ConnectionError`."""
        while self.runstate is Runstate.RUNNING:
            await self.runstate_changed()
        for reply in self._replies:
            if not reply.done():
                reply.set_exception(ConnectionError("the QMP connection was lost"))
                reply.exception()  # seen: a death is reported once, not once per command in flight
        self._replies.clear()

    def _cb_outbound(self, msg: Message) -> Message:
        return msg  # the library's own pretty-prints the message, whether it logs it or not

    def _cb_inbound(self, msg: Message) -> Message:
        return msg

    async def _on_message(self, msg: Message) -> None:
        if "event" in msg:
            self._on_event(dict(msg))
        elif self._replies:
            reply = self._replies.popleft()
            if not reply.done():
                reply.set_result(msg)
        else:
            await super()._on_message(msg)


class Daemon:
    """A running daemon; make it with `start`."""

    def __init__(self, process: DaemonProcess, connection: socket.socket) -> None:
        """Not for callers: use `start`."""
        self.connection = connection
        """Our end of the monitor, to ask the kernel about."""
        self.version: tuple[int, int, int] = (0, 0, 0)
        self.version_text = ""
        """The version with the distribution's package, such as ``7.2.22 (Debian 1:7.2+dfsg-7)``."""
        self.on_event: EventHook | None = None
        """Called with each event's whole message as it arrives; what it raises is kept in `hook_error`."""
        self.hook_error: BaseException | None = None
        self._process = process
        self._client = _Client(self._dispatch)
        self._watcher: asyncio.Task[None] | None = None
        self._expected: list[tuple[EventHook, asyncio.Future[dict[str, Any]]]] = []

    # --- life ---

    @classmethod
    async def start(cls, binary: str, directory: str) -> "Daemon":
        """Start ``binary`` with ``directory`` as its working directory and wait until it answers.

        `DaemonMissing` if it cannot be run, `DaemonDied` if it ends before it answers, `TimeoutError` if it never
        does, `DaemonTooOld` if it is older than 6.0. Whatever goes wrong, nothing is left behind.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await spawn(binary, directory, theirs)
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                if lacking(error):
                    raise
                raise DaemonMissing(f"{error.strerror}; give another path") from error
            raise
        finally:
            theirs.close()
        daemon = cls(process, ours)
        try:
            await _in_time(daemon._greet(ours), _GREETING)
        except BaseException as error:
            await daemon._end()
            ours.close()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no answer for {_GREETING:.0f} s; is it a {BINARY_NAME}?") from None
            raise
        return daemon

    @property
    def died(self) -> "asyncio.Future[int]":
        """Gets the exit status (negative: a signal's number) when the process is gone. Do not cancel it."""
        return self._process.died

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def last_output(self) -> str:
        """The first and the last 64 KiB of the daemon's standard output and standard error."""
        return self._process.output.text

    async def stop(self, grace: float = _GRACE) -> int:
        """End the daemon by ``quit``, SIGTERM, SIGKILL, each after ``grace``; returns its exit status.

        ``quit`` and SIGTERM wait for I/O in flight, so a request that is held for ever costs both graces.
        Idempotent, also after a death.
        """
        if not self.died.done():
            # Not awaited: the end of the process is the answer that counts.
            with contextlib.suppress(ConnectionError):
                self._client.submit("quit", None)
            await self.gone_within(grace)
        if not self.died.done():
            self._process.send_signal(signal.SIGTERM)
            await self.gone_within(grace)
        return await self._end()

    def quit(self) -> None:
        """Ask it to end, without waiting: it waits for I/O in flight. `died` tells when it is gone."""
        with contextlib.suppress(ConnectionError):
            self._client.submit("quit", None)

    def kill(self) -> None:
        """SIGKILL, without waiting: `died` tells when it is gone, and `stop` frees the rest. Idempotent."""
        self._process.send_signal(signal.SIGKILL)

    async def gone_within(self, seconds: float) -> None:
        """Wait until the process is gone, for at most so many seconds of an idle machine."""
        patience = Patience(seconds)
        while not self.died.done() and not patience.expired():
            await asyncio.wait([self.died], timeout=patience.step())

    async def _end(self) -> int:
        self.kill()
        status = await asyncio.shield(self.died)
        self._process.close()
        # Raises whatever ended the connection, usually end of file: the death is what it is reported as.
        with contextlib.suppress(Exception):
            await self._client.disconnect()
        if self._watcher is not None:
            await self._watcher
        for _, future in self._expected:
            future.cancel()
        self._expected.clear()
        return status

    async def _greet(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await self._client.connect(connection)
        except (QMPError, OSError) as error:
            await self.gone_within(_GRACE)
            if not self.died.done():
                raise DaemonMissing(f"what it says is no QMP ({error}); is it a {BINARY_NAME}?") from error
            raise DaemonDied(await asyncio.shield(self.died), self.last_output) from error
        self._watcher = asyncio.create_task(self._client.fail_when_lost())
        answer = await self.execute("query-version")
        numbers = answer["qemu"]
        self.version = (numbers["major"], numbers["minor"], numbers["micro"])
        package = answer.get("package", "")
        self.version_text = ".".join(map(str, self.version)) + (f" ({package})" if package else "")
        if self.version < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION[:2]))
            raise DaemonTooOld(f"QEMU {self.version_text} is too old: install QEMU {oldest} or newer")

    # --- commands ---

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run one command and return its value. `QmpRefused` if QEMU refuses, `DaemonDied` if it is gone.

        Commands run in the order of the calls. Short names pay: QEMU takes about 4 microseconds per byte
        of a command.
        """
        try:
            reply = await self._client.submit(command, arguments)
        except (ConnectionError, QMPError) as error:
            raise await self._death(error) from error
        return _value(reply)

    async def execute_many(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands at once, in order; for each its value or the `QmpRefused` that it met.

        QEMU runs them one after the other. `DaemonDied` if it is gone before the last reply.
        """
        try:
            replies = [self._client.submit(command, arguments) for command, arguments in commands]
            return [_value_or_refusal(await reply) for reply in replies]
        except (ConnectionError, QMPError) as error:
            raise await self._death(error) from error

    async def _death(self, error: Exception) -> DaemonDied:
        """The connection is lost: see to it that the process is gone too, and say how it went."""
        await self.gone_within(_GRACE)
        self.kill()
        return DaemonDied(await asyncio.shield(self.died), self.last_output or str(error))

    # --- events ---

    def expect(self, matches: Callable[[dict[str, Any]], bool]) -> "asyncio.Future[dict[str, Any]]":
        """A future for the first event from now on that ``matches``; cancelled if the daemon stops first."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def resolve(event: dict[str, Any]) -> None:
            if not future.done() and matches(event):
                future.set_result(event)

        self._expected.append((resolve, future))
        return future

    def _dispatch(self, event: dict[str, Any]) -> None:
        # The library ends the connection if its reader raises, so nothing may escape from here.
        try:
            if self.on_event is not None:
                self.on_event(event)
            if self._expected:
                for resolve, _ in self._expected:
                    resolve(event)
                self._expected = [entry for entry in self._expected if not entry[1].done()]
        except Exception as error:
            self.hook_error = self.hook_error or error


def _value(reply: Message) -> Any:
    """What a reply returns. `QmpRefused` if it is an error."""
    error = reply.get("error")
    if error is None:
        return reply["return"]
    assert isinstance(error, dict)
    raise QmpRefused(error["class"], error["desc"])


def _value_or_refusal(reply: Message) -> Any:
    try:
        return _value(reply)
    except QmpRefused as refusal:
        return refusal


async def _in_time(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Awaits the work; `TimeoutError` after so many seconds of an idle machine."""
    patience, task = Patience(seconds), asyncio.ensure_future(work)
    while not (await asyncio.wait({task}, timeout=patience.step()))[0]:
        if patience.expired():
            task.cancel()
            await asyncio.wait({task})
            raise TimeoutError
    task.result()
