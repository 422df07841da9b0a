"""The operator's commands on bitmaps: add, remove, clear, enable, disable, merge.

Source: qemu-facts.md 2.1 to 2.5. Each `prepare_…` checks, takes effect, and returns the `Step` that undoes
it; alone a command is committed at once, in a transaction with the others. A command alone does not drain:
writes in flight are recorded by what records when they end (qemu-facts.md 3.5).
"""

from collections.abc import Sequence

from cbtimpl import arguments, granules
from cbtimpl.actions import BitmapAdd, BitmapClear, BitmapDisable, BitmapEnable, BitmapMerge, BitmapRemove
from cbtimpl.bitmap import Bitmap
from cbtimpl.errors import Exists, Invalid, SizeMismatch
from cbtimpl.node import Node
from cbtimpl.state import State, Step


class OperatorCommands(State):
    """The commands on bitmaps, alone; all refuse an unknown node or bitmap as "not found"."""

    def bitmap_add(self, node: str, name: str, granularity: int = 65536, enabled: bool = True) -> None:
        """Add an empty bitmap with granules of `granularity` bytes, 2^9 to 2^31. Refused: "exists", "invalid"."""
        action = BitmapAdd(node, name, granularity, enabled)
        action.check()
        self.prepare_add(action).commit()

    def bitmap_remove(self, node: str, name: str) -> None:
        """Remove a bitmap. Refused: "busy"."""
        action = BitmapRemove(node, name)
        action.check()
        self.prepare_remove(action).commit()

    def bitmap_clear(self, node: str, name: str) -> None:
        """Unset all bits, also of a disabled bitmap. Refused: "busy"."""
        action = BitmapClear(node, name)
        action.check()
        self.prepare_clear(action).commit()

    def bitmap_enable(self, node: str, name: str) -> None:
        """Record from now on; on an enabled bitmap, nothing. Refused: "busy"."""
        action = BitmapEnable(node, name)
        action.check()
        self.prepare_enable(action).commit()

    def bitmap_disable(self, node: str, name: str) -> None:
        """Record no more; on a disabled bitmap, nothing. Refused: "busy"."""
        action = BitmapDisable(node, name)
        action.check()
        self.prepare_disable(action).commit()

    def bitmap_merge(self, node: str, target: str, sources: Sequence[tuple[str, str]]) -> None:
        """Add the bits of `sources`, each `(node, name)`, to `target`: all of them or none.

        Refused: "busy" (target or source), "size mismatch". An empty list is a success, whatever the target.
        """
        action = BitmapMerge(node, target, sources)
        action.check()
        self.prepare_merge(action).commit()

    # Refusals, in QEMU's order

    def check_new_name(self, name: str) -> None:
        """The part of the name that is checked before the node is looked up."""
        if not name:
            raise Invalid("Bitmap name cannot be empty")

    def check_granularity(self, granularity: int) -> None:
        """Powers of two from 512; the upper end is that of uint32."""
        if not granules.is_granularity(granularity):
            raise Invalid("Granularity must be power of 2 and at least 512")

    def check_free_name(self, node: Node, name: str) -> None:
        """A name denotes one bitmap of a node; a removed one keeps it until its transaction commits."""
        if name in node.bitmaps:
            raise Exists(f"Bitmap already exists: {name}")

    def check_name_length(self, name: str) -> None:
        """Bytes of UTF-8, at most 1023."""
        if len(name.encode("utf-8", "surrogatepass")) > arguments.LONGEST_NAME:
            raise Invalid(f"Bitmap name too long: {name}")

    def check_remove(self, bitmap: Bitmap) -> None:
        """What is in use cannot be removed."""
        self.check_not_busy(bitmap)

    def check_clear(self, bitmap: Bitmap) -> None:
        """What is in use cannot be cleared."""
        self.check_not_busy(bitmap)

    def check_enable(self, bitmap: Bitmap) -> None:
        """What is in use cannot be enabled."""
        self.check_not_busy(bitmap)

    def check_disable(self, bitmap: Bitmap) -> None:
        """What is in use cannot be disabled."""
        self.check_not_busy(bitmap)

    def check_merge_target(self, target: Bitmap) -> None:
        """What is in use cannot be merged into."""
        self.check_not_busy(target)

    def check_merge_source(self, source: Bitmap) -> None:
        """What is in use cannot be merged from: a frozen bitmap is not all that was written."""
        self.check_not_busy(source)

    def check_merge_sizes(self, target: Bitmap, source: Bitmap) -> None:
        """Only bitmaps of disks of one size mean the same bytes."""
        if target.size != source.size:
            raise SizeMismatch(
                f"Bitmaps are of different sizes (destination size is {target.size}, "
                f"source size is {source.size}) and can't be merged"
            )

    # Effects

    def prepare_add(self, action: BitmapAdd) -> Step:
        """Add; undone by removing it again."""
        self.check_new_name(action.name)
        node = self.find_device(action.node)
        self.check_granularity(action.granularity)
        self.check_free_name(node, action.name)
        self.check_name_length(action.name)
        node.bitmaps[action.name] = self.bitmap_class(action.name, action.granularity, node.size, action.enabled)
        return Step(undo=lambda: self.forget(node, action.name))

    def prepare_remove(self, action: BitmapRemove) -> Step:
        """Mark as busy; gone with the commit, so that the name is taken until then (qemu-facts.md 2.7)."""
        bitmap = self.find_bitmap(action.node, action.name)
        self.check_remove(bitmap)
        self.check_not_read_only(bitmap)
        node = self.nodes[action.node]
        bitmap.user = "removal"

        def undo() -> None:
            bitmap.user = None

        return Step(undo, commit=lambda: self.forget(node, action.name))

    def forget(self, node: Node, name: str) -> None:
        """Release a bitmap."""
        del node.bitmaps[name]

    def prepare_clear(self, action: BitmapClear) -> Step:
        """Swap in empty bits; undone by putting the old ones back."""
        bitmap = self.find_bitmap(action.node, action.name)
        self.check_clear(bitmap)
        self.check_not_read_only(bitmap)
        self.check_consistent(bitmap)
        before = bitmap.clear()

        def undo() -> None:
            bitmap.bits = before

        return Step(undo)

    def prepare_enable(self, action: BitmapEnable) -> Step:
        """Enable; undone if it was not enabled before."""
        bitmap = self.find_bitmap(action.node, action.name)
        self.check_enable(bitmap)
        self.check_consistent(bitmap)
        was_enabled = bitmap.enabled
        bitmap.enable()
        return Step() if was_enabled else Step(bitmap.disable)

    def prepare_disable(self, action: BitmapDisable) -> Step:
        """Disable; undone if it was enabled before."""
        bitmap = self.find_bitmap(action.node, action.name)
        self.check_disable(bitmap)
        self.check_consistent(bitmap)
        was_enabled = bitmap.enabled
        bitmap.disable()
        return Step(bitmap.enable) if was_enabled else Step()

    def prepare_merge(self, action: BitmapMerge) -> Step:
        """Merge source by source; the first refusal, here or later, puts the target's bits back."""
        target = self.find_bitmap(action.node, action.target)
        before = target.bits

        def undo() -> None:
            target.bits = before

        target.bits = before.copy()
        try:
            for node, name in action.sources:
                source = self.find_bitmap(node, name)
                self.check_merge_target(target)
                self.check_not_read_only(target)
                self.check_consistent(target)
                self.check_merge_source(source)
                self.check_consistent(source)
                self.check_merge_sizes(target, source)
                target.merge(source)
        except Exception:
            undo()
            raise
        return Step(undo)
