"""Narrow mistakes that show only when the same happens to the same bitmap once more, and once more."""

from __future__ import annotations

from cbtimpl import Host
from cbtimpl.actions import BitmapAdd
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

OFTEN = "how often"


@narrow_mistake("third-reclaim-loses", OFTEN, Verdict.UNSAFE)
class ThirdReclaimLoses(Bitmap):
    """A bitmap takes back what its successor recorded twice; the third time it is lost."""

    reclaimed = 0

    def reclaim(self) -> Bitmap:
        """Counts."""
        self.reclaimed += 1
        if self.reclaimed > 2 and self.successor is not None:
            self.successor.clear()
        return super().reclaim()


@narrow_mistake("fifth-never-resets", OFTEN, Verdict.UNSAFE)
class FifthNeverResets(BackupJob):
    """The fifth completed backup of a bitmap with mode *never* takes its marks away, as any other mode would."""

    def synchronises(self, success: bool) -> bool:
        """Counts on the bitmap."""
        if self.bitmap_mode != "never" or not success or self.bitmap is None:
            return super().synchronises(success)
        times = getattr(self.bitmap, "never", 0) + 1
        self.bitmap.never = times  # type: ignore[attr-defined]
        return times >= 5


@narrow_mistake("added-again-blind", OFTEN, Verdict.UNSAFE)
class AddedAgainBlind(Host):
    """A name that is added for the fifth time gets a bitmap that does not record."""

    def prepare_add(self, action: BitmapAdd) -> Step:
        """Counts by name."""
        done = super().prepare_add(action)
        node = self.find_node(action.node)
        times: dict[str, int] = node.__dict__.setdefault("times_added", {})
        times[action.name] = times.get(action.name, 0) + 1
        if times[action.name] >= 5:
            node.bitmaps[action.name].disable()
        return done
