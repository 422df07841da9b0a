"""Narrow mistakes in undoing what a refused transaction, or a refused merge, has done."""

from __future__ import annotations

from collections.abc import Sequence

from cbtimpl import Host
from cbtimpl.actions import Action, Backup, BitmapClear, BitmapDisable, BitmapEnable, BitmapMerge, BitmapRemove
from cbtimpl.bitmap import Bitmap
from cbtimpl.errors import Busy, Refused, SizeMismatch
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

UNDONE = "what is undone"


@narrow_mistake("merge-not-undone", UNDONE, Verdict.WASTEFUL)
class MergeNotUndone(Host):
    """A merge in a transaction that is refused later is not undone."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Has nothing to undo."""
        super().prepare_merge(action)
        return Step()


@narrow_mistake("enable-not-undone", UNDONE, Verdict.DIVERGES)
class EnableNotUndone(Host):
    """An enable of a bitmap that has bits is not undone when its transaction is refused later."""

    def prepare_enable(self, action: BitmapEnable) -> Step:
        """Has nothing to undo."""
        done = super().prepare_enable(action)
        return done if self.find_bitmap(action.node, action.name).bits.is_empty() else Step()


@narrow_mistake("disable-not-undone", UNDONE, Verdict.UNSAFE)
class DisableNotUndone(Host):
    """A disable of a bitmap that has bits is not undone when its transaction is refused: later writes are lost."""

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Has nothing to undo."""
        done = super().prepare_disable(action)
        return done if self.find_bitmap(action.node, action.name).bits.is_empty() else Step()


@narrow_mistake("flag-saved-once", UNDONE, Verdict.UNSAFE)
class FlagSavedOnce(Host):
    """Of a bitmap that a transaction disables and enables again, the undo puts back the flag from in between."""

    def prepare_enable(self, action: BitmapEnable) -> Step:
        """Saves the flag as it is now."""
        bitmap = self.find_bitmap(action.node, action.name)
        saved = bitmap.enabled
        super().prepare_enable(action)

        def undo() -> None:
            bitmap.enabled = saved
            bitmap.put_back = True  # type: ignore[attr-defined]

        return Step(undo)

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Saves the flag, unless a later action has put it back."""
        bitmap = self.find_bitmap(action.node, action.name)
        bitmap.put_back = False  # type: ignore[attr-defined]
        done = super().prepare_disable(action)

        def undo() -> None:
            if not bitmap.put_back:  # type: ignore[attr-defined]
                done.undo()

        return Step(undo)


@narrow_mistake("disable-undone-too-far", UNDONE, Verdict.DIVERGES)
class DisableUndoneTooFar(Host):
    """The undo of a disable enables the bitmap, although it was disabled before."""

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Always undone."""
        super().prepare_disable(action)
        return Step(self.find_bitmap(action.node, action.name).enable)


@narrow_mistake("first-source-undone-only", UNDONE, Verdict.WASTEFUL)
class FirstSourceUndoneOnly(Host):
    """The undo of a merge takes back the first source; the bits of the others stay."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Undone as if it had one source."""
        done = super().prepare_merge(action)
        target = self.find_bitmap(action.node, action.target)
        others = [self.find_bitmap(*each) for each in action.sources[1:]]

        def undo() -> None:
            done.undo()
            for each in others:
                target.merge(each)

        return Step(undo)


@narrow_mistake("undone-from-the-first-on", UNDONE, Verdict.UNSAFE)
class UndoneFromTheFirstOn(Host):
    """A refused transaction undoes its actions in the order in which they were done."""

    def undo(self, done: list[Step]) -> None:
        """The first comes first."""
        super().undo(done[::-1])


@narrow_mistake("middle-stays", UNDONE, Verdict.UNSAFE)
class MiddleStays(Host):
    """Of four actions and more, a refused transaction undoes the first and the last two, and not what is between."""

    def undo(self, done: list[Step]) -> None:
        """Both ends."""
        super().undo(done[:1] + done[1:][-2:])


@narrow_mistake("three-undone", UNDONE, Verdict.UNSAFE)
class ThreeUndone(Host):
    """A refused transaction undoes the last three actions only."""

    def undo(self, done: list[Step]) -> None:
        """No more than three."""
        super().undo(done[-3:])


