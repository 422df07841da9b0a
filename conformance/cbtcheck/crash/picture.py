"""A state of a file as a picture: which of the last requests are there, and what each of them wrote."""

from __future__ import annotations

from collections.abc import Sequence

from cbtwire.qcow2.bitmaps import read_image
from cbtwire.qcow2.guest import WORD
from cbtwire.qcow2.header import OFFSET_MASK
from cbtwire.qcow2.reading import BadImage, Bytes, InMemory, padded

from cbtcheck.crash.history import Step
from cbtcheck.crash.owed import SECTOR
from cbtcheck.crash.played import Played
from cbtcheck.crash.recording import Event
from cbtcheck.crash.states import Place, apply


def picture(played: Played, place: Place) -> list[str]:
    """The requests since the last flush before the crash, and since a request failed, one a line."""
    events = played.recorder.events
    begin = place.since
    if played.recorder.first_failure >= 0:
        begin = min(begin, played.recorder.first_failure)
    names = _names(played, place.after)
    whole, torn = set(place.there), dict(place.torn)
    lines = []
    for number in range(begin, place.after):
        event = events[number]
        if event.failed:
            state = "FAILED"
        elif event.kind == "flush":
            state = "completed"
        elif number < place.since or number in whole:
            state = "there"
        elif number in torn:
            state = _of_sectors(event, torn[number])
        else:
            state = "missing"
        what = "" if event.kind == "flush" else f"{names(event.offset)} {event.offset}+{event.length}"
        lines.append(f"#{number + 1:<4} {event.kind:<6} {what:<28} {state}  ({_step(played, number)})")
    return lines or ["nothing: all that was issued had been flushed"]


def _of_sectors(event: Event, there: Sequence[int]) -> str:
    total = -(-(event.offset % SECTOR + event.length) // SECTOR)
    some = ", ".join(map(str, there[:6])) + (", …" if len(there) > 6 else "")
    return f"{len(there)} of {total} sectors there ({some})"


def _step(played: Played, number: int) -> str:
    """The step in which an event came."""
    return next((str(each.step) for each in played.done if number < each.position), "after the last step")


def verb(step: Step) -> str:
    """A step without names: its verb, and how it is reopened."""
    if step.verb == "reopen":
        return str(step)
    return f"offline {step.action}" if step.verb == "offline" else step.verb


def step_of_crash(played: Played, place: Place) -> str:
    """The step in which a crash came."""
    return next((verb(each.step) for each in played.done if place.after <= each.position), "the end")


class _Names:
    """What is where in an image."""

    def __init__(self) -> None:
        self.at: dict[int, str] = {}
        self.cluster = 512

    def __call__(self, offset: int) -> str:
        return self.at.get(offset // self.cluster, "data")

    def learn(self, source: Bytes) -> None:
        """Takes over what a state of the image says; of two that say different things, the first counts."""
        try:
            image = read_image(source)
        except BadImage:
            return
        header = image.header
        self.cluster = header.cluster
        self._name(0, 1, "header")
        self._name(header.l1_offset, header.l1_entries * 8, "L1 table")
        for each in range(header.l1_entries):
            l2 = int.from_bytes(padded(source, header.l1_offset + 8 * each, 8), "big") & OFFSET_MASK
            self._name(l2, header.cluster, "L2 table")
        self._name(header.refcount_offset, header.refcount_clusters * header.cluster, "refcount table")
        table = padded(source, header.refcount_offset, header.refcount_clusters * header.cluster)
        for (block,) in WORD.iter_unpack(table):
            self._name(block & OFFSET_MASK, header.cluster, "refcounts")
        if header.directory is not None:
            self._name(header.directory.offset, header.directory.size, "directory")
        for bitmap in image.bitmaps:
            self._name(bitmap.table_at, bitmap.table_entries * 8, f"table of {bitmap.name}")
            for entry in bitmap.table:
                self._name(entry & OFFSET_MASK, header.cluster, f"bits of {bitmap.name}")

    def _name(self, offset: int, length: int, name: str) -> None:
        if offset or name == "header":
            for number in range(offset // self.cluster, -(-(offset + length) // self.cluster)):
                self.at.setdefault(number, name)


def _names(played: Played, after: int) -> _Names:
    """From the image as it would be with all that was issued until the crash, and as it was just before and after."""
    names = _Names()
    content = bytearray(played.base)
    states = []
    for number, event in enumerate(played.recorder.events[: after + 12]):
        apply(content, event)
        if event.data and (event.offset == 0 or number == after - 1):
            states.append(bytes(content))
    for each in reversed(states):
        names.learn(InMemory(each))
    return names
