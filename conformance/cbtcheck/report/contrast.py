"""A finding as two strips, *expected* and *seen*, where the disagreement is about places on a disk.

The judge names places in its findings as granules, clusters or blocks; here they become cells of the picture, and
ranges of bytes, as commands have them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cbtcheck.follow.play import Frame
from cbtcheck.report.strips import ALLOWED, COPIED, DIRTY, EXTRA, MISSING, Scale, space_of
from cbtcheck.scenario.describe import name_text, size_text
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.bitsets import Bits, BitSets, extents

PLACES = re.compile(r"(?:granules|clusters|blocks) ((?:\d+(?:-\d+)?,?)+|none)")


@dataclass(frozen=True, slots=True)
class Contrast:
    """What was expected and what was seen of a node, by cells, and the difference in ranges of bytes.

    `expected` is empty where the difference is all that is known.
    """

    node: str
    label: str
    expected: str
    seen: str
    difference: str


def contrast(frame: Frame, finding: Finding, scales: dict[str, Scale]) -> Contrast | None:
    """The two strips of a finding of this step; None if it is not about places."""
    if finding.missing is not None or finding.extra is not None:
        return _of_bitmap(frame, finding, scales)
    if re.fullmatch(r"job \S+ copied", finding.where):
        return _of_job(frame, finding, scales)
    if finding.property == "POINT-IN-TIME" and (wrong := _places(finding.seen)) is not None:
        return _of_data(frame, finding, scales, wrong)
    return None


def _of_bitmap(frame: Frame, finding: Finding, scales: dict[str, Scale]) -> Contrast | None:
    for node_name, node in frame.state.nodes.items():
        for name, bitmap in node.bitmaps.items():
            if finding.where == f"{node_name}/{name} bits" and node_name in scales:
                space, granule = space_of(frame.state), bitmap.granularity
                missing = space.from_granules(finding.missing or 0, granule, node.size)
                extra = space.from_granules(finding.extra or 0, granule, node.size)
                must = space.round_out(bitmap.marks.owed, granule, node.size)
                may = bitmap.marks.dirty
                seen = _places(finding.seen)
                # Without the bits in the finding's own words, all that is known is what is missing and extra.
                found = (may - missing) | extra if seen is None else space.from_granules(seen, granule, node.size)
                scale = scales[node_name]
                return Contrast(
                    node_name,
                    name_text(name),
                    scale.cells(space, (must, DIRTY), (may, ALLOWED)),
                    scale.cells(space, (missing, MISSING), (extra, EXTRA), (found, DIRTY)),
                    _difference(space, node.size, missing, extra),
                )
    return None


def _of_job(frame: Frame, finding: Finding, scales: dict[str, Scale]) -> Contrast | None:
    job_id = finding.where.split()[1]
    expected, seen = _places(finding.expected), _places(finding.seen)
    if job_id not in frame.state.jobs or expected is None or seen is None:
        return None
    job = frame.state.jobs[job_id]
    space, scale = space_of(frame.state), scales[job.node]
    wanted, found = (space.from_granules(each, job.cluster, scale.size) for each in (expected, seen))
    return Contrast(
        job.node,
        name_text(job_id),
        scale.cells(space, (wanted, COPIED)),
        scale.cells(space, (wanted - found, MISSING), (found - wanted, EXTRA), (found, COPIED)),
        _difference(space, scale.size, wanted - found, found - wanted),
    )


def _of_data(frame: Frame, finding: Finding, scales: dict[str, Scale], wrong: int) -> Contrast | None:
    space, words = space_of(frame.state), finding.where.split()
    node = words[0]
    if node == "target":
        jobs = frame.before.jobs
        node = jobs[words[-1]].node if words[-1] in jobs else next(iter(scales))
    if node not in scales:
        return None
    scale, blocks = scales[node], Bits(wrong)
    glyph = EXTRA if finding.verdict.safe else MISSING
    return Contrast(
        node, "data", "", scale.cells(space, (blocks, glyph)), f"{bytes_text(space, scale.size, blocks)} differ"
    )


def _places(words: str) -> int | None:
    """The numbers in a finding's "granules 0-3,7" as a word."""
    found = PLACES.search(words)
    if found is None:
        return None
    word = 0
    for part in found[1].strip(",").split(","):
        if part != "none":
            first, _, last = part.partition("-")
            word |= ((1 << (int(last or first) - int(first) + 1)) - 1) << int(first)
    return word


def _difference(space: BitSets, size: int, missing: Bits, extra: Bits) -> str:
    parts = [(what, bytes_text(space, size, each)) for what, each in (("missing", missing), ("extra", extra)) if each]
    return "; ".join(f"{what} {where}" for what, where in parts)


def bytes_text(space: BitSets, size: int, blocks: Bits) -> str:
    """Blocks as ranges of bytes: "64K+4K, 1M+512"; the last one ends with the disk."""
    ranges = [(first * space.block, count * space.block) for first, count in extents(blocks.word)]
    listed = [f"{size_text(at)}+{size_text(min(length, size - at))}" for at, length in ranges[:4]]
    more = [f"and {len(ranges) - 4} more"] if len(ranges) > 4 else []
    return ", ".join(listed + more)
