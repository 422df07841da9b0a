"""Mutants made by rule from the source of the specification: one small thing left out of one function.

The rules know the few words that the specification is made of. Each says what it is called in a mutant's name:

    require(a, ...)            guard dropped; with several conditions, each of them dropped
    a | b,  a & b,  a - b      each operand of the first two, the left one of the last
    space.round_out(a, ...)    a, not rounded
    a set in Marks() or Job()  space.empty in its place
    replace(x, a=..., b=...)   without one of the keywords
    a transition               skipped as a whole, or where it is called: what was given to it comes back unchanged
    if a, a if b else c        always, never
    a and b, a or b, not a     one condition dropped; the negation dropped; any and all exchanged
    flag=True, flag=False      the other
    fold(them, ...), ...       only the first of them, the first two, in reverse; so for each word of `loops`

Left alone: docstrings, the words of refusals, assertions, annotations, and modules that say what sets, tables and
commands are, and what must hold. A mutant's name is made of the text that it changes; equal ones are numbered.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import NamedTuple

import cbtmodel

from cbtproofs.mutants.mutant import Mutant, compiled, same_code, tree_of

MODULES: tuple[ModuleType, ...] = tuple(
    sys.modules[f"{cbtmodel.__name__}.{name}"]
    for name in ("loops", "bitmap", "backup", "node", "jobs", "transaction", "step")
)
NOT_TRANSITIONS = frozenset({"node.initial"})
"""Functions without any rule: they are no part of what a command does."""


class Change(NamedTuple):
    """What takes the place of a node of the tree, the two texts, and what to call it if they are too long."""

    instead: ast.AST
    before: str
    after: str
    called: str = ""

    @property
    def label(self) -> str:
        """What a mutant's name says of it."""
        return self.called or f"{self.before} -> {self.after}"


class Site(NamedTuple):
    """A place in a tree: a field of a node, or one element of a field that is a list."""

    parent: ast.AST
    field: str
    position: int | None

    def node(self) -> ast.AST:
        """What is there."""
        value = getattr(self.parent, self.field)
        return value if self.position is None else value[self.position]  # type: ignore[no-any-return]

    def put(self, instead: ast.AST) -> None:
        """Puts something else there."""
        if self.position is None:
            setattr(self.parent, self.field, instead)
        else:
            getattr(self.parent, self.field)[self.position] = instead


@cache
def systematic_mutants() -> tuple[Mutant, ...]:
    """Every mutant that the rules make, in the order of the source."""
    return tuple(mutant for function in mutated_functions() for mutant in mutants_of(function))


def mutated_functions() -> Iterator[FunctionType]:
    """All functions, and methods of classes, that the modules define; generated methods are not in the source."""
    for module in MODULES:
        for value in vars(module).values():
            members = vars(value).values() if isinstance(value, type) else (value,)
            for each in members:
                written = isinstance(each, FunctionType) and each.__code__.co_filename == module.__file__
                if written and each.__module__ == module.__name__ and place(each) not in NOT_TRANSITIONS:
                    yield each


def place(function: FunctionType) -> str:
    """The name of a function in names of mutants, as in `bitmap.reclaim`."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"


def mutants_of(function: FunctionType) -> Iterator[Mutant]:
    """All mutants of one function; what two rules make alike is there once, what changes nothing is not."""
    tree = tree_of(function)
    seen = [function.__code__]
    names: dict[str, int] = {}
    for site in [None, *sites(tree)]:
        for change in changes(site, function, tree):
            if site is None:
                body, tree.body = tree.body, [*tree.body[:1], change.instead]  # type: ignore[list-item]
                code = compiled(tree, function)
                tree.body = body
            else:
                was = site.node()
                site.put(change.instead)
                code = compiled(tree, function)
                site.put(was)
            if any(same_code(code, other) for other in seen):
                continue
            seen.append(code)
            plain = f"{place(function)}: {change.label}"
            names[plain] = names.get(plain, 0) + 1
            name = plain if names[plain] == 1 else f"{plain} ({names[plain]})"
            yield Mutant(name, "", function, change.before, change.after, change.label, code)


def sites(tree: ast.FunctionDef) -> Iterator[Site]:
    """All places of a function's body below its docstring, outermost first."""

    def below(parent: ast.AST, names: tuple[str, ...]) -> Iterator[Site]:
        for name in names:
            value = getattr(parent, name, None)
            for index, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(each, ast.AST) and not isinstance(each, ast.Assert):
                    yield Site(parent, name, index)
                    kept = tuple(field for field in each._fields if field not in ("annotation", "returns"))
                    yield from below(each, kept)

    yield from below(tree, ("body",))


