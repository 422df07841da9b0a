"""Options of commands that start an adapter as a program: what it is, and what it may take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from cbtcheck.host.child import Limits
from cbtcheck.host.child.limits import DEFAULT

F = TypeVar("F", bound=Callable[..., Any])

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SECONDS = click.FloatRange(min=0, min_open=True)


@dataclass(frozen=True)
class Program:
    """The adapter's command line, and its limits."""

    command: tuple[str, ...]
    limits: Limits

    def options(self) -> str:
        """For a line that runs the same again: limits that are not the usual ones, and the command at its end."""
        pairs = (
            ("--deadline", self.limits.message, DEFAULT.message),
            ("--scenario-deadline", self.limits.scenario, DEFAULT.scenario),
            ("--memory", self.limits.memory, DEFAULT.memory),
        )
        more = [f"{option} {value:.12g}" for option, value, usual in pairs if value != usual]
        return " ".join([*more, f"-- {shlex.join(self.command)}" if self.command else ""]).strip()


def size(context: click.Context, option: click.Parameter, said: str | None) -> int | None:
    """A size in bytes: a number, with K, M, G or T for powers of 1024. Raises `click.BadParameter`."""
    if said is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(iB|B)?", said, re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise click.BadParameter(f"'{said}' is no size (such as 512M or 2G).", context, option)
    return int(found[1]) * UNITS[found[2].upper()]


def program_options(function: F) -> F:
    """Adds the options; the command gets them as one `program`."""

    def made(
        *args: Any, words: tuple[str, ...], deadline: float | None, scenario_deadline: float | None,
        memory: int | None, **rest: Any,
    ) -> Any:  # fmt: skip
        limits = DEFAULT
        if deadline is not None:
            limits = replace(limits, message=deadline, start=deadline)
        if scenario_deadline is not None:
            limits = replace(limits, scenario=scenario_deadline)
        if memory is not None:
            limits = replace(limits, memory=memory)
        return function(*args, program=Program(words, limits), **rest)

    made.__name__, made.__doc__ = function.__name__, function.__doc__
    made.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--memory", callback=size, metavar="SIZE",
                     help=f"Only with exec: memory that the program may take (default: {DEFAULT.memory >> 20}M)."),
        click.option("--scenario-deadline", type=SECONDS, metavar="SECONDS",
                     help=f"Only with exec: how long to wait in one scenario (default: {DEFAULT.scenario:g})."),
        click.option("--deadline", type=SECONDS, metavar="SECONDS",
                     help=f"Only with exec: how long to wait for a reply (default: {DEFAULT.message:g})."),
        click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM [ARGUMENT]...]"),
    ):  # fmt: skip
        option(made)
    return made  # type: ignore[return-value]


def check_program(adapter: str, program: Program) -> None:
    """A program is for `exec`, and `exec` needs one."""
    if adapter == "exec" and not program.command:
        raise click.UsageError("The adapter 'exec' is a program; name it after two hyphens: exec -- ./my-adapter")
    if adapter != "exec" and program.command:
        raise click.UsageError(
            f"'{program.command[0]}' is one argument too many (a program is for the adapter 'exec' only)."
        )
    if adapter != "exec" and program.limits != DEFAULT:
        raise click.UsageError("--deadline, --scenario-deadline and --memory are for the adapter 'exec' only.")
