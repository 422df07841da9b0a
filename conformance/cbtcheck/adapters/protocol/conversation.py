"""A conversation with an adapter that runs: requests go out, their replies come back, within the limits.

Whatever goes wrong is an `AdapterBroken`; then the adapter is dead, and nothing that it may still say is ever heard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from cbtmodel.commands import Write
from msgspec import UNSET

from cbtcheck.adapter import AdapterBroken
from cbtcheck.adapters.protocol import lines
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.mistakes import NUMBERS, ProtocolError, printable
from cbtcheck.host.child import Child, ChildBroken, Limits
from cbtcheck.host.pace import Patience
from cbtcheck.host.version import VERSION
from cbtcheck.scenario.images import Played

R = TypeVar("R", bound=m.Record)

Start = Callable[[Sequence[str], Limits], Child]
"""Starts a program: a `Child`, or one that is listened to."""

AHEAD = 512
"""How many requests of a batch are under way at most."""



class Late(AdapterBroken):
    """The adapter has not answered in time."""


class Conversation:
    """Starts a program, and says hello. Raises `child.CannotStart`, and `AdapterBroken` if it answers nothing usable.

    `hello` is what it said of itself. After the end, `late` says whether that was because it was late.
    """

    def __init__(self, command: Sequence[str], limits: Limits, start: Start = Child) -> None:
        self.limits = limits
        try:
            self.child = start(command, limits)
        except ChildBroken as broken:
            kind = Late if broken.late else AdapterBroken
            raise kind(str(broken)) from None
        self.seq = 0
        self.alive, self.late = True, False
        self.last = b""
        self.begin()
        self.hello = self._hello()
        self.claimed = frozenset(self.hello.capabilities)

    def _hello(self) -> m.Hello:
        self.seq += 1
        said = self._exchange(m.Hello, lines.request_line(m.SayHello(seq=self.seq, suite=f"cbtspec {VERSION}")), True)
        if isinstance(said, m.Hello):
            return said
        return self._break(f"hello was answered with an error: {shortened(said)}")

    # Requests

    def begin(self) -> None:
        """A new scenario, with all of its time."""
        self._scenario = Patience(self.limits.scenario)
        self._scenario.pause()

    def command(self, command: Played, fill: int) -> m.Done:
        """A command of the specification. Raises `UnicodeEncodeError` if no line can be made of it."""
        line = lines.command_line(self.seq + 1, command, fill, self.claimed)
        self.seq += 1
        return self._exchange(m.Done, line)

    def request(self, kind: type[R], request: m.Record) -> R | m.Done:
        """Any other request, made with the number `next`; its reply, or a `Done` with an error."""
        self.seq += 1
        return self._exchange(kind, lines.request_line(request))

    @property
    def next(self) -> int:
        """The number of the next request."""
        return self.seq + 1

    def want(self, kind: type[R], request: m.Record) -> R:
        """The same for what cannot be refused: an error is a reason to end."""
        said = self.request(kind, request)
        error = said.error if isinstance(said, m.Done) else UNSET
        if error is not UNSET or not isinstance(said, kind):
            self._break(f"what cannot be refused was: {shortened(said)}")
        return said

    def writes(self, commands: Sequence[Write], fills: Sequence[int]) -> list[m.Done]:
        """Guest writes in a row, with no waiting in between: at most `AHEAD` are under way."""
        first = self.seq + 1
        made = [lines.write_line(first + i, each, fills[i], self.claimed) for i, each in enumerate(commands)]
        self.seq += len(made)
        child, done, found = self.child, m.Done, []
        sent = 0
        for i in range(len(made)):
            if i + AHEAD // 2 >= sent and sent < len(made):
                child.send(b"".join(made[sent : sent + AHEAD // 2]))
                sent += AHEAD // 2
            self.last = made[i]
            found.append(self._reply(done, first + i, self.limits.message))
        self._check_silence()
        return found

    def bye(self) -> int | None:
        """Ends it politely, and then in any case. Its exit code, if it went by itself in time."""
        if not self.alive:
            return None
        self.seq += 1
        try:
            self.child.send(lines.request_line(m.Bye(seq=self.seq)))
            patience = Patience(min(self.limits.message, max(self.limits.grace, 0.1)))
            lines.reply(self.child.line(patience), self.seq, m.Done)
        except (ChildBroken, ProtocolError):
            pass
        self.alive = False
        return self.child.leave()

    def kill(self) -> None:
        """Ends it at once."""
        self.alive = False
        self.child.kill()

    # Replies

    def _exchange(self, kind: type[R], line: bytes, starts: bool = False) -> R | m.Done:
        if not self.alive:
            raise AdapterBroken("the adapter has broken before")
        self._check_silence()
        self.last = line
        self.child.send(line)
        said = self._reply(kind, self.seq, self.limits.start if starts else self.limits.message)
        self._check_silence()
        return said

    def _reply(self, kind: type[R], seq: int, seconds: float) -> R | m.Done:
        allowed = f"within {seconds:g} s (--deadline)"
        if self._scenario.left < seconds:
            allowed = f"within {self.limits.scenario:g} s for the scenario (--scenario-deadline)"
        try:
            self._scenario.go_on()
            raw = self.child.line(Patience(seconds, within=self._scenario), allowed)
            self._scenario.pause()
            return lines.reply(raw.rstrip(b"\r"), seq, kind)
        except ChildBroken as broken:
            self._break(str(broken), broken.late)
        except ProtocolError as wrong:
            self._break(str(wrong))

    def _check_silence(self) -> None:
        """Nobody has been asked anything: nothing should be said."""
        more = self.child.says_more
        if more is not None:
            wrong = ProtocolError("the adapter speaks without being asked, or answers twice", more, NUMBERS)
            self._break(str(wrong))

    def _break(self, what: str, late: bool = False) -> NoReturn:
        self.kill()
        self.late = late
        kind = Late if late else AdapterBroken
        asked = re.search(rb'"do":"([a-z-]*)"', self.last)
        doing = asked[1].decode() if asked else "nothing"
        raise kind(f"{what}; it was asked to {doing}", whole_log(self.child.log))

    def broken(self, wrong: ProtocolError) -> NoReturn:
        """What it said cannot be, as somebody found who looked closer."""
        self._break(str(wrong))


def whole_log(log: str) -> str:
    """A log, printable."""
    return "\n".join(printable(each.encode()) for each in log.strip().splitlines())


def shortened(said: m.Record) -> str:
    """An error in a few words."""
    if not isinstance(said, m.Done) or said.error is UNSET:
        return type(said).__name__
    text = said.text if isinstance(said.text, str) else ""
    return said.error + (f": {printable(text.encode())}" if text else "")
