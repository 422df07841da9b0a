"""The commands that a transaction takes, as data.

Each checks the types and words of its own arguments (`check`), and knows its name in QEMU (`kind`);
what it means is in `operator_commands`, `job_start` and `transactions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cbtimpl import arguments
from cbtimpl.errors import Invalid
from cbtimpl.storage import Disk


@dataclass(frozen=True)
class BitmapAction:
    """An action on one bitmap of one node."""

    kind: ClassVar[str]
    groups: ClassVar[bool] = False
    node: str
    name: str

    def check(self) -> None:
        """Raise `Invalid` for an argument of the wrong type."""
        arguments.text("node", self.node)
        arguments.text("name", self.name)


@dataclass(frozen=True)
class BitmapAdd(BitmapAction):
    """Add an empty bitmap."""

    kind = "block-dirty-bitmap-add"
    granularity: int = 65536
    enabled: bool = True

    def check(self) -> None:
        """Raise `Invalid` for an argument of the wrong type."""
        super().check()
        arguments.uint32("granularity", self.granularity)
        arguments.flag("enabled", self.enabled)


@dataclass(frozen=True)
class BitmapRemove(BitmapAction):
    """Remove a bitmap."""

    kind = "block-dirty-bitmap-remove"


@dataclass(frozen=True)
class BitmapClear(BitmapAction):
    """Unset all bits."""

    kind = "block-dirty-bitmap-clear"


@dataclass(frozen=True)
class BitmapEnable(BitmapAction):
    """Record from now on."""

    kind = "block-dirty-bitmap-enable"


@dataclass(frozen=True)
class BitmapDisable(BitmapAction):
    """Record no more."""

    kind = "block-dirty-bitmap-disable"


@dataclass(frozen=True)
class BitmapMerge:
    """Add the bits of `sources`, each `(node, name)`, to `target` on `node`."""

    kind: ClassVar[str] = "block-dirty-bitmap-merge"
    groups: ClassVar[bool] = False
    node: str
    target: str
    sources: Sequence[tuple[str, str]]

    def check(self) -> None:
        """Raise `Invalid` for an argument of the wrong type."""
        arguments.text("node", self.node)
        arguments.text("target", self.target)
        if isinstance(self.sources, str) or not isinstance(self.sources, Sequence):
            raise Invalid("Invalid parameter type for 'bitmaps', expected: array")
        for source in self.sources:
            if isinstance(source, str) or not isinstance(source, Sequence) or len(source) != 2:
                raise Invalid("Invalid parameter type for 'bitmaps', expected: pairs of node and name")
            arguments.text("node", source[0])
            arguments.text("name", source[1])


@dataclass(frozen=True)
class Backup:
    """Start a backup job; the arguments are those of `Host.backup`."""

    kind: ClassVar[str] = "blockdev-backup"
    groups: ClassVar[bool] = True
    job: str
    node: str
    target: Disk
    sync: str
    bitmap: str | None = None
    bitmap_mode: str | None = None
    cluster: int = 65536
    auto_finalize: bool = True
    on_source_error: str = "report"
    on_target_error: str = "report"

    def check(self) -> None:
        """Raise `Invalid` for an argument of the wrong type, or a word that does not exist."""
        arguments.text("job", self.job)
        arguments.text("node", self.node)
        arguments.disk("target", self.target)
        arguments.choice("sync", self.sync, arguments.SYNC_MODES)
        if self.bitmap is not None:
            arguments.text("bitmap", self.bitmap)
        if self.bitmap_mode is not None:
            arguments.choice("bitmap-mode", self.bitmap_mode, arguments.BITMAP_MODES)
        arguments.uint32("cluster", self.cluster)
        arguments.flag("auto-finalize", self.auto_finalize)
        arguments.choice("on-source-error", self.on_source_error, arguments.ERROR_POLICIES)
        arguments.choice("on-target-error", self.on_target_error, arguments.ERROR_POLICIES)


@dataclass(frozen=True)
class Abort:
    """Always refused: to see that a transaction is undone."""

    kind: ClassVar[str] = "abort"
    groups: ClassVar[bool] = True

    def check(self) -> None:
        """Nothing to check."""


Action = BitmapAdd | BitmapRemove | BitmapClear | BitmapEnable | BitmapDisable | BitmapMerge | Backup | Abort
