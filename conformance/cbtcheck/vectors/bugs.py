"""The real bugs that vectors catch: a title, and a public page where one is known."""

from __future__ import annotations

from cbtcheck.vectors.format import Bug

BUGS: dict[str, tuple[str, str]] = {}
"""By id: what was wrong, and where one can read about it."""


def bug(id: str) -> Bug | None:
    """The bug of an id; None if there is none."""
    return Bug(id, *BUGS[id]) if id in BUGS else None
