"""Narrow mistakes that show when an image is closed, opened, reopened, or left by a crash."""

from __future__ import annotations

from dataclasses import replace

from cbtimpl import Host
from cbtimpl.bitmap import Bitmap
from cbtimpl.images import ImageOfDisk, StoredBitmap
from cbtimpl.node import Node
from cbtimpl.operator_commands import OperatorCommands
from cbtimpl.state import Step

from cbtcheck.adapters.mistakes.registry import narrow_mistake
from cbtcheck.scenario.verdict import Verdict

RESTARTS = "restarts"
"""The line, and the phase that finds them."""


@narrow_mistake("no-in-use-mark", RESTARTS, Verdict.UNSAFE, RESTARTS)
class NoInUseMark(Host):
    """An image that is opened for writing goes on saying that its bitmaps are valid."""

    def mark(self, image: ImageOfDisk) -> None:
        """Nothing."""


@narrow_mistake("no-in-use-mark-when-reopened", RESTARTS, Verdict.UNSAFE, RESTARTS)
class NoInUseMarkWhenReopened(Host):
    """An image that is reopened for writing goes on saying that its bitmaps are valid."""

    def mark(self, image: ImageOfDisk) -> None:
        """Only while it is being opened, not while its node is read-only still."""
        if not any(node.disk is image.disk and node.read_only for node in self.nodes.values()):
            super().mark(image)


@narrow_mistake("in-use-is-trusted", RESTARTS, Verdict.UNSAFE, RESTARTS)
class InUseIsTrusted(Host):
    """Whoever opens an image takes no notice of the marks that a crash has left."""

    def loaded(self, name: str, entry: StoredBitmap, node: Node) -> Bitmap:
        """As if it had been stored."""
        return super().loaded(name, replace(entry, in_use=False), node)


@narrow_mistake("inconsistent-stored-as-valid", RESTARTS, Verdict.UNSAFE, RESTARTS)
class InconsistentStoredAsValid(Host):
    """A clean close heals an inconsistent bitmap: it is stored with what it has, which is nothing."""

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """Always valid."""
        return replace(super().entry(bitmap), in_use=False)


@narrow_mistake("bits-lost-at-close", RESTARTS, Verdict.UNSAFE, RESTARTS)
class BitsLostAtClose(Host):
    """What a session has added to a bitmap that had something when it was loaded is not stored."""

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """Of the bits the first run only."""
        entry = super().entry(bitmap)
        return replace(entry, runs=entry.runs[:1])


@narrow_mistake("flag-not-stored", RESTARTS, Verdict.UNSAFE, RESTARTS)
class FlagNotStored(Host):
    """Whether a bitmap records is not stored: all come back as ones that do not."""

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """Disabled."""
        return replace(super().entry(bitmap), enabled=False)


@narrow_mistake("comes-back-enabled", RESTARTS, Verdict.DIVERGES, RESTARTS)
class ComesBackEnabled(Host):
    """That a bitmap is disabled is lost: all come back recording."""

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """Enabled."""
        return replace(super().entry(bitmap), enabled=True)