def changes(site: Site | None, function: FunctionType, tree: ast.FunctionDef) -> Iterator[Change]:
    """What the rules make of one place; of no place: of the function as a whole."""
    if site is None:
        yield from skipped(function, tree)
        return
    node = site.node()
    match node:
        case ast.Expr(ast.Call(func=ast.Name(id="assert_never"))):
            return  # it is never reached: mypy says so
        case ast.Expr(ast.Call()):
            yield Change(ast.Pass(), text(node), "", f"{guard(node.value)} dropped")
        case ast.AugAssign():
            yield Change(ast.Pass(), text(node), "", f"{text(node)} dropped")
        case ast.BinOp(left, ast.BitOr() | ast.BitAnd(), right):
            yield Change(left, text(node), text(left))
            yield Change(right, text(node), text(right))
        case ast.BinOp(left, ast.Sub(), _):
            yield Change(left, text(node), text(left))
        case ast.BoolOp(op, values):
            for value in values:
                rest = [each for each in values if each is not value]
                fewer = rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
                yield Change(fewer, text(node), text(fewer))
        case ast.keyword(flag, ast.Constant(bool() as value)):
            yield Change(ast.keyword(flag, ast.Constant(not value)), text(node), f"{flag}={not value}")
        case ast.UnaryOp(ast.Not(), operand):
            yield Change(operand, text(node), text(operand))
        case ast.Compare(left, [one, other], [middle, right]):
            yield from (Change(each, text(node), text(each)) for each in
                        (ast.Compare(left, [one], [middle]), ast.Compare(middle, [other], [right])))  # fmt: skip
        case ast.If(test):
            for answer, word in ((True, "always"), (False, "never")):
                decided = copy.copy(node)
                decided.test = ast.Constant(answer)
                yield Change(decided, f"if {text(test)}", f"if {answer}", f"if {text(test)}: {word}")
        case ast.IfExp(_, body, otherwise):
            yield Change(body, text(node), text(body))
            yield Change(otherwise, text(node), text(otherwise))
        case ast.For(target, them) | ast.comprehension(target, them):
            fewer_turns = copy.copy(node)
            fewer_turns.iter = ast.Subscript(
                ast.Call(ast.Name("list", ast.Load()), [them], []), ast.Slice(None, ast.Constant(1)), ast.Load()
            )
            loop = f"for {text(target)} in {text(them)}"
            one_turn = f"for {text(target)} in {text(fewer_turns.iter)}"
            yield Change(fewer_turns, loop, one_turn, f"{loop}: only the first")
            if isinstance(node, ast.comprehension) and node.ifs:
                unfiltered = copy.copy(node)
                unfiltered.ifs = []
                yield Change(unfiltered, f"{loop} if {text(node.ifs[0])}", loop)
        case ast.Tuple(elts) if any(isinstance(each, ast.Starred) for each in elts):
            for each in elts:
                fewer_of_them = ast.Tuple([other for other in elts if other is not each], ast.Load())
                yield Change(fewer_of_them, text(node), text(fewer_of_them))
        case ast.Call():
            yield from changes_of_call(node, function)


