"""Ctrl-C, whenever it comes: exit code 130, soon, without a traceback, in all processes of a run; and defects.

Nothing is timed: a test waits for what it interrupts, and a deadline is so long that only a hang misses it.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from cbtcheck.cli.signals import INTERNAL, INTERRUPTED, OUTPUT, USAGE
from cbtcheck.run.interrupts import interrupts
from cbtcheck.scenario.verdict import EXIT_CODES

PATIENCE = 300
"""Seconds after which something hangs, on whatever machine."""

HELD = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Hold(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            print("importing", flush=True)
            signal.pause()

sys.meta_path.insert(0, Hold())
"""
"""Holds the import of a module until a signal comes."""


def program(code: str, *words: str, **more: object) -> subprocess.Popen[str]:
    """Code, and then the command, in a process group of its own, as a terminal has it."""
    whole = f"{textwrap.dedent(code)}\nimport sys\nsys.argv[1:] = {list(words)!r}\n"
    whole += "from cbtcheck.cli.entry import main\nif __name__ == '__main__': sys.exit(main())\n"
    return subprocess.Popen(
        [sys.executable, "-c", whole], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        process_group=0, **more,  # type: ignore[call-overload]
    )  # fmt: skip


def ended(run: subprocess.Popen[str], sent: int | None = signal.SIGINT) -> tuple[int, str, str]:
    """Sends a signal to all processes of the group; how the command ends."""
    if sent is not None:
        os.killpg(run.pid, sent)
    try:
        out, err = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
    return run.returncode, out, err


def test_the_codes_of_the_entry_are_the_documented_ones() -> None:
    names = ("usage", "internal", "output", "interrupted")
    assert [EXIT_CODES[each] for each in names] == [USAGE, INTERNAL, OUTPUT, INTERRUPTED]


