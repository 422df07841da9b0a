"""The verdict rule for the bits of one bitmap.

For every bitmap there are two bounds: *must* (what is owed, rounded to the granularity) and *may* (what is dirty; and
what an implementation that pads writes has marked besides, as far as it declares that: `Comparing.alignment`). Less
than must is a lost write; more than may is waste; what lies between is allowed. Of the bits a set may have been
seen, or their number, or their digest: each excludes what it excludes, and no more is said than that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbtmodel.bitmap import Bitmap
from cbtmodel.blocks import S

from cbtcheck.adapter import SeenBitmap
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.comparing import Comparing
from cbtcheck.sets.granules import LARGEST_DIGEST, Granules

WIDEST_WORD = 1 << 16
"""Of disks with more granules than this a finding has no bit vectors, but only text and granules."""


@dataclass(frozen=True, slots=True)
class BitsFinding(Finding):
    """A disagreement about bits: the granules that are missing, or those that are too many."""

    granules: Granules | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the bits of a bitmap can be: all of `must`, nothing but `may`.

    `owed` is how many granules are owed at least, which may be more than are known one by one. `shown` is how many
    the implementation was seen to have, while nothing has made them fewer. `unit` is what texts call granules.
    """

    must: Granules
    may: Granules
    owed: int
    shown: int = 0
    unit: str = "granules"

    def named(self, granules: Granules) -> str:
        """Granules in a text."""
        return f"{self.unit}{':' if ' ' in self.unit else ''} {granules.named()}"


def limits(
    space: Comparing[S], bitmap: Bitmap[S], size: int, granularity: int | None = None, shown: int = 0,
    unit: str = "granules",
) -> Limits:  # fmt: skip
    """The limits of a bitmap of a disk of `size` bytes, in granules of its own granularity, or of a smaller one."""
    granule = bitmap.granularity if granularity is None else granularity
    dirty, owed = bitmap.marks.dirty, bitmap.marks.owed
    must = space.at_least(owed, granule, size)
    may = space.padded(dirty, bitmap.granularity, size)
    return Limits(
        must, space.at_most(may, granule, size), max(len(must), space.number(owed, granule)),
        max(shown, space.number(dirty, granule)), unit,
    )  # fmt: skip


def agree(space: Comparing[S], bitmap: Bitmap[S], size: int, seen: SeenBitmap) -> bool:
    """Whether nothing can be wrong with the bits: they were not looked at, or all that may be is there."""
    if seen.bits is not None or (seen.count is None and seen.digest is not None):
        return False
    if seen.count is None:
        return True
    dirty, granule = bitmap.marks.dirty, bitmap.granularity
    if space.is_shown(dirty, granule, size, seen.count, seen.digest):
        return True
    padded = space.padded(dirty, granule, size)
    return padded is not dirty and space.is_shown(padded, granule, size, seen.count, seen.digest)


def judge_bits(
    space: Comparing[S], where: str, size: int, bitmap: Bitmap[S], seen: SeenBitmap,
    read_bits: Callable[[], Granules | None] | None = None, shown: int = 0, unjudged: list[str] | None = None,
    unit: str = "granules",
) -> list[Finding]:  # fmt: skip
    """What is wrong with the bits of a bitmap, as they were seen, if they do not `agree`.

    `read_bits` gives the exact granules, if they can be read; it is asked only after a difference. `shown` and
    `unit`: see `Limits`. What nothing can be said of is added to `unjudged`, with the reason. `ValueError` if
    `seen.bits` are in granules that cannot be told apart in blocks.
    """
    found, count, digest = seen.bits, seen.count, seen.digest
    if found is None and read_bits is not None:
        found = read_bits()
    if found is None:
        within = limits(space, bitmap, size, None, shown, unit)
        findings = [] if count is None else judge_count(where, within, count)
        return findings or ([] if digest is None else judge_digest(where, within, count, digest, unjudged))
    contradiction = _contradiction(where, seen, found)
    if found.granularity > bitmap.granularity:
        found = found.finer(bitmap.granularity)
    own = found.granularity == bitmap.granularity
    within = limits(space, bitmap, size, found.granularity, shown if own else 0, unit)
    return judge_set(where, within, found) + contradiction


