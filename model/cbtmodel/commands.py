"""Everything that can happen, as plain data.

Operators give commands; the environment has its say too: a copy succeeds or fails, a write lands or is held in
flight. Offsets, lengths, granularities and clusters are in bytes. Whatever is put into the fields, `step` answers;
`malformed` says what is wrong with a command that is not even well formed. Whose a command is, how far it reaches,
and what else others must know of it, is in `traits`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, reduce
from typing import Annotated, Any, Literal

from cbtmodel.backup import BitmapMode, OnError, Side, Sync

Bytes = Annotated[int, (0, (1 << 63) - 1)]
Granularity = Annotated[int, (0, (1 << 32) - 1)]
Fits = Callable[[object], bool]

# Operators: bitmaps


@dataclass(frozen=True, slots=True)
class AddBitmap:
    """A new bitmap on a node."""

    node: str
    name: str
    granularity: Granularity
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RemoveBitmap:
    """The bitmap is deleted."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class ClearBitmap:
    """Everything in the bitmap is clean."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class EnableBitmap:
    """The bitmap records."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class DisableBitmap:
    """The bitmap does not record."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class Source:
    """A bitmap to merge from, on any node of the same size."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class MergeBitmaps:
    """All sources are merged into the target bitmap, or none is."""

    node: str
    target: str
    sources: tuple[Source, ...]


OnBitmap = RemoveBitmap | ClearBitmap | EnableBitmap | DisableBitmap
"""What is said of one bitmap, and says nothing more."""

# Operators: jobs


@dataclass(frozen=True, slots=True)
class StartBackup:
    """A backup of a node to a fresh target begins, and freezes its bitmap if it has one.

    `sync`: *full* copies everything; *incremental* and *bitmap* what the bitmap has. `bitmap_mode`: when the
    bitmap is considered synchronised: *on-success*, *never*, or *always* (also after a failure, less what was not
    copied). *incremental* is *bitmap* with *on-success*.
    """

    job: str
    node: str
    sync: Sync
    bitmap: str | None = None
    bitmap_mode: BitmapMode | None = None
    cluster: Granularity = 65536
    auto_finalize: bool = True
    on_source_error: OnError = "report"
    on_target_error: OnError = "report"


@dataclass(frozen=True, slots=True)
class PauseJob:
    """No more copies until it is resumed; copy-before-write goes on."""

    job: str


@dataclass(frozen=True, slots=True)
class ResumeJob:
    """A job that was paused, by an operator or by an error, goes on."""

    job: str


@dataclass(frozen=True, slots=True)
class CancelJob:
    """The job ends without success, and so does its whole group."""

    job: str


@dataclass(frozen=True, slots=True)
class FinalizeJob:
    """A pending job ends, and so does its whole group."""

    job: str


OnJob = PauseJob | ResumeJob | CancelJob | FinalizeJob
"""What is said of one job, and says nothing more."""

# Operators: transactions


@dataclass(frozen=True, slots=True)
class Abort:
    """Only in a transaction: makes it fail."""


Action = AddBitmap | OnBitmap | MergeBitmaps | StartBackup | Abort


@dataclass(frozen=True, slots=True)
class Transaction:
    """All actions, one after the other, at one drained instant; or none.

    `grouped`: the jobs that it starts complete together, or none does. It then may contain nothing but backups.
    """

    actions: tuple[Action, ...]
    grouped: bool = False


# The guest. A write of zeroes is a write; a discard is a write if it takes effect.

WriteKind = Literal["write", "zeroes", "discard"]


@dataclass(frozen=True, slots=True)
class Write:
    """A whole guest write. `result` is what the environment does to it:

    *ok*; *failed* (the disk reports an error: the content is unknown now); *copy failed* (if this write needs a
    copy-before-write, that fails); *ignored* (a discard without effect).
    """

    node: str
    offset: Bytes
    length: Bytes
    kind: WriteKind = "write"
    result: Literal["ok", "failed", "copy failed", "ignored"] = "ok"


@dataclass(frozen=True, slots=True)
class BeginWrite:
    """A guest write begins, and is in flight until its `EndWrite`. `write` is its id on the node."""

    node: str
    write: str
    offset: Bytes
    length: Bytes
    kind: WriteKind = "write"
    result: Literal["ok", "copy failed"] = "ok"


@dataclass(frozen=True, slots=True)
class EndWrite:
    """A guest write in flight ends."""

    node: str
    write: str
    result: Literal["ok", "failed"] = "ok"


Guest = Write | BeginWrite | EndWrite

# The environment of jobs


@dataclass(frozen=True, slots=True)
class Copy:
    """A job copies all clusters of a byte range that it has yet to copy, or fails to."""

    job: str
    offset: Bytes
    length: Bytes
    result: Literal["ok"] | Side = "ok"


@dataclass(frozen=True, slots=True)
class BeginCopy:
    """A job begins such a copy, and it is in flight until its `EndCopy`."""

    job: str
    offset: Bytes
    length: Bytes


@dataclass(frozen=True, slots=True)
class EndCopy:
    """The copy in flight ends."""

    job: str
    result: Literal["ok"] | Side = "ok"


Copying = Copy | BeginCopy | EndCopy
OfJob = OnJob | Copying
"""What has to do with one job that there is."""

Plain = OnBitmap | OnJob
"""What says no more than which bitmap or which job."""

Operators = AddBitmap | OnBitmap | MergeBitmaps | StartBackup | OnJob | Transaction
Command = Operators | Guest | Copying

COMMANDS: tuple[type, ...] = typing.get_args(Command)
ACTIONS: tuple[type, ...] = typing.get_args(Action)


def malformed(command: object) -> str | None:
    """What is wrong with the form of a command, or None."""
    if not isinstance(command, COMMANDS):
        return f"unknown command {type(command).__name__}"
    return _misfit(command)


def _misfit(record: Any) -> str | None:
    kind: type = type(record)
    for name, fits in _form(kind):
        if not fits(getattr(record, name)):
            return f"{kind.__name__}: bad {name}"
    return None


@cache
def _form(kind: type) -> tuple[tuple[str, Fits], ...]:
    """The fields of a record, each with what says whether a value may be in it."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple((field.name, _fits(hints[field.name])) for field in fields(kind))


def _fits(hint: Any) -> Fits:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return lambda value: type(value) is str and value in inner
    if origin is Annotated:
        low, high = hint.__metadata__[0]
        return lambda value: type(value) is int and low <= value <= high
    if origin is tuple:
        each_fits = _fits(inner[0])
        return lambda value: isinstance(value, tuple) and all(map(each_fits, value))
    if all(map(is_dataclass, inner or (hint,))):
        return lambda value: isinstance(value, inner or hint) and _misfit(value) is None
    if origin in (typing.Union, types.UnionType):
        return reduce(_either, map(_fits, inner))
    return lambda value: type(value) is hint


def _either(one: Fits, other: Fits) -> Fits:
    return lambda value: one(value) or other(value)
