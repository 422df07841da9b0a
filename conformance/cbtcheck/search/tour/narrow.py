"""Makes a failure on the universal disk small: which histories does it take? Then there are few writes left.

A part of the histories at a time is left out, half of them first; a disk has a granule for each that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cbtcheck.search.tour.universal_play import Play

TRIES = 60
"""How often a play is tried again at most."""


def narrow(play: Play, fails: Callable[[Play], bool]) -> Play:
    """The play with as few histories as it takes to fail; as it is if no part of it fails."""
    tries = TRIES
    size = len(play.histories) // 2
    while size > 0:
        for smaller in without_parts(play, size):
            tries -= 1
            if tries < 0:
                return play
            if fails(smaller):
                play = smaller
                break
        else:
            size //= 2
    return play


def without_parts(play: Play, size: int) -> list[Play]:
    """The play without its first so many histories, without the next so many, and so on; never without all."""
    starts = range(0, len(play.histories), size) if len(play.histories) > size else ()
    return [replace(play, histories=play.histories[:at] + play.histories[at + size :]) for at in starts]
