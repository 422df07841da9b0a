"""The guard: a small process between the suite and a program under test, which leaves nothing of it behind.

Run as a script, by itself: `python -I -S guard.py CONTROL STATUS MEMORY ADDRESS_SPACE PROGRAM ARGUMENT…`. It starts
the program on its own standard streams, in a session of its own, and is told through the pipe CONTROL: `t` to send
SIGTERM, `k`, or the end of the pipe (the suite is dead, however that came), to kill all there is. It is the
*subreaper* of everything below it (Linux): what a program starts and abandons, in whatever session, becomes the
guard's child, so that when no child is left nothing is left. On other systems only its process group is killed.

Run with the number of a socket only, it makes guards for whoever asks there, each by a fork, until the socket is
closed: Python need not start once more for each program (see `guards.py`).

To STATUS it writes lines: `started PID`, `cannot ERRNO`, `exited CODE` (negative: the signal), `memory BYTES` (too
much: killed), and last `gone NAME…`: what the program had left running.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK = 0.05
"""Seconds between two looks at the memory in use."""

ROUNDS = 4000
"""So often killing is tried, a millisecond apart or, where the machine is busy, more; what lives on then cannot be
killed (it waits for a dead network disk)."""

PAGE = resource.getpagesize()


def prctl(option: int, argument: int) -> None:
    """Linux only; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


def children(pid: int) -> list[int]:
    """The children of a process; none if it is gone."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def descendants(pid: int) -> list[int]:
    """Everything below a process, parents first."""
    found = children(pid)
    for each in found:  # grows meanwhile
        found += [child for child in children(each) if child not in found]
    return found


def resident(pid: int) -> int:
    """The bytes that a process has in memory; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def processor_seconds(pid: int) -> float:
    """The seconds of a processor that a process has used; 0 where the system does not tell, or it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def name(pid: int) -> str:
    """What a process is called, if it is alive; else nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().rpartition(b")")
    except OSError:
        return ""
    alive = tail.split()[:1] not in ([b"Z"], [b"X"])
    return head.partition(b"(")[2].decode("ascii", "replace").replace(" ", "_") if alive else ""


class Guard:
    """The program, and what is known of it."""

    def __init__(self, control: int, status: int, memory: int) -> None:
        self.control, self.status, self.memory = control, status, memory
        self.pid = 0
        self.exited = False

    def tell(self, line: str) -> None:
        """To the suite; if that is dead, to nobody."""
        with contextlib.suppress(OSError):
            os.write(self.status, line.encode() + b"\n")

    def start(self, command: list[str], address_space: int, directory: str) -> bool:
        """Starts the program in a directory; whether it could be started."""
        outcome, failed = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become(command, address_space, directory, failed)
        os.close(failed)
        errno = os.read(outcome, 16)  # the end of the pipe when the program has taken the place of the fork
        os.close(outcome)
        if errno:
            self.tell(f"cannot {errno.decode()}")
            return False
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # so that the suite sees the end of the program's streams
            os.dup2(nothing, stream)
        self.tell(f"started {self.pid}")
        return True

    def watch(self, woken: int) -> None:
        """Until the suite has had enough of the program, or is dead."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            for number, _ in poll.poll(LOOK * 1000):
                if number == woken:
                    os.read(woken, 4096)
                    self.reap()
                    continue
                order = os.read(self.control, 1)
                if order != b"t":
                    return
                if not self.exited:
                    signal_group(self.pid, signal.SIGTERM)
            used = sum(map(resident, descendants(os.getpid()))) if self.memory else 0
            if used > self.memory:
                self.tell(f"memory {used}")
                return

    def reap(self) -> bool:
        """Buries the dead; whether nobody is left."""
        while True:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.pid:
                self.exited = True
                self.tell(f"exited {os.waitstatus_to_exitcode(how)}")

    def slay(self) -> None:
        """Kills everything, stopped or not, and waits for its end."""
        self.reap()
        left = [found for found in map(name, descendants(os.getpid())) if found] if self.exited else []
        for _ in range(ROUNDS):
            if not self.exited:
                signal_group(self.pid, signal.SIGKILL)
            found = descendants(os.getpid())
            for order in (signal.SIGSTOP, signal.SIGKILL):  # what is stopped starts no others meanwhile
                for pid in found:
                    signal_one(pid, order)
            if self.reap():
                break
            time.sleep(0.001)
        self.tell(" ".join(["gone", *left]))


def signal_group(pid: int, number: int) -> None:
    """A signal for a process group, which may be gone."""
    with contextlib.suppress(OSError):
        os.killpg(pid, number)


def signal_one(pid: int, number: int) -> None:
    """A signal for a process, which may be gone."""
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def become(command: list[str], address_space: int, directory: str, failed: int) -> None:
    """In the fork: takes on the limits, and becomes the program. Does not return."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir(directory)
        os.execvp(command[0], command)
    except OSError as problem:
        os.write(failed, str(problem.errno).encode())
    except ValueError:
        os.write(failed, b"22")
    finally:
        os._exit(127)


def serve(number: int) -> None:
    """Makes guards until the socket is closed. A request: its length in four bytes, with descriptors, and JSON."""
    import json  # not needed by a guard that is run for one program, and slow to import
    import socket

    with socket.socket(fileno=number) as asking:
        while True:
            head, received, *_ = socket.recv_fds(asking, 4, 5)
            bury()
            if not head:
                return
            request = json.loads(asking.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            if os.fork() == 0:
                asking.close()
                guard_for(request["command"], request["directory"], request["environment"], received)
            for each in received:
                os.close(each)


def guard_for(command: list[str], directory: str, environment: dict[str, str], received: list[int]) -> None:
    """In the fork: guards a program, which has the first three of the descriptors. Does not return."""
    try:
        os.setsid()
        for number, each in enumerate(received[:3]):
            os.dup2(each, number)
            os.close(each)
        os.environ.clear()
        os.environ.update(environment)
        control, status = received[3:]
        watch_over(control, status, 0, 0, command, directory)
    finally:
        os._exit(0)


def bury() -> None:
    """Waits for guards that have ended: so what they and their programs cost is counted."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Guards a program, or makes guards."""
    if len(sys.argv) == 2:
        serve(int(sys.argv[1]))
    else:
        control, status, memory, address_space = map(int, sys.argv[1:5])
        watch_over(control, status, memory, address_space, sys.argv[5:])


def watch_over(
    control: int, status: int, memory: int, address_space: int, command: list[str], directory: str = "."
) -> None:
    """Guards a program, which is started in a directory."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    for inherited in (control, status):
        os.set_inheritable(inherited, False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    guard = Guard(control, status, memory)
    if guard.start(command, address_space, directory):
        guard.watch(woken)
        guard.slay()


if __name__ == "__main__":
    main()
