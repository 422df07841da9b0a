"""What a history is played on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CLUSTERS: Final = {9: 96, 12: 16, 16: 8}
"""Clusters of the disk, by the exponent of their size."""
ROOM: Final = 16 << 20
"""Bytes of the storage: more than any image comes to."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a history is played on. `cluster_bits` is the exponent of the clusters' size in bytes."""

    cluster_bits: int = 12
    backed: bool = False
    trims: str = "zeroed"

    def __str__(self) -> str:
        backing = "over a backing file" if self.backed else "without a backing file"
        return f"clusters of {1 << self.cluster_bits}, {backing}, trims {self.trims}"

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return CLUSTERS[self.cluster_bits] << self.cluster_bits

    @property
    def unmaps(self) -> bool:
        """Whether QEMU is told to send trims."""
        return self.trims != "none"

    def backing(self) -> bytes | None:
        """What the backing file has."""
        return b"\xba\xcc" * (self.size // 2) if self.backed else None
