"""A child process that is asked lines and answers with lines, however badly it behaves.

Nothing here blocks for longer than it is told to: all pipes are non-blocking, requests are written and replies and
the log are read in one loop, so that it does not matter which pipe is full. When the child breaks, its whole family
is killed at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from cbtcheck.host.child.limits import Limits
from cbtcheck.host.lacking import lacking
from cbtcheck.host.pace import Patience
from cbtcheck.host.printed_output import Kept

CHUNK = 1 << 16
GUARD = Path(__file__).with_name("guard.py")
GUARD_ENDS = 10.0
"""Seconds that the guard has to end; it gives up sooner on what cannot be killed."""

LAST_MOMENT = 0.3
"""Seconds that a child has to be gone when it has closed a pipe."""

PF_EXITING = 4
"""The kernel's flag of a process that is ending; its pipes are closed after that."""

GUARD_STARTS = 10.0
"""Seconds that the guard may take to start: on a busy machine that is no fault of the program."""


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
        self.limits = limits
        self.left_behind: tuple[str, ...] = ()
        self._code: int | None = None
        self._too_much = 0
        self._news = b""
        self._lines: deque[bytes] = deque()
        self._half, self._log, self._unsent = bytearray(), Kept(limits.log // 2), bytearray()
        self._silent, self._deaf, self._gone, self._closed = False, False, False, False
        self._spawn(command)
        pipes = [self._process.stdin, self._process.stdout, self._process.stderr]
        self._pipes = [each for each in pipes if each is not None]
        self._stdin, self._stdout, self._stderr = (each.fileno() for each in self._pipes)
        self._poll = select.poll()
        for each in (self._stdout, self._stderr, self._status):
            os.set_blocking(each, False)
            self._poll.register(each, select.POLLIN)
        os.set_blocking(self._stdin, False)
        self._poll.register(self._stdin, 0)  # that nobody reads it any more is told in any case
        try:
            self.pid = self._started(command)
            self._hear_news()  # a program that ends at once does so before its start was heard of
        except BaseException:
            self.kill()
            raise

    def _spawn(self, command: Sequence[str]) -> None:
        """Starts the guard (see there), which starts the program."""
        orders, self._control = os.pipe()
        self._status, told = os.pipe()
        numbers = [str(each) for each in (orders, told, self.limits.memory, 0)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), *numbers, *command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                pass_fds=(orders, told), start_new_session=True,
            )  # fmt: skip
        except BaseException as problem:
            os.close(self._control)
            os.close(self._status)
            if isinstance(problem, OSError | ValueError):
                raise CannotStart(_why_not(command, problem)) from None
            raise
        finally:
            os.close(orders)
            os.close(told)

    def _started(self, command: Sequence[str]) -> int:
        """The program's process id. Raises `CannotStart` and `ChildBroken`."""
        patience = Patience(GUARD_STARTS)
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        while b"\n" not in self._news:
            if not poll.poll(_milliseconds(patience)):
                if patience.expired():
                    raise ChildBroken(f"the adapter could not be started within {GUARD_STARTS:g} s", late=True)
                continue
            chunk = os.read(self._status, CHUNK)
            if not chunk:
                self._take_log()
                raise ChildBroken("the process that guards the adapter could not be started")
            self._news += chunk
        first, _, self._news = self._news.partition(b"\n")
        word, number = first.decode().split()
        if word == "cannot":
            raise CannotStart(_why_not(command, OSError(int(number), os.strerror(int(number)))))
        return int(number)

    # Talking

    @property
    def log(self) -> str:
        """What it has written to standard error; of much the beginning and the end."""
        return self._log.text

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
            self._poll.modify(self._stdin, select.POLLOUT)
        self._unsent += data

    def line(self, patience: Patience, allowed: str = "in time") -> bytes:
        """The next line, without its end, before that patience is at an end.

        `allowed` is how the message calls that: "within 10 s".
        """
        while not self._lines:
            self._wait(_milliseconds(patience))
            if not self._lines and patience.expired():
                self._wait(0)  # what has come while nobody looked has come in time
                if not self._lines:
                    raise self._broken(self._late(allowed + patience.stretched), late=True)
        return self._lines.popleft()

    def _wait(self, milliseconds: float) -> None:
        """Waits until something has happened, and takes it in."""
        if self._silent or self._deaf:
            self._say_why_it_is_lost()
            return
        ready = self._poll.poll(0 if self._gone else milliseconds)
        for descriptor, event in ready:
            if descriptor == self._stdout:
                self._hear()
            elif descriptor == self._stderr:
                self._take_log()
            elif descriptor == self._stdin:
                self._send_more(event)
            else:
                self._hear_news()
        if self._gone and not any(descriptor == self._stdout for descriptor, _ in ready):
            raise self._broken(self._how_it_ended())

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
        self._log.add(chunk)
        return True

    def _send_more(self, event: int) -> None:
        if event & select.POLLERR:
            self._deaf = True
            self._poll.unregister(self._stdin)
            return
        try:
            sent = os.write(self._stdin, self._unsent[:CHUNK])
        except BlockingIOError:
            return
        except OSError:
            self._deaf = True
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._poll.modify(self._stdin, 0)

    # Ends

    def _hear_news(self) -> None:
        """What the guard has to say."""
        try:
            chunk = os.read(self._status, CHUNK)
        except BlockingIOError:
            chunk = None
        *news, self._news = (self._news + (chunk or b"")).split(b"\n")
        for each in news:
            word, *rest = each.decode().split()
            if word == "memory":
                self._too_much = int(rest[0])
            elif word == "exited":
                self._code, self._gone = int(rest[0]), True
            elif word == "gone":
                self.left_behind = tuple(rest)
        if self._too_much and not self._closed:
            taken, most = self._too_much >> 20, self.limits.memory >> 20
            raise self._broken(f"the adapter has {taken} MiB of memory, and may have {most} (--memory)")
        if chunk == b"" and not self._closed:
            raise self._broken("the process that guards the adapter was killed")

    def _say_why_it_is_lost(self) -> None:
        """A pipe is closed: it is about to go, as a rule. Raises why there will be no line.

        One that the kernel shows to be ending, or to be at work and not asleep, is waited for longer: on a busy
        machine it may need its time, and the guard tells later.
        """
        moment, end = Patience(LAST_MOMENT), Patience(GUARD_STARTS)
        while self._ended() is None and not (end if _may_be_ending(self.pid) else moment).expired():
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

    def _ended(self) -> int | None:
        """Its exit code (negative: the signal that killed it), and None while it lives."""
        if self._code is None:
            self._hear_news()
        return self._code

    def _how_it_ended(self) -> str:
        code = self._ended()
        half = ", within a line (half a reply)" if self._half else ""
        if code is None:
            return "the adapter is gone"
        if code >= 0:
            return f"the adapter has exited with code {code}, without an answer{half}"
        with contextlib.suppress(ValueError):
            return f"the adapter was killed by {signal.Signals(-code).name} (signal {-code}){half}"
        return f"the adapter was killed by signal {-code}{half}"

    def _late(self, allowed: str) -> str:
        """What to say of a child that has not answered in time."""
        if self._half:
            return f"half a line {allowed}, and not its end: {bytes(self._half[:60])!r} (flush after a newline)"
        if _is_stopped(self.pid):
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
        grace = Patience(self.limits.grace)
        while self._ended() is None and not grace.expired():
            with contextlib.suppress(OSError):
                os.read(self._stdout, CHUNK)
            if not self._take_log():
                time.sleep(0.001)
        code = self._ended()
        self.kill()
        return code if code is not None and code >= 0 else None

    def kill(self) -> None:
        """Kills it and all that descends from it, at once. May be called twice."""
        if self._closed:
            return
        self._closed = True
        os.close(self._control)  # the guard kills it, and all that it has started, when this ends
        patience = Patience(GUARD_ENDS)
        while not _gone_within(self._process, patience.step()):
            if patience.expired():  # somebody has stopped the guard
                self._process.kill()
                self._process.wait()
        for _ in range(64):
            if not self._take_log():
                break
        self._hear_news()
        os.close(self._status)
        for each in self._pipes:
            with contextlib.suppress(OSError):
                each.close()


