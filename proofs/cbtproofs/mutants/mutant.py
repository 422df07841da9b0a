"""One mutant of the specification: a function with one thing wrong in it, in the place of the right one for a while.

A mutant is applied by exchanging the code object of a function of `cbtmodel`. The function object stays the same, so
that whoever imported it, under whatever name, runs the mutant; nothing else in the process changes. One mutant at a
time: two at once would be another mutant than either.

Not here: which mutants there are (`systematic`, `field_bugs`), and what finds them.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import dis
import inspect
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import ndiff
from functools import cache
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutant:
    """A function of the specification with one thing wrong.

    `field_bug` is the ID of the real bug that it is after (field-bugs.md), or empty. `before` and `after` are the
    lines that differ, for people. `docstring` says in one line what is wrong.
    """

    name: str
    field_bug: str
    function: FunctionType
    before: str
    after: str
    docstring: str
    code: CodeType = field(repr=False, compare=False)

    @property
    def module(self) -> str:
        """The module of the specification that it changes, as in `bitmap`."""
        return self.function.__module__.rpartition(".")[2]

    @property
    def place(self) -> str:
        """The function that it changes, as in `bitmap.reclaim`."""
        return f"{self.module}.{self.function.__qualname__}"


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The specification has this mistake inside the `with` block, and is as it was after it, whatever happens.

    Raises `RuntimeError` if a mutant is applied already.
    """
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise RuntimeError(f"cannot apply '{mutant.name}': another mutant is applied already")
    right = mutant.function.__code__
    try:
        mutant.function.__code__ = mutant.code
        yield
    finally:
        mutant.function.__code__ = right
        _ONE_AT_A_TIME.release()


def is_one_applied() -> bool:
    """Whether a mutant is applied now."""
    return _ONE_AT_A_TIME.locked()


def tree_of(function: FunctionType) -> ast.FunctionDef:
    """The source of a function as it runs, with its line numbers.

    Raises `RuntimeError` if the file is not what was imported, or a mutant is applied.
    """
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    as_named = definition.name == function.__name__
    if not as_named or not same_code(compiled(definition, function), function.__code__):
        raise RuntimeError(f"the source of {function.__module__}.{function.__qualname__} is not what runs")
    return definition


def replacement(name: str, field_bug: str, right: FunctionType, wrong: FunctionType) -> Mutant:
    """The mutant that has `wrong`, written elsewhere, in the place of `right`.

    Raises `TypeError` unless both have the same parameters, and every global name in `wrong` means the same in the
    module of `right`, where it will run.
    """
    where = f"{wrong.__name__} in the place of {right.__name__}"
    if list(inspect.signature(wrong).parameters) != list(inspect.signature(right).parameters):
        raise TypeError(f"{where}: other parameters")
    for used in sorted(_global_names(wrong.__code__)):
        if _meaning(used, right) is not _meaning(used, wrong):
            raise TypeError(f"{where}: '{used}' means something else there")
    before, after = ("\n".join(map(ast.unparse, tree_of(each).body[1:])).splitlines() for each in (right, wrong))
    lines = [*ndiff(before, after)]
    removed, added = ("\n".join(each[2:] for each in lines if each.startswith(sign)) for sign in "-+")
    docstring = inspect.getdoc(wrong) or ""
    return Mutant(name, field_bug, right, removed, added, docstring, wrong.__code__)


Declare = Callable[[Callable[..., Any]], Callable[..., Any]]


def declaring(into: list[Mutant]) -> Callable[..., Declare]:
    """A decorator's maker: `instead_of(right, bug)` puts the function that it decorates into a list of mutants."""

    def instead_of(right: Callable[..., Any], bug: str = "") -> Declare:
        def declare(wrong: Callable[..., Any]) -> Callable[..., Any]:
            assert isinstance(right, FunctionType)
            assert isinstance(wrong, FunctionType)
            into.append(replacement(wrong.__name__.replace("_", "-"), bug, right, wrong))
            return wrong

        return declare

    return instead_of


def _global_names(code: CodeType) -> set[str]:
    """The names that some code looks up in its module, or among the built-in ones."""
    names = {str(each.argval) for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
    return names.union(*(_global_names(each) for each in code.co_consts if isinstance(each, CodeType)))


def _meaning(name: str, function: FunctionType) -> object:
    """What a global name means in a function; the name itself if it means nothing."""
    return function.__globals__.get(name, vars(builtins).get(name, (name, function)))


def compiled(definition: ast.FunctionDef, function: FunctionType) -> CodeType:
    """The code of a definition that is to run in the place of `function`."""
    file = function.__code__.co_filename
    module = ast.fix_missing_locations(ast.Module([*_imports(function.__module__), definition], []))
    outer = compile(module, file, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    inner = next(each for each in outer.co_consts if isinstance(each, CodeType))
    return inner.replace(co_qualname=function.__code__.co_qualname)


@cache
def _imports(module: str) -> tuple[ast.stmt, ...]:
    """The imports of a module: Python compiles a call of something imported in another way than a method's."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    return tuple(each for each in body if isinstance(each, ast.Import | ast.ImportFrom))


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects do the same, instruction by instruction; lines and names of places do not matter."""
    if (one.co_code, one.co_names, one.co_varnames, one.co_freevars, len(one.co_consts)) != (
        other.co_code, other.co_names, other.co_varnames, other.co_freevars, len(other.co_consts),
    ):  # fmt: skip
        return False
    return all(map(_same_constant, one.co_consts, other.co_consts))


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return same_code(one, other)
    return type(one) is type(other) and repr(one) == repr(other) and one == other
