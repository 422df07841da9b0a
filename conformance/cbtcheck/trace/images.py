"""What happens to images in a trace.

A world has its images beside its state (`Traced.files`). An event is carried out by the specification, as commands
are; its place in the trace is one moment that nothing overlaps. Where copies are not seen, jobs that end by it have
copied an unknown part.
"""

from __future__ import annotations

from collections.abc import Hashable

from cbtcheck.scenario.images import Files
from cbtcheck.sets.between import Between
from cbtcheck.trace.events import TraceProblem


def overlaps(line: int) -> TraceProblem:
    """Something is under way while something happens to images."""
    return TraceProblem(line, "what happens to images is at one moment, while no command and no write is under way")


def shape(files: Files[Between] | None) -> Hashable:
    """All of images but the sets: worlds are one only if these are the same, too."""
    if files is None:
        return None
    entries = frozenset(
        (node, image.current, name, entry.granularity, entry.enabled, entry.in_use, id(entry.marks))
        for node, image in files.images.items()
        for name, entry in image.entries.items()
    )
    opened = frozenset(
        (node, each.writable, frozenset(each.persistent.items())) for node, each in files.opened.items()
    )
    doubted = frozenset(
        (node, name, id(owed)) for node, each in files.doubted.items() for name, owed in each.items()
    )
    return entries, opened, doubted, files.just_opened
