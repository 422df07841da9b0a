"""Monitors of a log that are of one QEMU: it tells each of them of every event, at the same microsecond.

They are taken as one monitor with several connections, in the order of the log, for what one client does to a bitmap
another one's backup has, or lacks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cbtcheck.trace.wire import Message

MOST_EVENTS = 1024
"""Events that are remembered: those of several monitors are close to each other in a log."""


class OneQemu:
    """Finds such monitors. `others`: by name of a monitor, that of the first one which is of the same QEMU."""

    def __init__(self) -> None:
        self.others: dict[str, str] = {}
        self._events: OrderedDict[tuple[Any, ...], str] = OrderedDict()

    def watched(self, messages: Iterator[Message]) -> Iterator[Message]:
        """The messages, of which the events are compared."""
        for message in messages:
            if message.kind == "event":
                self._compare(message)
            yield message

    def joined(self, messages: Iterator[Message]) -> Iterator[Message]:
        """The messages, those of one QEMU with the name of one monitor, each with its connection."""
        for message in messages:
            first = self.others.get(message.monitor)
            yield message if first is None else replace(
                message, monitor=first, channel=f"{message.monitor} {message.channel}".strip()
            )  # fmt: skip

    def _compare(self, message: Message) -> None:
        at = message.data.get("timestamp")
        if not isinstance(at, dict) or not at.get("microseconds"):
            return
        key = (repr(at), message.data["event"], repr(message.data.get("data")))
        first = self._events.setdefault(key, message.monitor)
        mine, its = (self.others.get(name, name) for name in (message.monitor, first))
        if mine != its:
            self.others[mine] = its
            for name, other in self.others.items():
                if other == mine:
                    self.others[name] = its
        if len(self._events) > MOST_EVENTS:
            self._events.popitem(last=False)
