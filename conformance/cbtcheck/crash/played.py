"""What came of playing a history: how each step ended, what was recorded, what is owed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cbtwire.qcow2.guest import guest_data
from cbtwire.qcow2.header import read_header
from cbtwire.qcow2.reading import BadImage, InMemory

from cbtcheck.crash.history import Step
from cbtcheck.crash.judge import judge
from cbtcheck.crash.owed import Account
from cbtcheck.crash.recording import Fault, Recorder
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import Found, enumerate_states


class Player(Protocol):
    """Who plays histories: a real QEMU, or an implementation of our own."""

    version: str

    async def play(
        self, setting: Setting, history: tuple[Step, ...], fault: Fault | None = None, after: Played | None = None
    ) -> Played:
        """Plays a history on a new image, or on that which another one has left. `TimeoutError` if it hangs."""

    async def states(
        self, played: Played, assumption: str, seed: int = 0, start: int = 0, one_in: int = 100
    ) -> Found:
        """Judges the crash states of a history from the event `start` on."""

    def kill(self) -> None:
        """Kills the processes that it has started, without waiting."""


class ReadByUs:
    """Judges states with our own reader of qcow2."""

    async def states(
        self, played: Played, assumption: str, seed: int = 0, start: int = 0, one_in: int = 100
    ) -> Found:
        """Judges the crash states of a history from the event `start` on."""
        judging = partial(judge, backing=played.setting.backing())
        events, versions = played.recorder.events, played.account.versions
        return enumerate_states(played.base, events, versions, judging, assumption, seed, start, one_in)


@dataclass(slots=True)
class Done:
    """How a step ended: `answer` is "" if it was accepted. `harmed`: a request failed meanwhile.

    `position` and `asked` are how many events and requests there were until then; `writable`: it is open for writing.
    """

    step: Step
    answer: str
    harmed: bool
    position: int
    asked: int
    writable: bool


@dataclass(slots=True)
class Played:
    """A history that was played: what was recorded, what is owed, and how each step ended."""

    setting: Setting
    base: bytes
    recorder: Recorder
    account: Account
    done: list[Done] = field(default_factory=list)
    broken: str = ""
    """How the daemon died of itself, if it did."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What QEMU sees in a state: `refused` is why it does not open it.

    Bitmaps are as QMP has them, with the SHA-256 of their bits.
    """

    refused: str
    bitmaps: list[dict[str, Any]] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    disk: bytes | None = None


def read_by_guest(played: Played) -> bytes | None:
    """What the guest reads of the storage as it is, by our own reader; None if it cannot be read."""
    source = InMemory(played.recorder.storage.all())
    try:
        return bytes(guest_data(source, read_header(source), played.setting.backing()))
    except BadImage:
        return None