def _milliseconds(patience: Patience) -> float:
    """The next step, for `poll`: rounded up, so that it is over when `poll` comes back."""
    return patience.step() * 1000 + 1


def _gone_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _is_stopped(pid: int) -> bool:
    """Whether a process stands still, as Linux tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def _may_be_ending(pid: int) -> bool:
    """Whether a process is gone, or ending, or at work, as Linux tells; elsewhere nobody knows."""
    if sys.platform != "linux":
        return False
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return state in (b"Z", b"X", b"R") or bool(int(rest[5]) & PF_EXITING)
    except FileNotFoundError:
        return True
    except (OSError, IndexError, ValueError):
        return False


def _why_not(command: Sequence[str], problem: Exception) -> str:
    program = command[0] if command else ""
    if isinstance(problem, FileNotFoundError):
        return f"'{program}' cannot be started: there is no such program (or its interpreter, after #!, is missing)"
    if not program or os.path.isdir(program):
        return f"'{program}' cannot be started: {'it is a directory' if program else 'that is no name of a program'}"
    if isinstance(problem, PermissionError):
        return f"'{program}' cannot be started: permission denied; is it executable? (chmod +x)"
    if lacking(problem):
        return f"'{program}' cannot be started: {lacking(problem)}"
    reason = getattr(problem, "strerror", None) or str(problem)
    return f"'{program}' cannot be started: {reason}; does a script begin with a #! line?"
