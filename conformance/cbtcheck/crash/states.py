"""Every state that a crash may leave, and the judgement of each.

A state has all that was there at the last flush that completed, and any subset of what was written since, in the
order in which it was written. That is the assumption *whole*: a write is there, or not. The assumption *sectors* says
less of the storage: each write may be torn at any boundary of 512 bytes.

What decides is only what the reader looks at. So a judgement is kept with the writes that the reader has met, and
serves every state that differs from this one in others only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cbtcheck.crash.judge import Judgement
from cbtcheck.crash.owed import SECTOR, Expected
from cbtcheck.crash.recording import Event

WHOLE, SECTORS = "whole", "sectors"
MOST_EXHAUSTIVE: Final = 9
"""Writes since a flush of which every subset is taken; of more, a sample."""
SAMPLED: Final = 200
"""Subsets that are drawn where not every one is taken; of torn writes too."""

Judge = Callable[["State", Expected], Judgement]


class State:
    """A file after a crash: `base`, and of the later pieces those whose bits are set in `there`."""

    __slots__ = ("base", "met", "pieces", "there")

    def __init__(self, base: bytes, pieces: Sequence[tuple[int, bytes]], there: int) -> None:
        self.base, self.pieces, self.there = base, pieces, there
        self.met = 0
        """The pieces that the reader has come across, there or not."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        self.met = (1 << len(self.pieces)) - 1
        ends = [offset + len(data) for each, (offset, data) in enumerate(self.pieces) if self.there >> each & 1]
        return max([len(self.base), *ends])

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of a range."""
        end = offset + length
        found = None
        for number, (begin, data) in enumerate(self.pieces):
            if begin < end and begin + len(data) > offset:
                self.met |= 1 << number
                if self.there >> number & 1:
                    if found is None:
                        found = bytearray(self.base[offset:end])
                    first, last = max(begin, offset), min(begin + len(data), end)
                    if len(found) < last - offset:
                        found.extend(bytes(last - offset - len(found)))
                    found[first - offset : last - offset] = data[first - begin : last - begin]
        return self.base[offset:end] if found is None else bytes(found)

    def whole(self) -> bytes:
        """The whole file."""
        return self.read(0, self.size)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crash was: after so many events, and which of those since the last flush are there (numbers of events).

    `torn` has, under the assumption *sectors*, the sectors that are there of writes of which some are not.
    """

    after: int
    since: int
    there: tuple[int, ...]
    torn: tuple[tuple[int, tuple[int, ...]], ...] = ()


@dataclass(slots=True)
class Judged:
    """A state that is worth a closer look: where, its content, what was expected, and what our reader says of it."""

    place: Place
    content: bytes
    expected: Expected
    judgement: Judgement


@dataclass(slots=True)
class Found:
    """What came of one enumeration.

    `states` were judged, `read` of them by reading; `cut` of so many `epochs` had more writes than are taken whole.
    `bad` has the first state of each class that is not well, `samples` one of every other class, and some at random.
    `seconds` of the processor it has taken.
    """

    states: int = 0
    read: int = 0
    epochs: int = 0
    cut: int = 0
    seconds: float = 0.0
    bad: list[Judged] = field(default_factory=list)
    samples: list[Judged] = field(default_factory=list)
    classes: set[tuple[object, ...]] = field(default_factory=set)


def enumerate_states(
    base: bytes, events: Sequence[Event], versions: Sequence[tuple[int, Expected]], judge: Judge,
    assumption: str = WHOLE, seed: int = 0, start: int = 0, one_in: int = 100,
) -> Found:  # fmt: skip
    """Judges the states from the event `start` on. `base` is the file before the first event."""
    found, chance = Found(seconds=-time.process_time()), random.Random(seed)
    content, begin = bytearray(base), 0
    while begin <= len(events):
        end = begin
        while end < len(events) and not (events[end].kind == "flush" and not events[end].failed):
            end += 1
        if end >= start:
            _epoch(bytes(content), events, begin, end, versions, judge, assumption, chance, found, start, one_in)
        for each in events[begin:end]:
            apply(content, each)
        begin = end + 1
    found.seconds += time.process_time()
    return found


def apply(content: bytearray, event: Event) -> None:
    """Lets an event reach a file; one that failed does not."""
    if not event.failed and event.data:
        if len(content) < event.offset:
            content.extend(bytes(event.offset - len(content)))
        content[event.offset : event.offset + len(event.data)] = event.data


