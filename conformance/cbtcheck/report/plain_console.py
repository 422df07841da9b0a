"""Consoles that obey nobody but the suite: what is printed holds no orders to a terminal but rich's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cbtcheck.host.printable import plain_lines


class PlainConsole(Console):
    """A console that shows control characters in texts, in place of passing them on."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something, each with a text that is only text."""
        for each in super().render(renderable, options):
            if each.control or each.text.isprintable() or each.text == "\n":
                yield each
            else:
                yield Segment(plain_lines(each.text), each.style)


def console(log_width: int, **more: Any) -> Console:
    """A console on stdout; a log, which has no width of its own, is so wide."""
    made = PlainConsole(**more)
    return made if made.is_terminal else PlainConsole(width=log_width, **more)
