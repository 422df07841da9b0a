"""What is owed: for every bitmap the content of the disk at its origin, from which on it has to know every change.

RULE-DISK, which `judge` asks: whatever a crash leaves, each bitmap is absent, or says openly that it is not to be
trusted, or is valid and has every granule whose content is another one than at its origin. An origin is the instant
of an add, of a clear, or of the start of a backup that succeeded. What a disabled bitmap did not record is waived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cbtcheck.crash.history import Step

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Origin:
    """The disk at an instant. `loose` are sectors of which it is not known what was there: any of these contents.

    `waived` are sectors that were last written while the bitmap was disabled.
    """

    content: bytes
    loose: Mapping[int, frozenset[bytes]]
    waived: frozenset[int]


@dataclass(frozen=True, slots=True)
class Owed:
    """What one bitmap owes: the changes since each of its origins (several after merges), and whether it records.

    `enabled` is None where both are right.
    """

    origins: tuple[Origin, ...]
    enabled: bool | None


Expected = Mapping[str, tuple[Owed, ...]]
"""By name; of several, one has to be true."""


def filled(number: int) -> bytes:
    """A sector of the write of this number; of zeroes for 0."""
    return number.to_bytes(8, "little") * (SECTOR // 8)


class Account:
    """Follows a history, and says what is owed from which request on.

    `versions` has (number of requests recorded until then, what is expected from there on).
    """

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.loose: dict[int, frozenset[bytes]] = {}
        self.names: dict[str, tuple[Owed, ...]] = {}
        self.versions: list[tuple[int, Expected]] = [(0, {})]
        self.writes = 0
        self._wrote: range = range(0)
        self._number = 0

    def goes_on(self, before: Account) -> None:
        """What another one has found out holds here, too, from the beginning on."""
        self.names, self.writes = dict(before.names), before.writes
        self.content[:] = before.content
        self.versions = [(0, dict(before.names))]

    def opened(self, content: bytes | None) -> None:
        """The image was opened, and the guest reads this; None if that cannot be told."""
        if content is not None:
            self.content[:] = content
            self.loose.clear()

    def begin_write(self, first: int, count: int, zero: bool) -> bytes:
        """A write of so many sectors begins; returns its data."""
        self.writes += 1
        self._number = 0 if zero else self.writes
        self._wrote = range(first, first + count)
        return filled(self._number) * count

    def end_write(self, well: bool) -> None:
        """It has ended. If it failed, each sector may have its old content, or the new one."""
        new = filled(self._number)
        for sector in self._wrote:
            at = slice(sector * SECTOR, (sector + 1) * SECTOR)
            if well:
                self.content[at] = new
                self.loose.pop(sector, None)
            else:
                old = self.loose.get(sector, frozenset({bytes(self.content[at])}))
                self.loose[sector] = old | {new}
        written = frozenset(self._wrote)
        self.names = {name: tuple(_written(each, written) for each in owed) for name, owed in self.names.items()}

    def begin(self, step: Step, position: int) -> None:
        """A step begins. Nobody sees the instant of what `qemu-img` does: until its end both are right."""
        if step.verb == "offline":
            after = self._after(step)
            both = {name: self.names.get(name, ()) + after.get(name, ()) for name in {*self.names, *after}}
            self._from(position, both)

    def end(self, step: Step, well: bool, certain: bool, position: int) -> None:
        """A step has ended, `well` or not; not `certain`: it may have been done, or not."""
        if well or not certain:
            after = self._after(step)
            if not certain:
                after = {name: self.names.get(name, ()) + after.get(name, ()) for name in {*self.names, *after}}
            self.names = after
        self._from(position, dict(self.names))

    def _from(self, position: int, expected: Expected) -> None:
        if self.versions[-1][1] != expected:
            self.versions.append((position, expected))

    def origin(self) -> Origin:
        """The disk as it is now."""
        return Origin(bytes(self.content), dict(self.loose), frozenset())

    def _after(self, step: Step) -> dict[str, tuple[Owed, ...]]:
        names = dict(self.names)
        verb = step.action if step.verb == "offline" else step.verb
        owed = names.get(step.name, ())
        if verb == "add":
            names[step.name] = (Owed((self.origin(),), step.enabled),)
        elif verb in ("clear", "backup"):
            names[step.name] = tuple(replace(each, origins=(self.origin(),)) for each in owed)
        elif verb in ("enable", "disable"):
            names[step.name] = tuple(replace(each, enabled=verb == "enable") for each in owed)
        elif verb == "merge":
            more = tuple(origin for each in names.get(step.source, ()) for origin in each.origins)
            names[step.name] = tuple(replace(each, origins=(*each.origins, *more)) for each in owed)
        return names


def _written(owed: Owed, sectors: frozenset[int]) -> Owed:
    if owed.enabled:
        if not any(each.waived & sectors for each in owed.origins):
            return owed
        return replace(owed, origins=tuple(replace(each, waived=each.waived - sectors) for each in owed.origins))
    return replace(owed, origins=tuple(replace(each, waived=each.waived | sectors) for each in owed.origins))


def missing(owed: Owed, disk: bytes | bytearray, granularity: int, has: int) -> list[int]:
    """The granules that are owed and that the bits `has` lack, of a disk with this content now."""
    lacking: set[int] = set()
    for origin in owed.origins:
        if disk == origin.content:
            continue
        for granule in range(-(-len(disk) // granularity)):
            at = slice(granule * granularity, (granule + 1) * granularity)
            if not has >> granule & 1 and disk[at] != origin.content[at] and _changed(origin, disk, at):
                lacking.add(granule)
    return sorted(lacking)


def _changed(origin: Origin, disk: bytes | bytearray, at: slice) -> bool:
    for begin in range(at.start, min(at.stop, len(disk)), SECTOR):
        sector, data = begin // SECTOR, bytes(disk[begin : begin + SECTOR])
        if sector in origin.waived or data == origin.content[begin : begin + SECTOR]:
            continue
        if data not in origin.loose.get(sector, ()):
            return True
    return False
