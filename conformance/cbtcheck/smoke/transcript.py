"""What was said, line by line: the adapter's child with an ear at both of its pipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cbtcheck.adapters.protocol.mistakes import printable
from cbtcheck.host.child import Child, Limits
from cbtcheck.host.pace import Patience

OBSERVE = '"do":"observe"'
LAST = 5
"""How many lines of the log are told."""

LONGEST = 4000
"""Characters of a line that are shown."""


def shown(line: bytes) -> str:
    """A line as text; if there is anything odd about it, in a few printable characters."""
    try:
        text = line.rstrip(b"\r").decode()
    except UnicodeDecodeError:
        return printable(line)
    return text if text.isprintable() and 0 < len(text) <= LONGEST else printable(line)


@dataclass
class Exchange:
    """A request, and the line that came back; None if none did."""

    sent: str
    received: str | None = None


class Transcript:
    """All exchanges since the program was started. `start` is given to whoever starts it."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.child: Overheard | None = None

    def start(self, command: Sequence[str], limits: Limits) -> Child:
        """A child that is listened to. Raises `CannotStart`."""
        self.child = Overheard(command, limits)
        self.child.transcript = self
        return self.child

    @property
    def requests(self) -> list[str]:
        """All requests."""
        return [each.sent for each in self.exchanges]

    def matters(self, of_a_command: bool) -> int:
        """The number of the exchange that matters, from 0: the first without an answer, or else the last.

        `of_a_command`: the last that was no observation.
        """
        for number, each in enumerate(self.exchanges):
            if each.received is None:
                return number
        last = len(self.exchanges) - 1
        while of_a_command and last > 0 and OBSERVE in self.exchanges[last].sent:
            last -= 1
        return last

    @property
    def half(self) -> str:
        """What was said of a line that never ended."""
        return shown(self.child.half) if self.child is not None and self.child.half else ""

    @property
    def log(self) -> list[str]:
        """The last lines of what the program has written to standard error, printable."""
        said = self.child.log.strip().splitlines() if self.child is not None else []
        return [printable(each.encode()) for each in said[-LAST:]]



class Overheard(Child):
    """A child of which every line is written down."""

    transcript: Transcript

    def send(self, data: bytes) -> None:
        """Sends requests, and remembers them."""
        self.transcript.exchanges += [Exchange(each) for each in data.decode().splitlines()]
        super().send(data)

    def line(self, patience: Patience, allowed: str = "in time") -> bytes:
        """The next line; it belongs to the first request that has none yet."""
        raw = super().line(patience, allowed)
        for each in self.transcript.exchanges:
            if each.received is None:
                each.received = shown(raw)
                break
        return raw
