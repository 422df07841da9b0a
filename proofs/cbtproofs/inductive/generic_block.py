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

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import z3
from cbtmodel.claims import Fact

from cbtproofs.inductive.casts import SIZE
from cbtproofs.inductive.counterexample import Has
from cbtproofs.inductive.listening import World, on_all_paths
from cbtproofs.inductive.opaque import Opaque
from cbtproofs.inductive.paths import Fog, Impossible, Path
from cbtproofs.inductive.script import Claim, GaveUp, Obligation, Script


class Formula:
    """A Z3 formula with a number of its own: the same formula is the same object. `name` is equivalent to it.

    `made` is how it was made of two others. `seen` has a bit for each of the first `shown` blocks that Z3 has shown:
    whether the formula is true of it.
    """

    __slots__ = ("made", "name", "number", "seen", "shown", "z3")

    def __init__(self, number: int, formula: Any, name: Any, made: Made | None) -> None:
        self.number, self.z3, self.name, self.made = number, formula, name, made
        self.seen = self.shown = 0


Made: TypeAlias = tuple[str, Formula, Formula]


class Solver:
    """Z3, which is asked the same question once only, and not at all if a block that it has shown is the answer.

    Each formula has a name, a Boolean that is equivalent to it, so that Z3 learns from question to question.
    `seconds` are the CPU seconds that it has spent on answers.
    """

    def __init__(self) -> None:
        self._z3 = z3.Solver()
        self.seconds = 0.0
        self._formulas: dict[tuple[str, ...] | tuple[str, int, int], Formula] = {}
        self._answers: dict[tuple[int, int], bool] = {}
        self._shown: list[Any] = []
        self._longer: dict[tuple[int, int], Known] = {}
        self.false, self.true = (self._new((name,), z3.BoolVal(name == "true")) for name in ("false", "true"))
        self.nothing_known = Known(0, ())

    def variable(self, name: str) -> Formula:
        """The Boolean of this name."""
        return self._formulas.get((name,)) or self._new((name,), z3.Bool(name))

    def formula(self, operation: str, one: Formula, other: Formula) -> Formula:
        """*one or other*, *one and other*, *one less other*: one and not other."""
        if other is self.false:
            return other if operation == "and" else one
        if one is self.false:
            return other if operation == "or" else one
        if one is other:
            return self.false if operation == "less" else one
        key = operation, one.number, other.number
        return self._formulas.get(key) or self._new(
            key, OPERATIONS[operation](one.z3, other.z3), (operation, one, other)
        )

    def _new(self, key: Any, formula: Any, made: Made | None = None) -> Formula:
        number = len(self._formulas)
        new = self._formulas[key] = Formula(number, formula, z3.Bool(f"formula {number}"), made)
        self._z3.add(new.name == formula)
        return new

    def possible(self, known: Known, formula: Formula) -> bool:
        """Whether a block can satisfy this formula, with all that is known."""
        key = known.number, formula.number
        if key not in self._answers:
            self._answers[key] = self._was_shown(known, formula) or self._can_be_shown(known, formula)
        return self._answers[key]

    def _can_be_shown(self, known: Known, formula: Formula) -> bool:
        # The same as `self._z3.check(*names)`, which spends most of its time on looking at its arguments.
        names = [*known.names, formula.name.as_ast()]
        before = time.process_time()
        answer = z3.Z3_solver_check_assumptions(
            self._z3.ctx.ref(), self._z3.solver, len(names), (z3.Ast * len(names))(*names)
        )
        self.seconds += time.process_time() - before
        if answer == z3.Z3_L_UNDEF:
            raise GaveUp(f"Z3 gives up: {self._z3.reason_unknown()}")
        if answer == z3.Z3_L_TRUE:
            self._shown.append(self._z3.model())
        return bool(answer == z3.Z3_L_TRUE)

    def _was_shown(self, known: Known, formula: Formula) -> bool:
        seen = self._seen(formula)
        for each in known.formulas:
            if not seen:
                return False
            seen &= self._seen(each)
        return seen != 0

    def _seen(self, formula: Formula) -> int:
        if formula.shown != len(self._shown):
            if formula.made is None:
                for number in range(formula.shown, len(self._shown)):
                    true = z3.is_true(self._shown[number].eval(formula.z3, model_completion=True))
                    formula.seen |= true << number
            else:
                operation, one, other = formula.made
                formula.seen = OF_BLOCKS[operation](self._seen(one), self._seen(other))
            formula.shown = len(self._shown)
        return formula.seen

    def example(self, known: Known, formula: Formula) -> Any:
        """A block that satisfies this formula, with all that is known; there must be one."""
        self._can_be_shown(known, formula)
        return self._shown[-1]

    def and_also(self, known: Known, formula: Formula) -> Known:
        """What is known, and this formula."""
        key = known.number, formula.number
        if key not in self._longer:
            self._longer[key] = Known(len(self._longer) + 1, (*known.formulas, formula))
        return self._longer[key]


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "or": z3.Or,
    "and": z3.And,
    "less": lambda one, other: z3.And(one, z3.Not(other)),
}
OF_BLOCKS: dict[str, Callable[[int, int], int]] = {
    "or": int.__or__,
    "and": int.__and__,
    "less": lambda one, other: one & ~other,
}