def _epoch(
    base: bytes, events: Sequence[Event], begin: int, end: int, versions: Sequence[tuple[int, Expected]],
    judge: Judge, assumption: str, chance: random.Random, found: Found, start: int, one_in: int,
) -> None:  # fmt: skip
    """The states between two flushes: for each part in which the same is expected, the subsets of what was issued."""
    found.epochs += 1
    issued = [number for number in range(begin, end) if events[number].data and not events[number].failed]
    pieces, origin = _pieces(events, issued, assumption)
    cut = False
    for until, expected in _parts(versions, begin, end, start):
        count = sum(1 for number in origin if number < until)
        cache: dict[int, dict[int, Judgement]] = {}
        subsets = _subsets(count, chance) if assumption == WHOLE else _torn(origin[:count], chance)
        cut = cut or count > MOST_EXHAUSTIVE
        for there in subsets:
            found.states += 1
            judgement = next((kept[there & met] for met, kept in cache.items() if there & met in kept), None)
            if judgement is None:
                state = State(base, pieces, there)
                judgement = judge(state, expected)
                found.read += 1
                cache.setdefault(state.met, {})[there & state.met] = judgement
                _keep(found, state, judgement, expected, origin, until, begin)
            elif chance.random() * one_in < 1:
                state = State(base, pieces, there)
                found.samples.append(Judged(_place(state, origin, until, begin), state.whole(), expected, judgement))
    found.cut += cut


def _keep(
    found: Found, state: State, judgement: Judgement, expected: Expected, origin: list[int], until: int, begin: int
) -> None:
    kind = (judgement.verdict, judgement.bitmaps, judgement.why if judgement.verdict else begin)
    if kind not in found.classes:
        found.classes.add(kind)
        where = found.bad if judgement.verdict else found.samples
        where.append(Judged(_place(state, origin, until, begin), state.whole(), expected, judgement))


def _place(state: State, origin: list[int], until: int, begin: int) -> Place:
    """Events of which all pieces are there, and those that are torn."""
    there: dict[int, list[int]] = {}
    total: dict[int, int] = {}
    for number, event in enumerate(origin):
        piece = total[event] = total.get(event, 0) + 1
        if state.there >> number & 1:
            there.setdefault(event, []).append(piece - 1)
    torn = tuple((event, tuple(some)) for event, some in there.items() if len(some) < total[event])
    whole = tuple(event for event, some in there.items() if len(some) == total[event])
    return Place(until, begin, whole, torn)


def _parts(
    versions: Sequence[tuple[int, Expected]], begin: int, end: int, start: int
) -> Iterator[tuple[int, Expected]]:
    """The parts of an epoch as (the last event that is issued in it, what is expected meanwhile)."""
    for number, (position, expected) in enumerate(versions):
        upto = versions[number + 1][0] if number + 1 < len(versions) else end
        last = min(upto, end)
        if max(position, begin) <= last and last >= start:
            yield last, expected


def _pieces(events: Sequence[Event], issued: list[int], assumption: str) -> tuple[list[tuple[int, bytes]], list[int]]:
    """What may be there or not, and of which event each is."""
    pieces, origin = [], []
    for number in issued:
        event = events[number]
        step = len(event.data) if assumption == WHOLE else SECTOR
        at = 0
        while at < len(event.data):
            # Boundaries are those of the storage, wherever the write begins.
            upto = min(len(event.data), at + step - ((event.offset + at) % SECTOR if assumption == SECTORS else 0))
            pieces.append((event.offset + at, event.data[at:upto]))
            origin.append(number)
            at = upto
    return pieces, origin


def _subsets(count: int, chance: random.Random) -> list[int]:
    """All of them, or where these are too many: nearly none, nearly all, each beginning, and some at random."""
    if count <= MOST_EXHAUSTIVE:
        return list(range(1 << count))
    every = (1 << count) - 1
    chosen = {0, every}
    chosen.update((1 << each) - 1 for each in range(count))
    for each in range(count):
        chosen.update((1 << each, every ^ 1 << each))
    for _ in range(SAMPLED):
        first, second = chance.randrange(count), chance.randrange(count)
        chosen.update((chance.getrandbits(count), every & ~(1 << first | 1 << second)))
    return sorted(chosen)


def _torn(origin: list[int], chance: random.Random) -> list[int]:
    """One write torn at each boundary, its beginning there or its end, all others there or not; some at random."""
    count = len(origin)
    if count <= MOST_EXHAUSTIVE:
        return list(range(1 << count))
    every, chosen = (1 << count) - 1, {0}
    first = 0
    while first < count:
        last = first
        while last < count and origin[last] == origin[first]:
            last += 1
        own = (1 << last) - (1 << first)
        for cut in _cuts(first, last):
            head = own & ((1 << cut) - 1)
            others = every ^ own
            before = (1 << first) - 1
            chosen.update((head, own ^ head, others | head, others | own ^ head, before | head, before | own ^ head))
        first = last
    for _ in range(SAMPLED):
        chosen.add(chance.getrandbits(count))
    return sorted(chosen)


def _cuts(first: int, last: int) -> Iterator[int]:
    """Where a write is torn: everywhere if it is short, else at its beginning, middle and end."""
    if last - first <= 8:
        yield from range(first, last + 1)
    else:
        yield from (first, first + 1, first + 2, (first + last) // 2, last - 1, last)
