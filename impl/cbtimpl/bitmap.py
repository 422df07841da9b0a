"""The life cycle of one dirty bitmap: record, freeze, then abdicate or reclaim.

Source: qemu-facts.md 0, 1.1 and 12. While a job has a bitmap frozen, its own bits stand still and an anonymous
*successor* records in its place; at the job's end the successor either takes the name (abdicate) or gives its bits
back (reclaim). Nothing is checked here: `host` refuses commands before they get this far.
"""

from typing import Self

from cbtimpl import granules
from cbtimpl.bits import GranuleSet


class Bitmap:
    """Which granules of a node were written while this bitmap recorded.

    `enabled` is what the operator asked for; on a frozen bitmap it stays what it was at the freeze.
    `user` names the operation that has the bitmap: a job's id, or a removal that a transaction has not committed.
    `persistent`: it is to be stored in the image of its disk; `inconsistent`: it comes from an entry that nobody has
    stored, and is not to be trusted; `read_only`: its image is only read. The class of its sets is an attribute, so
    that a subclass can keep its bits elsewhere.
    """

    set_class: type[GranuleSet] = GranuleSet

    def __init__(self, name: str | None, granularity: int, size: int, enabled: bool = True) -> None:
        self.name = name
        self.enabled = enabled
        self.bits = self.set_class(granularity, size)
        self.successor: Bitmap | None = None
        self.user: str | None = None
        self.persistent = False
        self.inconsistent = False
        self.read_only = False

    @property
    def granularity(self) -> int:
        """Bytes of a granule."""
        return self.bits.granularity

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self.bits.size

    @property
    def busy(self) -> bool:
        """Whether another operation has it; busy does not stop recording (qemu-facts.md 1.1)."""
        return self.user is not None

    @property
    def frozen(self) -> bool:
        """Whether a successor stands in for it."""
        return self.successor is not None

    @property
    def recording(self) -> bool:
        """As QEMU reports it: whether writes are recorded under this name (qemu-facts.md 1.2)."""
        return self.recorder() is not None

    def recorder(self) -> "Bitmap | None":
        """The bitmap that records a write now: the successor of a frozen one, else itself; None if disabled."""
        standing_in = self if self.successor is None else self.successor
        return standing_in if standing_in.enabled else None

    def touched(self, offset: int, length: int) -> tuple[int, int]:
        """The granules that a write of those bytes makes dirty, as `(first, past)`: rounded outwards."""
        return granules.covering(offset, length, self.granularity, self.size)

    def record(self, offset: int, length: int) -> None:
        """Take note of a write of `length` bytes at `offset`."""
        recorder = self.recorder()
        if recorder is not None:
            recorder.bits.add(*recorder.touched(offset, length))

    def enable(self) -> None:
        """Record from now on."""
        self.enabled = True

    def disable(self) -> None:
        """Record no more; what is set stays."""
        self.enabled = False

    def clear(self) -> GranuleSet:
        """Forget all; also when disabled. Returns the bits as they were, for a transaction to put back."""
        before = self.bits
        self.bits = self.set_class(self.granularity, self.size)
        return before

    def merge(self, source: Self) -> None:
        """Add what `source` has, rounded outwards. The source does not change."""
        if source is self:
            return
        if source.bits.is_empty():
            self.merge_nothing(source)
        elif self.bits.is_empty():
            self.merge_into_nothing(source)
        else:
            self.bits.merge(source.bits)

    def merge_nothing(self, source: Self) -> None:
        """Merge an empty source: this bitmap keeps what it has (field-bugs.md Q32)."""

    def merge_into_nothing(self, source: Self) -> None:
        """Merge into an empty bitmap: it gets all of the source (field-bugs.md Q32)."""
        self.bits.merge(source.bits)

    def make_successor(self) -> Self:
        """What freeze puts in place: anonymous, empty, enabled iff this bitmap is."""
        return type(self)(None, self.granularity, self.size, self.enabled)

    def freeze(self, user: str) -> None:
        """Stand still for the job `user`; a successor records from now on."""
        self.user = user
        self.successor = self.make_successor()

    def thaw(self) -> None:
        """Undo a freeze in which nothing was written: the refused start of a job (qemu-facts.md 4.6)."""
        self.user = None
        self.successor = None

    def abdicate(self) -> "Bitmap":
        """The successor takes the name; returns it. This bitmap is no more."""
        heir = self.successor
        assert heir is not None, "only a frozen bitmap abdicates"
        heir.name, heir.persistent = self.name, self.persistent
        self.successor = None
        return heir

    def reclaim(self) -> "Bitmap":
        """Take back what the successor recorded, and its enabled state; returns this bitmap."""
        successor = self.successor
        assert successor is not None, "only a frozen bitmap reclaims"
        self.bits.merge(successor.bits)
        self.enabled = successor.enabled
        self.successor = None
        self.user = None
        return self