@narrow_mistake("stored-in-another-granularity", RESTARTS, Verdict.UNSAFE, RESTARTS)
class StoredInAnotherGranularity(Host):
    """An entry says half of the granularity that its bits have."""

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """Halved, down to the smallest."""
        entry = super().entry(bitmap)
        return replace(entry, granularity=max(512, entry.granularity // 2))


@narrow_mistake("read-only-is-stored", RESTARTS, Verdict.UNSAFE, RESTARTS)
class ReadOnlyIsStored(Host):
    """An image that was only read is stored when it is closed all the same."""

    def store_image(self, node: Node) -> None:
        """Whatever it was opened for."""
        self.images[node.name].store.store(self.to_store(node))


@narrow_mistake("successor-not-stored", RESTARTS, Verdict.UNSAFE, RESTARTS)
class SuccessorNotStored(Host):
    """A close stores bitmaps first and cancels jobs then: what was written since they started is in no file."""

    def close_image(self, name: str) -> None:
        """Stores before anything else, and that stays."""
        node = self.opened(name)
        before = self.to_store(node)
        busy = any(bitmap.busy for bitmap in node.bitmaps.values())
        super().close_image(name)
        if busy and not node.read_only:
            self.images[name].store.store(before)


@narrow_mistake("in-flight-not-stored", RESTARTS, Verdict.UNSAFE, RESTARTS)
class InFlightNotStored(Host):
    """A close does not wait for guest writes in flight: they land, and no bitmap that is stored has them."""

    def close_image(self, name: str) -> None:
        """Drops them."""
        self.opened(name).writes.clear()
        super().close_image(name)


@narrow_mistake("heir-is-not-persistent", RESTARTS, Verdict.DIVERGES, RESTARTS)
class HeirIsNotPersistent(Bitmap):
    """The successor that takes the name of a stored bitmap is not stored: the bitmap is gone after the next close."""

    def abdicate(self) -> Bitmap:
        """As it was made."""
        heir = super().abdicate()
        heir.persistent = False
        return heir


@narrow_mistake("removed-from-memory-only", RESTARTS, Verdict.DIVERGES, RESTARTS)
class RemovedFromMemoryOnly(Host):
    """A bitmap that is removed stays in the image until the next close."""

    def prepare_remove(self, action: object) -> Step:
        """Without the image."""
        return OperatorCommands.prepare_remove(self, action)  # type: ignore[arg-type]


@narrow_mistake("not-stored-when-reopened", RESTARTS, Verdict.DIVERGES, RESTARTS)
class NotStoredWhenReopened(Host):
    """An image that is reopened for reading only keeps its entries in use until it is closed, and then for ever."""

    def reopen_image(self, name: str, read_only: bool) -> None:
        """Stores nothing."""
        node = self.opened(name)
        if not read_only or node.read_only:
            super().reopen_image(name, read_only)
            return
        self.check_nothing_busy(node)
        self.after_drain(self.drain([node], self.jobs_on(node)))
        self.set_read_only(node, True)


@narrow_mistake("read-only-can-be-cleared", RESTARTS, Verdict.UNSAFE, RESTARTS)
class ReadOnlyCanBeCleared(Host):
    """A stored bitmap of a disk that is only read can be changed in memory."""

    def check_not_read_only(self, bitmap: Bitmap) -> None:
        """Nothing is refused."""


@narrow_mistake("inconsistent-can-be-used", RESTARTS, Verdict.UNSAFE, RESTARTS)
class InconsistentCanBeUsed(Host):
    """An inconsistent bitmap can be enabled, merged and backed up as if it were an empty one."""

    def check_consistent(self, bitmap: Bitmap) -> None:
        """Nothing is refused."""


@narrow_mistake("second-bitmap-not-stored", RESTARTS, Verdict.DIVERGES, RESTARTS)
class SecondBitmapNotStored(Host):
    """Of the bitmaps of a disk only the oldest is stored."""

    def to_store(self, node: Node) -> dict[str, StoredBitmap]:
        """The first."""
        return dict([*super().to_store(node).items()][:1])


@narrow_mistake("stale-entries-are-believed", RESTARTS, Verdict.UNSAFE, RESTARTS)
class StaleEntriesAreBelieved(Host):
    """Bitmaps are loaded although somebody has written to the image who knows nothing of them."""

    def open_image(self, name: str, read_only: bool = False) -> Node:
        """With what was stored last under that name, if the image has nothing."""
        known: dict[str, dict[str, StoredBitmap]] = self.__dict__.setdefault("known_entries", {})
        node = super().open_image(name, read_only)
        if not node.bitmaps:
            for each, entry in known.get(name, {}).items():
                node.bitmaps[each] = self.loaded(each, entry, node)
        return node

    def store_image(self, node: Node) -> None:
        """Remembers it."""
        super().store_image(node)
        if not node.read_only:
            self.__dict__.setdefault("known_entries", {})[node.name] = self.to_store(node)
