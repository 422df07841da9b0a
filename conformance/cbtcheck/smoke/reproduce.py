"""The shell lines that show a failure by hand, without the suite: as few as show it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cbtcheck.host.child import CannotStart, Child, ChildBroken, Limits
from cbtcheck.host.pace import Patience
from cbtcheck.smoke.transcript import shown

OBSERVE = '"do":"observe"'
RESET = '"do":"reset"'
PATIENCE = 2.0
"""Seconds that are waited for a failure to show itself again, if it is that there is no answer."""


def shell_lines(requests: Sequence[str], command: Sequence[str]) -> str:
    """One command for a POSIX shell: the requests, a line each, into the adapter.

    It sends them all at once, which an adapter stands that reads them one by one.
    """
    quoted = " \\\n  ".join(shlex.quote(each) for each in requests)
    return f"printf '%s\\n' \\\n  {quoted} \\\n  | {shlex.join(command)}"


def fewest(requests: list[str], received: str, command: Sequence[str], limits: Limits) -> tuple[list[str], bool]:
    """The fewest of the requests after which the last one is answered the same again, and whether there are any.

    `received` is the answer, "" if there was none. If it does not happen again, all of them.
    """
    for some in _choices(requests):
        if _shows_again(some, received, command, limits):
            return some, True
    return requests, False


def _choices(requests: list[str]) -> Iterator[list[str]]:
    """Hello, and all since the last reset; first without looking in between."""
    resets = [number for number, each in enumerate(requests) if RESET in each]
    recent = [*requests[:1], *requests[resets[-1] :]] if resets else requests
    yield [*(each for each in recent[:-1] if OBSERVE not in each), *recent[-1:]]
    yield recent
    if len(recent) < len(requests):
        yield requests


def _shows_again(requests: list[str], received: str, command: Sequence[str], limits: Limits) -> bool:
    seconds = limits.message if received else min(limits.message, PATIENCE)
    try:
        child = Child(command, replace(limits, message=seconds))
    except CannotStart:
        return False
    answers: list[str] = []
    try:
        child.send("".join(f"{each}\n" for each in requests).encode())
        for _ in requests:
            answers.append(shown(child.line(Patience(max(seconds, limits.start)))))
    except ChildBroken:
        answers.append("")
    finally:
        child.kill()
    return len(answers) == len(requests) and answers[-1] == received
