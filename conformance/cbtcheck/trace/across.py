"""What a log shows of bitmaps that are stored, from one session to the next: QEMU has been started again in between.

Each session is followed by itself (see `sessions`). Here is only what looks tell on both sides of a restart: a
persistent bitmap that was seen with so many bytes dirty, and that nothing in the log has cleaned since, has no fewer
at the first look after it. It may come back inconsistent, or not at all: that is openly, and no lost write; but after
a close or a quit it is not what should be.

A bitmap that a job has counts for nothing here until it is seen without the job. What has an effect on a node that
nobody knows makes everything forgotten that was known of it. Where a node of the same name is another file or of
another size it is another disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.trace.events import Forgotten, Resized
from cbtcheck.trace.places import Places
from cbtcheck.trace.qmp_sights import nodes
from cbtcheck.trace.unspecified import effects, is_of_unknown_effect

RULE_DISK = "RULE-DISK"
OF_BACKUPS = ("blockdev-backup", "drive-backup")

Tell = Callable[[int, Finding], None]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A bitmap that is to be stored: bytes that are dirty at least, those of a granule, where that was seen.

    `records`: it does, for certain.
    """

    count: int
    granularity: int | None
    line: int
    records: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """What tells one disk from another of the same name, as far as the log shows it."""

    file: object
    size: object


class AcrossRestarts:
    """What is kept of one monitor's conversation. `openly` says what came back openly not to be trusted."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._now: dict[Place, Kept] = {}
        self._disks: dict[str, Disk] = {}
        self._left: dict[Place, tuple[Kept, Disk | None, str]] = {}
        self._over = ""
        self.openly: list[str] = []

    def begin(self) -> None:
        """Another session."""
        for node in {node for node, _ in self._now}:
            self._leave(node, self._over)
        self._now, self._over = {}, ""

    def _leave(self, node: str, how: str) -> None:
        for place in [place for place in self._now if place[0] == node]:
            self._left[place] = self._now.pop(place), self._disks.get(node), how

    def quits(self) -> None:
        """QEMU is about to end, and stores its bitmaps before that."""
        self._over = "a quit"

    def forget(self, node: str | None = None) -> None:
        """Anything may have happened to a node, or to all."""
        for known in (self._now, self._left):
            for place in [place for place in known if node in (None, place[0])]:
                del known[place]

    # Commands

    def did(self, line: int, name: str, arguments: Any, places: Places) -> None:
        """A command was accepted."""
        data = arguments if isinstance(arguments, dict) else {}
        self._over = ""  # if it has shut down a guest, it goes on: as with -no-shutdown
        if name == "quit":
            self.quits()
        elif name == "transaction":
            for each in data["actions"] if isinstance(data.get("actions"), list) else ():
                if isinstance(each, dict):
                    self.did(line, str(each.get("type")), each.get("data"), places)
        elif name == "blockdev-del":
            self._leave(places.node(str(data.get("node-name"))), "a close")
        elif name == "blockdev-add":
            return
        elif name.startswith("block-dirty-bitmap-"):
            place = places.node(str(data.get("node"))), str(data.get("name"))
            self._on_bitmap(line, name.removeprefix("block-dirty-bitmap-"), place, data)
        elif name in OF_BACKUPS:
            self._cleaned((places.node(str(data.get("device"))), str(data.get("bitmap"))))
        elif is_of_unknown_effect(name):
            self.forget()
        else:
            for each in effects(name, arguments, places):
                if isinstance(each, Forgotten | Resized):
                    self.forget(each.node)

    def _on_bitmap(self, line: int, what: str, place: Place, data: dict[str, Any]) -> None:
        if what == "add" and data.get("persistent") is True:
            self._now[place] = Kept(0, None, line, not data.get("disabled"))
            self._left.pop(place, None)
        elif what in ("add", "remove"):
            self._now.pop(place, None)
            self._left.pop(place, None)
        elif what == "clear":
            self._cleaned(place)
        elif what == "disable" and place in self._now:
            self._now[place] = replace(self._now[place], records=False)

    def _cleaned(self, place: Place) -> None:
        if place in self._now:
            self._now[place] = replace(self._now[place], count=0)

    # Looks

    def shown(self, line: int, query: str, reply: Any, places: Places) -> None:
        """The reply of a query about nodes."""
        for name, _, node in nodes(query, reply):
            listed = node.get("dirty-bitmaps", [])
            if not isinstance(listed, list):
                continue
            image = node.get("image")
            size = image.get("virtual-size") if isinstance(image, dict) else None
            disk = self._disks[name] = Disk(node.get("file"), size)
            bitmaps = {
                each["name"]: each
                for each in listed
                if isinstance(each, dict) and isinstance(each.get("name"), str)
            }
            for place in [place for place in self._left if place[0] == name]:
                kept, before, how = self._left.pop(place)
                if before is None or before == disk:
                    self._judge(line, place, kept, how, bitmaps.get(place[1]))
            for place in [place for place in self._now if place[0] == name]:
                del self._now[place]
            for each, said in bitmaps.items():
                if said.get("persistent") is True and not said.get("inconsistent"):
                    self._now[name, each] = _kept(line, said)

    def _judge(self, line: int, place: Place, kept: Kept, how: str, said: dict[str, Any] | None) -> None:
        where = "/".join(place)
        if said is None or said.get("inconsistent"):
            seen = "no such bitmap" if said is None else "an inconsistent bitmap"
            if how:
                expected = f"the bitmap of line {kept.line}, stored by {how}"
                self._tell(line, Finding(Verdict.DIVERGES, RULE_DISK, f"{where} after a restart", expected, seen))
            else:
                came = "is not there" if said is None else "is inconsistent"
                self.openly.append(f"line {line}: after a restart '{where}' {came}: openly, so it was not judged")
            return
        count, granularity = said.get("count"), said.get("granularity")
        if kept.records and said.get("recording") is False and not said.get("busy"):
            expected = f"a bitmap that records, as at line {kept.line}"
            found = Finding(Verdict.UNSAFE, RULE_DISK, f"{where} after a restart", expected, "it does not record")
            self._tell(line, found)
        if type(count) is not int or (kept.granularity is not None and granularity != kept.granularity):
            return
        if count < kept.count:
            expected = f"at least {kept.count} bytes dirty, as at line {kept.line}"
            found = Finding(Verdict.UNSAFE, RULE_DISK, f"{where} after a restart", expected, f"{count} bytes dirty")
            self._tell(line, found)


def _kept(line: int, said: dict[str, Any]) -> Kept:
    """What a look keeps of a bitmap; nothing of how much is dirty while a job has it."""
    count, granularity = said.get("count"), said.get("granularity")
    counts = type(count) is int and not said.get("busy")
    records = said.get("recording") is True and not said.get("busy")
    known = granularity if type(granularity) is int else None
    return Kept(count if counts else 0, known, line, records)  # type: ignore[arg-type]
