"""What a run has played, in a folder: a second start plays the rest, and its report covers both.

It is one file that grows: the length and the hash of what was played of a task, and that. A record that was torn by a
power cut, and what follows it, counts as not there, and is played again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import shutil
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cbtcheck.adapters import Opening
from cbtcheck.host.version import VERSION
from cbtcheck.run.messages import Introduction
from cbtcheck.run.options import Options
from cbtcheck.run.part import Part
from cbtcheck.run.plan import Item

COUNTEREXAMPLES = "counterexamples"

Place = tuple[int, int]
HEAD = 8 + 32
"""The bytes of a length and a hash."""


class NotThisRun(ValueError):
    """The folder has another run, or something else. The message is one line."""


class Record:
    """The items of a run that are done, with their parts, in a folder. Raises `NotThisRun`, and `OSError`."""

    def __init__(self, folder: Path, opening: Opening, options: Options) -> None:
        asked = replace(options, reports=Path(), most_seconds=None, before=None)
        said = f"cbtspec {VERSION}\n{opening}\n{asked}\n"
        plan = folder / "campaign.txt"
        if plan.exists():
            if plan.read_text() != said:
                raise NotThisRun(f"{folder} has another campaign, see {plan}; name another folder")
        elif folder.exists() and any(folder.iterdir()):
            raise NotThisRun(f"{folder} is neither empty nor a campaign: there is no campaign.txt in it")
        folder.mkdir(parents=True, exist_ok=True)
        plan.write_text(said)
        self._path = folder / "done"
        self._at: dict[Place, int] = {}
        self._file = self._path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotThisRun(f"{folder} is in use by a run that has not ended") from None
        self.introduction: Introduction | None = None
        self.counterexamples = folder / COUNTEREXAMPLES
        shutil.rmtree(self.counterexamples, ignore_errors=True)  # they are written again from what is recorded
        self._read()

    def __len__(self) -> int:
        return len(self._at)

    def _read(self) -> None:
        at, size = 0, self._path.stat().st_size
        while at < size:
            content = self._content(at)
            if content is None:
                break
            kept = pickle.loads(content)
            if isinstance(kept, Introduction):
                self.introduction = kept
            else:
                self._at |= {place: at for place, _ in kept}
            at += HEAD + len(content)
        self._file.truncate(at)

    def _content(self, at: int) -> bytes | None:
        self._file.seek(at)
        head = self._file.read(HEAD)
        content = self._file.read(int.from_bytes(head[:8], "big")) if len(head) == HEAD else b""
        return content if content and sha256(content).digest() == head[8:] else None

    def met(self, introduction: Introduction) -> None:
        """On which implementation it is played. Raises `NotThisRun` if it was another one before."""
        if self.introduction is None:
            self.introduction = introduction
            self._write(introduction)
        elif self.introduction != introduction:
            raise NotThisRun(f"what is done was played on {self.introduction.version}, and this is "
                             f"{introduction.version}; name another folder")  # fmt: skip

    def parts(self, item: Item) -> list[Part] | None:
        """What came of an item; None if it is not done."""
        at = self._at.get(item.place)
        content = self._content(at) if at is not None else None
        if content is None:
            return None
        kept: dict[Place, list[Part]] = dict(pickle.loads(content))
        return kept[item.place]

    def keep(self, played: Iterable[tuple[Item, list[Part]]]) -> None:
        """Records items: they are there whole, or not at all, whenever the machine stops."""
        kept = [(item.place, parts) for item, parts in played]
        at = self._write(kept)
        self._at |= {place: at for place, _ in kept}

    def _write(self, kept: object) -> int:
        content = pickle.dumps(kept)
        at = self._file.seek(0, os.SEEK_END)
        self._file.write(len(content).to_bytes(8, "big") + sha256(content).digest() + content)
        self._file.flush()
        os.fsync(self._file.fileno())
        return at

    def close(self) -> None:
        """Nothing more is recorded."""
        with contextlib.suppress(OSError):
            self._file.close()
