"""Adapters that misbehave as processes: they die, will not die, leave others behind, or eat the machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from lines import Spoiled
from timing import FOR_EVER
from tracker import Adapter

MIB = 1 << 20


class DiesAtStart(Adapter):
    """dies before it says anything, with a word on standard error"""

    def start(self) -> None:
        os.write(2, b"tracker: libtracker.so.1: cannot open shared object file\n")
        os._exit(127)


class DiesAfterHello(Adapter):
    """says hello, and dies"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply(request, answer)
        os._exit(1)


class DiesInTheMiddle(Spoiled):
    """dies at the third write, with a word on standard error"""

    def spoil(self, seq: int) -> None:
        os.write(2, b"tracker: assertion failed: granule < count\n")
        os._exit(1)


class SegmentationFault(Spoiled):
    """dies at the third write, of a signal"""

    def spoil(self, seq: int) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class LeavesInTheMiddle(Spoiled):
    """exits at the third write, with code 0"""

    def spoil(self, seq: int) -> None:
        os._exit(0)


class AnswersAndDies(Adapter):
    """answers the third write, and dies right after it"""

    def reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        super().reply(request, answer)
        if self.is_the_moment(request):
            os._exit(1)


class ClosesItsOutput(Spoiled):
    """closes standard output, and lives on"""

    def spoil(self, seq: int) -> None:
        os.close(1)
        time.sleep(FOR_EVER)


class ClosesItsInput(Adapter):
    """closes standard input after hello, and lives on"""

    def main(self) -> None:
        request = sys.stdin.buffer.raw.readline()  # type: ignore[attr-defined]
        assert request
        self.reply({"seq": 1}, self.hello())
        os.close(0)
        time.sleep(FOR_EVER)


class StopsItself(Spoiled):
    """stops itself with SIGSTOP"""

    def spoil(self, seq: int) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


class IgnoresTermination(Spoiled):
    """ignores SIGTERM, SIGINT and SIGHUP, and answers no more"""

    def start(self) -> None:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)

    def spoil(self, seq: int) -> None:
        time.sleep(FOR_EVER)


def left_behind(its_own_session: bool, quiet: bool) -> None:
    """Starts a process that outlives its parent, and holds on to the suite's pipes unless it is `quiet`."""
    if os.fork():
        return
    if its_own_session:
        os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if quiet:
        for descriptor in range(3):
            os.close(descriptor)
    time.sleep(FOR_EVER)
    os._exit(0)


class LeavesAGrandchild(Adapter):
    """is right, and leaves a process behind, which holds its pipes open"""

    def start(self) -> None:
        left_behind(its_own_session=False, quiet=False)


class LeavesADaemon(Adapter):
    """is right, and leaves a daemon behind in a session of its own, which holds its pipes open"""

    def start(self) -> None:
        left_behind(its_own_session=True, quiet=False)


class LeavesAnOrphan(Adapter):
    """is right, and leaves a daemon behind whose parent has gone long before, in the manner of old daemons"""

    def start(self) -> None:
        child = os.fork()
        if child == 0:
            left_behind(its_own_session=True, quiet=True)
            os._exit(0)
        os.waitpid(child, 0)


class DiesAndLeavesADaemon(DiesInTheMiddle):
    """dies at the third write, and leaves a daemon behind that holds its pipes open: they do not end"""

    def start(self) -> None:
        left_behind(its_own_session=True, quiet=False)


class Forks(Spoiled):
    """forks sixty times, and answers no more"""

    def spoil(self, seq: int) -> None:
        for _ in range(60):
            if os.fork() == 0:
                break
        time.sleep(FOR_EVER)


class EatsMemory(Spoiled):
    """takes memory without end; it gives up at 8 GiB of its own accord, so that a test does no harm"""

    def spoil(self, seq: int) -> None:
        eaten = [bytes(0)]
        for _ in range(8 << 10):
            eaten.append(b"x" * MIB)
        time.sleep(FOR_EVER)


class KillsItsProcessGroup(Spoiled):
    """sends SIGKILL to its whole process group"""

    def spoil(self, seq: int) -> None:
        os.killpg(0, signal.SIGKILL)
