"""An immutable, hashable dictionary from names to values: what nodes, bitmaps and jobs are kept in.

`put` and `drop` return a new table and leave every other entry the very same object, so that a reader, an
explorer and a prover can all see at a glance what a transition did not touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

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
        return Table({**self._entries, name: value})

    def drop(self, name: str) -> Table[V]:
        """The same table without `name`, which must be in it."""
        rest = dict(self._entries)
        del rest[name]
        return Table(rest)
