"""A piece of a run, played in a process of its own, so that one that dies costs this piece only.

A piece is a shard of the run. What is played depends on the profile, the seed, the capabilities and the number of
pieces only: not on who plays it, where, or when. The ledger is confirmed first, as a piece of its own.
"""

from __future__ import annotations

import contextlib
import pickle
import selectors
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cbtcheck.adapter import AdapterBroken, AdapterUnusable
from cbtcheck.adapters import Opening
from cbtcheck.run.course import Options
from cbtcheck.run.messages import CannotBegin, Defect, Introduction
from cbtcheck.run.part import Part
from cbtcheck.run.report import LedgerResult
from cbtcheck.run.shard import Shard
from cbtcheck.run.start import DefectInProcess

LOOK_UP = 0.2
"""Seconds after which it is looked whether a piece is still wanted."""


@dataclass(frozen=True)
class Piece:
    """What to play. Without results of the ledger in `confirmed`, it is confirmed, and nothing else is played."""

    opening: Opening
    options: Options
    shard: Shard
    confirmed: tuple[LedgerResult, ...] | None = None


@dataclass(frozen=True)
class PiecePlayed:
    """What came of a piece: its parts, in their order, on whom they were played, and what came of the ledger.

    Only the confirming of the ledger also tells the scope. `exhausted`: the adapter was late, or broke, too often.
    """

    introduction: Introduction
    parts: list[Part]
    confirmed: tuple[LedgerResult, ...]
    exhausted: bool


class PieceDied(RuntimeError):
    """The process that played a piece has died. The message is one line, with the exit status or signal."""


class NoSuchAdapter(LookupError):
    """There is no adapter, or no mistake, of that name. The message is one line."""


def play(piece: Piece, wanted: Callable[[], bool] = lambda: True) -> PiecePlayed:
    """Plays a piece in a process that ends with this one, and when the piece is not `wanted` any more.

    Raises `PieceDied`, `KeyboardInterrupt` if it is not wanted, what `Opening.open` does, and `DefectInProcess`.
    """
    command = [sys.executable, "-m", "cbtcheck.run.piece_process"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.stdout is not None
    data = pickle.dumps(piece)
    try:
        with contextlib.suppress(BrokenPipeError):  # it is dead; how, is said when its answer is read
            process.stdin.write(len(data).to_bytes(8, "big") + data)
            process.stdin.flush()  # and it stays open: its end tells the process to end
        return _read(process, wanted)
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        process.wait()


def _read(process: subprocess.Popen[bytes], wanted: Callable[[], bool]) -> PiecePlayed:
    assert process.stdout is not None
    chunks: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not wanted():
                raise KeyboardInterrupt
            if selector.select(LOOK_UP):
                chunk = process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not chunk:
                    break
                chunks.append(chunk)
    code = process.wait()
    if code != 0:
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        raise PieceDied(how)
    match pickle.loads(b"".join(chunks)):
        case PiecePlayed() as played:
            return played
        case CannotBegin(why, unknown, broken):
            raise NoSuchAdapter(why) if unknown else AdapterBroken(why) if broken else AdapterUnusable(why)
        case Defect(traceback):
            raise DefectInProcess(traceback)
        case other:
            raise DefectInProcess(f"a piece has answered {other!r}")
