"""States of the implementation: a copy of one, and what tells it from others.

Both walk over everything that can be reached from an object through its attributes, whatever classes a variant of the
implementation has added, and raise `TypeError` for what they do not know rather than share or ignore it.

The *identity* is exact: two graphs of objects have the same identity if they have the same shape, the same order in
every dict and list, the same sharing, and equal values. Left out is only the content of disks and of requests: what
of it can matter is told apart by `Subject.identity` in `subject`. And of an image, what is told apart is what our own
reader finds in it, in its order; not which clusters it lies in (`EveryByte` has these told apart, too).
"""

from __future__ import annotations

import marshal
from types import FunctionType
from typing import Any

from cbtcheck.adapters.qcow2_store import Qcow2Store
from cbtimpl.backup import Piece
from cbtimpl.bits import GranuleSet
from cbtimpl.node import GuestWrite
from cbtimpl.storage import Disk

PLAIN = frozenset({int, str, bool, type(None), bytes})
VALUES = PLAIN | {type, FunctionType}
"""What never changes, and so need not be copied; all but the plain ones are code, and no state."""

REQUESTS = frozenset({Piece, GuestWrite})
"""Immutable; `data` None is zeroes."""


class EveryByte(Qcow2Store):
    """An image of which every byte is told apart, those of free clusters, too."""


def copy_of(thing: Any) -> Any:
    """A copy that shares nothing that can change, and in which whatever was one object still is."""
    return _copy(thing, {})


def _copy(thing: Any, made: dict[int, Any]) -> Any:
    kind = type(thing)
    if kind in VALUES or kind in REQUESTS:
        return thing
    there = made.get(id(thing))
    if there is not None:
        return there
    new: Any
    if kind is dict:
        new = made[id(thing)] = {}
        for key, value in thing.items():
            new[key] = value if type(value) in VALUES else _copy(value, made)
    elif kind is list:
        new = made[id(thing)] = []
        new.extend([_copy(each, made) for each in thing])
    elif kind is tuple:
        return tuple([_copy(each, made) for each in thing])
    elif kind is GranuleSet:
        new = made[id(thing)] = thing.copy()
    elif kind is bytearray:
        new = made[id(thing)] = bytearray(thing)
    else:
        new = made[id(thing)] = object.__new__(kind)
        attributes = new.__dict__
        for name, value in _attributes(thing).items():
            attributes[name] = value if type(value) in VALUES else _copy(value, made)
    return new


def identity_of(thing: Any) -> bytes:
    """What tells a graph of objects from others; see above."""
    return marshal.dumps(_identity(thing, {}), 2)  # version 2 has no back references: it looks at values only


def _identity(thing: Any, seen: dict[int, int]) -> Any:
    kind = type(thing)
    if kind in PLAIN:
        return thing
    if kind in REQUESTS:
        return thing.offset, thing.length, thing.data is None
    number = seen.get(id(thing))
    if number is not None:
        return ("seen", number)
    seen[id(thing)] = len(seen)
    if kind is GranuleSet:
        return thing.granularity, thing.size, *thing.granules()
    if kind is dict:
        return tuple([(key, _identity(value, seen)) for key, value in thing.items()])
    if kind is bytearray:
        return bytes(thing)
    if kind is Qcow2Store:
        entries = thing.entries().items()
        return tuple([(name, each.granularity, each.enabled, each.in_use, each.runs) for name, each in entries])
    if kind in (list, tuple):
        return ("list", *[_identity(each, seen) for each in thing])
    if issubclass(kind, Disk):
        return "disk"
    values = [value if type(value) in PLAIN else _identity(value, seen) for value in _attributes(thing).values()]
    return (_number(kind), *values)


def _attributes(thing: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = getattr(thing, "__dict__", None)
    if found is None or isinstance(thing, type | FunctionType):
        raise TypeError(f"cannot look into a {type(thing).__name__}")
    return found


_KINDS: dict[type, int] = {}


def _number(kind: type) -> int:
    return _KINDS.setdefault(kind, len(_KINDS))
