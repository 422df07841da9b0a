"""Sets that nobody can look into: what the sets of every prover have in common.

The specification may unite, intersect and subtract sets, ask whether one is empty, and hand them to the space that
they come from. Everything else that Python would let it do raises `LooksInside`: comparing two sets, hashing,
counting or listing blocks, asking for one, other operators, attributes. So that the specification does no more is
checked by every proof, on every path, and not a convention.
"""

from __future__ import annotations

from typing import Any, NoReturn


class LooksInside(TypeError, AttributeError):
    """The specification does something to a set that it may not do."""


class Opaque:
    """A set of blocks. Provers add `|`, `&`, `-` and truth."""

    __slots__ = ()

    def _compared(self, other: object) -> bool:
        # The very same object is the same set: tables and tuples of Python ask in this way. Any two others may be
        # equal or not, block by block, and nobody may act on that.
        if other is self:
            return True
        raise LooksInside("it compares a set")

    def _differs(self, other: object) -> bool:
        return not self._compared(other)

    def _ordered(self, other: object) -> NoReturn:
        raise LooksInside("it asks whether a set contains another")

    def _counted(self, *of: object) -> NoReturn:
        raise LooksInside("it looks at single blocks")

    def _combined(self, *others: object) -> NoReturn:
        raise LooksInside("it combines sets by something else than |, & and -")

    __eq__ = _compared
    __ne__ = _differs
    __lt__ = __le__ = __gt__ = __ge__ = _ordered
    __hash__ = __len__ = __iter__ = __contains__ = __getitem__ = __int__ = __index__ = _counted
    __xor__ = __rxor__ = __invert__ = __add__ = __mul__ = __lshift__ = __rshift__ = _combined

    def __getattr__(self, name: str) -> Any:
        raise LooksInside(f"it asks a set for '{name}'")
