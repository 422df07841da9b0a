"""What only a trace can disagree with the specification about: ends of jobs, and what should stand still."""

from __future__ import annotations

from collections.abc import Iterable

from cbtmodel.bitmap import Marks

from cbtcheck.follow.refusals import outcomes
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.between import Between
from cbtcheck.trace.events import EndOfJobs, Look, ToldBitmap
from cbtcheck.trace.world import Traced


def unheard(told: EndOfJobs) -> Finding:
    """Guest writes made jobs copy the last that they had to, and so end; the trace does not say so."""
    return Finding(Verdict.DIVERGES, "", "jobs ended", f"{outcomes(told.jobs)}, by a guest write up to here", "none")


class Memory:
    """What was last seen of each bitmap, while nothing can have changed it: it must be the same when seen again.

    That tells even where it is not known what is in the bitmap: a frozen one, or one that does not record.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[Marks[Between], ToldBitmap]] = {}

    def keep(self, world: Traced, look: Look) -> None:
        """Remembers what was seen."""
        bitmaps = world.state.nodes[look.node].bitmaps if look.node in world.state.nodes else {}
        for name, seen in look.bitmaps.items():
            if name in bitmaps:
                self._seen[look.node, name] = (bitmaps[name].marks, seen)
        if look.all:
            for place in [place for place in self._seen if place[0] == look.node and place[1] not in bitmaps]:
                del self._seen[place]

    def written(self, worlds: Iterable[Traced], node: str) -> None:
        """A guest may have written to a disk, although nothing is known now that was not before."""
        for disk in [world.state.nodes[node] for world in worlds if node in world.state.nodes]:
            for name, bitmap in disk.bitmaps.items():
                if bitmap.enabled and bitmap.successor is None:
                    self._seen.pop((node, name), None)

    def compare(self, world: Traced, look: Look) -> list[Finding]:
        """What has changed, and cannot."""
        bitmaps = world.state.nodes[look.node].bitmaps if look.node in world.state.nodes else {}
        findings = []
        for name, seen in look.bitmaps.items():
            marks, before = self._seen.get((look.node, name), (None, None))
            if before is None or name not in bitmaps or bitmaps[name].marks is not marks:
                continue
            for what in ("count", "digest", "dirty"):
                then, now = getattr(before, what), getattr(seen, what)
                if then is not None and now is not None and _as_set(then) != _as_set(now):
                    where = f"{look.node}/{name} {what}"
                    findings.append(
                        Finding(Verdict.DIVERGES, "FROZEN-IS-STILL", where, f"as seen before: {then}", f"{now}")
                    )
        return findings


def _as_set(value: object) -> object:
    return frozenset(value) if isinstance(value, tuple) else value
