"""Holds what was seen of images, and of bitmaps that came out of them, against what the specification says.

What `judge` says of all bitmaps holds of these, too, but for what only an opening can do. A bitmap that openly says
that it is not to be trusted loses nothing, and neither does one that is openly gone: whoever asks for it is told.
One that is there and seems sound, where the specification does not trust it, has to have all that was owed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic

from cbtmodel.blocks import S
from cbtmodel.image import Entry, Image
from cbtmodel.node import State

from cbtcheck.adapter import Observation, SeenBitmap, SeenEntry, SeenImage
from cbtcheck.follow.bits import BitsFinding
from cbtcheck.follow.judge import ReadBits, judge
from cbtcheck.follow.seen import Place, Shown
from cbtcheck.scenario.images import Files
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.bitsets import filled
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import Granules

RULE_DISK = "RULE-DISK"


def judge_with_images(
    space: Comparing[S], state: State[S], files: Files[S], seen: Observation, read_bits: ReadBits | None = None,
    shown: Shown | None = None,
) -> list[Finding]:  # fmt: skip
    """Every disagreement between a state with its images and a complete observation; normally none."""
    sides = _Sides(space, state, files, seen, read_bits)
    findings, trusted = sides.trust()
    findings += judge(space, state, seen, read_bits, shown, trusted)
    return findings + list(sides.images())


def judge_trust(
    space: Comparing[S], state: State[S], files: Files[S], seen: Observation
) -> tuple[list[Finding], frozenset[Place]]:
    """Whether bitmaps are trusted that should be, and no others; and those of which all is said with that."""
    return _Sides(space, state, files, seen, None).trust()


class _Sides(Generic[S]):
    """The two sides: what the specification says, and what was seen."""

    def __init__(
        self, space: Comparing[S], state: State[S], files: Files[S], seen: Observation, read_bits: ReadBits | None
    ) -> None:
        self.space, self.state, self.files, self.seen, self.read_bits = space, state, files, seen, read_bits

    def trust(self) -> tuple[list[Finding], frozenset[Place]]:
        """Whether bitmaps are trusted that should be, and no others; and those of which all is said with that."""
        findings: list[Finding] = []
        judged: set[Place] = set()
        for node in self.state.nodes:
            expected = self.state.nodes[node].bitmaps
            for name in {**expected, **{name: None for on, name in self.seen.bitmaps if on == node}}:
                found = self._of_trust(node, name)
                findings += found
                if found:
                    judged.add((node, name))
                else:
                    findings += self._is_stored(node, name)
        return findings, frozenset(judged)

    def _of_trust(self, node: str, name: str) -> list[Finding]:
        there, seen = name in self.state.nodes[node].bitmaps, self.seen.bitmaps.get((node, name))
        worth, where = self.files.worth(node, name), f"{node}/{name} trust"
        if seen is None:
            if there and node in self.files.just_opened:
                return [Finding(Verdict.DIVERGES, RULE_DISK, where, f"{_word(worth)} bitmap", "openly gone")]
            return []
        if seen.inconsistent:
            if there and worth == "inconsistent":
                return []
            wanted = f"{_word(worth)} bitmap" if there else "no such bitmap"
            return [Finding(Verdict.DIVERGES, RULE_DISK, where, wanted, "an inconsistent bitmap")]
        if seen.inconsistent is None or (there and worth != "inconsistent"):
            return []
        wanted = "an inconsistent bitmap" if there else "no such bitmap"
        lacking = self._lacking(node, name, seen)
        if lacking is None and not there:
            return []
        return [
            Finding(Verdict.UNSAFE, RULE_DISK, where, wanted, f"a bitmap that seems sound, and lacks {lacking}")
            if lacking
            else Finding(Verdict.DIVERGES, RULE_DISK, where, wanted, "a bitmap that seems sound")
        ]

    def _lacking(self, node: str, name: str, seen: SeenBitmap) -> str | None:
        """What a bitmap lacks of what was owed when its trust was lost, in words; None if nothing was ever owed."""
        owed = self.files.owed_in_doubt(node, name)
        disk = self.state.nodes[node]
        there = disk.bitmaps.get(name)
        granularity = seen.granularity or (None if there is None else there.granularity)
        if owed is None or granularity is None or granularity.bit_count() != 1:
            return None if owed is None else ""
        bits = seen.bits
        if bits is None and self.read_bits is not None:
            bits = self.read_bits(node, name)
        found = _granules(bits, granularity, disk.size)
        if found is None:
            many = self.space.counted(owed, granularity, disk.size)
            return f"{many - seen.count} granules" if seen.count is not None and seen.count < many else ""
        missing = self._missing(owed, found)
        return f"{len(missing)} granules" if missing else ""

    def _missing(self, owed: S, found: Granules) -> Granules | None:
        """The granules that are owed and were not found; None if they were found in such as no bitmap has."""
        if found.granularity.bit_count() != 1:
            return None
        wanted = self.space.at_least(owed, found.granularity, found.size)
        return wanted - found if wanted.granularity == found.granularity else None

    def _is_stored(self, node: str, name: str) -> list[Finding]:
        seen = self.seen.bitmaps.get((node, name))
        if seen is None or seen.persistent is None or name not in self.state.nodes[node].bitmaps:
            return []
        wanted = bool(self.files.worth(node, name))
        if seen.persistent == wanted:
            return []
        return [Finding(Verdict.DIVERGES, "", f"{node}/{name} persistent", str(wanted), str(seen.persistent))]

    def images(self) -> Iterator[Finding]:
        """How images are open, and what is in their files."""
        for node, image in self.files.images.items():
            seen = (self.seen.images or {}).get(node)
            if seen is None:
                continue
            opened = self.files.opened.get(node)
            wanted = "" if opened is None else "rw" if opened.writable else "ro"
            if seen.open != wanted:
                yield Finding(Verdict.DIVERGES, "", f"image of {node}", _open(wanted), _open(seen.open))
            yield from self._entries(node, image, seen)

    def _entries(self, node: str, image: Image[S], seen: SeenImage) -> Iterator[Finding]:
        if seen.entries is None:
            return
        entries = image.entries if image.current else {}
        for name in {**entries, **seen.entries}:
            wanted, found = entries.get(name), seen.entries.get(name)
            where = f"{node}/{name} stored"
            if found is None:
                yield Finding(Verdict.DIVERGES, RULE_DISK, where, _expected(wanted), "no entry")
            elif wanted is None:
                verdict = Verdict.UNSAFE if self._believed(node, name, image.size, found) else Verdict.DIVERGES
                yield Finding(verdict, RULE_DISK, where, "no entry", _entry(found))
            else:
                yield from self._entry(where, image.size, wanted, found)

    def _believed(self, node: str, name: str, size: int, found: SeenEntry) -> bool:
        """Whether an entry that should not be there is taken for all that was written, and may not be.

        It is while the bitmap is in memory, and records; it lacks something if that was owed when the name was lost.
        """
        if found.in_use:
            return False
        opened = self.files.opened.get(node)
        if opened is not None and opened.writable and name in opened.persistent:
            return True
        owed = self.files.owed_in_doubt(node, name)
        stored = _granules(found.bits, found.granularity, size)
        missing = None if owed is None or stored is None else self._missing(owed, stored)
        return owed is not None and (missing is None or bool(missing))

    def _entry(self, where: str, size: int, wanted: Entry[S], found: SeenEntry) -> Iterator[Finding]:
        """An entry in use has no bits that count. One that is valid, and should not be, is believed after a crash."""
        stored = None if wanted.in_use or found.in_use else _granules(found.bits, found.granularity, size)
        lost = None if stored is None else self._missing(wanted.marks.owed, stored)
        if lost:
            lacks = f"lacks {len(lost)} granules"
            yield BitsFinding(Verdict.UNSAFE, RULE_DISK, where, "all that is owed", lacks, granules=lost)
            return
        if (wanted.in_use, wanted.granularity, wanted.enabled) != (found.in_use, found.granularity, found.enabled):
            believed = wanted.in_use and not found.in_use
            deaf = wanted.enabled and not found.enabled and not wanted.in_use
            verdict = Verdict.UNSAFE if believed or deaf else Verdict.DIVERGES
            yield Finding(verdict, RULE_DISK, where, _expected(wanted), _entry(found))
            return
        if stored is None:
            return
        may = self.space.padded(wanted.marks.dirty, wanted.granularity, size)
        more = stored - self.space.at_most(may, wanted.granularity, size)
        if more:
            seen = f"{len(more)} granules more"
            yield BitsFinding(Verdict.WASTEFUL, RULE_DISK, where, "what is dirty", seen, granules=more)


def _granules(bits: Granules | int | None, granularity: int, size: int) -> Granules | None:
    """Bits as granules, whichever way they were given; None if they were not."""
    if not isinstance(bits, int):
        return bits
    return Granules.from_word(bits & filled(-(-size // granularity)), granularity, size)


def _word(worth: str) -> str:
    return f"{'an' if worth == 'inconsistent' else 'a'} {worth or 'plain'}"


def _open(how: str) -> str:
    return {"": "closed", "rw": "open for writing", "ro": "open for reading only"}.get(how, how)


def _expected(entry: Entry[S] | None) -> str:
    return "no entry" if entry is None else _entry(SeenEntry(entry.granularity, entry.enabled, entry.in_use))


def _entry(entry: SeenEntry) -> str:
    kind = "in use" if entry.in_use else "that is valid"
    return f"an entry {kind}, of {entry.granularity}, that {'records' if entry.enabled else 'does not record'}"
