"""A process that plays for another, as it is seen from there: whoever waits for it is told when it is closed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from cbtcheck.adapters import Opening
from cbtcheck.run.executors import Processes, greeting
from cbtcheck.run.gather import Known
from cbtcheck.run.messages import Task
from cbtcheck.run.options import Options
from cbtcheck.run.worker import NotWanted, Worker
from waiting import eventually

GREETING = greeting(Opening("reference"), Options("quick", 1, None, None, None, Path()))
TASK = Task((), Known())


@pytest.fixture
def never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.usefixtures("never_answers")
def test_whoever_waits_is_told_that_it_was_closed() -> None:
    worker, told, asked = Worker(GREETING), threading.Event(), threading.Event()

    def wanted() -> bool:
        asked.set()
        return True

    def ask() -> None:
        with pytest.raises(NotWanted):
            worker.ask(TASK, wanted)
        told.set()

    waiting = threading.Thread(target=ask)
    waiting.start()
    eventually(asked.is_set)
    worker.close(0)
    eventually(told.is_set)
    waiting.join()


@pytest.mark.usefixtures("never_answers")
def test_an_executor_is_closed_while_a_worker_does_not_answer() -> None:
    executor = Processes(2, GREETING)
    futures = [executor.submit(TASK) for _ in range(3)]
    eventually(lambda: futures[0].running())
    executor.close(0)
    assert all(each.cancelled() or isinstance(each.exception(), NotWanted) for each in futures)
