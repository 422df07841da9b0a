"""The transitions have no loop of their own: they meet tables and sequences in the words of `loops` only.

What is forbidden is what a loop, or the choice of a place in a table, could be made of. So what is done to one entry
is done to all, and the laws of those few words (which `cbtspec prove` proves) say so.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import TypeGuard

import pytest
from cbtmodel import backup, bitmap, image, jobs, node, step, transaction
from cbtmodel import loops as words

STEP = inspect.getmodule(step)
assert STEP is not None
TRANSITIONS: tuple[ModuleType, ...] = (bitmap, backup, node, jobs, transaction, STEP, image)
NOT_TRANSITIONS = {"initial"}
"""It makes the first state."""

WORDS = {"fold", "mapped", "kept", "some", "every"}
ALONE = {"mapped", "kept", "some", "every"}
"""Words whose function is given one entry, and may look at no other."""

BUILTINS = {"isinstance", "bool", "str", "len", "dict", "tuple"}
"""All that the transitions may call of Python: `len` is that of a name, `dict` has `fromkeys` only, and of a
tuple no place can be asked for."""

LOOPS = (
    ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Slice, ast.Yield,
    ast.YieldFrom, ast.NamedExpr, ast.Global, ast.Nonlocal, ast.Delete, ast.Import, ast.ImportFrom, ast.MatchSequence,
)  # fmt: skip
LISTED = {"items", "values", "keys"}
TABLES = {"nodes", "bitmaps", "jobs", "writes"}
INSIDE = {"_entries", "_hash", "_with"}


def offences(tree: ast.AST) -> Iterator[str]:
    """What is a loop, or picks an entry by its place, in a function or module."""
    given = {id(each.args[0]) for each in ast.walk(tree) if is_word(each, WORDS) and each.args}
    for each in ast.walk(tree):
        match each:
            case ast.AST() if isinstance(each, LOOPS):
                yield type(each).__name__
            case ast.Subscript(_, ast.Constant(int()) | ast.UnaryOp() | ast.BinOp()):
                yield f"a place: {ast.unparse(each)}"
            case ast.Call(ast.Name(called)) if called in vars(builtins) and called not in BUILTINS:
                yield f"{called}()"
            case ast.Call(ast.Attribute(_, called)) if called in LISTED and id(each) not in given:
                yield f".{called}() for nobody"
            case ast.Attribute(_, name) if name in INSIDE or name.startswith("__"):
                yield f"the inside of a table: {name}"
            case ast.Assign([ast.Tuple() | ast.List() as several], value) if not is_pair(several, value):
                yield f"the places of {ast.unparse(value)}"
            case ast.Call(_, args) if any(isinstance(arg, ast.Starred) for arg in args):
                yield f"the places of {ast.unparse(each)}"
    for each in ast.walk(tree):
        if is_word(each, ALONE):
            yield from looks_elsewhere(each)


def is_word(tree: ast.AST, which: set[str]) -> TypeGuard[ast.Call]:
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in which


def is_pair(several: ast.Tuple | ast.List, value: ast.expr) -> bool:
    """Whether a result is taken apart: (state, ended); not a table or a sequence."""
    return len(several.elts) == 2 and not any(isinstance(each, ast.Starred) for each in several.elts)


def looks_elsewhere(call: ast.Call) -> Iterator[str]:
    """What the function of a word that is about one entry says of a table, but the entry that it is given."""
    for each in call.args[1:]:
        if not isinstance(each, ast.Lambda):
            continue
        own = {arg.arg for arg in each.args.args}
        for inner in ast.walk(each.body):
            match inner:
                case ast.Subscript(ast.Attribute(_, table), ast.Name(name)) if table in TABLES and name in own:
                    pass
                case ast.Subscript() | ast.Call(ast.Attribute(ast.Attribute(_, "nodes" | "bitmaps" | "jobs"), "get")):
                    yield f"another entry: {ast.unparse(inner)}"


def functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        for each in vars(value).values() if isinstance(value, type) else (value,):
            if isinstance(each, FunctionType) and each.__code__.co_filename == module.__file__:
                yield each


def tree(function: FunctionType) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


LISTED_FUNCTIONS = [
    each for module in TRANSITIONS for each in functions(module) if each.__name__ not in NOT_TRANSITIONS
]


@pytest.mark.parametrize("function", LISTED_FUNCTIONS, ids=lambda each: f"{each.__module__}.{each.__qualname__}")
def test_no_transition_has_a_loop_of_its_own(function: FunctionType) -> None:
    assert list(offences(tree(function))) == []


def test_no_transition_calls_itself() -> None:
    """Nor is called by one that it calls: that would be a loop, too."""

    def called(function: FunctionType) -> Iterator[FunctionType]:
        own = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
        for each in ast.walk(tree(function)):
            found = None
            match each:
                case ast.Name(name):
                    found = function.__globals__.get(name)
                case ast.Attribute(ast.Name(module), name) if module not in own:
                    found = getattr(function.__globals__.get(module), name, None)
            if isinstance(found, FunctionType) and found in LISTED_FUNCTIONS:
                yield found

    left = {each: set(called(each)) for each in LISTED_FUNCTIONS}
    while free := [each for each, calls in left.items() if not calls & left.keys()]:
        for each in free:
            del left[each]
    assert left == {}


def test_there_is_one_loop() -> None:
    of_words = {each: list(offences(tree(each))) for each in functions(words)}
    assert {each.__name__ for each, found in of_words.items() if "For" in found} == {"fold"}
    assert {each.__name__ for each in of_words} == WORDS
    assert all(found in ([], ["For"]) for found in of_words.values())


@pytest.mark.parametrize("source", [
    "for name in state.bitmaps: pass",
    "while state.jobs: pass",
    "found = [each for each in state.jobs]",
    "found = {id: job for id, job in state.jobs.items()}",
    "found = any(job.paused for job in state.jobs.values())",
    "found = next(iter(state.bitmaps))",
    "found = tuple(state.bitmaps)[0]",
    "found = command.sources[0]",
    "found = command.sources[-1]",
    "found = command.sources[:1]",
    "first, *rest = command.sources",
    "first, second, third = command.sources",
    "found = sorted(state.jobs)",
    "found = max(state.jobs)",
    "found = dict(list(state.jobs.items()))",
    "found = merge(state, *command.sources)",
    "found = state.jobs._entries.popitem()",
    "found = state.jobs.__iter__().__next__()",
    "found = state.jobs.values()",
    "found = mapped(bitmaps, lambda each: each if state.nodes['d'].bitmaps['a'] is each else record(each))",
    "found = some(jobs, lambda job: state.jobs.get('k') is job)",
    "match command.sources:\n    case [one, *_]: pass",
])  # fmt: skip
def test_the_lint_bites(source: str) -> None:
    assert list(offences(ast.parse(source))) != []


@pytest.mark.parametrize("source", [
    "found = fold(command.sources, state, lambda so_far, each: merge(so_far, each))",
    "found = some(state.jobs.values(), lambda job: job.paused)",
    "found = every(group, lambda member: state.jobs[member].auto_finalize)",
    "state, ended = so_far",
    "found = state.nodes[on].bitmaps[name]",
])  # fmt: skip
def test_the_lint_lets_the_words_pass(source: str) -> None:
    assert list(offences(ast.parse(source))) == []
