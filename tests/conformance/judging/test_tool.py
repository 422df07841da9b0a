"""A tool's command, however badly it behaves: it ends by its deadline, and nothing of it is left."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cbtcheck.judging import tool
from cbtcheck.judging.tool import Ended, Running


def run(command: str, folder: Path, deadline: float = 60, then: Callable[[Running], None] | None = None) -> Ended:
    async def it() -> Ended:
        running = await Running.start(command, folder, {"SAID": "it"})
        if then is not None:
            while not (folder / "begun").exists():
                await asyncio.sleep(0.01)
            then(running)
        return await running.ended(deadline)

    return asyncio.run(it())


def test_what_it_prints_and_how_it_ends_is_kept(tmp_path: Path) -> None:
    assert run('echo $SAID $PWD; echo wrong >&2; exit 3', tmp_path) == Ended(3, f"it {tmp_path}\nwrong\n")
    assert run("true", tmp_path).succeeded


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    ended = run("trap '' TERM; echo $$ > pid; sleep 1000", tmp_path, deadline=0.5)
    assert ended.late
    assert not ended.succeeded
    assert str(ended) == "did not end"


def test_what_it_leaves_running_is_ended_and_named(tmp_path: Path) -> None:
    ended = run("setsid sleep 1000 & echo $! > pid; sleep 0.2", tmp_path)
    assert ended.code == 0
    assert ended.left == ("sleep",)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_flood_is_not_kept(tmp_path: Path) -> None:
    ended = run("head -c 20000000 /dev/zero | tr '\\0' x; echo end", tmp_path)
    assert ended.code == 0
    assert len(ended.output) < 4 * tool.SHOWN
    assert ended.output.endswith("end\n")


def test_one_that_forks_without_end_is_ended(tmp_path: Path) -> None:
    again = "[ $1 -gt 60 ] || { setsid sh $0 $(($1 + 1)) & }"
    (tmp_path / "fork").write_text(f"trap '' TERM HUP\n{again}\nsleep 1000\n")
    ended = run("sh fork 0", tmp_path, deadline=1)
    assert ended.late


def test_killed_it_says_so(tmp_path: Path) -> None:
    ended = run("touch begun; sleep 1000", tmp_path, then=Running.kill)
    assert (ended.code, ended.late, str(ended)) == (None, False, "was killed")


def test_terminated_it_can_say_something(tmp_path: Path) -> None:
    command = "trap 'echo tidied; exit 4' TERM; touch begun; while :; do sleep 0.01; done"
    ended = run(command, tmp_path, then=Running.terminate)
    assert ended.code == 4
    assert ended.output.endswith("tidied\n")


def test_a_signal_of_its_own_is_told(tmp_path: Path) -> None:
    ended = run("kill -SEGV $$", tmp_path)
    assert ended.code == -signal.SIGSEGV
    assert str(ended) == "ended by signal 11"
