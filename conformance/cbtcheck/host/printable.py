"""Text from outside, as it is printed: nothing in it is an order to a terminal, hides, or begins a line of its own.

Titles, names and messages come from files and programs that nobody has checked. Escape sequences, C1 controls,
bidirectional overrides, zero-width characters and line ends in them are shown as Python writes them: `\\x1b`.
"""

from __future__ import annotations

import json
import re


def plain(text: str) -> str:
    """A text with everything escaped in it that a terminal could take for an order, or that ends a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain_lines(text: str) -> str:
    """The same for text of several lines, which it keeps: only for what the suite itself has put into lines."""
    return "\n".join(map(plain, text.split("\n")))


HIDDEN = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0001\U000e0020-\U000e007f]"
)
"""What is legal in JSON text as it is, and an order to a terminal or hidden: C1, line separators, formatting."""


def plain_json(text: str) -> str:
    """The same JSON, with such characters in its strings escaped as JSON has it."""
    return HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
