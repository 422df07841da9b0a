"""The process that plays a piece: it reads it on stdin, plays it, writes what came of it on stdout, and ends.

stdin stays open as long as somebody wants the piece; at its end this process ends too.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable

from cbtcheck.adapter import Adapter, AdapterBroken, AdapterUnusable
from cbtcheck.follow.play import last_words
from cbtcheck.host import temporary
from cbtcheck.host.lacking import lacking, not_written
from cbtcheck.run.course import Course
from cbtcheck.run.gather import ENOUGH_FAILURES
from cbtcheck.run.messages import CannotBegin, Defect, Introduction
from cbtcheck.run.part import LEDGER, Part, Signature
from cbtcheck.run.piece import Piece, PiecePlayed
from cbtcheck.run.report import LedgerResult
from cbtcheck.run.start import begin
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.tour.coverage import Edge


class _Confirmed(Exception):
    """The ledger is confirmed, and that was all."""


class _Parts:
    """The parts of a piece. Edges are told once in each phase: one that ends early does not count in full."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._phase = ""
        self._told: set[Edge] = set()
        self._different: set[Signature] = set()

    def take(self, part: Part) -> None:
        if part.phase != self._phase:
            self._phase, self._told = part.phase, set()
        part.edges -= self._told
        self._told |= part.edges
        self._different |= {mark for mark, each in part.failures if each.verdict is not Verdict.WASTEFUL}
        self.parts.append(part)

    def enough(self, first: bool) -> bool:
        """Whether in the whole run, too, enough has failed up to here: it has met these failures, and others."""
        return len(self._different) >= (1 if first else ENOUGH_FAILURES)


def main() -> None:
    """Plays the piece that stdin has."""
    begin(lambda number, frame: os._exit(143))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints does not disturb the answer
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    piece: Piece = pickle.loads(sys.stdin.buffer.read(size))
    threading.Thread(target=_end_with_whoever_asked, daemon=True).start()
    with temporary.directory() as home:
        tempfile.tempdir = home
        answer = _answer(piece)
    with contextlib.suppress(BrokenPipeError), answers:
        pickle.dump(answer, answers)


def _end_with_whoever_asked() -> None:
    os.read(0, 1)
    os._exit(1)


def _answer(piece: Piece) -> PiecePlayed | CannotBegin | Defect:
    try:
        adapter = piece.opening.open()
    except LookupError as problem:
        return CannotBegin(str(problem.args[0]) if problem.args else str(problem), unknown=True)
    except AdapterUnusable as problem:
        return CannotBegin(str(problem), unknown=False)
    except AdapterBroken as problem:
        return CannotBegin(last_words(problem), unknown=False, broken=True)
    try:
        return _played(piece, adapter)
    except Exception as problem:
        why = lacking(problem) or not_written(problem)
        return CannotBegin(why, unknown=False) if why else Defect(traceback.format_exc())
    finally:
        with contextlib.suppress(AdapterBroken):
            adapter.close()


def _played(piece: Piece, adapter: Adapter) -> PiecePlayed:
    taken, options, known = _Parts(), piece.options, piece.confirmed
    came: list[LedgerResult] = [*(known or ())]

    def once(confirm: Callable[[], list[LedgerResult]]) -> list[LedgerResult]:
        if known is not None:
            return came
        came.extend(confirm())
        raise _Confirmed

    course = Course(
        adapter, options, lambda *_: None, lambda: False, taken.take, lambda: taken.enough(options.first),
        piece.shard, once,
    )  # fmt: skip
    scope = course.scope if known is None else None
    with contextlib.suppress(_Confirmed):
        course.run()
    assert known is not None or all(each.phase == LEDGER for each in taken.parts)
    introduction = Introduction(adapter.name, adapter.version, adapter.capabilities, scope)
    return PiecePlayed(introduction, taken.parts, tuple(came), adapter.exhausted)


if __name__ == "__main__":
    main()
