"""A run in pieces, which goes on where it was interrupted: here or on other machines.

What is done is recorded in a folder, if there is one; a second start plays the rest, and its report covers both. The
parts of all pieces are gathered in the order of the run, so that the report is that of a run in one process.
"""

from __future__ import annotations

import heapq
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cbtcheck.adapter import AdapterUnusable
from cbtcheck.adapters import Opening
from cbtcheck.host.version import VERSION
from cbtcheck.run.course import Options, Progress, gathering_for
from cbtcheck.run.interrupts import interrupts, or_over
from cbtcheck.run.piece import Piece, PieceDied, PiecePlayed, play
from cbtcheck.run.profiles import PROFILES
from cbtcheck.run.report import Report
from cbtcheck.run.shard import Shard

FEWEST, DRAWN_IN_A_PIECE = 8, 4000
"""A run has so many pieces at least, and one for so many drawn scenarios. A piece costs seconds of planning."""

PLAYS = 2
"""How often a piece is played whose process dies, at most."""

COUNTEREXAMPLES = "counterexamples"


class NotThisCampaign(ValueError):
    """The folder has another run, or something else. The message is one line."""


class Executor(Protocol):
    """Plays pieces, at most `size` at a time."""

    @property
    def size(self) -> int:
        """How many it plays at a time now, at least 1."""

    def submit(self, piece: Piece, wanted: Callable[[], bool]) -> Future[PiecePlayed]:
        """Begins to play a piece."""


class Here:
    """The executor of this machine: `jobs` processes at a time."""

    def __init__(self, jobs: int) -> None:
        self.size = jobs
        self._threads = ThreadPoolExecutor(jobs)

    def submit(self, piece: Piece, wanted: Callable[[], bool]) -> Future[PiecePlayed]:
        """Begins to play a piece, or waits for a free process."""
        return self._threads.submit(play, piece, wanted)


