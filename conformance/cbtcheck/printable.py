"""Text from outside, as it is printed: nothing in it is an order to a terminal, hides, or begins a line of its own.

Titles, names and messages come from files and programs that nobody has checked. Escape sequences, C1 controls,
bidirectional overrides, zero-width characters and line ends in them are shown as Python writes them: `\\x1b`.
"""

from __future__ import annotations


def plain(text: str) -> str:
    """A text with everything escaped in it that a terminal could take for an order, or that ends a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain_lines(text: str) -> str:
    """The same for text of several lines, which it keeps: only for what the suite itself has put into lines."""
    return "\n".join(map(plain, text.split("\n")))
