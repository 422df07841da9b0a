"""QMP messages out of logs, in whatever form they are there (see `logged`).

Besides these there may be messages in a wrapper, as `cbtspec tap` writes them, with the members `time`, `direction`
("send" or "receive"), `message`, `monitor` (of which QEMU it is) and `connection` (of which of its clients).
There may be guest writes as in our own format, `{"do":"write","node":…,"offset":…,"length":…}`: such a write began
and ended between what is on the lines around it. All other lines are passed over, and counted; a message that
cannot be read is told as such, since it may have been anything.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.lines import LONGEST_LINE
from cbtcheck.trace.logged import Braces, Start, begins_another, start, undone, unpacked
from cbtcheck.trace.quoted import as_json

WRAPPER = frozenset({"time", "direction", "message", "monitor", "connection"})
DIRECTIONS = ("send", "receive", None)
MOST_LINES = 1 << 18
"""The most lines of one message."""

LONGEST_PYTHON = 1 << 18
"""The most characters of a dict as Python prints it: reading these takes much more memory than JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with the line on which it begins: `kind` is command, reply, event, greeting, guest or unreadable.

    `monitor` is whose conversation it belongs to, and `channel` the connection, where one QEMU has several.
    """

    line: int
    kind: str
    data: dict[str, Any]
    monitor: str = ""
    channel: str = ""


@dataclass
class Wire:
    """Takes messages out of lines. `passed_over` is how many lines had none; `unreadable` are the first few that
    could not be read, with their lines and the reasons.
    """

    passed_over: int = 0
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    _again: list[tuple[int, str]] = field(default_factory=list)
    _decoder: json.JSONDecoder = field(
        default_factory=lambda: json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)
    )

    def messages(self, listed: Iterator[tuple[int, bytes]]) -> Iterator[Message]:
        """Every message in order. `TraceProblem` where a wrapper or a guest write is not as it must be."""
        texts = undone(unpacked((number, raw.decode(errors="replace")) for number, raw in listed))
        while True:
            number, line = self._again.pop() if self._again else next(texts, (0, ""))
            if not number:
                return
            text = line.strip()
            place = start(text)
            if place is None:
                self.passed_over += 1
                continue
            yield from self._from(number, text[place.at :], place, texts)

    def _from(self, number: int, text: str, place: Start, more: Iterator[tuple[int, str]]) -> Iterator[Message]:
        """The message that begins there, and those that follow it on the same line."""
        while text:
            try:
                if place.python:
                    data, rest = self._evaluated(text), ""
                else:
                    data, rest = self._decoded(text, more)
            except (ValueError, RecursionError, MemoryError, SyntaxError) as problem:
                reason = str(problem).splitlines()[0][:120] if str(problem) else type(problem).__name__
                if len(self.unreadable) < 4:
                    self.unreadable.append((number, reason))
                yield Message(number, "unreadable", {}, place.monitor, place.channel)
                return
            yield from self._messages(number, data, place)
            further = start(rest.strip()) if "{" in rest else None
            text = "" if further is None else rest.strip()[further.at :]

    def _evaluated(self, text: str) -> dict[str, Any]:
        """A dict as Python prints it, or JSON in single quotes; `ValueError` if it is none."""
        if len(text) > LONGEST_PYTHON:
            raise ValueError("too long for what Python prints")
        try:
            data = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            data = self._decoder.decode(as_json(text))  # QEMU takes that, too
        if not isinstance(data, dict) or not all(isinstance(each, str) for each in data):
            raise ValueError("no message")
        return data

    def _decoded(self, text: str, more: Iterator[tuple[int, str]]) -> tuple[dict[str, Any], str]:
        """The object at the beginning, and what follows it; further lines are taken where it needs them."""
        try:
            data, past = self._decoder.raw_decode(text)
        except ValueError as problem:
            if "'" in text:
                with suppress(ValueError):
                    other = as_json(text)  # QEMU takes single quotes, and whoever wraps its messages leaves them
                    data, past = self._decoder.raw_decode(other)
                    return data, other[past:]
            whole, rest = self._several_lines(text, more)
            if whole is None:
                raise ValueError(f"not JSON: {problem}") from None
            data, _ = self._decoder.raw_decode(whole)
            return data, rest
        return data, text[past:]

    def _several_lines(self, text: str, more: Iterator[tuple[int, str]]) -> tuple[str | None, str]:
        """A message that is laid out for people, and what follows it; no message if it is complete, but no JSON."""
        braces, parts, size = Braces(), [text], len(text)
        if braces.close(text) is not None:
            return None, ""
        for number, line in more:
            if begins_another(line):
                self._again.append((number, line))
                raise ValueError("it is cut off where another message begins")
            end = braces.close(line)
            if end is not None:
                return "".join([*parts, line[:end]]), line[end:]
            parts.append(line)
            size += len(line)
            if len(parts) > MOST_LINES or size > LONGEST_LINE:
                raise ValueError("a message that does not end")
        raise ValueError("it is cut off: the log ends before the message does")

    def _messages(self, number: int, data: dict[str, Any], place: Start) -> Iterator[Message]:
        monitor, channel = place.monitor, place.channel
        if "message" in data:
            data, monitor, channel = _unwrapped(number, data)
        kind = _kind(data)
        if kind is None:
            self.passed_over += 1
        else:
            yield Message(number, kind, data, monitor, channel)


def _unwrapped(number: int, data: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    unknown = data.keys() - WRAPPER
    if unknown:
        known = ", ".join(sorted(WRAPPER))
        raise TraceProblem(number, f"a wrapper has no {sorted(unknown)[0][:60]!r} (known: {known})")
    if data.get("direction") not in DIRECTIONS:
        raise TraceProblem(number, "'direction' is 'send' or 'receive'")
    monitor, channel = data.get("monitor", ""), data.get("connection", "")
    for member, value in (("monitor", monitor), ("connection", channel)):
        if not isinstance(value, str | int):
            raise TraceProblem(number, f"'{member}' is a name or a number")
    message = data["message"]
    if not isinstance(message, dict):
        raise TraceProblem(number, "'message' is an object")
    return message, str(monitor)[:100], str(channel)[:100]


def _kind(data: dict[str, Any]) -> str | None:
    """What an object is, if it has to do with QMP."""
    if isinstance(data.get("execute", data.get("exec-oob")), str):
        return "command"
    if "return" in data or isinstance(data.get("error"), dict):
        return "reply"
    if isinstance(data.get("event"), str):
        return "event"
    if "QMP" in data:
        return "greeting"
    return "guest" if data.get("do") == "write" else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
