"""A child process that is asked lines and answers with lines, however badly it behaves.

Nothing here blocks for longer than it is told to: all pipes are non-blocking, requests are written and replies and
the log are read in one loop, so that it does not matter which pipe is full. When the child breaks, its whole family
is killed at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import secrets
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence

from cbtcheck.child import tree
from cbtcheck.child.limits import Limits

CHUNK = 1 << 16
LOOK = 0.2
"""Seconds after which it is looked how much memory the child has."""

LAST_MOMENT = 0.3
"""Seconds that a child has to be gone when it has closed a pipe."""

_numbers = itertools.count(1)


class CannotStart(Exception):
    """There is no such program, or it cannot be executed; the message is one line."""


class ChildBroken(Exception):
    """The child is late (then `late` is true), gone, or says too much. It has been killed."""

    def __init__(self, what: str, late: bool = False) -> None:
        super().__init__(what)
        self.late = late


class Child:
    """A program in a session of its own. Every failure is a `ChildBroken`; then the child is dead already."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        tree.adopt_orphans()
        self.limits = limits
        self.mark = f"{os.getpid()}-{next(_numbers)}-{secrets.token_hex(8)}"
        try:
            self._process = subprocess.Popen(
                [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                start_new_session=True, env={**os.environ, tree.MARK: self.mark},
            )  # fmt: skip
        except (OSError, ValueError) as problem:
            raise CannotStart(_why_not(command, problem)) from None
        self.pid = self._process.pid
        self._limit()
        pipes = [self._process.stdin, self._process.stdout, self._process.stderr]
        self._pipes = [each for each in pipes if each is not None]
        self._stdin, self._stdout, self._stderr = (each.fileno() for each in self._pipes)
        for each in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(each, False)
        self._exit = _descriptor_of(self.pid)
        self._lines: deque[bytes] = deque()
        self._half, self._log, self._unsent = bytearray(), bytearray(), bytearray()
        self._silent, self._deaf, self._gone, self._closed = False, False, False, False
        self._looked = time.monotonic()
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)
        if self._exit is not None:
            self._poll.register(self._exit, select.POLLIN)

    def _limit(self) -> None:
        """What the system can watch over by itself."""
        if hasattr(resource, "prlimit"):
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, 0))
                most = 4 * self.limits.memory
                resource.prlimit(self.pid, resource.RLIMIT_DATA, (most, most))

    # Talking

    @property
    def log(self) -> str:
        """The end of what it has written to standard error."""
        return self._log[-self.limits.log :].decode("utf-8", "replace")

    @property
    def half(self) -> bytes:
        """What it has said of a line that has no end yet."""
        return bytes(self._half)

    @property
    def says_more(self) -> bytes | None:
        """What it has said beyond the lines that were taken, if that was heard already."""
        return self._lines[0] if self._lines else bytes(self._half) or None

    def send(self, data: bytes) -> None:
        """Sends as much as goes at once; the rest is sent while lines are waited for."""
        if not self._unsent and not self._deaf:
            try:
                sent = os.write(self._stdin, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._deaf = True
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._poll.register(self._stdin, select.POLLOUT)
        self._unsent += data

    def line(self, until: float, allowed: str = "in time") -> bytes:
        """The next line, without its end, at `time.monotonic() == until` at the latest.

        `allowed` is how the message calls that: "within 10 s".
        """
        while not self._lines:
            self._wait(until, allowed)
        return self._lines.popleft()

    def _wait(self, until: float, allowed: str) -> None:
        """Waits until something has happened, and takes it in."""
        now = time.monotonic()
        if now >= until:
            raise self._broken(self._late(allowed), late=True)
        if now - self._looked >= LOOK:
            self._look(now)
        rest = min(until - now, LOOK)
        if self._silent or self._deaf:
            self._say_why_it_is_lost(until)
            return
        ready = self._poll.poll(0 if self._gone else rest * 1000 + 1)
        for descriptor, _ in ready:
            if descriptor == self._stdout:
                self._hear()
            elif descriptor == self._stderr:
                self._take_log()
            elif descriptor == self._stdin:
                self._send_more()
            else:
                self._has_exited()
        if self._gone and not any(descriptor == self._stdout for descriptor, _ in ready):
            raise self._broken(self._how_it_ended())
        if self._exit is None and not self._gone and self._ended() is not None:
            self._gone = True

    def _hear(self) -> None:
        try:
            chunk = os.read(self._stdout, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._silent = True
            self._poll.unregister(self._stdout)
        elif b"\n" in chunk:
            lines = (bytes(self._half) + chunk).split(b"\n")
            self._half = bytearray(lines.pop())
            self._lines.extend(lines)
        else:
            self._half += chunk
        if len(self._half) > self.limits.line:
            raise self._broken(f"a line of more than {self.limits.line} bytes: {bytes(self._half[:60])!r}…")

    def _take_log(self) -> bool:
        """Takes in what there is of the log; whether there was any."""
        try:
            chunk = os.read(self._stderr, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._stderr)
            return False
        self._log += chunk
        if len(self._log) > 2 * self.limits.log:
            del self._log[: -self.limits.log]
        return True

    def _send_more(self) -> None:
        try:
            sent = os.write(self._stdin, self._unsent[:CHUNK])
        except BlockingIOError:
            return
        except OSError:
            self._deaf = True
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._poll.unregister(self._stdin)

    def _look(self, now: float) -> None:
        """Whether it has taken too much memory."""
        self._looked = now
        taken = tree.memory_of(self.pid, self.mark)
        if taken > self.limits.memory:
            most = self.limits.memory >> 20
            raise self._broken(f"the adapter has {taken >> 20} MiB of memory, and may have {most} (--memory)")

    # Ends

    def _has_exited(self) -> None:
        self._gone = True
        assert self._exit is not None
        self._poll.unregister(self._exit)

    def _say_why_it_is_lost(self, until: float) -> None:
        """A pipe is closed: it is about to go, as a rule. Raises why there will be no line."""
        ends = min(until, time.monotonic() + LAST_MOMENT)
        while self._ended() is None and time.monotonic() < ends:
            time.sleep(0.002)
            if not self._silent:
                self._hear()
                if self._lines:
                    return
        if self._ended() is not None:
            if not self._silent:
                self._hear()
            if not self._lines:
                raise self._broken(self._how_it_ended())
            return
        which = "output" if self._silent else "input"
        raise self._broken(f"the adapter has closed its standard {which}, and lives on")

    def _ended(self) -> tuple[int, int] | None:
        """How it has ended (`si_code`, `si_status`), and None while it lives. It stays a zombie."""
        if self._closed:
            return None
        try:
            result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return os.CLD_EXITED, 0
        return None if result is None else (result.si_code, result.si_status)

    def _how_it_ended(self) -> str:
        ended = self._ended()
        half = ", within a line (half a reply)" if self._half else ""
        if ended is None:
            return "the adapter is gone"
        code, status = ended
        if code == os.CLD_EXITED:
            return f"the adapter has exited with code {status}, without an answer{half}"
        with contextlib.suppress(ValueError):
            return f"the adapter was killed by {signal.Signals(status).name} (signal {status}){half}"
        return f"the adapter was killed by signal {status}{half}"

    def _late(self, allowed: str) -> str:
        """What to say of a child that has not answered in time."""
        if self._half:
            return f"half a line {allowed}, and not its end: {bytes(self._half[:60])!r} (flush after a newline)"
        if tree.state_of(self.pid) in ("T", "t"):
            return f"no answer {allowed}: the adapter has been stopped (SIGSTOP)"
        if self._unsent:
            return f"no answer {allowed}, and it does not read its standard input"
        return f"no answer {allowed} (does it flush its standard output after each reply?)"

    def _broken(self, what: str, late: bool = False) -> ChildBroken:
        self.kill()
        return ChildBroken(what, late)

    def leave(self) -> int | None:
        """Lets it go: its standard input ends, and it has a moment. Returns its exit code if it went by itself."""
        if self._closed:
            return None
        with contextlib.suppress(OSError):
            self._pipes[0].close()
        until = time.monotonic() + self.limits.grace
        while self._ended() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                os.read(self._stdout, CHUNK)
            if not self._take_log():
                time.sleep(0.001)
        ended = self._ended()
        self.kill()
        return ended[1] if ended is not None and ended[0] == os.CLD_EXITED else None

    def kill(self) -> None:
        """Kills it and all that descends from it, at once. May be called twice."""
        if self._closed:
            return
        tree.kill_all(self.pid, self.mark)
        self._process.wait()
        for _ in range(64):
            if not self._take_log():
                break
        self._closed = True
        for each in self._pipes:
            with contextlib.suppress(OSError):
                each.close()
        if self._exit is not None:
            os.close(self._exit)


def _descriptor_of(pid: int) -> int | None:
    """A descriptor that is readable when the process has ended; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


def _why_not(command: Sequence[str], problem: Exception) -> str:
    program = command[0] if command else ""
    if isinstance(problem, FileNotFoundError):
        return f"'{program}' cannot be started: there is no such program (or its interpreter, after #!, is missing)"
    if isinstance(problem, PermissionError):
        return f"'{program}' cannot be started: permission denied; is it executable? (chmod +x)"
    reason = getattr(problem, "strerror", None) or str(problem)
    return f"'{program}' cannot be started: {reason}; does a script begin with a #! line?"