def _contradiction(where: str, seen: SeenBitmap, found: Granules) -> list[Finding]:
    """The bits are not those that were counted, or hashed."""
    hashed = seen.digest is not None and found.total <= LARGEST_DIGEST
    if seen.count in (None, len(found)) and not (hashed and seen.digest != found.digest()):
        return []
    how = [*([] if seen.count is None else ["counted"]), *(["hashed"] if hashed else [])]
    number = "the granules" if seen.count is None else f"{seen.count} granules"
    expected = f"{number} as {' and '.join(how)}"
    return [Finding(Verdict.DIVERGES, "", where, expected, f"{len(found)} granules as read")]


def judge_set(where: str, within: Limits, found: Granules) -> list[Finding]:
    """Exact bits were seen."""
    missing, extra = within.must - found, found - within.may
    findings: list[Finding] = []
    if missing:
        texts = f"at least {within.named(within.must)}", f"granules {found.named()}"
        findings.append(_finding(Verdict.UNSAFE, "NO-LOST-WRITE", where, texts, missing, "missing"))
    if extra:
        texts = f"at most {within.named(within.may)}", f"granules {found.named()}"
        findings.append(_finding(Verdict.WASTEFUL, "EXACT", where, texts, extra, "extra"))
    return findings or _too_few(where, within, len(found))


def judge_count(where: str, within: Limits, count: int) -> list[Finding]:
    """Only the number of granules was seen: between must and may it is allowed."""
    if count > len(within.may):
        expected = f"at most {len(within.may)} {within.unit} ({within.may.named()})"
        return [Finding(Verdict.WASTEFUL, "EXACT", where, expected, f"{count} granules")]
    return _too_few(where, within, count)


def _too_few(where: str, within: Limits, count: int) -> list[Finding]:
    """Fewer granules than are owed, or than there were before with nothing to make them fewer."""
    if count < within.owed:
        named = f" ({within.must.named()})" if within.owed == len(within.must) else ", as seen before"
        expected = f"at least {within.owed} {within.unit}{named}"
        return [Finding(Verdict.UNSAFE, "NO-LOST-WRITE", where, expected, f"{count} granules")]
    if count < within.shown:
        expected = f"at least {within.shown} {within.unit}, as seen before"
        return [Finding(Verdict.DIVERGES, "", where, expected, f"{count} granules")]
    return []


def judge_digest(
    where: str, within: Limits, count: int | None, digest: str, unjudged: list[str] | None = None
) -> list[Finding]:
    """Of what lies between the bounds only the bounds themselves can be told by their digest."""
    must, may = within.must, within.may
    if may.total > LARGEST_DIGEST:
        if unjudged is not None:
            unjudged.append("digests of very large bitmaps")
        return []
    if digest in (may.digest(), must.digest()):
        return []
    least, most = len(must), len(may)
    if least < most and count not in (least, most):
        if unjudged is not None:
            unjudged.append("digests of bitmaps that are known in part only")
        return []
    seen = "another digest" if count is None else f"{count} granules, other ones"
    expected = within.named(may)
    if not most:
        return [Finding(Verdict.WASTEFUL, "EXACT", where, expected, seen)]
    if least and (count == least or (count is None and most == may.total)):  # other ones, and no more: some lack
        expected = f"at least {within.named(must)}"
        return [Finding(Verdict.UNSAFE, "NO-LOST-WRITE", where, expected, seen)]
    return [Finding(Verdict.DIVERGES, "" if count is None else "FROZEN-IS-STILL", where, expected, seen)]


def _finding(
    verdict: Verdict, broken: str, where: str, texts: tuple[str, str], granules: Granules, what: str
) -> BitsFinding:
    expected, seen = texts
    if "…" in expected + seen:
        seen += f"; {what}: {granules.named()}"
    word = granules.word() if granules.total <= WIDEST_WORD else None
    missing, extra = (word, None) if what == "missing" else (None, word)
    return BitsFinding(verdict, broken, where, expected, seen, missing, extra, granules)
