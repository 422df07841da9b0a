"""LOOPS: the laws of the words in which transitions meet tables and sequences (`cbtmodel.loops`), in two ways.

*By length*: `fold` is run on things of which nothing is known, round by round. What its frame holds before a round
and after it differs in nothing but what it has reached and the item that it was given; so it has no way to tell one
round from the next, and each is as the one before: an induction on the number of rounds, over the function that runs.
One round of each of the other words, from an arbitrary point on, then says what they do to tables of any length.

*Exhaustively*: every word, and `put` and `drop` of a table, on all small tables in every order.

That a transition has no loop but these is a test of the source (tests/model/test_loops.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import permutations, product
from typing import Any, NoReturn, TypeAlias

from cbtmodel import loops
from cbtmodel.claims import Fact
from cbtmodel.table import Table

from cbtproofs.inductive.script import Item, Played, Prove, Prover

ID = "LOOPS"
ROUNDS = 4
NAMES = ("a", "b", "c")

Laws: TypeAlias = Iterator[tuple[str, Callable[[], bool]]]

fold: Callable[[Any, Any, Any], Any] = loops.fold
mapped: Callable[[Any, Any], Any] = loops.mapped
kept: Callable[[Any, Any], Any] = loops.kept


class Thing:
    """Something of which nothing is known. What it was made of is for those who compare, and not for a function."""

    def __init__(self, *made_of: Any) -> None:
        self.made_of = made_of

    def _unknown(self, *of: object) -> NoReturn:
        raise TypeError("it looks into what it is given")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _unknown
    __bool__ = __len__ = __iter__ = __reversed__ = __getitem__ = __contains__ = _unknown
    __hash__ = __int__ = __index__ = __add__ = __or__ = __and__ = __sub__ = _unknown


class Reached(Thing):
    """A table of which nothing is known but what was put into it and dropped from it since."""

    def put(self, name: Any, value: Any) -> Reached:
        """The table with a value under a name."""
        return Reached("put", self, name, value)

    def drop(self, name: Any) -> Reached:
        """The table without a name."""
        return Reached("drop", self, name)


class Given(Reached):
    """The table that a word is given: it says its names one by one, and what is under each."""

    def __init__(self, names: list[Any]) -> None:
        super().__init__("given")
        self._names = names

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return iter(self._names)

    def __getitem__(self, name: Any) -> Thing:  # type: ignore[override]
        return Thing("value", name)


class Rounds:
    """Items, one by one. Before each, `seen` is told where the function that asks is, and what it holds."""

    def __init__(self, items: list[Thing]) -> None:
        self._items = iter(items)
        self.seen: list[tuple[int, dict[str, Any]]] = []

    def __iter__(self) -> Rounds:
        return self

    def __next__(self) -> Thing:
        asking = sys._getframe(1)
        self.seen.append((asking.f_lasti, dict(asking.f_locals)))
        return next(self._items)


def same(one: Any, other: Any) -> bool:
    """Whether two things were made of the same, in the same way."""
    if isinstance(one, Thing) and isinstance(other, Thing):
        return len(one.made_of) == len(other.made_of) and all(map(same, one.made_of, other.made_of))
    return one is other or (type(one) is type(other) and not isinstance(one, Thing) and bool(one == other))


def holds(law: Callable[[], bool]) -> bool:
    """Whether a law holds; it does not if a word looks at what it may not, or fails."""
    try:
        return law()
    except Exception:
        return False


# By length


def fold_is_an_induction() -> bool:
    """Of nothing it is the start; a round is `step` of what is reached and one item, and knows not which it is."""
    start, none = Thing("start"), Rounds([])
    if loops.fold(none, start, lambda *_: Thing("called")) is not start:
        return False
    items = [Thing("item", str(number)) for number in range(ROUNDS)]
    reached = [start]

    def step(so_far: Thing, item: Thing) -> Thing:
        reached.append(Thing("step", so_far, item))
        return reached[-1]

    rounds = Rounds(items)
    if loops.fold(rounds, start, step) is not reached[-1] or len(reached) != ROUNDS + 1:
        return False
    as_said = all(same(each, Thing("step", reached[n], items[n])) for n, each in enumerate(reached[1:]))
    return as_said and len(rounds.seen) == ROUNDS + 1 and all(
        like_the_last(rounds.seen[n], rounds.seen[n + 1], [(reached[n], reached[n + 1]), (items[n - 1], items[n])])
        for n in range(1, ROUNDS)
    )  # fmt: skip


Frame = tuple[int, dict[str, Any]]


def like_the_last(one: Frame, other: Frame, instead: list[tuple[Thing, Thing]]) -> bool:
    """Whether a function is where it was a round ago, and holds what it held, but for what must be another."""
    (place, held), (place_now, held_now) = one, other
    successors = {id(was): now for was, now in instead}
    return (
        place == place_now
        and held.keys() == held_now.keys()
        and all(held_now[name] is successors.get(id(was), was) for name, was in held.items())
    )


def change(value: Any) -> Thing:
    """What a mapping makes of a value."""
    return Thing("changed", value)


def by_length() -> Laws:
    """The laws, as what one more round adds."""
    yield "fold: one round more is one step more", fold_is_an_induction
    yield "some: of none, it does not", lambda: loops.some((), lambda _: True) is False
    yield "every: of none, it does", lambda: loops.every((), lambda _: False) is True
    yield "mapped: one entry more is put as it is changed", maps_one_more
    for answers in product((True, False), repeat=len(NAMES)):
        yield f"kept: one entry more is dropped if it is not wanted {answers}", partial(keeps_one_more, answers)
        yield f"some, every: one item more {answers}", partial(asks_one_more, answers)


def maps_one_more() -> bool:
    """Each round puts what the given table has under one name, changed, into what is reached: an arbitrary table."""
    given = Given([Thing("name", each) for each in NAMES])
    expected: Reached = given
    for each in given:
        expected = expected.put(each, change(given[each]))
    return same(mapped(given, change), expected)


def keeps_one_more(answers: tuple[bool, ...]) -> bool:
    """Each round drops one name from what is reached, or does not, as what the given table has there is wanted."""
    given = Given([Thing("name", number, answer) for number, answer in enumerate(answers)])
    expected: Reached = given
    for each, wanted in zip(given, answers, strict=True):
        expected = expected if wanted else expected.drop(each)
    return same(kept(given, lambda value: value.made_of[1].made_of[2]), expected)


def asks_one_more(answers: tuple[bool, ...]) -> bool:
    """What is said of items is what was said of those before, and the answer of one more."""
    items = [Thing("item", answer) for answer in answers]
    found = [word(items, lambda each: each.made_of[1]) for word in (loops.some, loops.every)]
    return found == [any(answers), all(answers)]


# Exhaustively


def exhaustively() -> Laws:
    """The laws on all small tables, with the entries in every order."""
    for count in range(len(NAMES) + 1):
        for names in permutations(NAMES, count):
            values = {name: Thing(name) for name in names}
            where = ", ".join(names) or "an empty table"
            yield f"reads what is in it: {where}", partial(reads, values, values)
            yield f"put and drop: {where}", partial(puts_and_drops, values)
            yield f"mapped: {where}", partial(maps, values)
            for wanted in product((True, False), repeat=count):
                chosen = {name for name, each in zip(names, wanted, strict=True) if each}
                yield f"kept, some, every, fold: {where}, of which {sorted(chosen)}", partial(chooses, values, chosen)


def reads(of: Mapping[str, Any], values: dict[str, Any]) -> bool:
    """A table says just what it was made of, in that order."""
    table = of if isinstance(of, Table) else Table(of)
    return (
        [*table] == [*values] == [*table.keys()]
        and len(table) == len(values)
        and all(one is other for one, other in zip(table.values(), values.values(), strict=True))
        and all(one[0] == two[0] and one[1] is two[1] for one, two in zip(table.items(), values.items(), strict=True))
        and all(table[name] is each is table.get(name) and name in table for name, each in values.items())
        and "nobody" not in table
        and table.get("nobody") is None
    )


def puts_and_drops(values: dict[str, Any]) -> bool:
    """Another value under one name, or none; all others are the very same, and so is the table that was there."""
    table = Table(values)
    for name in (*values, "new"):
        new = Thing("new")
        if not reads(table.put(name, new), {**values, name: new}):
            return False
        rest = {other: each for other, each in values.items() if other != name}
        if name in values and not reads(table.drop(name), rest):
            return False
    return reads(table, values)


def maps(values: dict[str, Any]) -> bool:
    """Each is changed; the names, and their order, are the same."""
    after = mapped(Table(values), change)
    changed = all(same(after[name], Thing("changed", each)) for name, each in values.items())
    return changed and [*after] == [*values] and reads(mapped(Table(values), lambda each: each), values)


def chooses(values: dict[str, Any], chosen: set[str]) -> bool:
    """Those that are wanted are kept, the very same; and whether there are some, or all are."""

    def wanted(each: Any) -> bool:
        return each.made_of[0] in chosen

    rest = {name: each for name, each in values.items() if name in chosen}
    return (
        reads(kept(Table(values), wanted), rest)
        and loops.some(values.values(), wanted) is bool(chosen)
        and loops.every(values.values(), wanted) is (len(chosen) == len(values))
        and fold(values, (), lambda so_far, name: (*so_far, name)) == tuple(values)
    )


def laws(listed: Callable[[], Laws]) -> Callable[[Prover], Iterator[Item]]:
    """The script of some laws."""

    def script(_: Prover) -> Iterator[Item]:
        yield Played()
        for where, law in listed():
            yield Prove(ID, Fact(where, holds(law)))

    return script
