"""Which functions of the specification are called where: what a mutant cannot change need not be looked at again.

Recorded with the right specification, while everything is looked at once. A mutant of a function changes nothing in a
scene, on an edge or in a scenario in which that function is not called. Without a recording nothing is left out; what
is found is the same, later.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from cbtproofs.mutants.catalogue import all_mutants
from cbtproofs.mutants.mutant import Mutant


class Calls:
    """By place (a scene, a scenario, a state, a command in a state): the functions called there, by their code."""

    def __init__(self) -> None:
        self.called: dict[Hashable, frozenset[CodeType]] = {}
        self._now: set[CodeType] = set()
        self._interned: dict[frozenset[CodeType], frozenset[CodeType]] = {}
        self._right: dict[str, CodeType] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Listens meanwhile. The specification must be the right one; whoever looks at a place says so (`at`)."""
        self._right = {each.place: each.function.__code__ for each in all_mutants()}
        ours = frozenset(self._right.values())

        def listen(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code in ours:
                self._now.add(frame.f_code)

        self._now.clear()
        sys.settrace(listen)
        try:
            yield
        finally:
            sys.settrace(None)

    def at(self, place: Hashable) -> None:
        """All that was called since the last place was called there; no effect if nobody listens."""
        if sys.gettrace() is not None:
            these = frozenset(self._now)
            self._now.clear()
            self.called[place] = self._interned.setdefault(these, these)

    def right_code(self, mutant: Mutant | None) -> CodeType | None:
        """The right code of what a mutant changes, if it is recorded where that is called."""
        return None if mutant is None else self._right.get(mutant.place)

    def same_as_ever(self, place: Hashable, code: CodeType | None) -> bool:
        """Whether a function with this code is known not to be called there."""
        called = None if code is None else self.called.get(place)
        return called is not None and code not in called

    def forget(self) -> None:
        """Nothing is recorded any more."""
        self.called.clear()
        self._right.clear()


CALLS = Calls()
"""What this process, or the one that it was forked from, has recorded."""