@pytest.mark.parametrize(
    ("module", "word"),
    [
        ("cbtcheck.cli.command", "check"), ("rich.console", "check"), ("cbtmodel.commands", "check"),
        ("msgspec", "check"), ("cbtcheck.search.tour.walks", "tour"), ("cbtproofs.explorer.scopes", "explore"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_modules_are_imported(module: str, word: str, number: int) -> None:
    run = program(HELD.format(module=module), word)
    assert run.stdout is not None
    assert run.stdout.readline() == "importing\n"
    assert ended(run, number) == (130, "", "")


PLANNING = """
import cbtcheck.run.plan as plan

def for_ever(scope):
    print("planning", flush=True)
    while True:
        sum(range(1000))

plan.tour = for_ever
"""


def test_while_the_tour_is_planned() -> None:
    run = program(PLANNING, "check")
    assert run.stdout is not None
    assert run.stdout.readline() == "planning\n"
    assert ended(run) == (130, "", "\ncbtspec: interrupted\n")


def test_while_the_tour_of_several_processes_is_planned() -> None:
    run = program(PLANNING, "check", "--jobs", "2")
    assert run.stdout is not None
    assert run.stdout.readline() == "planning\n"
    assert ended(run) == (130, "", "\ncbtspec: interrupted\n")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_processes_that_import_modules_say_nothing(jobs: str, tmp_path: Path) -> None:
    """Ctrl-C for all of them, as soon as the first was started."""
    started = """
    import multiprocessing.popen_spawn_posix as spawn, subprocess
    launch, begin = spawn.Popen._launch, subprocess.Popen.__init__

    def told(self, process):
        launch(self, process)
        print("started", flush=True)

    def also_told(self, *words, **more):
        begin(self, *words, **more)
        print("started", flush=True)

    spawn.Popen._launch, subprocess.Popen.__init__ = told, also_told
    """
    run = program(started, "check", "--jobs", jobs, "--only", "pause-job", "--reports", str(tmp_path / "r"))
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    code, _, err = ended(run)
    assert code == 130
    assert "Traceback" not in err


@pytest.mark.qemu
def test_while_a_daemon_does_not_answer(tmp_path: Path) -> None:
    daemon = tmp_path / "daemon"
    daemon.write_text("#!/bin/sh\necho started >&3\nexec sleep 1000\n")
    daemon.chmod(0o755)
    reads, writes = os.pipe()
    inherit = f"import os, subprocess\nos.dup2({writes}, 3)\n" if writes != 3 else ""
    hook = f"""
    {inherit}
    import asyncio.base_events as events
    plain = events.BaseEventLoop.subprocess_exec

    def with_the_pipe(self, *words, pass_fds=(), **more):
        os.set_inheritable(3, True)
        return plain(self, *words, pass_fds=(*pass_fds, 3), **more)

    events.BaseEventLoop.subprocess_exec = with_the_pipe
    """
    run = program(
        hook.replace("\n    ", "\n"), "check", "qemu", "--qemu-storage-daemon", str(daemon), pass_fds=(writes,),
        env=os.environ | {"TMPDIR": str(tmp_path)}, cwd=tmp_path,
    )  # fmt: skip
    os.close(writes)
    assert os.read(reads, 100) == b"started\n"
    assert ended(run) == (130, "", "\ncbtspec: interrupted\n")
    assert os.read(reads, 1) == b""  # the daemon has ended
    assert not list(tmp_path.glob("cbtspec-*"))
    os.close(reads)


def test_long_work_is_left_at_once_and_other_work_where_nothing_is_torn() -> None:
    with interrupts(signal.SIGUSR1) as pressed:
        signal.raise_signal(signal.SIGUSR1)
        assert pressed()
        with pytest.raises(KeyboardInterrupt), pressed.at_once():
            pytest.fail("it was interrupted before")
    with interrupts(signal.SIGUSR1) as pressed:
        with pytest.raises(KeyboardInterrupt), pressed.at_once():
            signal.raise_signal(signal.SIGUSR1)
        assert pressed()


def test_in_another_thread_nothing_is_interrupted() -> None:
    seen: list[bool] = []

    def work() -> None:
        with interrupts(signal.SIGUSR1) as pressed, pressed.at_once():
            seen.append(pressed())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


# What nobody has foreseen


def failing(problem: str) -> str:
    return f"""
    import cbtcheck.run.course as course

    def run(*_):
        raise {problem}

    course.run = run
    """


@pytest.mark.parametrize("problem", ["KeyError('x')", "RecursionError()", "AssertionError()", "ValueError('x')"])
def test_a_defect_is_called_one(problem: str) -> None:
    code, out, err = ended(program(failing(problem), "check"), None)
    assert (code, out) == (70, "")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("cbtspec: this is a defect of cbtspec itself")


@pytest.mark.parametrize(
    ("problem", "code", "says"),
    [
        ("MemoryError()", 64, "not enough memory"),
        ("OSError(24, 'Too many open files')", 64, "raise the limit of open files"),
        ("BlockingIOError(11, 'Resource temporarily unavailable')", 64, "raise the limit of processes"),
        ("RuntimeError(\"can't start new thread\")", 64, "no thread can be started"),
        ("OSError(28, 'No space left on device', '/x/y')", 74, "/x/y cannot be written: No space left on device"),
        ("OSError(5, 'Input/output error')", 74, "cannot be written: Input/output error"),
    ],
)
def test_what_a_machine_lacks_is_no_defect(problem: str, code: int, says: str) -> None:
    found, out, err = ended(program(failing(problem), "check"), None)
    (line,) = err.splitlines()
    assert (found, out) == (code, "")
    assert line.startswith("cbtspec: ")
    assert says in line


def test_what_led_to_an_exception_counts_too() -> None:
    code = """
    import cbtcheck.run.course as course

    def run(*_):
        try:
            raise OSError(24, "Too many open files")
        finally:
            {}["tidy"]

    course.run = run
    """
    assert ended(program(code, "check"), None)[0] == 64


def test_the_version_needs_nothing_that_is_heavy() -> None:
    code = "import sys; sys.argv[1:]=['--version']; from cbtcheck.cli.entry import main; main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, loaded = done.stdout.splitlines()
    assert first.startswith("cbtspec ")
    assert not {"z3", "hypothesis", "jinja2", "rich", "click", "msgspec", "asyncio"} & set(loaded.split())


def test_a_subcommand_imports_only_what_it_needs() -> None:
    code = "import sys; from cbtcheck.cli.command import main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"z3", "hypothesis", "cbtproofs.inductive", "crosshair"} & set(done.stdout.split())


def test_nothing_of_the_project_is_imported_before_an_interrupt_is_silent() -> None:
    code = "import sys; before = set(sys.modules); import cbtcheck.cli.entry; print(*set(sys.modules) - before)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) <= {
        "cbtcheck", "cbtcheck.cli", "cbtcheck.cli.entry", "cbtcheck.cli.signals", "signal", "enum", "types",
        "operator", "functools", "collections", "reprlib", "keyword", "itertools", "_collections", "_functools",
        "_operator", "__future__",
    }  # fmt: skip
