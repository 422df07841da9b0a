"""Images: bitmaps that are stored when a disk is closed, and loaded when it is opened.

Source: QEMU, block/qcow2-bitmap.c. While an image is open for writing each of its entries is marked as in use; a
close stores the persistent bitmaps and takes the marks away. So whoever opens it after a crash finds entries in use,
and loads them as inconsistent bitmaps: they are there by name, and nobody can use them.

Where entries are kept is somebody else's affair (`ImageStore`). What a call of it has done that fails, nobody knows:
so from then on nothing in the file may be trusted, or no write is admitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cbtimpl import arguments
from cbtimpl.actions import BitmapRemove
from cbtimpl.bitmap import Bitmap
from cbtimpl.errors import Busy, Exists, NotFound
from cbtimpl.node import Node
from cbtimpl.state import Step
from cbtimpl.storage import Disk
from cbtimpl.transactions import Transactions


@dataclass(frozen=True)
class StoredBitmap:
    """A bitmap in an image: bytes of a granule, whether it records, whether it is in use, its runs of granules."""

    granularity: int
    enabled: bool
    in_use: bool
    runs: tuple[tuple[int, int], ...] = ()


class ImageStore(Protocol):
    """The bitmaps of an image, in its file. Each call but `entries` may raise `OSError`."""

    def entries(self) -> dict[str, StoredBitmap]:
        """All of them, by name; none if whoever wrote the file last knows nothing of bitmaps."""

    def mark_in_use(self) -> None:
        """Every entry is in use from now on."""

    def store(self, bitmaps: Mapping[str, StoredBitmap]) -> None:
        """These are the entries from now on. Those in use stay as they are, whatever is said of them.

        If that fails, the entries are the old ones, or these.
        """

    def remove(self, name: str) -> None:
        """There is no entry of that name any more, if there was one."""


@dataclass(frozen=True)
class ImageOfDisk:
    """A disk with the file of its bitmaps; they are there whether a node has them open or not."""

    disk: Disk
    store: ImageStore


class Images(Transactions):
    """Nodes whose bitmaps are in images. `images` are by the name of the node."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, ImageOfDisk] = {}

    def add_image(self, name: str, disk: Disk, store: ImageStore) -> None:
        """A disk and the file of its bitmaps, closed. Refused: "exists"."""
        if arguments.text("name", name) in self.images:
            raise Exists(f"Duplicate images with name='{name}'")
        self.images[name] = ImageOfDisk(disk, store)

    def open_image(self, name: str, read_only: bool = False) -> Node:
        """A node on an image, with its bitmaps. Refused: "not found", "exists" (it is open).

        `OSError` if the file fails: then it is not open.
        """
        if arguments.text("name", name) not in self.images:
            raise NotFound(f"Image '{name}' not found")
        image = self.images[name]
        node = self.add_node(name, image.disk.size, image.disk)
        node.read_only = arguments.flag("read_only", read_only)
        for each, entry in image.store.entries().items():
            node.bitmaps[each] = self.loaded(each, entry, node)
        if not read_only:
            try:
                self.mark(image)
            except OSError:
                del self.nodes[name]
                raise
        return node

    def loaded(self, name: str, entry: StoredBitmap, node: Node) -> Bitmap:
        """The bitmap that an entry becomes."""
        enabled = entry.enabled and not entry.in_use
        bitmap = self.bitmap_class(name, entry.granularity, node.size, enabled)
        bitmap.persistent, bitmap.inconsistent, bitmap.read_only = True, entry.in_use, node.read_only
        for first, past in () if entry.in_use else entry.runs:
            bitmap.bits.add(first, past)
        return bitmap

    def mark(self, image: ImageOfDisk) -> None:
        """Nothing in the file is to be trusted from now on, before the first write is admitted."""
        image.store.mark_in_use()

    def add_persistent(self, node: str, name: str, granularity: int = 65536, enabled: bool = True) -> None:
        """Add a bitmap that is to be stored; it is in no file until then. Refused: as `bitmap_add`."""
        self.bitmap_add(node, name, granularity, enabled)
        self.nodes[node].bitmaps[name].persistent = True

    def close_image(self, name: str) -> None:
        """Let everything in flight end, cancel the jobs of the node, store its bitmaps. Refused: "not found".

        `OSError` if the file fails: then it is closed all the same.
        """
        node = self.opened(name)
        self.drain([node], self.jobs_on(node))
        for job in self.jobs_on(node):
            if self.is_alive(job):
                self.cancel(job.id)
        try:
            self.store_image(node)
        finally:
            del self.nodes[name]

    def reopen_image(self, name: str, read_only: bool) -> None:
        """Reading only from now on, with the bitmaps stored; or writing, with all entries in use.

        Refused: "not found", "busy" (what a job's successor records would be in no file). `OSError` if the file
        fails: what was in flight has ended, and it is open as before; for reading only if the file may say that its
        bitmaps are valid, and cannot be marked.
        """
        node = self.opened(name)
        if arguments.flag("read_only", read_only) == node.read_only:
            return
        if read_only:
            self.check_nothing_busy(node)
        outcomes = self.drain([node], self.jobs_on(node))
        try:
            if read_only:
                self.store_or_distrust(node)
            else:
                self.mark(self.images[name])
            self.set_read_only(node, read_only)
        finally:
            self.after_drain(outcomes)

    def store_or_distrust(self, node: Node) -> None:
        """Store the bitmaps. If that fails the file may say that they are valid, and writes would go on.

        So it is marked again; if that fails, too, no write is admitted any more.
        """
        try:
            self.store_image(node)
        except OSError:
            try:
                self.mark(self.images[node.name])
            except OSError:
                self.set_read_only(node, True)
            raise

    def set_read_only(self, node: Node, read_only: bool) -> None:
        """Whether the node, and what is stored of it, can only be read."""
        node.read_only = read_only
        for bitmap in node.bitmaps.values():
            bitmap.read_only = read_only and bitmap.persistent

    def check_nothing_busy(self, node: Node) -> None:
        """A job that has a bitmap goes on, and so does its successor."""
        for bitmap in node.bitmaps.values():
            if bitmap.busy:
                raise Busy(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")

    def opened(self, name: str) -> Node:
        """The node of an image that is open."""
        if arguments.text("name", name) not in self.images or name not in self.nodes:
            raise NotFound(f"Failed to find node with node-name='{name}'")
        return self.nodes[name]

    def store_image(self, node: Node) -> None:
        """The persistent bitmaps become the entries, unless the image is only read."""
        if not node.read_only:
            self.images[node.name].store.store(self.to_store(node))

    def to_store(self, node: Node) -> dict[str, StoredBitmap]:
        """What is stored of a node: inconsistent bitmaps as what they are."""
        return {name: self.entry(bitmap) for name, bitmap in node.bitmaps.items() if bitmap.persistent}

    def entry(self, bitmap: Bitmap) -> StoredBitmap:
        """The entry that a bitmap becomes."""
        entry = StoredBitmap(bitmap.granularity, bitmap.enabled, False, tuple(bitmap.bits.runs()))
        return replace(entry, in_use=True, runs=()) if bitmap.inconsistent else entry

    def crash(self) -> None:
        """All that is not in a file is gone."""
        self.nodes, self.jobs, self.ended, self.drained = {}, {}, [], []

    def prepare_remove(self, action: BitmapRemove) -> Step:
        """The entry goes at once; if the removal is undone it comes back with the next store, as in QEMU.

        `OSError` if the file fails: then nothing is removed.
        """
        step = super().prepare_remove(action)
        bitmap = self.find_bitmap(action.node, action.name)
        if bitmap.persistent and action.node in self.images:
            try:
                self.images[action.node].store.remove(action.name)
            except OSError:
                step.undo()
                raise
        return step
