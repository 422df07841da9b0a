"""Which reply answers which command, where a log may lack some of either.

QEMU answers the commands of a connection in their order (those by `exec-oob` apart). Replies with an id say which
command they answer. Where neither has one, a reply answers the oldest command; but if in the end there are fewer
replies than commands, or others, it may be any of those under way: then it counts only where it fits one of them.
A command whose reply is not in the log may have been done or refused.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.qmp_commands import is_known
from cbtcheck.trace.qmp_sights import NODES, QUERIES
from cbtcheck.trace.wire import Message

MOST_WAITING = 1 << 14
"""Commands under way, and events that wait for one, at most."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that has not been answered. `moment` counts messages, `line` is where it was sent."""

    name: str
    arguments: Any
    id: Any
    moment: int
    line: int = 0
    channel: str = ""
    in_order: bool = True


@dataclass
class Pairs:
    """Finds the command that a reply answers. `unsure`: replies without an id may answer any of those under way."""

    unsure: bool = False
    waiting: deque[Sent] = field(default_factory=deque)
    most: int = 0
    strangers: int = 0

    def sent(self, message: Message, moment: int) -> Sent:
        """A command is on its way."""
        data = message.data
        in_order = "execute" in data
        name = str(data["execute"] if in_order else data["exec-oob"])
        sent = Sent(name, data.get("arguments", {}), data.get("id"), moment, message.line, message.channel, in_order)
        self.waiting.append(sent)
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) > MOST_WAITING:
            raise TraceProblem(message.line, "too many commands without a reply; are the replies in this log?")
        return sent

    def answered(self, message: Message) -> tuple[Sent | None, list[Sent]]:
        """The command of a reply, None if it cannot be told; and the commands whose replies are not in the log."""
        message_id = message.data.get("id")
        under_way = [each for each in self.waiting if each.channel == message.channel and each.id == message_id]
        if message_id is None and self.unsure:
            fitting = [each for each in under_way if fits(each, message.data)]
            if len(fitting) > 1:
                self.waiting = deque(each for each in self.waiting if each not in fitting)
                return None, fitting
            under_way = fitting
        elif message_id is None and any(fits(each, message.data) for each in under_way):
            fitting = [each for each in under_way if fits(each, message.data)]
            self.strangers += fitting[0] is not under_way[0]  # that one's reply is missing
            under_way = fitting
        if not under_way:
            self.strangers += 1
            return None, []
        sent = under_way[0]
        lost = [each for each in self.waiting if self._is_lost(each, sent)]
        if lost:
            self.waiting = deque(each for each in self.waiting if each is not sent and each not in lost)
        else:
            self.waiting.remove(sent)
        return sent, lost

    @staticmethod
    def _is_lost(each: Sent, answered: Sent) -> bool:
        """Whether it must have been answered before."""
        ordered = each.in_order and answered.in_order and each.channel == answered.channel
        return ordered and each.moment < answered.moment

    def end(self) -> list[Sent]:
        """The connection has ended: the commands that were not answered."""
        left, self.waiting = list(self.waiting), deque()
        return left

    @property
    def is_unsure(self) -> bool:
        """Seen from the end: whether replies without an id may have been put to the wrong command."""
        without_id = any(each.id is None for each in self.waiting)
        return self.most > 1 and (without_id or self.strangers > 0)


def fits(sent: Sent, data: dict[str, Any]) -> bool:
    """Whether a reply can be the answer to a command, by its form."""
    if "return" not in data:
        return True
    value = data["return"]
    if sent.name in (*NODES, "query-jobs", "query-block-jobs"):
        return isinstance(value, list)
    if sent.name == "human-monitor-command":
        return isinstance(value, str)
    if sent.name in QUERIES:
        return isinstance(value, dict) and "sha256" in value
    return not is_known(sent.name) or value == {}
