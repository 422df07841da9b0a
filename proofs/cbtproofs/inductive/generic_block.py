"""The generic block: a proof by Z3, in which a set is a formula that says whether one arbitrary block is in it.

Every transition acts on each block alone, so what holds of an arbitrary block holds of all. A union is *or*, an
intersection *and*, a difference *and not*; what is assumed is assumed of every block, so also of this one. What is to
be proved is that no block can be in the one set and not in the other: Z3 says that there is none, or shows one.

A set is not empty if *some* block is in it, which need not be this one: so the answer "not empty" says nothing about
our block, but there must be a block, as arbitrary as ours, that is in the set. The answer "empty" says that ours is
not. Rounding out asks about the block's neighbours, of which nothing is known; see `round_out`.

This shares nothing with `universal` but the specification and the list of what is to be proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import z3
from cbtmodel.claims import Fact, Inclusion

from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.counterexample import Has, counterexample
from cbtproofs.inductive.obligations import NOTHING, Assume, Obligation, Played, Prove, Script
from cbtproofs.inductive.paths import Fog, Impossible, Path, every_path


class Formula:
    """A Z3 formula with a number of its own: the same formula is the same object. `name` is equivalent to it."""

    __slots__ = ("name", "number", "z3")

    def __init__(self, number: int, formula: Any, name: Any) -> None:
        self.number, self.z3, self.name = number, formula, name


class Solver:
    """Z3, which is asked the same question once only.

    Each formula has a name, a Boolean that is equivalent to it, so that Z3 learns from question to question.
    """

    def __init__(self) -> None:
        self._z3 = z3.Solver()
        self._formulas: dict[tuple[str, ...] | tuple[str, int, int], Formula] = {}
        self._chains: dict[tuple[int, int], int] = {}
        self._answers: dict[tuple[int, int], bool] = {}

    def variable(self, name: str) -> Formula:
        """The Boolean of this name."""
        return self._formulas.get((name,)) or self._new((name,), z3.Bool(name))

    def constant(self, true: bool) -> Formula:
        """True, or false."""
        name = f"always {true}"
        return self._formulas.get((name,)) or self._new((name,), z3.BoolVal(true))

    def formula(self, operation: str, one: Formula, other: Formula) -> Formula:
        """*one or other*, *one and other*, *one less other*: one and not other."""
        if one is other:
            return self.constant(False) if operation == "less" else one
        key = operation, one.number, other.number
        return self._formulas.get(key) or self._new(key, OPERATIONS[operation](one.z3, other.z3))

    def _new(self, key: Any, formula: Any) -> Formula:
        number = len(self._formulas)
        self._formulas[key] = Formula(number, formula, z3.Bool(f"formula {number}"))
        self._z3.add(self._formulas[key].name == formula)
        return self._formulas[key]

    def possible(self, known: Known, formula: Formula) -> bool:
        """Whether a block can satisfy this formula, with all that is known."""
        key = known.number, formula.number
        if key not in self._answers:
            answer = self._z3.check(*known.names, formula.name)
            if answer == z3.unknown:
                raise RuntimeError(f"Z3 gives up: {self._z3.reason_unknown()}")
            self._answers[key] = answer == z3.sat
        return self._answers[key]

    def example(self, known: Known, formula: Formula) -> Any:
        """A block that satisfies this formula, with all that is known; there must be one."""
        self._z3.check(*known.names, formula.name)
        return self._z3.model()

    def and_also(self, known: Known, formula: Formula) -> Known:
        """What is known, and this formula."""
        number = self._chains.setdefault((known.number, formula.number), len(self._chains) + 1)
        return Known(number, (*known.names, formula.name))


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "or": z3.Or,
    "and": z3.And,
    "less": lambda one, other: z3.And(one, z3.Not(other)),
}


@dataclass(frozen=True)
class Known:
    """What is true of every block: the names of formulas. The same list has the same number."""

    number: int = 0
    names: tuple[Any, ...] = ()


class Member:
    """A set: the formula that says whether our block is in it. `parts` are the sets of which it is the union.

    `granule` is that of `round_out`, if that has made it.
    """

    __slots__ = ("_block", "formula", "granule", "parts")

    def __init__(self, block: GenericBlock, formula: Formula, parts: tuple[Member, ...] = ()) -> None:
        self._block, self.formula, self.granule = block, formula, 0
        self.parts = parts or (self,)

    def __or__(self, other: Any) -> Member:
        if not isinstance(other, Member):
            return NotImplemented
        return Member(self._block, self._made("or", other), self.parts + other.parts)

    def __and__(self, other: Any) -> Member:
        return Member(self._block, self._made("and", other)) if isinstance(other, Member) else NotImplemented

    def __sub__(self, other: Any) -> Member:
        return Member(self._block, self._made("less", other)) if isinstance(other, Member) else NotImplemented

    def _made(self, operation: str, other: Member) -> Formula:
        return self._block.solver.formula(operation, self.formula, other.formula)

    def __bool__(self) -> bool:
        return self._block.has_some(self)


class GenericBlock:
    """One arbitrary block on one path, and the space that the specification makes its sets in."""

    def __init__(self, path: Path, solver: Solver) -> None:
        self.path, self.space, self.solver = path, self, solver
        self.empty = Member(self, solver.constant(False))
        self._all = Member(self, solver.constant(True))
        self._known = Known()
        self._inhabited = [self._all]  # sets that are not empty; a disk without blocks has nothing to lose
        self._named: dict[str, Member] = {}
        self._rounded: list[tuple[Member, int, Member]] = []

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A set of which nothing is known: a new Boolean."""
        if foggy:
            return Fog(self.path)
        self._named[name] = Member(self, self.solver.variable(name))
        return self._named[name]

    def everything(self, size: int) -> Member:
        """Our block is a block of the disk."""
        return self._all

    def blocks(self, offset: int, length: int) -> Any:
        """A byte range: it may touch our block or not; none touches nothing, and the whole disk everything."""
        if length in (0, SIZE):
            return self._all if length else self.empty
        name = f"bytes {offset}+{length}"
        return self._named[name] if name in self._named else self.arbitrary(name)

    def round_out(self, blocks: Any, granule: int, size: int) -> Any:
        """The roundings of all parts, united: whether a neighbour in our block's granule is in a part is anybody's

        guess, but if our block is, so is its granule. The same part has the same rounding, an empty one an empty one.
        """
        if isinstance(blocks, Fog):
            return blocks & blocks
        united = self._round(blocks.parts[0], granule)
        for part in blocks.parts[1:]:
            united = united | self._round(part, granule)
        return united

    def _round(self, part: Member, granule: int) -> Member:
        if part.granule == granule or self.must_be_within(part, self.empty):
            return part
        for argument, of, rounded in self._rounded:
            if of == granule and (argument is part or self.are_equal(argument, part)):
                return rounded
        result: Member = self.arbitrary(f"{granule}: neighbours {len(self._named)}")
        result.granule = granule
        self._rounded.append((part, granule, result))
        self.learn_within(part, result)
        return result

    # What is known

    def can_be_outside(self, small: Member, large: Member) -> bool:
        """Whether a block can be in the one set and not in the other."""
        return self.solver.possible(self._known, self.solver.formula("less", small.formula, large.formula))

    def must_be_within(self, small: Member, large: Member) -> bool:
        """Whether every block of the one set is in the other."""
        return not self.can_be_outside(small, large)

    def are_equal(self, one: Member, other: Member) -> bool:
        """Whether two sets have the same blocks."""
        return self.must_be_within(one, other) and self.must_be_within(other, one)

    def learn_within(self, small: Member, large: Member) -> None:
        """From now on every block of `small` is in `large`; and what is rounded out of nothing is nothing."""
        if self.must_be_within(small, large):
            return
        self._learn_not(self.solver.formula("less", small.formula, large.formula))
        for argument, _, result in self._rounded:
            if self.must_be_within(argument, self.empty):
                self._learn_not(result.formula)
        if any(self.must_be_within(each, self.empty) for each in self._inhabited):
            raise Impossible

    def _learn_not(self, formula: Formula) -> None:
        negation = self.solver.formula("less", self._all.formula, formula)
        self._known = self.solver.and_also(self._known, negation)

    def has_some(self, blocks: Member) -> bool:
        """Whether a set is not empty: as far as that follows, else the path splits."""
        if self.must_be_within(blocks, self.empty):
            return False
        if any(self.must_be_within(each, blocks) for each in self._inhabited) or self.path.decide((1, 0)):
            self._inhabited.append(blocks)
            return True
        self.learn_within(blocks, self.empty)
        return False

    def witness(self, claim: Inclusion[Any]) -> Has | None:
        """A block that is in the small set and not in the large one: says what it is in. None: there is no such."""
        if self.must_be_within(claim.small, claim.large):
            return None
        outside = self.solver.formula("less", claim.small.formula, claim.large.formula)
        model = self.solver.example(self._known, outside)
        return lambda blocks: z3.is_true(model.eval(blocks.formula.z3, model_completion=True))


def obligations(script: Script, solver: Solver) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths, each with its verdict."""
    return [each for found in every_path(lambda path: _run(GenericBlock(path, solver), script)) for each in found]


def _run(block: GenericBlock, script: Script) -> list[Obligation]:
    proved, played = [], Played(NOTHING, NOTHING)
    for item in script(block):
        match item:
            case Played():
                played = item
            case Assume(Fact(true=true)):
                if not true:
                    raise Impossible
            case Prove(id, Fact(where, true)):
                wrong = None if true else counterexample(played.before, played.after, None)
                proved.append(Obligation(id, block.path.taken, where, wrong))
            case Assume(Inclusion(small=Member() as small, large=Member() as large)):
                block.learn_within(small, large)
            case Prove(id, Inclusion(where, Member(), Member()) as claim):
                has = block.witness(claim)
                wrong = None if has is None else counterexample(played.before, played.after, has)
                proved.append(Obligation(id, block.path.taken, where, wrong))
    return proved
