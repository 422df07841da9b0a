"""Correct QEMUs are not accused: scenarios that were once failures of the suite itself, on whichever QEMU there is.

Each stands for a kind: what waits for what differs between versions, copies pass that no command asked for, and a
daemon may be given the processor for a moment only, and then not for long. None of this may change a verdict.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.follow.play import Frame, Player
from cbtcheck.scenario.scenario import Scenario, load
from cbtcheck.workflows import workflows

FOLDER = Path(__file__).parent / "accused"
SCENARIOS = {each.stem: load(each) for each in sorted(FOLDER.glob("*.json"))}

pytestmark = pytest.mark.qemu


@pytest.fixture
def adapter(binary: str) -> Iterator[QemuAdapter]:
    adapter = QemuAdapter(binary)
    yield adapter
    adapter.close()


def played(adapter: QemuAdapter, scenario: Scenario) -> list[Frame]:
    player = Player(adapter)
    assert player.play_scenario(scenario) == []
    return player.frames


def pid_of(adapter: QemuAdapter) -> int:
    assert adapter._session is not None
    return adapter._session.daemon.pid


@contextmanager
def stuttering(pid: int) -> Iterator[None]:
    """A process that runs for a moment only, again and again, and is stopped for longer than it ran."""
    over = threading.Event()

    def stutter() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.02)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.002)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_agrees_however_slow_the_daemon_is(adapter: QemuAdapter, name: str) -> None:
    played(adapter, SCENARIOS[name])
    with stuttering(pid_of(adapter)):
        played(adapter, SCENARIOS[name])


@pytest.mark.parametrize("name", workflows())
def test_what_happens_does_not_depend_on_how_fast_the_daemon_is(adapter: QemuAdapter, name: str) -> None:
    """A daemon that is mostly stopped does the very same: nothing was decided because it took its time."""
    at_once = played(adapter, workflows()[name])
    with stuttering(pid_of(adapter)):
        slowly = played(adapter, workflows()[name])
    assert [frame.trace for frame in slowly] == [frame.trace for frame in at_once]
