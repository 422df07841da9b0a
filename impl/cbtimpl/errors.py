"""Refusals: a command that is refused has changed nothing.

The text of each is QEMU's where QEMU has one (qemu-facts.md 2 and 4); callers match on `kind`.
I/O errors are not refusals: they are `OSError`.
"""

from typing import ClassVar


class Refused(Exception):
    """A command that was not carried out; `kind` says why, in one of ten fixed words."""

    kind: ClassVar[str]


class NotFound(Refused):
    """No such node, bitmap, job or write in flight."""

    kind = "not found"


class Exists(Refused):
    """The name is taken."""

    kind = "exists"


class Busy(Refused):
    """The bitmap or disk is in use by another operation."""

    kind = "busy"


class SizeMismatch(Refused):
    """Two disks that must be of one size are not."""

    kind = "size mismatch"


class Invalid(Refused):
    """An argument of the wrong type, out of range, or meaningless together with another."""

    kind = "invalid"


class ReadOnly(Refused):
    """The image of the disk is open for reading only."""

    kind = "read only"


class Inconsistent(Refused):
    """The bitmap is not to be trusted: whoever had it in use did not store it."""

    kind = "inconsistent"


class WrongPhase(Refused):
    """The job is not in a phase in which it takes this command."""

    kind = "wrong phase"


class Aborted(Refused):
    """The transaction held an Abort action."""

    kind = "aborted"


class CopyFailed(Refused):
    """Copy before write failed: the guest write was refused and never reached the disk. `error` says why."""

    kind = "copy failed"

    def __init__(self, message: str, error: OSError) -> None:
        super().__init__(message)
        self.error = error
