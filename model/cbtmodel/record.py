"""A record with some fields changed: `dataclasses.replace` for the specification's records, in much less time.

They are frozen, have slots, and compute nothing when they are made; so a changed one is a copy, slot by slot, with
the new values put in. That the fields exist, and are of the right type, mypy checks as for `dataclasses.replace`.
"""

from __future__ import annotations

import types
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

R = TypeVar("R")

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(record: R, /, **changes: Any) -> R:
        """The same record, but for `changes`. `AttributeError` if it has no such field."""
        return _changer(type(record), *changes)(record, *changes.values())


@cache
def _changer(kind: type, *changed: str) -> Any:
    """What makes a record of this kind from an old one and the values of the fields that are `changed`.

    It is written out field by field, as `dataclasses` writes `__init__`. A frozen record cannot be filled in; so it
    is a draft first, which has the same slots and is not frozen.
    """
    names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
    for name in changed:
        if name not in names:
            raise AttributeError(f"{kind.__name__} has no field {name}")
    bases = vars(kind).get("__orig_bases__", kind.__bases__)
    draft = types.new_class("Draft", bases, {}, lambda body: body.update(__slots__=names))
    given = ", ".join(f"{name}_" for name in changed)
    puts = "".join(f"    new.{name} = {f'{name}_' if name in changed else f'old.{name}'}\n" for name in names)
    known = {"make": object.__new__, "draft": draft, "kind": kind}
    exec(f"def change(old, {given}):\n    new = make(draft)\n{puts}    new.__class__ = kind\n    return new\n", known)
    return known["change"]
