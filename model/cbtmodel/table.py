"""An immutable, hashable dictionary from names to values: what nodes, bitmaps and jobs are kept in.

`put` and `drop` return a new table and leave every other entry the very same object, so that a reader, an
explorer and a prover can all see at a glance what a transition did not touch.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TypeVar, overload

T = TypeVar("T")
V = TypeVar("V")


class Table(Mapping[str, V]):
    """A mapping that never changes. The order of insertion is kept, but does not matter for equality."""

    __slots__ = ("_entries", "_hash")

    def __init__(self, entries: Mapping[str, V] | None = None) -> None:
        self._entries: dict[str, V] = dict(entries or {})
        self._hash: int | None = None

    def __getitem__(self, name: str) -> V:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def keys(self) -> KeysView[str]:
        """All names; as `Mapping` has it, but the dictionary's own, which is quicker."""
        return self._entries.keys()

    def values(self) -> ValuesView[V]:
        """All values."""
        return self._entries.values()

    def items(self) -> ItemsView[str, V]:
        """All pairs of a name and its value."""
        return self._entries.items()

    @overload
    def get(self, name: str, /) -> V | None: ...

    @overload
    def get(self, name: str, /, default: V | T) -> V | T: ...

    def get(self, name: str, /, default: V | T | None = None) -> V | T | None:
        """The value under `name`, or `default`."""
        return self._entries.get(name, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._entries == other._entries

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._entries.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"Table({self._entries!r})"

    def put(self, name: str, value: V) -> Table[V]:
        """The same table, with `value` under `name`."""
        if self._entries.get(name) is value:
            return self
        return self._with({**self._entries, name: value})

    def drop(self, name: str) -> Table[V]:
        """The same table without `name`, which must be in it."""
        rest = dict(self._entries)
        del rest[name]
        return self._with(rest)

    @staticmethod
    def _with(entries: dict[str, V]) -> Table[V]:
        """A table of entries that nobody else has, so that they need not be copied."""
        made: Table[V] = Table.__new__(Table)
        made._entries, made._hash = entries, None
        return made