def changes_of_call(call: ast.Call, function: FunctionType) -> Iterator[Change]:
    """What the rules make of a call."""
    match call:
        case ast.Call(ast.Name("replace"), [changed], keywords):
            for keyword in keywords:
                rest = [each for each in keywords if each is not keyword]
                fewer = ast.Call(call.func, call.args, rest) if rest else changed
                called = f"replace({text(changed)}) without {keyword.arg}"
                yield Change(fewer, text(call), text(fewer), called)
        case ast.Call(ast.Name("any" | "all" as name), _):
            other = "all" if name == "any" else "any"
            instead = ast.Call(ast.Name(other, ast.Load()), call.args, [])
            yield Change(instead, text(call), text(instead))
        case ast.Call(ast.Attribute(_, "round_out"), [blocks, *_]):
            yield Change(blocks, text(call), text(blocks))
        case ast.Call(ast.Name("fold" | "some" | "every" | "mapped" | "kept"), _):
            yield from fewer_turns(call)
        case ast.Call(ast.Attribute(table, "put" | "drop")):
            yield Change(table, text(call), text(table))
        case ast.Call(ast.Name("Marks" | "Job" as what), arguments, keywords):
            empty = ast.parse("space.empty", mode="eval").body
            has_a_space = "space" in function.__code__.co_varnames
            for index, part in enumerate(("dirty", "owed", "causes") if what == "Marks" and has_a_space else ()):
                emptied = ast.Call(call.func, [*arguments[:index], empty, *arguments[index + 1 :]], [])
                yield Change(emptied, text(call), text(emptied), f"Marks with nothing {part}")
            for index, keyword in enumerate(keywords):
                if keyword.arg in ("todo", "copying", "scope", "intact", "good"):
                    others = [*keywords[:index], ast.keyword(keyword.arg, empty), *keywords[index + 1 :]]
                    yield Change(ast.Call(call.func, arguments, others), text(keyword), f"{keyword.arg}=space.empty")
        case _:
            transition = resolved(call.func, function)
            given = None if transition is None else what_comes_back(transition)
            if given is not None and given[0] < len(call.args):
                index, wrapped = given
                argument = call.args[index]
                back = ast.Tuple([argument, ast.Tuple([], ast.Load())], ast.Load()) if wrapped else argument
                yield Change(back, text(call), text(argument))


TURNS = {"only the first": "[:1]", "only the first two": "[:2]", "in reverse": "[::-1]"}


def fewer_turns(call: ast.Call) -> Iterator[Change]:
    """Not all of what a word of `loops` is to treat alike, or not in its order where there is one."""
    word, items = text(call.func), text(call.args[0])
    for what, part in TURNS.items():
        match word:
            case "fold":
                rest = ", ".join(map(text, call.args[1:]))
                instead = f"fold(list({items}){part}, {rest})"
            case "some" | "every" if what != "in reverse":
                instead = f"{word}(list({items}){part}, {text(call.args[1])})"
            case "mapped" if what != "in reverse":
                instead = f"type({items})({{**{items}, **dict(list({text(call)}.items()){part})}})"
            case "kept" if what != "in reverse":
                instead = f"type({items})(dict(list({text(call)}.items()){part}))"
            case _:
                continue
        tree = ast.parse(instead, mode="eval").body
        yield Change(tree, text(call), instead, f"{word}({items}): {what}")


def skipped(function: FunctionType, tree: ast.FunctionDef) -> Iterator[Change]:
    """The whole transition skipped, if the function is one."""
    given = what_comes_back(function)
    if given is not None:
        index, wrapped = given
        name = tree.args.args[index].arg
        unchanged = ast.parse(f"return {name}, ()" if wrapped else f"return {name}").body[0]
        yield Change(unchanged, "the whole body", text(unchanged), "skipped")


def what_comes_back(function: FunctionType) -> tuple[int, bool] | None:
    """Which argument of a transition is what it returns the changed form of, and whether it returns a `Result`."""
    types = {name: str(kind) for name, kind in function.__annotations__.items()}
    returned = types.pop("return", "").removesuffix(" | None")
    wrapped = returned == "Result[S]"
    kind = "State[S]" if wrapped else returned
    if kind not in ("State[S]", "Bitmap[S]", "Job[S]", "Marks[S]"):
        return None
    return next(((index, wrapped) for index, each in enumerate(types.values()) if each == kind), None)


def resolved(expression: ast.expr, function: FunctionType) -> FunctionType | None:
    """The function of the specification that an expression names, if it does."""
    match expression:
        case ast.Name(name):
            found = function.__globals__.get(name)
        case ast.Attribute(ast.Name(module), name) if module not in function.__code__.co_varnames:
            found = getattr(function.__globals__.get(module), name, None)
        case _:
            return None
    is_ours = isinstance(found, FunctionType) and found.__module__.startswith("cbtmodel.")
    return found if is_ours else None


def guard(call: ast.expr) -> str:
    """A guard without the words of its refusal."""
    match call:
        case ast.Call(ast.Name("require"), [condition, *_]):
            return f"require({text(condition)})"
    return text(call)


def text(node: ast.AST) -> str:
    """The source of a node, on one line."""
    return " ".join(ast.unparse(node).split())
