"""Theorems about arithmetic: how one is stated, proved of every number, tried on plain numbers, and refuted in bytes.

A theorem is a function of a `Given`. Its docstring is the statement, its body the formal statement. The same body
runs in two worlds: on `symbolic_integers.Path`, which proves it, and on `PlainNumbers`, plain ints, which shows one
case. Every counterexample of Z3 is played again on plain ints before it is reported: so a mistake of the
interpreter cannot show as a mistake of the arithmetic. One that fails to fit into 64 bits is reported as it is,
since plain ints always fit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal, Protocol

import z3

from cbtproofs.arithmetic.symbolic_integers import PATIENCE, Impossible, Path, Question, Refuted, Undecided, shown
from cbtproofs.arithmetic.terms import Terms

TRACED = ("cbtimpl.granules", "cbtmodel.blocks", "cbtmodel.node")
"""Modules whose calls a counterexample shows."""

Verdict = Literal["proved", "counterexample", "vacuous", "unknown"]


class Given(Protocol):
    """What a theorem is given: numbers to speak of, and an ear for what it says about them."""

    def number(self, name: str, least: int = 0, most: int = (1 << 63) - 1) -> int:
        """An arbitrary number from `least` to `most`."""
        ...

    def power(self, name: str, least: int, most: int) -> int:
        """An arbitrary power of two from `least` to `most`."""
        ...

    def flag(self, name: str) -> bool:
        """An arbitrary truth value."""
        ...

    def assume(self, *facts: bool) -> None:
        """From here on, these are so."""
        ...

    def claim(self, what: str, fact: bool) -> None:
        """This must be so."""
        ...

    def sometimes(self, what: str, fact: bool) -> None:
        """There are numbers for which this is so, and all that was assumed."""
        ...


@dataclass(frozen=True)
class Theorem:
    """A named theorem. `function` is its formal statement."""

    function: Callable[[Given], None]

    @property
    def id(self) -> str:
        """Its name, as in a report."""
        return self.function.__name__.replace("_", "-")

    @property
    def statement(self) -> str:
        """What it says, in one sentence."""
        return " ".join((self.function.__doc__ or "").split())


@dataclass(frozen=True)
class Result:
    """What became of one theorem.

    `obligations` counts each claim and each operation that must fit into 64 bits, once for each of the `paths`.
    `seconds` are CPU seconds. `text` is the counterexample, or why there is no verdict. `witnesses` are numbers for
    each interesting case.
    """

    theorem: Theorem
    verdict: Verdict
    obligations: int
    paths: int
    seconds: float
    text: str = ""
    witnesses: Mapping[str, str] = field(default_factory=dict)


@dataclass
class PlainNumbers:
    """The `Given` of one case: the numbers of `values`, by name. A claim that fails is `Refuted`."""

    values: Mapping[str, int]
    seen: set[str] = field(default_factory=set)

    def number(self, name: str, least: int = 0, most: int = (1 << 63) - 1) -> int:
        """The number of that name, or `least` if there is none; it is `Impossible` out of range."""
        number = self.values.get(name, least)
        if not least <= number <= most:
            raise Impossible
        return number

    def power(self, name: str, least: int, most: int) -> int:
        """The number of that name; it is `Impossible` if it is no such power."""
        number = self.number(name, least, most)
        if number.bit_count() != 1:
            raise Impossible
        return number

    def flag(self, name: str) -> bool:
        """Whether the number of that name is 1."""
        return self.number(name, 0, 1) == 1

    def assume(self, *facts: bool) -> None:
        """The case is `Impossible` if one is false."""
        if not all(facts):
            raise Impossible

    def claim(self, what: str, fact: bool) -> None:
        """The case is `Refuted` if this is false."""
        if not fact:
            raise Refuted(what, dict(self.values), None)

    def sometimes(self, what: str, fact: bool) -> None:
        """Takes note of it."""
        if fact:
            self.seen.add(what)


def prove(theorem: Theorem) -> Result:
    """Prove it of all numbers, or find numbers for which it fails."""
    began = time.process_time()
    seen: dict[str, Mapping[str, int] | None] = {}
    obligations = paths = 0
    verdict: Verdict = "proved"
    text = ""
    try:
        for path in walked(theorem.function, seen):
            obligations += path.obligations
            paths += 1
        unseen = [what for what, example in seen.items() if example is None or not happens(theorem, what, example)]
        if unseen or not obligations:
            verdict, text = "vacuous", "never: " + "; ".join(unseen or ["an obligation"])
    except Refuted as refuted:
        verdict, text = reproduced(theorem, refuted)
    except Undecided as undecided:
        verdict, text = "unknown", str(undecided)
    except (TypeError, NotImplementedError) as unsupported:
        verdict, text = "unknown", f"not integer arithmetic that is understood here: {unsupported}"
    seconds = time.process_time() - began
    examples = {what: shown(example) for what, example in seen.items() if example is not None}
    return Result(theorem, verdict, obligations, paths, seconds, text, examples)


def walked(function: Callable[[Given], None], seen: dict[str, Mapping[str, int] | None]) -> Iterator[Path]:
    """Every possible path through a theorem, each with its obligations proved."""
    terms = Terms()
    solver = z3.SolverFor("QF_LIA", terms.context)
    solver.set("timeout", PATIENCE)
    questions = [Question()]
    while questions:
        path = Path(solver, terms, questions.pop(), seen)
        solver.push()
        try:
            function(path)
            path.discharge()
        except Impossible:
            pass
        finally:
            solver.pop()
        questions += path.others
        yield path


def happens(theorem: Theorem, what: str, example: Mapping[str, int]) -> bool:
    """Whether an interesting case is one for plain ints, too."""
    case = PlainNumbers(example)
    with suppress(Impossible):
        theorem.function(case)
    return what in case.seen


def reproduced(theorem: Theorem, refuted: Refuted) -> tuple[Verdict, str]:
    """A counterexample in words, played again with plain ints, with the calls that it makes."""
    header = f"{shown(refuted.values)}\n  fails: {refuted.claim}"
    if refuted.why is not None:
        return "counterexample", f"{header}: {refuted.why}"
    calls: list[str] = []
    try:
        with traced(calls):
            theorem.function(PlainNumbers(refuted.values))
    except Refuted as again:
        return "counterexample", "\n  ".join([f"{shown(refuted.values)}", *calls, f"fails: {again.claim}"])
    except Impossible:
        pass
    return "unknown", f"{header}, but not on plain numbers: the interpreter is wrong"


@contextmanager
def traced(calls: list[str]) -> Iterator[None]:
    """Writes down every call of a function of `TRACED`, with arguments and result, in the order in which they end."""
    arguments: dict[FrameType, str] = {}

    def watch(frame: FrameType, event: str, result: object) -> None:
        code = frame.f_code
        if frame.f_globals.get("__name__") not in TRACED or code.co_name.startswith("<"):
            return
        if event == "call":
            given = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount] if name != "self"}
            arguments[frame] = ", ".join(f"{name}={told(value)}" for name, value in given.items())
        elif event == "return" and frame in arguments:
            calls.append(f"{code.co_name}({arguments.pop(frame)}) = {told(result)}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def told(value: object) -> str:
    """A value in a call: a set as a set, the rest as Python has it."""
    return "{" + ", ".join(map(str, sorted(value))) + "}" if isinstance(value, frozenset) else repr(value)
