"""What came of it, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any

from rich.console import Console

from cbtcheck.host.version import VERSION
from cbtcheck.smoke.reproduce import shell_lines
from cbtcheck.smoke.result import Failure, Smoke, Tried

MARKS = {"right": ("✓", "green"), "wrong": ("✗", "bold red"), "skipped": ("-", "dim")}
WHO = {
    "adapter": "THE ADAPTER is wrong: it does not keep to the protocol.",
    "implementation": "THE IMPLEMENTATION is wrong: the adapter keeps to the protocol, and this is not as specified.",
}


def print_smoke(result: Smoke, console: Console, command: tuple[str, ...]) -> None:
    """All of it, line by line."""

    def say(text: str = "", style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    say(f"cbtspec {VERSION}: smoke of {result.implementation or shlex.join(command)}")
    say()
    for each in result.tried:
        say(_line(each), MARKS[each.outcome][1])
    if result.failure is None:
        for what, why in result.bounded.items():
            say(f" - check will not ask for {what}: {why}", "dim")
        say()
        say("FIT: the adapter keeps to the protocol, and all that was tried is as specified.", "green")
        say(f"Next: cbtspec check exec -- {shlex.join(command)}")
        return
    for text, style in _explained(result.failure, command):
        say(text, style)


def _line(each: Tried) -> str:
    reason = f"  (skipped: {each.reason})" if each.reason else ""
    return f" {MARKS[each.outcome][0]} {each.title}{reason}"


def _explained(failure: Failure, command: tuple[str, ...]) -> list[tuple[str, str]]:
    lines = [
        ("", ""),
        (WHO[failure.who], "bold red"),
        ("", ""),
        (f"sent      {failure.sent}", ""),
        (f"received  {failure.received or '(nothing)'}", ""),
        (f"expected  {failure.expected}", ""),
        (f"seen      {failure.seen}", ""),
    ]
    if failure.mistake:
        lines.append((f"likely    {failure.mistake}", "yellow"))
    lines += [(f"stderr    {each}", "dim") for each in failure.log]
    by_hand = "By hand:" if failure.again else "By hand (when it was tried once more, it did not happen again):"
    lines += [(each, "") for each in ("", by_hand, "", shell_lines(failure.requests, command), "")]
    lines.append((f"Then again: cbtspec smoke exec -- {shlex.join(command)}", ""))
    return lines


def to_json(result: Smoke, command: tuple[str, ...]) -> str:
    """The same as a JSON text."""
    data: dict[str, Any] = {
        "format": "cbtspec-smoke", "version": 1, "suite": VERSION, "command": list(command),
        "implementation": result.implementation, "fit": result.failure is None, "exit_code": result.code,
        "tried": [dataclasses.asdict(each) for each in result.tried], "failure": None, "bounded": result.bounded,
    }  # fmt: skip
    if result.failure is not None:
        by_hand = shell_lines(result.failure.requests, command)
        data["failure"] = {**dataclasses.asdict(result.failure), "by_hand": by_hand}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
