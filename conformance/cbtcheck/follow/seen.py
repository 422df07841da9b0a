"""What is remembered of what was seen: a bitmap that had so many granules has no fewer, until something cleans it."""

from __future__ import annotations

from cbtmodel.blocks import S
from cbtmodel.claims import counts_as_delivered, waives
from cbtmodel.commands import ClearBitmap, RemoveBitmap, Transaction
from cbtmodel.image import Event
from cbtmodel.step import Step

from cbtcheck.adapter import SeenBitmap

Place = tuple[str, str]


class Shown:
    """How many granules each bitmap, by (node, name), was seen to have, while nothing has made them fewer."""

    def __init__(self, counts: dict[Place, int] | None = None) -> None:
        self._counts: dict[Place, int] = {} if counts is None else counts

    def fork(self) -> Shown:
        """The same once more, to go its own way."""
        return Shown(dict(self._counts))

    def number(self, place: Place) -> int:
        """How many granules it must have, therefore."""
        return self._counts.get(place, 0)

    def keep(self, place: Place, seen: SeenBitmap) -> None:
        """Remembers what was seen, and was allowed."""
        count = seen.count if seen.bits is None else len(seen.bits)
        if count:
            self._counts[place] = count

    def follow(self, command: object, step: Step[S]) -> None:
        """Forgets what an accepted command may have made fewer: by a clear, or by the end of a job."""
        if not self._counts:
            return
        if isinstance(command, Event):  # what is owed has to come back; what was marked besides need not
            self._counts = {}
            return
        if isinstance(command, ClearBitmap | RemoveBitmap | Transaction):
            for place in [place for place in self._counts if waives(command, *place)]:
                del self._counts[place]
        for end in step.ended:
            job = end.job
            if job.bitmap is not None and job.mode != "never" and counts_as_delivered(end):
                self._counts.pop((job.node, job.bitmap), None)