class Known:
    """What is true of every block. The same formulas, in the same order, have the same number."""

    __slots__ = ("formulas", "names", "number")

    def __init__(self, number: int, formulas: tuple[Formula, ...]) -> None:
        self.number, self.formulas = number, formulas
        self.names = [each.name.as_ast() for each in formulas]


class Member(Opaque):
    """A set: the formula that says whether our block is in it. `parts` are the sets of which it is the union.

    `granule` is that of `round_out`, if that has made it.
    """

    __slots__ = ("_block", "formula", "granule", "parts")

    def __init__(self, block: GenericBlock, formula: Formula, parts: tuple[Member, ...] = ()) -> None:
        self._block, self.formula, self.granule = block, formula, (0, 0)
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


class GenericBlock(World):
    """One arbitrary block on one path, and the space that the specification makes its sets in."""

    def __init__(self, path: Path, solver: Solver) -> None:
        self.path, self.space, self.solver = path, self, solver
        self.empty = Member(self, solver.false)
        self._all = Member(self, solver.true)
        self._known = solver.nothing_known
        self._inhabited: tuple[Member, ...] = (self._all,)  # not empty: a disk without blocks has nothing to lose
        self._named: dict[str, Member] = {}
        self._rounded: tuple[tuple[Member, tuple[int, int], Member], ...] = ()
        self._sizes: dict[int, Member] = {}  # the blocks of disks, by size

    def arbitrary(self, name: str, foggy: bool = False) -> Any:
        """A set of which nothing is known: a new Boolean."""
        if foggy:
            return Fog(self.path)
        made = Member(self, self.solver.variable(name))
        self._named = {**self._named, name: made}
        return made

    def everything(self, size: int) -> Any:
        """Our block is a block of the disk; of a smaller one it may be, and then of each that is larger than that."""
        if size > SIZE:
            raise ValueError(f"no disk is larger than {SIZE} bytes")
        blocks = self.blocks(0, size)
        for other, of_other in self._sizes.items():
            self.learn_within(*((blocks, of_other) if size < other else (of_other, blocks)))
        self._sizes = {**self._sizes, size: blocks}
        return blocks

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
        united = self._round(blocks.parts[0], (granule, size))
        for part in blocks.parts[1:]:
            united = united | self._round(part, (granule, size))
        return united

    def _round(self, part: Member, granule: tuple[int, int]) -> Member:
        if part.granule == granule or self.must_be_within(part, self.empty):
            return part
        for argument, of, rounded in self._rounded:
            if of == granule and (argument is part or self.are_equal(argument, part)):
                return rounded
        result: Member = self.arbitrary(f"{granule}: neighbours {len(self._named)}")
        result.granule = granule
        self._rounded = (*self._rounded, (part, granule, result))
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
            self._inhabited = (*self._inhabited, blocks)
            return True
        self.learn_within(blocks, self.empty)
        return False

    def learn(self, claim: Claim) -> None:
        """From now on a claim is so."""
        if not isinstance(claim, Fact):
            self.learn_within(claim.small, claim.large)
        elif not claim.true:
            raise Impossible

    def doubt(self, claim: Claim) -> Has | None:
        """A block of which a claim is not so: says what it is in. None if Z3 says that there is none."""
        if isinstance(claim, Fact):
            return None if claim.true else lambda blocks: False
        if self.must_be_within(claim.small, claim.large):
            return None
        outside = self.solver.formula("less", claim.small.formula, claim.large.formula)
        model = self.solver.example(self._known, outside)
        return lambda blocks: z3.is_true(model.eval(blocks.formula.z3, model_completion=True))


def obligations(script: Script, solver: Solver) -> list[Obligation]:
    """All that a script wants to be proved, on all its paths, each with its verdict."""
    return on_all_paths(GenericBlock(Path(), solver), script)
