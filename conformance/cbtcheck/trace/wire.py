"""QMP messages out of logs: every form in which such logs are usually found.

- one JSON message on a line, as it was sent or received;
- in a wrapper: `{"time":…, "direction":"send"|"receive", "message":{…}}`;
- behind an arrow, `--> {…}` sent and `<-- {…}` received, after any prefix, on one line or several, as qemu.qmp has it
  in its debug log;
- libvirt's log: `QEMU_MONITOR_SEND_MSG: … msg={…}`, `QEMU_MONITOR_RECV_REPLY: … reply={…}`, `…_EVENT: … event={…}`.

Between them there may be guest writes as in our own format, `{"do":"write","node":…,"offset":…,"length":…}`: such a
write began and ended between what is on the lines around it. All other lines are passed over, and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.lines import LONGEST_LINE

ARROW = re.compile(r"(?:^|\s)(?:<--|-->)\s*(\{.*)$", re.DOTALL)
LIBVIRT = re.compile(
    r"QEMU_MONITOR_(?:SEND_MSG|RECV_REPLY|RECV_EVENT): mon=(\S+) (?:msg|reply|event)=(\{.*)$", re.DOTALL
)
WRAPPER = frozenset({"time", "direction", "message"})
DIRECTIONS = ("send", "receive", None)
MOST_LINES = 1 << 18
"""The most lines of one message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with the line on which it begins: `kind` is command, reply, event, greeting or guest."""

    line: int
    kind: str
    data: dict[str, Any]


@dataclass
class Wire:
    """Takes messages out of lines. `passed_over` is how many lines had none."""

    passed_over: int = 0
    _monitor: str | None = None
    _decoder: json.JSONDecoder = field(
        default_factory=lambda: json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)
    )

    def messages(self, listed: Iterator[tuple[int, bytes]]) -> Iterator[Message]:
        """Every message in order. `TraceProblem` where there should be one, and is none."""
        for number, raw in listed:
            text = raw.decode(errors="replace").strip()
            if text.startswith("{"):
                yield self._message(number, self._unwrapped(number, self._decoded(number, text, listed, whole=True)))
            elif (arrow := ARROW.search(text)) is not None:
                yield self._message(number, self._decoded(number, arrow[1], listed))
            elif (libvirt := LIBVIRT.search(text)) is not None:
                self._same_monitor(number, libvirt[1])
                yield self._message(number, self._decoded(number, libvirt[2], iter(()), trailing=True))
            else:
                self.passed_over += 1

    def _decoded(
        self, number: int, text: str, more: Iterator[tuple[int, bytes]], whole: bool = False, trailing: bool = False
    ) -> dict[str, Any]:
        if text.rstrip() == "{":
            text = self._several_lines(number, text, more)
        try:
            data, past = self._decoder.raw_decode(text)
        except (ValueError, RecursionError) as problem:
            raise TraceProblem(number, f"not JSON: {problem}") from None
        if not trailing and text[past:].strip():
            raise TraceProblem(number, "something follows after the message")
        assert isinstance(data, dict)
        return data

    @staticmethod
    def _several_lines(number: int, text: str, more: Iterator[tuple[int, bytes]]) -> str:
        """A message that is laid out for people: it ends with a line that begins with a brace."""
        parts, size = [text], 0
        for _, raw in more:
            parts.append(raw.decode(errors="replace"))
            size += len(raw)
            if raw.startswith(b"}"):
                return "".join(parts)
            if len(parts) > MOST_LINES or size > LONGEST_LINE:
                break
        raise TraceProblem(number, "a message that does not end")

    @staticmethod
    def _unwrapped(number: int, data: dict[str, Any]) -> dict[str, Any]:
        if "message" not in data:
            return data
        unknown = data.keys() - WRAPPER
        if unknown:
            known = ", ".join(sorted(WRAPPER))
            raise TraceProblem(number, f"a wrapper has no {sorted(unknown)[0][:60]!r} (known: {known})")
        if data.get("direction") not in DIRECTIONS:
            raise TraceProblem(number, "'direction' is 'send' or 'receive'")
        message = data["message"]
        if not isinstance(message, dict):
            raise TraceProblem(number, "'message' is an object")
        return message

    @staticmethod
    def _message(number: int, data: dict[str, Any]) -> Message:
        if isinstance(data.get("execute", data.get("exec-oob")), str):
            return Message(number, "command", data)
        if "return" in data or isinstance(data.get("error"), dict):
            return Message(number, "reply", data)
        if isinstance(data.get("event"), str):
            return Message(number, "event", data)
        if "QMP" in data:
            return Message(number, "greeting", data)
        if data.get("do") == "write":
            return Message(number, "guest", data)
        raise TraceProblem(number, "an object that is no QMP message, nor a wrapper of one")

    def _same_monitor(self, number: int, monitor: str) -> None:
        if self._monitor not in (None, monitor):
            raise TraceProblem(number, f"a second monitor, {monitor[:40]}: give the lines of one of them at a time")
        self._monitor = monitor


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