def pieces_of(options: Options, adapter: str) -> int:
    """How many pieces a run has: this depends on what is played only."""
    drawn = options.examples or PROFILES[options.profile].examples.get(adapter, 1000)
    return max(FEWEST, -(-drawn // DRAWN_IN_A_PIECE))


class Folder:
    """The pieces that are done, as files in a folder. Without a folder nothing is recorded."""

    def __init__(self, path: Path | None, opening: Opening, options: Options) -> None:
        """Raises `NotThisCampaign`, and `OSError` if it cannot be made."""
        self._done = path / "done" if path is not None else None
        if path is None or self._done is None:
            return
        asked = replace(options, reports=Path(), most_seconds=None, before=None)
        said = f"cbtspec {VERSION}\n{opening}\n{asked}\n"
        plan = path / "campaign.txt"
        if plan.exists():
            if plan.read_text() != said:
                raise NotThisCampaign(f"{path} has another campaign, see {plan}; name another folder")
        elif path.exists() and any(path.iterdir()):
            raise NotThisCampaign(f"{path} is neither empty nor a campaign: there is no campaign.txt in it")
        self._done.mkdir(parents=True, exist_ok=True)
        plan.write_text(said)

    def load(self, name: str) -> PiecePlayed | None:
        """What came of a piece, if it is done. A file that is damaged counts as none: the piece is played again."""
        if self._done is None:
            return None
        try:
            written = (self._done / name).read_bytes()
        except FileNotFoundError:
            return None
        if sha256(written[32:]).digest() != written[:32]:
            return None
        played: PiecePlayed = pickle.loads(written[32:])
        return played

    def keep(self, name: str, played: PiecePlayed) -> None:
        """Records a piece: it is there whole, or not at all, whenever the machine stops."""
        if self._done is None:
            return
        content, beside = pickle.dumps(played), self._done / f"{name}.new"
        with beside.open("wb") as file:
            file.write(sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._done / name)


def run(
    opening: Opening, options: Options, executor: Executor, folder: Path | None, progress: Progress,
    say: Callable[[str], None],
) -> Report:  # fmt: skip
    """The whole run. Ctrl-C ends it early, with a report of the pieces that are done, if there are any.

    Raises `NotThisCampaign`, `PieceDied` for a piece that ends its process again and again, and what `play` does.
    """
    started = time.monotonic()
    kept = Folder(folder, opening, options)
    if folder is not None:
        options = replace(options, reports=folder / COUNTEREXAMPLES)
        shutil.rmtree(options.reports, ignore_errors=True)  # they are written again from what is recorded
    of = pieces_of(options, opening.name)
    with interrupts(signal.SIGINT, signal.SIGTERM) as pressed:
        interrupted = or_over(pressed, options.most_seconds)
        campaign = _Campaign(opening, options, of, executor, kept, interrupted, say)
        ended_early = False
        try:
            campaign.confirm()
            campaign.play_rest(progress)
        except KeyboardInterrupt:
            ended_early = True
        finally:
            campaign.over = True
    report = campaign.gathered(ended_early)
    report.seconds = time.monotonic() - started
    return report


class _Campaign:
    def __init__(
        self, opening: Opening, options: Options, of: int, executor: Executor, kept: Folder,
        interrupted: Callable[[], bool], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.opening, self.options, self.of = opening, options, of
        self.executor, self.kept, self.interrupted, self.say = executor, kept, interrupted, say
        self.ledger: PiecePlayed | None = None
        self.done: dict[int, PiecePlayed] = {}
        self.over = False

    def wanted(self) -> bool:
        return not self.over and not self.interrupted()

    def confirm(self) -> None:
        """The ledger, first: what is known is turned away from in all pieces."""
        piece = Piece(self.opening, self.options, Shard(0, self.of))
        self.ledger = self.kept.load("ledger")
        if self.ledger is None:
            for _, played in self._all({-1: piece}):
                self.ledger = played
                self.kept.keep("ledger", played)

    def play_rest(self, progress: Progress) -> None:
        """The pieces that are not done yet."""
        assert self.ledger is not None
        rest: dict[int, Piece] = {}
        for index in range(self.of):
            played = self.kept.load(f"piece-{index}")
            if played is None:
                shard = Shard(index, self.of)
                rest[index] = Piece(self.opening, self.options, shard, self.ledger.confirmed)
            else:
                self.done[index] = played
        if self.done:
            self.say(f"{len(self.done)} of {self.of} pieces are done already; {len(rest)} to play")
        progress("pieces", len(self.done), self.of)
        for index, played in self._all(rest):
            self._same_implementation(played)
            self.kept.keep(f"piece-{index}", played)
            self.done[index] = played
            progress("pieces", len(self.done), self.of)

    def _same_implementation(self, played: PiecePlayed) -> None:
        assert self.ledger is not None
        one, other = self.ledger.introduction, played.introduction
        if (one.name, one.version, one.capabilities) != (other.name, other.version, other.capabilities):
            raise AdapterUnusable(f"not all pieces met the same implementation: {one.version}, and {other.version}")

    def _all(self, pieces: dict[int, Piece]) -> Iterator[tuple[int, PiecePlayed]]:
        """Plays them, and those whose process dies again; each is given when it is done."""
        waiting, under_way, deaths = [*pieces], dict[Future[PiecePlayed], int](), dict[int, int]()
        while waiting or under_way:
            if not self.wanted():
                raise KeyboardInterrupt
            size = self.executor.size  # asked each time: that also notices which workers were lost
            while waiting and len(under_way) < size:
                index = waiting.pop(0)
                under_way[self.executor.submit(pieces[index], self.wanted)] = index
            for future in wait(under_way, 0.2, FIRST_COMPLETED).done:
                index = under_way.pop(future)
                try:
                    played = future.result()
                except PieceDied as died:
                    deaths[index] = deaths.get(index, 0) + 1
                    what = "the ledger" if index < 0 else f"piece {index + 1} of {self.of}"
                    if deaths[index] >= PLAYS:
                        raise PieceDied(f"{what} has ended its process {PLAYS} times ({died}): there is no result; "
                                        "what is done is kept") from None  # fmt: skip
                    self.say(f"the process that played {what} has died ({died}); it is played again")
                    waiting.insert(0, index)
                else:
                    yield index, played

    def gathered(self, interrupted: bool) -> Report:
        """The report of what is done. Raises `KeyboardInterrupt` if that is nothing."""
        if self.ledger is None or self.ledger.introduction.scope is None or (interrupted and not self.done):
            raise KeyboardInterrupt
        met = self.ledger.introduction
        gathering = gathering_for(met.name, met.version, self.options)
        everything = [self.ledger.parts, *(self.done[index].parts for index in sorted(self.done))]
        for part in heapq.merge(*everything, key=lambda each: each.place):
            gathering.add(part)
        gathering.exhausted = any(each.exhausted for each in self.done.values())
        assert met.scope is not None
        report = gathering.finished(met.scope, met.capabilities)
        report.interrupted = interrupted
        return report
