"""The families, in the order in which a run plays them. To add one: make its module, and name it here."""

from __future__ import annotations

from cbtcheck.families.again import AGAIN
from cbtcheck.families.family import Family
from cbtcheck.families.many import MANY
from cbtcheck.families.wrapping import WRAPPING


def families() -> tuple[Family, ...]:
    """All of them."""
    return (AGAIN, *MANY, WRAPPING)
