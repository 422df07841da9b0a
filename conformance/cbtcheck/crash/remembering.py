"""A player that remembers: what is played again, step by step the same, is not played again.

Findings of different kinds are often of the same history, and the same shorter ones are tried for each.
"""

from __future__ import annotations

from cbtcheck.crash.history import Step
from cbtcheck.crash.played import Played, Player
from cbtcheck.crash.recording import Fault
from cbtcheck.crash.setting import Setting
from cbtcheck.crash.states import Found

MOST = 100
"""So many plays are remembered, of a megabyte or so each at most; then all are forgotten."""

Asked = tuple[Setting, tuple[Step, ...], Fault | None, int]


class Remembering:
    """Plays as another one does."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._played: dict[Asked, tuple[Played, Played | None]] = {}
        """With what it was played after, which must not make room for another one of the same identity."""
        self.version = player.version

    async def play(
        self, setting: Setting, history: tuple[Step, ...], fault: Fault | None = None, after: Played | None = None
    ) -> Played:
        """As in `Player`."""
        asked = setting, history, fault, id(after)
        if asked not in self._played:
            played = await self._player.play(setting, history, fault, after)
            if len(self._played) >= MOST:
                self._played.clear()
            self._played[asked] = played, after
        return self._played[asked][0]

    async def states(
        self, played: Played, assumption: str, seed: int = 0, start: int = 0, one_in: int = 100
    ) -> Found:
        """As in `Player`."""
        return await self._player.states(played, assumption, seed, start, one_in)

    def kill(self) -> None:
        """As in `Player`."""
        self._player.kill()
