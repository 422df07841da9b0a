"""Narrow mistakes in undoing what a refused transaction has done."""

from __future__ import annotations

from cbtimpl import Host
from cbtimpl.actions import BitmapDisable, BitmapEnable, BitmapMerge
from cbtimpl.state import Step

from cbtcheck.mistakes.registry import narrow_mistake
from cbtcheck.verdict import Verdict

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
    """An enable in a transaction that is refused later is not undone."""

    def prepare_enable(self, action: BitmapEnable) -> Step:
        """Has nothing to undo."""
        super().prepare_enable(action)
        return Step()


@narrow_mistake("disable-not-undone", UNDONE, Verdict.UNSAFE)
class DisableNotUndone(Host):
    """A disable in a transaction that is refused later is not undone."""

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Has nothing to undo."""
        super().prepare_disable(action)
        return Step()
