"""Ctrl-C while CrossHair searches: its process ends without a word."""

from __future__ import annotations

import multiprocessing
import signal

import pytest
from cbtproofs.contracts import runner


def test_an_interrupted_search_ends_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(contract: object, seeded: bool) -> None:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "analysed", interrupted)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    before = signal.getsignal(signal.SIGINT)
    try:
        runner._in_child(runner.Task(runner.declared()[0]), theirs)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not ours.poll()
