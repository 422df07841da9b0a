"""Linear terms, and what is known of their products with an unknown granularity.

Z3 decides linear integer arithmetic in milliseconds. `q * g` with both unknown is not linear; but granularities are
few and fixed, and all that the theorems need of their multiples is linear in the products themselves. So `q * g` is a
number of its own, p, of which these lemmas are told (g is at least 1; each is plain arithmetic, and `tests/proofs`
tries them on numbers):

    products     q = r  implies  p(q) = p(r)            q + 1 = r  implies  p(q) + g = p(r)
                 q < r  implies  p(q) + g <= p(r)       q + 1 < r  implies  p(q) + 2g <= p(r)
    size         q >= 0  implies  q <= p(q)
    division     x // g = q  means  p(q) <= x < p(q) + g
    two powers   of two, g >= h:  g = m * h,  and so  x * g = (x * m) * h

The sum's product is the sum of the products, since terms are linear in their atoms. What follows from the lemmas is
true of every g, powers of two and others; only "two powers" needs to know that it is one. Where they are too weak,
something true is *not* proved, never the reverse; a counterexample is looked for with the powers fixed and the
products exact (`exact`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import z3

from cbtproofs.arithmetic.terms import Linear, Terms, Values, known


@dataclass(frozen=True)
class Factored:
    """Three powers of two: `whole = ratio * part`."""

    whole: str
    ratio: str
    part: str


@dataclass
class Multiples:
    """What is known of the multiples of unknown powers of two on one path. New lemmas go to the solver.

    `values` are an example: it is kept up, so that new atoms have the values that the example gives them.
    """

    solver: z3.Solver
    terms: Terms
    values: dict[str, int]
    products: dict[str, dict[str, str]] = field(default_factory=dict)
    quotients: dict[object, str] = field(default_factory=dict)
    factored: dict[tuple[str, str], Factored] = field(default_factory=dict)

    def add_power(self, name: str) -> None:
        """An atom is a power of two, from here on."""
        self.products.setdefault(name, {})

    def is_power(self, term: Linear) -> bool:
        """Whether the term is a power of two by construction."""
        return term.atom() in self.products

    def product(self, term: Linear, power: str) -> Linear:
        """A term times a power."""
        total = known(power).times(term.constant)
        for atom, factor in term.factors.items():
            total = total.plus(known(self._product(atom, power)), factor)
        return total

    def quotient(self, term: Linear, divisor: Linear) -> Linear:
        """A term divided by a power or by a plain number above 0, rounded down."""
        key = term.key(), divisor.key()
        if key not in self.quotients:
            name = self.quotients[key] = f"quotient {len(self.quotients)}"
            self.values.setdefault(name, term.value(self.values) // max(1, divisor.value(self.values)))
            quotient = known(name)
            power = divisor.atom()
            product = quotient.times(divisor.constant) if power is None else self.product(quotient, power)
            left = term.plus(product, -1)
            self.solver.add(self.terms.linear(left) >= 0, self.terms.linear(left.plus(divisor, -1)) < 0)
        return known(self.quotients[key])

    def ratio(self, whole: str, part: str) -> Linear:
        """A power divided by one that is not larger: a power too."""
        found = self.factored.get((whole, part))
        if found is None:
            name = f"{whole} / {part}"
            found = self.factored[whole, part] = Factored(whole, name, part)
            self.values.setdefault(name, self.values.get(whole, 0) // max(1, self.values.get(part, 1)))
            self.add_power(name)
            self.solver.add(self.terms.integer(name) >= 1)
            self.solver.add(self.terms.integer(whole) == self.terms.linear(self.product(known(name), part)))
            for atom in dict.fromkeys([*self.products[whole], *self.products[name]]):
                self._link(atom, found)
        return known(found.ratio)

    def _product(self, atom: str, power: str) -> str:
        """The atom that is the product of an atom and a power."""
        products = self.products[power]
        if atom not in products:
            name = f"{atom} * {power}"
            self.values.setdefault(name, self.values.get(atom, 0) * self.values.get(power, 0))
            self.solver.add(self.terms.not_smaller(atom, name), self.terms.ordered(atom, name, "", "", power))
            self.solver.add(*(self.terms.ordered(atom, name, *each, power) for each in products.items()))
            products[atom] = name
            for family in [*self.factored.values()]:
                if power in (family.whole, family.ratio):
                    self._link(atom, family)
        return products[atom]

    def _link(self, atom: str, family: Factored) -> None:
        """`x * whole` is `(x * ratio) * part`."""
        integer = self.terms.integer
        whole = self._product(atom, family.whole)
        first = self._product(atom, family.ratio)
        self.solver.add(integer(whole) == integer(self._product(first, family.part)))
        # The first multiple after it gets a name, so that it is compared with others, too.
        past = f"{first} + {family.ratio}"
        self.values.setdefault(past, self.values.get(first, 0) + self.values.get(family.ratio, 0))
        self.solver.add(integer(past) == integer(first) + integer(family.ratio))
        self.solver.add(integer(self._product(past, family.part)) == integer(whole) + integer(family.whole))

    def exact(self, powers: Values) -> Iterator[z3.BoolRef]:
        """That these atoms have these values, and that their products are products."""
        values, integer = dict(powers), self.terms.integer
        for family in self.factored.values():
            values[family.ratio] = max(1, values[family.whole] // values[family.part])
        for power, value in values.items():
            yield integer(power) == value
            for atom, product in self.products.get(power, {}).items():
                yield integer(product) == value * integer(atom)
