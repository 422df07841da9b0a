"""How far a run goes in size: the limits that an implementation claims, or that hold because nobody has claimed more.

What is not asked for because of them is no failure, and is not taken for shown either.
"""

from __future__ import annotations

from collections.abc import Iterator

from cbtcheck.adapter import LONGEST_NAME, MOST_UNCLAIMED, Capabilities
from cbtcheck.scenario.describe import size_text
from cbtcheck.scenario.scenario import LARGEST_DISK

MOST_EVER = 1 << 32
"""No scenario of a run marks more granules than that with one command."""


def bounds(claims: Capabilities) -> dict[str, str]:
    """What was not asked for, and why. Empty if an implementation claims all that scenarios can have."""
    return {what: _why(member, claims) for member, what in _bounds(claims)}


def _bounds(claims: Capabilities) -> Iterator[tuple[str, str]]:
    """The member of `hello` that would widen it, and what was not asked for."""
    many = claims.largest_disk // claims.smallest_granularity
    if claims.largest_disk < LARGEST_DISK:
        yield "largest_disk", f"disks of more than {size_text(claims.largest_disk)}"
    if claims.sector > 512:
        yield "", f"disks that end within a sector of {size_text(claims.sector)}"
    if "content" in claims.features and claims.largest_content < claims.largest_disk:
        yield "largest_content", f"content of disks of more than {size_text(claims.largest_content)}"
    if claims.most_granules < many:
        yield "max_granules", f"bitmaps of more than {claims.most_granules:,} granules"
    if claims.most_marked < min(many, claims.most_granules, MOST_EVER):
        yield "max_dirty", f"commands that mark more than {claims.most_marked:,} granules"
    if claims.most_copied < min(MOST_UNCLAIMED, claims.most_marked, claims.most_clusters):
        yield "", f"backups that copy more than {claims.most_copied:,} clusters"
    if claims.longest_write < claims.largest_disk:
        yield "max_write", f"writes of more than {size_text(claims.longest_write)}"
    if claims.longest_name < LONGEST_NAME:
        yield "max_name", f"names of more than {claims.longest_name:,} bytes"
    if claims.ascii_names:
        yield "ascii_names", "names that are not ASCII"


def _why(member: str, claims: Capabilities) -> str:
    return f"hello has no '{member}'" if member in claims.by_default else "that is all that is claimed"
