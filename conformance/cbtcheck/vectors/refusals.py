"""Every refusal: for each command, and each place in the specification where it can be refused, a scenario.

A *place* is the chain of the specification's own lines that led to the refusal, as its traceback has it; so the
missing target of a merge and its missing source are two. In each of a few short situations every command of some
alphabets is tried, and nonsense that is drawn; the first scenario for a place is kept. Arguments that are not even
well formed come from the types of the commands' fields: `malformed`.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import get_args

from cbtmodel import alphabet
from cbtmodel import commands as c
from cbtmodel.node import State, initial
from cbtmodel.refusal import Kind, require
from cbtmodel.step import step

from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.scenario.scenario import KINDS, Scenario, spelled
from cbtcheck.search.draw import Hand
from cbtcheck.search.refused import nonsense
from cbtcheck.search.tour import reachable as r
from cbtcheck.search.tour.sizes import Sizes, disks_in, scaled
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtcheck.vectors.malformed import malformed_commands
from cbtcheck.vectors.written import names

SIZES = Sizes(4096, 4096, 4096)
DRAWS = 400
"""How much nonsense is drawn in each situation."""

Line = tuple[str, str, int]
"""Module, function and line number."""


@dataclass(frozen=True)
class Refusal:
    """One way to be refused. An action's command is `transaction: clear-bitmap`; `reason` is for people."""

    command: str
    kind: Kind
    place: tuple[Line, ...]
    reason: str

    @property
    def key(self) -> Hashable:
        """What two refusals have in common if one vector is enough for both."""
        return self.command, self.kind, self.place


def refused(state: State[Bits], command: object) -> Refusal | None:
    """How a command is refused in a state; None if it is accepted."""
    refusal = step(state, command).refusal
    if refusal is None:
        return None
    label = next(iter(names(command)), "unknown command")
    lines: list[Line] = []
    trace: TracebackType | None = refusal.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code is not require.__code__:
            lines.append((str(trace.tb_frame.f_globals["__name__"]), code.co_name, trace.tb_lineno))
        if code.co_name == "prepare":
            label = f"transaction: {spelled(type(trace.tb_frame.f_locals['action']).__name__)}"
        trace = trace.tb_next
    return Refusal(label, refusal.kind, tuple(lines), refusal.reason)


def situations() -> Iterator[tuple[dict[str, int], tuple[c.Command, ...]]]:
    """Disks with their numbers of blocks, and commands of the tour's alphabets that lead to where much is refused."""
    one, two, three = {"d": 2}, {"d": 2, "e": 2}, {"d": 1, "e": 1, "f": 2}
    add, write = c.AddBitmap(*r.A, r.BLOCK), c.Write(r.D, 0, r.BLOCK)
    start, without = r.start("j", r.A, "incremental", None), r.start_without("j")
    yield one, ()
    yield one, (add,)
    yield one, (without,)
    yield one, (c.BeginWrite(r.D, "w", 0, r.BLOCK),)
    yield one, (add, c.AddBitmap(*r.B, r.BLOCK))
    yield one, (add, write)
    yield one, (without, c.PauseJob("j"))
    yield one, (without, c.BeginCopy("j", 0, r.BLOCK))
    yield one, (add, write, start)
    yield one, (c.Transaction((add, c.AddBitmap(*r.B, r.BLOCK))), write, start)
    yield one, (add, r.start("j", r.A, "incremental", None, auto=False))
    yield two, (c.Transaction((r.start_without("j"), r.start_without("k", "e")), True), c.Copy("j", 0, 2 * r.BLOCK))
    yield three, (add, c.AddBitmap(*r.ON_E, r.BLOCK), c.AddBitmap(*r.ON_F, r.BLOCK))
    yield three, (add, c.AddBitmap(*r.ON_E, r.BLOCK), write, r.start("k", r.ON_E, "full", "always"))


