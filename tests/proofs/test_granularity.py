"""The theorems about granularity: proved, true of plain numbers, and false for every seeded mistake."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import z3
from cbtimpl import granules
from cbtmodel import blocks
from cbtproofs.arithmetic.arithmetic_proof import Given, PlainNumbers, Theorem, prove
from cbtproofs.arithmetic.granularity import theorems
from cbtproofs.arithmetic.symbolic_integers import Impossible
from cbtproofs.arithmetic.terms import Terms
from hypothesis import given, settings
from hypothesis import strategies as st

ALL = {theorem.id: theorem for theorem in theorems()}

# Proved, and true of plain numbers


def test_what_is_printed_does_not_depend_on_what_the_same_process_proved_before() -> None:
    """Z3 chooses examples by what its context has: with one for all, 12 obligations more or fewer were counted."""
    others = random.Random(2).sample([*ALL.values()], len(ALL))
    late = next(each for each in others if each.id == "what-is-specified-is-marked")
    alone = prove(late).obligations
    before = others[: others.index(late)]
    assert len([*map(prove, before)]) > 5
    assert prove(late).obligations == alone


@pytest.mark.parametrize("property_id", ALL)
def test_a_theorem_is_proved_and_about_something(property_id: str) -> None:
    result = prove(ALL[property_id])
    assert (result.verdict, result.text) == ("proved", "")
    assert result.obligations >= result.paths > 0
    assert result.witnesses, "no interesting case is named"


def test_every_theorem_is_one_sentence() -> None:
    for theorem in ALL.values():
        assert theorem.statement.endswith(".")
        assert theorem.statement.count(". ") == 0


class Drawn(PlainNumbers):
    """Plain numbers as Hypothesis draws them."""

    def __init__(self, draw: Callable[[Any], int]) -> None:
        super().__init__({})
        self.draw = draw

    def number(self, name: str, least: int = 0, most: int = (1 << 63) - 1) -> int:
        near = st.integers(max(least, most - 9), most)
        return self.draw(st.one_of(st.integers(least, min(most, least + 6000)), st.integers(least, most), near))

    def power(self, name: str, least: int, most: int) -> int:
        return 1 << self.draw(st.integers(least.bit_length() - 1, min(most.bit_length() - 1, least.bit_length() + 2)))


@pytest.mark.parametrize("property_id", ALL)
@settings(max_examples=200)
@given(st.data())
def test_a_theorem_is_true_of_plain_numbers(property_id: str, data: st.DataObject) -> None:
    with suppress(Impossible):
        ALL[property_id].function(Drawn(data.draw))


# Every seeded mistake is found


def any_multiple_of_512(value: int) -> bool:
    return value >= 512 and value % 512 == 0


def no_tail(size: int, granularity: int) -> int:
    return size // granularity


def not_clipped(offset: int, length: int, size: int) -> tuple[int, int]:
    return offset, offset + length


def sum_of_32_bits(offset: int, length: int, size: int) -> tuple[int, int]:
    return offset, max(offset, min((offset + length) % 4294967296, size))


def one_too_many(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    return first // granularity, past // granularity + 1


def one_too_few(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    return first // granularity, past // granularity


def first_only(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    return (first // granularity, first // granularity + 1) if first < past else (0, 0)


def granules_of_512(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    return (first // 512, (past - 1) // 512 + 1) if first < past else (0, 0)


def rounded_before_it_is_clipped(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    past = (offset + length + granularity - 1) // granularity
    return min(offset // granularity, past), min(past, (size + granularity - 1) // granularity)


def outwards(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    return (first // granularity, (past - 1) // granularity + 1) if first < past else (0, 0)


def without_the_tail(offset: int, length: int, granularity: int, size: int) -> tuple[int, int]:
    first, past = granules.clip(offset, length, size)
    first_granule = (first + granularity - 1) // granularity
    return (first_granule, past // granularity) if first_granule < past // granularity else (0, 0)


def span_beyond_the_end(first: int, past: int, granularity: int, size: int) -> tuple[int, int]:
    return first * granularity, (past - first) * granularity


def always_full(size: int, granularity: int) -> int:
    return granularity if size > 0 else 0


def block_too_many(offset: int, length: int, block: int) -> tuple[int, int]:
    return (offset // block, (offset + length) // block + 1) if length > 0 else (0, 0)


def block_too_few(offset: int, length: int, block: int) -> tuple[int, int]:
    return (offset // block, (offset + length) // block) if length > 0 else (0, 0)


def blocks_are_bytes(self: Any, blocks: Any, granule: int, size: int) -> Any:
    granules = {each // granule for each in blocks}
    return frozenset(each for each in self.everything(size) if each // granule in granules)


def inwards(self: Any, blocks: Any, granule: int, size: int) -> Any:
    per_granule = max(1, granule // self.block)
    granules = {each // per_granule for each in blocks if each % per_granule == 0}
    return frozenset(each for each in self.everything(size) if each // per_granule in granules)


def unchanged(self: Any, blocks: Any, granule: int, size: int) -> Any:
    return blocks


def smallest_only(self: Any, blocks: Any, granule: int, size: int) -> Any:
    per_granule = max(1, granule // self.block)
    granules = {each // per_granule for each in sorted(blocks)[:1]}
    return frozenset(each for each in self.everything(size) if each // per_granule in granules)


def all_but(self: Any, blocks: Any, granule: int, size: int) -> Any:
    per_granule = max(1, granule // self.block)
    granules = {each // per_granule for each in blocks}
    return frozenset(each for each in self.everything(size) if each // per_granule not in granules)


def and_the_next(self: Any, blocks: Any, granule: int, size: int) -> Any:
    per_granule = max(1, granule // self.block)
    granules = {each // per_granule for each in blocks} | {each // per_granule + 1 for each in blocks}
    return frozenset(each for each in self.everything(size) if each // per_granule in granules)


def at_least_two(self: Any, blocks: Any, granule: int, size: int) -> Any:
    per_granule = max(2, granule // self.block)
    granules = {each // per_granule for each in blocks}
    return frozenset(each for each in self.everything(size) if each // per_granule in granules)


ROUND_OUT = blocks.Frozensets.round_out

MISTAKES: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
    (granules.is_granularity, any_multiple_of_512, ("granularities-are-the-powers-of-two-from-512",)),
    (granules.count, no_tail, (
        "granules-cover-the-disk", "every-byte-has-its-granule", "a-tail-is-a-whole-granule",
    )),
    (granules.tail, always_full, ("a-tail-is-a-whole-granule",)),
    (granules.clip, not_clipped, (
        "clipping-keeps-what-is-on-the-disk", "covering-is-tight", "a-span-is-its-granules",
    )),
    (granules.clip, sum_of_32_bits, (
        "clipping-keeps-what-is-on-the-disk", "covering-contains-the-range", "merging-loses-nothing",
    )),
    (granules.covering, one_too_many, (
        "covering-is-tight", "a-span-rounds-to-itself", "merging-adds-only-neighbours", "what-is-marked-is-specified",
    )),
    (granules.covering, one_too_few, (
        "covering-contains-the-range", "inside-is-within-covering", "merging-loses-nothing", "copying-loses-nothing",
    )),
    (granules.covering, first_only, (
        "covering-contains-the-range", "covering-is-monotone", "merging-loses-nothing", "copying-loses-nothing",
        "merging-into-finer-granules-is-exact", "forgetting-is-only-for-what-was-copied",
        "what-is-specified-is-marked",
    )),
    (granules.covering, granules_of_512, ("covering-contains-the-range", "merging-loses-nothing")),
    (granules.covering, rounded_before_it_is_clipped, ("covering-contains-the-range",)),
    (granules.inside, outwards, ("inside-is-contained", "clearing-is-only-for-what-was-copied")),
    (granules.inside, one_too_many, ("inside-is-within-covering",)),
    (granules.inside, without_the_tail, ("inside-is-maximal", "a-span-rounds-to-itself")),
    (granules.span, span_beyond_the_end, ("a-span-is-its-granules", "merging-into-finer-granules-is-exact")),
    (blocks.touched, block_too_many, ("blocks-are-those-touched", "everything-is-every-block-with-a-byte")),
    (blocks.touched, block_too_few, (
        "blocks-are-those-touched", "everything-is-every-block-with-a-byte", "what-is-marked-is-specified",
    )),
    (ROUND_OUT, blocks_are_bytes, ("round-out-is-by-granules",)),
    (ROUND_OUT, inwards, ("round-out-is-by-granules", "round-out-is-extensive")),
    (ROUND_OUT, unchanged, ("round-out-is-clipped", "what-is-marked-is-specified",)),
    (ROUND_OUT, smallest_only, ("round-out-distributes",)),
    (ROUND_OUT, all_but, (
        "round-out-is-clipped", "round-out-of-a-covered-set-is-covered", "round-out-is-extensive",
    )),
    (ROUND_OUT, and_the_next, ("round-out-is-idempotent",)),
    (ROUND_OUT, at_least_two, ("rounding-by-less-than-a-block-is-nothing",)),
)  # fmt: skip
CASES = [(function, wrong, property_id) for function, wrong, ids in MISTAKES for property_id in ids]


@contextmanager
def mistaken(function: FunctionType, wrong: FunctionType) -> Iterator[None]:
    """The function does the wrong thing, whoever has imported it."""
    right = function.__code__
    function.__code__ = wrong.__code__.replace(co_name=right.co_name)
    try:
        yield
    finally:
        function.__code__ = right


@pytest.fixture(autouse=True, scope="module")
def visible_names() -> Iterator[None]:
    """The mistakes call `granules.clip`, and run with the globals of the module that they are put into."""
    granules.granules = granules  # type: ignore[attr-defined]
    yield
    del granules.granules  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "wrong", "property_id"), CASES, ids=lambda each: getattr(each, "__name__", each)
)
def test_a_seeded_mistake_is_found(function: FunctionType, wrong: FunctionType, property_id: str) -> None:
    with mistaken(function, wrong):
        result = prove(ALL[property_id])
    assert result.verdict == "counterexample", result.text
    assert "fails: " in result.text


def test_every_theorem_has_a_mistake_that_breaks_it() -> None:
    assert {property_id for _, _, property_id in CASES} == set(ALL)


def test_a_counterexample_is_in_bytes_and_shows_the_calls() -> None:
    with mistaken(granules.covering, first_only):  # type: ignore[arg-type]
        text = prove(ALL["covering-contains-the-range"]).text
    assert "granularity 512" in text
    assert "covering(offset=" in text
    assert "fails: before the past" in text


def test_a_sum_that_does_not_fit_is_shown() -> None:
    with mistaken(granules.covering, rounded_before_it_is_clipped):  # type: ignore[arg-type]
        text = prove(ALL["covering-contains-the-range"]).text
    assert "a result fits into 64 bits" in text
    assert str((1 << 64) - 1) not in text.partition("fails")[0]


# The interpreter


def a_difference(given: Given) -> None:
    """A difference is not below zero."""
    given.claim("it fits", given.number("one") - given.number("other") >= 0)


def a_contradiction(given: Given) -> None:
    """Under a contradiction, anything is true."""
    number = given.number("number")
    given.assume(number < 5, number > 7)
    given.claim("anything", number == 6)


def something_that_never_happens(given: Given) -> None:
    """A claim that is true, with an interesting case that does not exist."""
    number = given.number("number", most=10)
    given.claim("it is small", number <= 10)
    given.sometimes("large", number > 10)


def a_product(given: Given) -> None:
    """A product of two unknowns is not understood."""
    given.claim("at least 0", given.number("one") * given.number("other") >= 0)


def forgotten_by_an_assumption(given: Given) -> None:
    """What overflows before an assumption is not forgotten by it."""
    one, other = given.number("one"), given.number("other")
    given.claim("small", one + other + one >= one)
    given.assume(one < 10, other < 10)


def wrong_in_one_branch(given: Given) -> None:
    """A mistake on one path out of many is found."""
    number, step = given.number("number"), given.power("step", 512, 1 << 31)
    if number // step == 3 and number % step == 17:
        given.claim("not this one", number < 3 * step)


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        (a_difference, "counterexample"),
        (a_contradiction, "vacuous"),
        (something_that_never_happens, "vacuous"),
        (a_product, "unknown"),
        (forgotten_by_an_assumption, "counterexample"),
        (wrong_in_one_branch, "counterexample"),
    ],
)
def test_the_interpreter_is_not_easily_satisfied(function: Callable[[Given], None], verdict: str) -> None:
    assert prove(Theorem(function)).verdict == verdict


@given(st.integers(-9, 99), st.integers(-9, 99), st.integers(1, 1 << 31))
def test_the_lemmas_about_products_are_true(one: int, other: int, step: int) -> None:
    values = {"q": one, "p": one * step, "r": other, "s": other * step, "g": step}
    terms = Terms()
    lemmas = z3.And(terms.ordered("q", "p", "r", "s", "g"), terms.not_smaller("q", "p"),
                    terms.ordered("q", "p", "", "", "g"))  # fmt: skip
    known = [(terms.integer(name), z3.IntVal(value, terms.context)) for name, value in values.items()]
    assert z3.is_true(z3.simplify(z3.substitute(lemmas, *known)))


@given(st.integers(0, 63), st.integers(0, 63), st.integers(0, 1 << 64))
def test_of_two_powers_the_larger_is_a_multiple(large: int, small: int, number: int) -> None:
    whole, part = 1 << max(large, small), 1 << min(large, small)
    assert number * whole == number * (whole // part) * part


# The page


def test_the_page_states_every_theorem_as_the_proof_does() -> None:
    page = (Path(__file__).parents[2] / "docs/understand/granularity.md").read_text()
    listed = dict(re.findall(r"^\| ([a-z0-9-]+) \| (.*) \|$", page, re.MULTILINE))
    listed.pop("theorem")
    assert listed == {property_id: theorem.statement for property_id, theorem in ALL.items()}
