"""A child process that is asked lines: full pipes, the end of either side, and what is said of programs that are not.

What misbehaving programs do to a run is in `test_hostile.py`.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtcheck.host.child import CannotStart, Child, ChildBroken, Limits
from cbtcheck.host.pace import Patience, ThisMachine
from waiting import eventually

SHORT = Limits(message=1.0, memory=200 << 20, line=1 << 20)


class Program:
    """Children of Python text, all dead in the end."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def __call__(self, text: str, limits: Limits = SHORT) -> Child:
        child = Child([sys.executable, "-S", "-E", "-c", text], limits)
        self.children.append(child)
        return child


@pytest.fixture
def program() -> Iterator[Program]:
    before = sorted(os.listdir("/proc/self/fd"))
    made = Program()
    yield made
    for each in made.children:
        each.kill()
        each.kill()
    assert sorted(os.listdir("/proc/self/fd")) == before


def soon(seconds: float = 10.0) -> Patience:
    return Patience(seconds)


def why(child: Child, seconds: float = 5.0) -> str:
    with pytest.raises(ChildBroken) as broken:
        child.line(soon(seconds))
    return str(broken.value)


ECHO = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.buffer.flush()"


def test_lines_go_there_and_back(program: Program) -> None:
    child = program(ECHO)
    for line in (b"a\n", b"\n", b"\xff\0\n"):
        child.send(line)
        assert child.line(soon()) == line[:-1]
    assert child.says_more is None
    assert child.leave() == 0
    assert child.leave() is None


def test_it_does_not_matter_which_pipe_is_full(program: Program) -> None:
    """More is sent than all pipes hold, before a line is read; the child does the same, and logs as much."""
    child = program(
        "import sys\n"
        "lines = [sys.stdin.buffer.readline() for _ in range(100)]\n"
        "for line in lines: sys.stderr.write('log' * 50000); sys.stdout.buffer.write(line * 3)\n"
    )
    for number in range(100):
        child.send(b"%d" % number + b"x" * 20000 + b"\n")
    for number in range(100):
        for _ in range(3):
            assert child.line(soon()) == b"%d" % number + b"x" * 20000
    assert SHORT.log <= len(child.log) <= 2 * SHORT.log


def test_what_a_program_says_before_it_goes_is_heard(program: Program) -> None:
    child = program("print('one\\ntwo\\nhal', end='')")
    assert [child.line(soon()), child.line(soon())] == [b"one", b"two"]
    assert "exited with code 0" in why(child)


def test_how_it_ended_is_told(program: Program) -> None:
    assert "exited with code 3" in why(program("raise SystemExit(3)"))
    assert "SIGSEGV (signal 11)" in why(program("import os; os.kill(os.getpid(), 11)"))
    assert "half a reply" in why(program("import os; os.write(1, b'x'); os._exit(1)"))


def test_that_it_ended_is_heard_together_with_its_start(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the guard has told both before anybody listens."""
    started = Child._started

    def late(child: Child, command: list[str]) -> int:
        eventually(lambda: waiting_in(child._status) > len("started 4194304\n"))
        return started(child, command)

    monkeypatch.setattr(Child, "_started", late)
    for text in ("raise SystemExit(3)", "import os\nos.fork() or __import__('time').sleep(600)\nos._exit(3)"):
        assert "exited with code 3" in why(program(text))


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def waiting_in(pipe: int) -> int:
    """The bytes that can be read from a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_who_is_slow_to_end_has_ended_all_the_same(program: Program) -> None:
    busy = "import os, time; os.close(1)\nends = time.time() + 3\nwhile time.time() < ends: pass\nos._exit(7)"
    assert "exited with code 7" in why(program(busy))


def test_who_closes_a_pipe_and_lives_on_is_not_waited_for(program: Program) -> None:
    assert "closed its standard output" in why(program("import os, time; os.close(1); time.sleep(60)"))
    child = program("import os, sys, time; sys.stdin.readline(); os.close(0); time.sleep(60)")
    child.send(b"one\n")
    assert "closed its standard input" in why(child)


def test_time_is_up_when_it_is_up(program: Program) -> None:
    for text, words in (
        ("import time; time.sleep(60)", "does it flush"),
        ("import os, time; os.write(1, b'ha'); time.sleep(60)", "half a line in time"),
        ("import os, time\nwhile True: os.write(1, b'x'); time.sleep(0.01)", "half a line in time"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "SIGSTOP"),
    ):
        child = program(text)
        if "half" in words:
            eventually(lambda child=child: waiting_in(child._stdout))
        elif words == "SIGSTOP":
            eventually(lambda child=child: is_stopped(child.pid))
        assert words in why(child, 0.4), text
    child = program("import time; time.sleep(60)")
    child.send(b"x" * (1 << 20) + b"\n")
    assert "does not read its standard input" in why(child, 0.2)


class Slow(ThisMachine):
    """A machine on which everything takes fifty times as long as it should."""

    def slowdown(self) -> float:
        return 50.0


def test_a_child_has_as_much_more_time_as_the_machine_is_slow(program: Program) -> None:
    child = program("import time; time.sleep(1); print('late', flush=True); time.sleep(60)")
    assert child.line(Patience(0.5, Slow())) == b"late"


def test_what_has_come_while_nobody_looked_has_come_in_time(program: Program) -> None:
    child = program(ECHO)
    child.send(b"a\n")
    assert child.line(soon()) == b"a"
    child.send(b"b\n")
    over, looking = Patience(0.0), select.poll()
    looking.register(child._stdout, select.POLLIN)
    while not looking.poll(1000):
        pass
    assert child.line(over) == b"b"


def test_a_line_has_an_end(program: Program) -> None:
    child = program("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert "a line of more than 1048576 bytes" in why(child)


def test_memory_has_an_end(program: Program) -> None:
    child = program("import time\nx = [bytearray(1 << 20) for _ in range(1 << 12)]\ntime.sleep(60)")
    assert "MiB of memory, and may have 200" in why(child)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/no/such/program"], "'/no/such/program' cannot be started: there is no such program"),
        ([__file__], "permission denied; is it executable?"),
        ([""], "'' cannot be started: that is no name of a program"),
        (["/"], "'/' cannot be started: it is a directory"),
        (["a\0b"], "cannot be started"),
    ],
)
def test_what_cannot_be_started(command: list[str], words: str) -> None:
    with pytest.raises(CannotStart) as problem:
        Child(command, SHORT)
    assert words in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_script_without_an_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("print()")
    script.chmod(0o755)
    with pytest.raises(CannotStart, match="does a script begin with a #! line"):
        Child([str(script)], SHORT)


def test_if_the_suite_is_killed_so_is_the_child(tmp_path: Path) -> None:
    """Also one that does not look at its standard input."""
    text = (
        "import sys, time\nfrom cbtcheck.host.child import Child, Limits\n"
        "child = Child([sys.executable, '-c', 'import time; time.sleep(60)'], Limits())\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as suite:
        assert suite.stdout is not None
        pid = int(suite.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        suite.send_signal(signal.SIGKILL)
    patience = Patience(30)
    while Path(f"/proc/{pid}").exists() and not patience.expired():
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