def tried(disks: dict[str, int]) -> Iterator[c.Command]:
    """What is tried in every situation: all that the tour's alphabets have for it, on a bitmap and a job."""
    blocks = disks[r.D]
    places = [(node, "a") for node in disks] + [r.B]
    sources = [*places, (r.D, "nobody"), ("nowhere", "a")]
    yield from r.bitmap_life(r.A)
    yield from r.mistakes("j", r.A, blocks)
    yield c.AddBitmap(r.D, "n" * 1024, r.BLOCK)
    for each in (*places, (r.D, "nobody")):
        yield from alphabet.on_bitmap(*each)
        yield from alphabet.merges(each, sources, 1)
    yield from alphabet.merges(r.A, sources, 2)
    yield c.MergeBitmaps("nowhere", "a", ())
    for job in ("j", "nojob"):
        yield from r.control(job)
        yield from r.copies(job, blocks)
        yield from (c.Copy(job, 0, blocks * r.BLOCK + 1), c.BeginCopy(job, 0, blocks * r.BLOCK + 1))
    yield from r.writes_of_all_kinds(r.D, blocks)
    yield c.Write(r.D, 0, r.BLOCK, "write", "ignored")
    yield from r.in_flight_of_all_kinds(r.D, blocks)
    singles: list[c.Action] = [*r.actions(r.A, "j"), *r.actions(r.A, "k"), *r.actions(r.B, "k"), c.Abort()]
    every = (*alphabet.merges(r.A, sources, 1), *alphabet.merges(r.B, sources, 1), *r.mistakes("j", r.A, blocks))
    singles += [each for each in every if isinstance(each, c.Action)]
    singles += [c.AddBitmap(r.D, "n" * 1024, r.BLOCK)]
    yield from (c.Transaction((each,)) for each in singles)
    yield from r.transactions(r.actions(r.A, "j"), 2)
    yield c.Transaction((c.ClearBitmap(*r.A),), True)


def drawn(state: State[Bits], seed: int) -> Iterator[c.Command]:
    """Nonsense in a state; the same seed draws the same."""
    source = random.Random(seed)
    for _ in range(DRAWS):
        hand = Hand(lambda bound: int(source.random() * bound), state, ReferenceAdapter.capabilities)
        yield nonsense(hand)


def refusals() -> list[tuple[Refusal, Scenario]]:
    """The scenarios, each with its refused command as the last, in a fixed order."""
    found: dict[Hashable, tuple[Refusal, Scenario]] = {}
    for number, (disks, way) in enumerate(situations()):
        sizes = disks_in(disks.items(), SIZES)
        before = tuple(scaled(each, SIZES) for each in way)
        state = reached(sizes, before)
        for command in (*(scaled(each, SIZES) for each in tried(disks)), *drawn(state, number)):
            refusal = refused(state, command)
            if refusal is not None and c.malformed(command) is None and not waits_for_a_copy(state, command):
                found.setdefault(refusal.key, (refusal, Scenario(sizes, (*before, command), r.BLOCK)))
    sizes = {r.D: 2 * SIZES.block}
    for before, command in malformed_commands():
        refusal = refused(reached(sizes, before), command)
        assert refusal is not None, f"{command} is accepted"
        found[refusal.key, repr(command)] = refusal, Scenario(sizes, (*before, command), r.BLOCK)
    return sorted(found.values(), key=lambda each: _in_order(each[0]))


def reached(sizes: dict[str, int], commands: Iterable[c.Command]) -> State[Bits]:
    """The state after commands, all of which must be accepted."""
    state = initial(BitSets(r.BLOCK), sizes)
    for each in commands:
        result = step(state, each)
        assert result.refusal is None, f"{each} is refused: {result.refusal}"
        state = result.state
    return state


def waits_for_a_copy(state: State[Bits], command: object) -> bool:
    """Whether a guest write whose copy-before-write fails may have to wait for a copy in flight before that.

    An implementation may then have ended that copy before it refuses; a vector cannot say either.
    """
    writes = isinstance(command, c.Write | c.BeginWrite) and command.result == "copy failed"
    return writes and any(job.copying for job in state.jobs.values())


REFUSALS = get_args(Kind)
ORDER = [*KINDS, *(f"transaction: {name}" for name in KINDS), "unknown command"]


def _in_order(refusal: Refusal) -> tuple[int, int]:
    """By command and kind; of those that are alike in that, the first one found stays the first."""
    return ORDER.index(refusal.command), REFUSALS.index(refusal.kind)
