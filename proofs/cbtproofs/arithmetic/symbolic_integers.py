"""Integers that stand for every value at once, so that Z3 proves what the functions that run compute, in 64 bits.

A theorem is a Python function of a `Given` (`arithmetic_proof`): it asks for numbers, calls the functions it is
about, and makes claims. Here a number is a linear term for Z3. A comparison whose truth is asked *forks*: the theorem
is run again from its beginning for each answer that is possible, so that `if`, `while`, `min`, `max` and the look-up
in a set need no translation. Every sum, difference and product is an *obligation*: it must be from 0 to 2^64 - 1.
So the numbers are Python's unbounded integers, and what is proved of them holds of `uint64_t`, too.

Why no bit vectors: a shift by an unknown amount next to a sum of 64 bits took Z3 from seconds to more than 20 for one
claim. Linear arithmetic with a few lemmas about multiples (`multiples`) takes milliseconds, and says the same,
because of the obligations: where nothing overflows, the machine's arithmetic is arithmetic.

Not here: negative numbers (a difference below zero is a failed obligation), bit masks, floats, products of two
unknowns neither of which is a granularity. Whoever uses those gets the verdict "unknown".
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import z3

from cbtproofs.arithmetic.multiples import Multiples
from cbtproofs.arithmetic.terms import Linear, Terms, known

LARGEST = (1 << 64) - 1
PATIENCE = 120_000
"""Milliseconds that Z3 gets for one question: far more than it needs, on a busy machine too. Without an answer the
theorem is not proved."""


class Impossible(Exception):
    """No values lead here: what was assumed contradicts what is known."""


class Undecided(Exception):
    """There is no answer."""


class Refuted(Exception):
    """A claim that fails for the numbers `values`; `why` says it in their terms, if the claim alone does not."""

    def __init__(self, claim: str, values: Mapping[str, int], why: str | None = None) -> None:
        super().__init__(claim)
        self.claim = claim
        self.values = values
        self.why = why


@dataclass(frozen=True)
class Obligation:
    """Something that must be true; `why` puts its failure into words for given atoms."""

    claim: str
    fact: SymbolicBoolean
    why: Callable[[Mapping[str, int]], str] | None = None


@dataclass(frozen=True)
class Question:
    """What is left to do: the path with these answers. `example` are values that lead there."""

    answers: tuple[bool, ...] = ()
    example: Mapping[str, int] = field(default_factory=dict)


class Path:
    """One way through a theorem: the `Given` under which numbers are symbolic.

    An example is kept along the way. It decides nothing: it only says which answer to take first, and saves the
    question whether that one is possible. What is not possible may be walked all the same; it proves nothing false.
    """

    def __init__(
        self, solver: z3.Solver, terms: Terms, question: Question, seen: dict[str, Mapping[str, int] | None]
    ) -> None:
        self.solver = solver
        self.terms = terms
        self.replayed = question.answers
        self.seen = seen
        self.multiples = Multiples(solver, terms, dict(question.example))
        self.answers: list[bool] = []
        self.others: list[Question] = []
        self.pending: list[Obligation] = []
        self.names: list[str] = []
        self.powers: dict[str, tuple[int, int]] = {}
        self.obligations = 0

    # What a theorem asks for

    def number(self, name: str, least: int = 0, most: int = (1 << 63) - 1) -> int:
        """An arbitrary number from `least` to `most`."""
        self.names.append(name)
        self.multiples.values.setdefault(name, least)
        self.solver.add(self.terms.integer(name) >= least, self.terms.integer(name) <= most)
        return cast(int, SymbolicInteger(known(name), self))

    def power(self, name: str, least: int, most: int) -> int:
        """An arbitrary power of two from `least` to `most`."""
        number = self.number(name, least, most)
        self.powers[name] = least, most
        self.multiples.add_power(name)
        return number

    def flag(self, name: str) -> bool:
        """An arbitrary truth value."""
        return self.number(name, 0, 1) == 1

    def assume(self, *facts: bool) -> None:
        """Look only at values for which these are so. Nothing that was owed before is forgotten by it."""
        self.discharge()
        for fact in map(self.truth, facts):
            if not fact.holds(self.multiples.values):
                example = self.ask(fact.formula)
                if example is None:
                    raise Impossible
                self.multiples.values.update(example)
            self.solver.add(fact.formula)

    def claim(self, what: str, fact: bool) -> None:
        """This must be so."""
        self.pending.append(Obligation(what, self.truth(fact)))

    def sometimes(self, what: str, fact: bool) -> None:
        """This must be possible, on some path, after all that was assumed: the theorem is about something."""
        if self.seen.setdefault(what, None) is None:
            found = self.concrete(self.truth(fact).formula)
            self.seen[what] = None if found is None else self.named(found)

    # What its numbers ask for

    def choose(self, fact: SymbolicBoolean) -> bool:
        """The truth of a fact on this path; the other answer, if it is possible, is another path."""
        formula = z3.simplify(fact.formula)
        if z3.is_true(formula) or z3.is_false(formula):
            return bool(z3.is_true(formula))
        if len(self.answers) < len(self.replayed):
            answer = self.replayed[len(self.answers)]
        else:
            answer = fact.holds(self.multiples.values)
            other = self.ask(z3.Not(formula) if answer else formula)
            if other is not None:
                self.others.append(Question((*self.answers, not answer), other))
        self.answers.append(answer)
        self.solver.add(formula if answer else z3.Not(formula))
        return answer

    def fits(self, sign: str, left: Linear, right: Linear, result: Linear) -> SymbolicInteger:
        """The result of an operation, which must fit into 64 bits without sign."""

        def why(values: Mapping[str, int]) -> str:
            return f"{left.value(values)} {sign} {right.value(values)} = {result.value(values)}"

        made = SymbolicInteger(result, self)
        if result.factors or not 0 <= result.constant <= LARGEST:
            within = cast(SymbolicBoolean, (made >= 0) & (made <= LARGEST))
            self.pending.append(Obligation("a result fits into 64 bits", within, why))
        return made

    def discharge(self) -> None:
        """Prove what is owed, of every value that leads here."""
        owed, self.pending = self.pending, []
        # Where only answers of the path before led here, that one has proved it.
        if not owed or len(self.answers) < len(self.replayed):
            return
        self.obligations += len(owed)
        wrong = z3.Or(*(z3.Not(each.fact.formula) for each in owed))
        if self.ask(wrong) is None:
            return
        values = self.concrete(wrong)
        if values is None:
            raise Undecided("the lemmas are too weak for: " + "; ".join(dict.fromkeys(each.claim for each in owed)))
        first = next(each for each in owed if not each.fact.holds(values))
        raise Refuted(first.claim, self.named(values), first.why(values) if first.why else None)

    # Z3

    def ask(self, *facts: z3.BoolRef) -> dict[str, int] | None:
        """Values that lead here and make `facts` true, as far as the lemmas know; None if there are none."""
        self.solver.push()
        try:
            self.solver.add(*facts)
            answer = self.solver.check()
            if answer == z3.unknown:
                raise Undecided(f"Z3 gives up: {self.solver.reason_unknown()}")
            return values_of(self.solver.model()) if answer == z3.sat else None
        finally:
            self.solver.pop()

    def concrete(self, fact: z3.BoolRef) -> dict[str, int] | None:
        """Such values with powers that are powers and products that are products, small ones if there are."""
        integer = self.terms.integer
        for powers in self.choices():
            exact = [*self.multiples.exact(powers)]
            for most in (1 << 13, 1 << 20, 1 << 63):
                found = self.ask(fact, *exact, *(integer(name) <= most for name in self.names if name not in powers))
                if found is not None:
                    return found
        return None

    def choices(self) -> Iterator[dict[str, int]]:
        """Values for the powers: some small ones and the extremes, in every combination."""
        ranges = [
            sorted({least, most} | {power for power in (512, 1024, 2048, 65536) if least <= power <= most})
            for least, most in self.powers.values()
        ]
        return (dict(zip(self.powers, values, strict=True)) for values in itertools.product(*ranges))

    def named(self, values: Mapping[str, int]) -> dict[str, int]:
        """The numbers that the theorem asked for, by name."""
        return {name: values.get(name, 0) for name in self.names}

    def truth(self, value: object) -> SymbolicBoolean:
        """A truth value: of a comparison, or a plain one."""
        if isinstance(value, SymbolicBoolean):
            return value
        answer = bool(value)
        return SymbolicBoolean(z3.BoolVal(answer, self.terms.context), lambda values: answer, self)


class SymbolicBoolean:
    """A comparison. It forks where its truth is asked; `&`, `|`, `==` and `!=` do not."""

    __slots__ = ("formula", "holds", "path")
    __hash__ = None  # type: ignore[assignment]  # nothing looks for one in a set

    def __init__(self, formula: z3.BoolRef, holds: Callable[[Mapping[str, int]], bool], path: Path) -> None:
        self.formula = formula
        self.holds = holds
        self.path = path

    def __bool__(self) -> bool:
        return self.path.choose(self)

    def _with(self, other: object, join: Callable[..., Any], compute: Callable[..., bool]) -> SymbolicBoolean:
        left, right = self, self.path.truth(other)

        def holds(values: Mapping[str, int]) -> bool:
            return compute(left.holds(values), right.holds(values))

        return SymbolicBoolean(join(left.formula, right.formula), holds, self.path)

    def __and__(self, other: object) -> SymbolicBoolean:
        return self._with(other, z3.And, operator.and_)

    def __or__(self, other: object) -> SymbolicBoolean:
        return self._with(other, z3.Or, operator.or_)

    def __eq__(self, other: object) -> SymbolicBoolean:  # type: ignore[override]
        return self._with(other, operator.eq, operator.eq)

    def __ne__(self, other: object) -> SymbolicBoolean:  # type: ignore[override]
        return self._with(other, operator.ne, operator.ne)

    __rand__ = __and__
    __ror__ = __or__


def both_ways(operation: Callable[[SymbolicInteger, SymbolicInteger], SymbolicInteger]) -> tuple[Any, Any]:
    """An operation as the two methods that Python calls: with the number on the left, and on the right."""

    def left(self: SymbolicInteger, other: object) -> SymbolicInteger:
        number = number_of(other, self.path)
        return NotImplemented if number is None else operation(self, number)

    def right(self: SymbolicInteger, other: object) -> SymbolicInteger:
        number = number_of(other, self.path)
        return NotImplemented if number is None else operation(number, self)

    return left, right


def comparison(compare: Callable[[Any, Any], Any]) -> Any:
    """A comparison as the method that Python calls."""

    def applied(self: SymbolicInteger, other: object) -> Any:
        number = number_of(other, self.path)
        if number is None:
            return NotImplemented
        difference = self.term.plus(number.term, -1)
        formula = self.path.terms.compared(compare, difference)
        return SymbolicBoolean(formula, lambda values: bool(compare(difference.value(values), 0)), self.path)

    return applied


class SymbolicInteger:
    """A number that is a linear term in the numbers of a theorem, their quotients and their products."""

    __slots__ = ("path", "term")

    def __init__(self, term: Linear, path: Path) -> None:
        self.term = term
        self.path = path

    def __hash__(self) -> int:
        """The same for all, so that a look-up in a set compares, and thereby forks."""
        return 0

    def _add(self, other: SymbolicInteger) -> SymbolicInteger:
        return self.path.fits("+", self.term, other.term, self.term.plus(other.term))

    def _subtract(self, other: SymbolicInteger) -> SymbolicInteger:
        return self.path.fits("-", self.term, other.term, self.term.plus(other.term, -1))

    def _multiply(self, other: SymbolicInteger) -> SymbolicInteger:
        for one, two in ((self.term, other.term), (other.term, self.term)):
            if not two.factors:
                return self.path.fits("*", self.term, other.term, one.times(two.constant))
            if self.path.multiples.is_power(two):
                product = self.path.multiples.product(one, str(two.atom()))
                return self.path.fits("*", self.term, other.term, product)
        raise NotImplementedError("a product of two unknowns")

    def _divide(self, other: SymbolicInteger) -> SymbolicInteger:
        multiples, one, two = self.path.multiples, self.term, other.term
        if multiples.is_power(one) and multiples.is_power(two):
            if self < other:
                return SymbolicInteger(Linear({}), self.path)
            return SymbolicInteger(multiples.ratio(str(one.atom()), str(two.atom())), self.path)
        if not multiples.is_power(two) and (two.factors or two.constant <= 0):
            raise NotImplementedError("a division by what may be 0")
        return SymbolicInteger(multiples.quotient(one, two), self.path)

    def _remainder(self, other: SymbolicInteger) -> SymbolicInteger:
        quotient = self._divide(other)
        power = other.term.atom()
        if power is None:
            whole = quotient.term.times(other.term.constant)
        else:
            whole = self.path.multiples.product(quotient.term, power)
        return SymbolicInteger(self.term.plus(whole, -1), self.path)

    def bit_count(self) -> SymbolicInteger:
        """How many bits are set: a number of which only this is known, whether it is 1."""
        count = self.path.multiples.quotients.setdefault(("bits", self.term.key()), f"bits {self.term.key()}")
        self.path.multiples.values.setdefault(count, self.term.value(self.path.multiples.values).bit_count())
        term = self.path.terms.linear(self.term)
        one = z3.Or(*(term == 1 << exponent for exponent in range(64)))
        self.path.solver.add((self.path.terms.integer(count) == 1) == one)
        return SymbolicInteger(known(count), self.path)

    __add__, __radd__ = both_ways(_add)
    __sub__, __rsub__ = both_ways(_subtract)
    __mul__, __rmul__ = both_ways(_multiply)
    __floordiv__, __rfloordiv__ = both_ways(_divide)
    __mod__, __rmod__ = both_ways(_remainder)

    __lt__, __le__ = comparison(operator.lt), comparison(operator.le)
    __gt__, __ge__ = comparison(operator.gt), comparison(operator.ge)
    __eq__, __ne__ = comparison(operator.eq), comparison(operator.ne)


def number_of(value: object, path: Path) -> SymbolicInteger | None:
    """A number that can be calculated with: symbolic, or a plain one."""
    if isinstance(value, SymbolicInteger):
        return value
    return SymbolicInteger(Linear({}, value), path) if type(value) is int else None


def values_of(model: z3.ModelRef) -> dict[str, int]:
    """The numbers of a model, by name."""
    return {each.name(): cast(z3.IntNumRef, model[each]).as_long() for each in model.decls()}


def shown(values: Mapping[str, int]) -> str:
    """Numbers by name, in one line."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
