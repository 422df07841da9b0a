"""Exploration up to permutation of blocks: a state is its control part, and how many blocks have which condition.

It is for scopes in which no granule and no cluster has two blocks. Then blocks are interchangeable: every command
acts on each block alone, and nothing depends on a block's number but whom a command about one block chooses. States
that differ by a permutation of blocks (the same one on every node) have the same future, up to that permutation. So
32 blocks are explored by counting.

**What is computed, and why it is enough.** The *condition* of a block is the set of places whose sets hold it, ghosts
included (`dissection`). The *support* of a state are the conditions that at least one block has. Take a state, and a
command about all blocks or none, or about one chosen block. What the specification does with it is made of unions,
intersections, differences and `round_out` (here the identity), each of which treats each block alone; and of
branches, on control and on whether some set is empty. All sets it ever asks about are made from the sets of the state
and the set of the chosen block. Whether such a set is empty depends on nothing but the support, the condition that
was chosen, and whether another block has that condition, too. So all states that agree in these and in control take
the same branches: they come to the same control part, the chosen block comes to one condition, and all others of a
condition come to one condition. The same is true of every property, which is an inclusion between such sets (whether
their difference is empty), a fact about control, or that two states are equal (two inclusions for each set); and of
what is to be seen (`sometimes`).

So the **real model runs on a disk that has one block of each condition** (and one more of the chosen one, if the
chosen block is not the only one); properties are checked there; and what becomes of each condition is kept and
applied to counts. That is exact: counts are packed into one integer, and a step adds and moves counts within it.

Not here: BATCH, which is about two chosen blocks; it is checked without symmetry. That all this is right is compared:
`tests/proofs/test_symmetry.py` explores small scopes in both ways, and the numbers of states and transitions agree.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import factorial

from cbtmodel.commands import Command
from cbtmodel.node import State
from cbtmodel.step import Step, step

from cbtproofs.explorer.breadth_first import Progress, TooLarge
from cbtproofs.explorer.checked import Checks, Failed
from cbtproofs.explorer.dissection import Blocks, Condition, assembled, conditions, dissected, unsized
from cbtproofs.explorer.exploration import Outcome, Violation
from cbtproofs.explorer.scopes import Scope, of_block, of_disks
from cbtproofs.explorer.sometimes import Sightings

LIMIT = 5_000_000
"""How many states are explored if nobody says otherwise."""

Slots = tuple[int, ...]
Which = tuple[int | None, bool]
"""What a command chooses: a block of a condition or none, and whether that is the only one."""


@dataclass(frozen=True)
class Move:
    """What an accepted command does to the counts of a state. `index`: the command's place in its alphabet.

    The new counts are the old ones, plus `constant`, plus for each of `linear` the count at a shift times a factor.
    """

    index: int
    target: int
    constant: int
    linear: tuple[tuple[int, int], ...]


@dataclass
class Moves:
    """What can happen to all states of a group, for one choice: how many commands were accepted, and what they do."""

    accepted: int = 0
    moves: list[Move] = field(default_factory=list)


@dataclass
class Group:
    """All states with the same control part and the same support. A state is its counts, packed."""

    control: State[Blocks]
    support: Slots
    states: set[int] = field(default_factory=set)
    moves: dict[Which, Moves] = field(default_factory=dict)


class Broken(Exception):
    """A property does not hold of a step (the last command) or of the state after it."""

    def __init__(self, failed: list[Failed], group: int, which: Which, index: int) -> None:
        super().__init__("; ".join(map(str, failed)))
        self.failed = failed
        self.place = (group, which, index)


class Quotient:
    """The graph of a scope up to permutation of blocks. Raises `ValueError` if its blocks are not interchangeable."""

    def __init__(self, scope: Scope) -> None:
        if not scope.symmetric:
            raise ValueError("blocks are interchangeable only if no granule and no cluster has two of them")
        self.scope = scope
        self.width = scope.blocks.bit_length()
        self.mask = (1 << self.width) - 1
        self.checks = Checks()
        self.sightings = Sightings(scope)
        self.conditions: list[Condition] = []
        self.groups: list[Group] = []
        self.levels: list[dict[int, set[int]]] = []
        self.transitions = self.tried = 0
        self._slots: dict[Condition, int] = {}
        self._numbers: dict[tuple[State[Blocks], Slots], int] = {}
        self._alphabets = (len(of_disks(scope)), len(of_block(scope, 0)))

    @property
    def states(self) -> int:
        """How many there are."""
        return sum(len(group.states) for group in self.groups)

    def explore(self, limit: int | None = None, progress: Progress | None = None) -> Violation | None:
        """Explores everything, or up to the first violation. Raises `TooLarge` beyond `limit` states."""
        first = self.scope.initial()
        failed = self.checks.state(first)
        if failed:
            return Violation(tuple(failed), ())
        control, sets = dissected(first)
        blocks = conditions(sets, self.scope.blocks)
        group = self._group(unsized(control), tuple(sorted({self._slot(each) for each in blocks})))
        counts = sum(1 << self._slot(each) * self.width for each in blocks)
        self.groups[group].states.add(counts)
        self.levels.append({group: {counts}})
        known = 1
        while self.levels[-1]:
            try:
                found = self._next(self.levels[-1])
            except Broken as broken:
                return self._violation(broken)
            self.levels.append(found)
            known += sum(map(len, found.values()))
            if progress is not None:
                progress("states explored, up to permutation of blocks,", known, 0)
            if limit is not None and known > limit:
                raise TooLarge(limit)
        self.levels.pop()
        return None

    def weighted(self) -> tuple[int, int]:
        """How many states and transitions these stand for: each by how many ways there are to number its blocks."""
        states = transitions = 0
        for number, group in enumerate(self.groups):
            for counts in group.states:
                ways = factorial(self.scope.blocks)
                here = self._moves(number, (None, False)).accepted
                for slot in group.support:
                    count = counts >> slot * self.width & self.mask
                    ways //= factorial(count)
                    here += count * self._moves(number, (slot, count == 1)).accepted
                states += ways
                transitions += ways * here
        return states, transitions

    # One level

    def _next(self, level: dict[int, set[int]]) -> dict[int, set[int]]:
        """The states that are found from a level and were not known before."""
        found: dict[int, set[int]] = {}
        for number, states in level.items():
            for which, chosen in self._choices(number, states):
                moves = self._moves(number, which)
                self.transitions += moves.accepted * len(chosen)
                self.tried += self._alphabets[which[0] is not None] * len(chosen)
                for move in moves.moves:
                    target = self.groups[move.target]
                    fresh = set(self._applied(move, chosen))
                    fresh -= target.states
                    if fresh:
                        target.states |= fresh
                        found.setdefault(move.target, set()).update(fresh)
        return found

    def _choices(self, number: int, states: Iterable[int]) -> Iterator[tuple[Which, list[int]]]:
        """The states by what can be chosen in them; each is there once for each condition, and once for none."""
        everywhere = list(states)
        yield (None, False), everywhere
        for slot in self.groups[number].support:
            shift, mask = slot * self.width, self.mask
            alone = [counts for counts in everywhere if counts >> shift & mask == 1]
            if alone:
                yield (slot, True), alone
            if len(alone) < len(everywhere):
                several = [counts for counts in everywhere if counts >> shift & mask != 1] if alone else everywhere
                yield (slot, False), several

    def _applied(self, move: Move, states: list[int]) -> list[int]:
        mask, constant = self.mask, move.constant
        after = [counts + constant for counts in states]
        for shift, factor in move.linear:
            pairs = zip(after, states, strict=True)
            after = [new + (counts >> shift & mask) * factor for new, counts in pairs]
        return after

    # The model, on a disk with a block of each condition

    def _moves(self, number: int, which: Which) -> Moves:
        group = self.groups[number]
        if which not in group.moves:
            group.moves[which] = self._computed(number, which)
        return group.moves[which]

    def _computed(self, number: int, which: Which) -> Moves:
        group, (chosen, alone) = self.groups[number], which
        blocks = [self.conditions[slot] for slot in group.support]
        alphabet: tuple[Command, ...]
        if chosen is None:
            small = replace(self.scope, blocks=len(blocks))
            alphabet = of_disks(small)
        else:
            blocks += [] if alone else [self.conditions[chosen]]
            small = replace(self.scope, blocks=len(blocks))
            alphabet = of_block(small, group.support.index(chosen))
        before = assembled(group.control, blocks, small.size)
        moves: dict[tuple[int, int, tuple[tuple[int, int], ...]], Move] = {}
        accepted = 0
        for index, command in enumerate(alphabet):
            result = self._checked(before, command, (number, which, index))
            if result.refusal is not None:
                continue
            accepted += 1
            if result.state is not before:
                groups = len(self.groups)
                move = self._move(group, which, index, result, small)
                failed = self.checks.state(result.state) if move.target == groups else []
                if failed:
                    raise Broken(failed, number, which, index)
                if move.target != number or move.constant or move.linear:
                    moves.setdefault((move.target, move.constant, move.linear), move)
        return Moves(accepted, list(moves.values()))

    def _checked(self, before: State[Blocks], command: Command, place: tuple[int, Which, int]) -> Step[Blocks]:
        try:
            result = step(before, command)
        except Exception as problem:
            trips = Failed("TOTAL", f"the specification trips: {type(problem).__name__}: {problem}")
            raise Broken([trips], *place) from problem
        if self.sightings.awaited:
            self.sightings.look(before, command, result)
        failed = self.checks.step(before, command, result)
        if failed:
            raise Broken(failed, *place)
        return result

    def _move(self, group: Group, which: Which, index: int, result: Step[Blocks], small: Scope) -> Move:
        chosen, alone = which
        control, sets = dissected(result.state)
        after = [self._slot(each) for each in conditions(sets, small.blocks)]
        target = self._group(unsized(control), tuple(sorted(set(after))))
        whither = dict(zip(group.support, after, strict=False))  # the one more block, if there is one, comes last
        constant = 0
        if chosen is not None:
            arrives = whither[chosen]
            whither[chosen] = chosen if alone else after[-1]
            constant = self._one(arrives) - self._one(whither[chosen])
        linear = tuple(
            (slot * self.width, self._one(whither[slot]) - self._one(slot))
            for slot in group.support
            if whither[slot] != slot
        )
        return Move(index, target, constant, linear)

    def _one(self, slot: int) -> int:
        return 1 << slot * self.width

    def _slot(self, condition: Condition) -> int:
        if condition not in self._slots:
            self._slots[condition] = len(self.conditions)
            self.conditions.append(condition)
        return self._slots[condition]

    def _group(self, control: State[Blocks], support: Slots) -> int:
        key = (control, support)
        if key not in self._numbers:
            self._numbers[key] = len(self.groups)
            self.groups.append(Group(control, support))
        return self._numbers[key]

    # Paths

    def _violation(self, broken: Broken) -> Violation:
        """A shortest path to it, with blocks that have numbers."""
        number, which, index = broken.place
        level = len(self.levels) - 1
        counts = next(
            states[0] for choice, states in self._choices(number, self.levels[level][number]) if choice == which
        )
        steps = [(self._chosen(which), index)]
        while level > 0:
            level -= 1
            number, counts, which, index = self._before(level, number, counts)
            steps.append((self._chosen(which), index))
        return Violation(tuple(broken.failed), tuple(self._with_numbers(reversed(steps))))

    def _before(self, level: int, target: int, wanted: int) -> tuple[int, int, Which, int]:
        """A state of a level that leads to another, and how."""
        for number, level_states in self.levels[level].items():
            for which, states in self._choices(number, level_states):
                for move in self._moves(number, which).moves:
                    if move.target == target and wanted in (after := self._applied(move, states)):
                        return number, states[after.index(wanted)], which, move.index
        raise AssertionError("every state of a level is found from the level before")

    def _chosen(self, which: Which) -> Condition | None:
        return None if which[0] is None else self.conditions[which[0]]

    def _with_numbers(self, steps: Iterable[tuple[Condition | None, int]]) -> Iterator[Command]:
        state = self.scope.initial()
        for condition, index in steps:
            if condition is None:
                command = of_disks(self.scope)[index]
            else:
                block = conditions(dissected(state)[1], self.scope.blocks).index(condition)
                command = of_block(self.scope, block)[index]
            yield command
            try:
                state = step(state, command).state
            except Exception:
                return  # where the specification trips, at the end


def explore_symmetric(scope: Scope, limit: int | None = LIMIT, progress: Progress | None = None) -> Outcome:
    """Explores a scope up to permutation of blocks; stops at the first violation.

    Raises `TooLarge` beyond `limit` states, `ValueError` if blocks are not interchangeable.
    """
    began = time.perf_counter()
    quotient = Quotient(scope)
    violation = quotient.explore(limit, progress)
    return Outcome(
        scope, True, quotient.states, quotient.tried, quotient.transitions, len(quotient.levels) - 1,
        time.perf_counter() - began, dict(quotient.checks.claims), quotient.sightings, violation,
    )  # fmt: skip