@narrow_mistake("clear-undone-unless-merged", UNDONE, Verdict.UNSAFE)
class ClearUndoneUnlessMerged(Host):
    """The undo of a clear sees that the bitmap is not empty, because a merge came after it, and leaves it alone."""

    def prepare_clear(self, action: BitmapClear) -> Step:
        """Undone if nothing has come since."""
        bitmap = self.find_bitmap(action.node, action.name)
        done = super().prepare_clear(action)
        cleared = bitmap.bits

        def undo() -> None:
            if bitmap.bits is cleared:
                done.undo()

        return Step(undo)

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Undone bit by bit, in other bits than before."""
        target = self.find_bitmap(action.node, action.target)
        before = target.bits.copy()
        super().prepare_merge(action)

        def undo() -> None:
            target.bits = before

        return Step(undo)


@narrow_mistake("refused-merge-keeps-the-first", UNDONE, Verdict.WASTEFUL)
class RefusedMergeKeepsTheFirst(Host):
    """A merge whose second source is refused keeps the bits of the first."""

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Puts back nothing."""
        try:
            return super().prepare_merge(action)
        except Refused:
            target = self.nodes[action.node].bitmaps.get(action.target) if action.node in self.nodes else None
            if target is not None and not target.busy:
                self.merge_until_refused(target, action)
            raise

    def merge_until_refused(self, target: Bitmap, action: BitmapMerge) -> None:
        """Source by source."""
        for node, name in action.sources:
            try:
                source = self.find_bitmap(node, name)
                self.check_merge_source(source)
                self.check_merge_sizes(target, source)
            except Refused:
                return
            target.merge(source)


@narrow_mistake("odd-size-keeps-the-others", UNDONE, Verdict.WASTEFUL)
class OddSizeKeepsTheOthers(RefusedMergeKeepsTheFirst):
    """A merge of three whose last source is of another size keeps the bits of the first two."""

    def merge_until_refused(self, target: Bitmap, action: BitmapMerge) -> None:
        """Only then."""
        if len(action.sources) == 3:
            node, name = action.sources[2]
            last = self.nodes[node].bitmaps.get(name) if node in self.nodes else None
            if last is not None and last.size != target.size:
                super().merge_until_refused(target, action)


@narrow_mistake("disabled-removal-stays", UNDONE, Verdict.DIVERGES)
class DisabledRemovalStays(Host):
    """The undo of a removal of a disabled bitmap that has bits leaves it in use for ever."""

    def prepare_remove(self, action: BitmapRemove) -> Step:
        """Undone for those that record, or have nothing."""
        done = super().prepare_remove(action)
        bitmap = self.find_bitmap(action.node, action.name)
        return done if bitmap.enabled or bitmap.bits.is_empty() else Step(commit=done.commit)


@narrow_mistake("withdrawn-enables", UNDONE, Verdict.DIVERGES)
class WithdrawnEnables(Host):
    """The undo of a full backup with mode *always* leaves its bitmap enabled, although it was disabled."""

    def prepare_backup(self, action: Backup, group: object) -> Step:
        """Undone, and then enabled."""
        done = super().prepare_backup(action, group)  # type: ignore[arg-type]

        def undo() -> None:
            done.undo()
            if action.bitmap is not None and (action.sync, action.bitmap_mode) == ("full", "always"):
                self.find_bitmap(action.node, action.bitmap).enable()

        return Step(undo, done.commit)


@narrow_mistake("size-mismatch-undoes-nothing", UNDONE, Verdict.UNSAFE)
class SizeMismatchUndoesNothing(Host):
    """A transaction that is refused because of a disk of another size leaves a clear as it is."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Clears once more what was put back."""
        try:
            return super().perform(actions, grouped)
        except SizeMismatch:
            for action in actions:
                if isinstance(action, BitmapClear):
                    self.find_bitmap(action.node, action.name).clear()
            raise


@narrow_mistake("busy-keeps-the-merge", UNDONE, Verdict.WASTEFUL)
class BusyKeepsTheMerge(Host):
    """A transaction that is refused because a bitmap is in use does not undo its merges."""

    def perform(self, actions: Sequence[Action], grouped: bool) -> list[Step]:
        """Merges once more what was put back."""
        try:
            return super().perform(actions, grouped)
        except Busy:
            for action in actions[:-1]:
                if isinstance(action, BitmapMerge):
                    target = self.find_bitmap(action.node, action.target)
                    for each in action.sources:
                        target.merge(self.find_bitmap(*each))
            raise
