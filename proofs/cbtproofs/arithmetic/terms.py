"""Linear terms in unknown numbers, and the same for Z3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import z3

Values = Mapping[str, int]


@dataclass(frozen=True)
class Linear:
    """A sum of atoms (unknown numbers, by name), each with a factor, and a constant."""

    factors: Mapping[str, int]
    constant: int = 0

    def plus(self, other: Linear, times: int = 1) -> Linear:
        """The sum with `times` the other."""
        factors = dict(self.factors)
        for atom, factor in other.factors.items():
            factors[atom] = factors.get(atom, 0) + times * factor
        constant = self.constant + times * other.constant
        return Linear({atom: factor for atom, factor in factors.items() if factor}, constant)

    def times(self, factor: int) -> Linear:
        """A multiple."""
        return Linear({}).plus(self, factor)

    def atom(self) -> str | None:
        """Its name, if it is nothing but one atom."""
        return next(iter(self.factors)) if self.constant == 0 and [*self.factors.values()] == [1] else None

    def key(self) -> tuple[tuple[tuple[str, int], ...], int]:
        """Equal for equal terms."""
        return tuple(sorted(self.factors.items())), self.constant

    def value(self, values: Values) -> int:
        """The number that it is for given atoms."""
        return self.constant + sum(factor * values.get(atom, 0) for atom, factor in self.factors.items())


def known(atom: str) -> Linear:
    """The term that is one atom."""
    return Linear({atom: 1})


class Terms:
    """The terms of one theorem for Z3, each made once: its paths need the same ones again and again.

    They are in a context of their own. What Z3 answers with depends on what was made in a context before, and so
    would the number of paths that are walked depend on which theorems the same process had proved.
    """

    def __init__(self) -> None:
        self.context = z3.Context()
        self.integer = cache(self._integer)
        self._linear = cache(self._made_linear)
        self._compared = cache(self._made_comparison)
        self.not_smaller = cache(self._not_smaller)
        self.ordered = cache(self._ordered)
        self._of_two, self._of_one_and_zero = self._lemmas(with_zero=False), self._lemmas(with_zero=True)

    def linear(self, term: Linear) -> z3.ArithRef:
        """A linear term."""
        return self._linear(*term.key())

    def compared(self, compare: Callable[[Any, Any], Any], term: Linear) -> z3.BoolRef:
        """A linear term, compared with 0."""
        return self._compared(compare, *term.key())

    def _integer(self, name: str) -> z3.ArithRef:
        """An atom."""
        return z3.Int(name, self.context)

    def _made_linear(self, factors: tuple[tuple[str, int], ...], constant: int) -> z3.ArithRef:
        parts = [self.integer(atom) if factor == 1 else factor * self.integer(atom) for atom, factor in factors]
        if constant or not parts:
            parts.append(z3.IntVal(constant, self.context))
        return parts[0] if len(parts) == 1 else z3.Sum(parts)

    def _made_comparison(
        self, compare: Callable[[Any, Any], Any], factors: tuple[tuple[str, int], ...], constant: int
    ) -> z3.BoolRef:
        return cast(z3.BoolRef, compare(self._linear(factors, constant), 0))

    def _not_smaller(self, one: str, its: str) -> z3.BoolRef:
        """The lemma about a number and its product."""
        return z3.Implies(self.integer(one) >= 0, self.integer(one) <= self.integer(its))

    def _ordered(self, first: str, its: str, second: str, product: str, power: str) -> z3.BoolRef:
        """The lemmas about two numbers and their products with a power; no name is 0."""
        names = (first, its, power, second, product) if second else (first, its, power)
        lemmas, unknowns = self._of_two if second else self._of_one_and_zero
        return cast(z3.BoolRef, z3.substitute(lemmas, *zip(unknowns, map(self.integer, names), strict=True)))

    def _lemmas(self, with_zero: bool) -> tuple[z3.BoolRef, Sequence[z3.ArithRef]]:
        """Those of any two numbers, or of any and 0, and what to put names in place of: Z3 does that quicker."""
        unknowns = z3.Ints("?q ?p ?g ?r ?s", self.context)
        one, one_times, step, other, other_times = unknowns
        if with_zero:
            other = other_times = z3.IntVal(0, self.context)
        lemmas = z3.And(
            z3.Implies(one < other, one_times + step <= other_times),
            z3.Implies(other < one, other_times + step <= one_times),
            z3.Implies(one == other, one_times == other_times),
            z3.Implies(one + 1 == other, one_times + step == other_times),
            z3.Implies(other + 1 == one, other_times + step == one_times),
            z3.Implies(one + 1 < other, one_times + 2 * step <= other_times),
            z3.Implies(other + 1 < one, other_times + 2 * step <= one_times),
        )
        return lemmas, unknowns[:3] if with_zero else unknowns
