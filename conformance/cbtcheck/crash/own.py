"""The same histories on an implementation of our own, `cbtwire.qcow2.image_file`: what it leaves is judged, too."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cbtwire.nbd.content import Growing
from cbtwire.qcow2.image_file import ImageFile, Refused
from cbtwire.qcow2.reading import BadImage
from cbtwire.qcow2.writing import image_bytes

from cbtcheck.crash.history import Step
from cbtcheck.crash.owed import SECTOR, Account
from cbtcheck.crash.played import Done, Played, ReadByUs, read_by_guest
from cbtcheck.crash.recording import Fault, Recorder
from cbtcheck.crash.setting import CLUSTERS, ROOM, Setting


@dataclass(slots=True)
class _Asked:
    """A request, as the recorder wants it."""

    storage: Growing
    kind: str
    offset: int = 0
    length: int = 0
    data: bytes = b""
    forced: bool = False
    landed: bool = False
    error: int = 0

    def complete(self) -> None:
        """It is done."""
        if self.kind == "write":
            self.storage.write(self.offset, self.data)

    def fail(self, error_number: int) -> None:
        """It is not."""
        self.error = error_number


class _Storage:
    """The recorder as storage of an image."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.size = ROOM

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of a range."""
        self._ask("read", offset, length)
        return self._recorder.storage.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Writes the bytes."""
        self._ask("write", offset, len(data), data)

    def flush(self) -> None:
        """Makes them stable."""
        self._ask("flush")

    def _ask(self, kind: str, offset: int = 0, length: int = 0, data: bytes = b"") -> None:
        asked = _Asked(self._recorder.storage, kind, offset, length, data)
        self._recorder.handle(asked)
        if asked.error:
            raise OSError(asked.error, os.strerror(asked.error))


class Own(ReadByUs):
    """Plays histories on `ImageFile`, as `machine.Machine` plays them on QEMU."""

    version = "the image file of cbtspec itself"

    def __init__(self) -> None:
        self._file: ImageFile | None = None

    def kill(self) -> None:
        """It has started nothing."""

    async def play(
        self, setting: Setting, history: tuple[Step, ...], fault: Fault | None = None, after: Played | None = None
    ) -> Played:
        """Plays a history on a new image, or on that which another one has left."""
        base = image_bytes(setting.size, setting.cluster_bits) if after is None else after.recorder.storage.all()
        recorder = Recorder(Growing(base, ROOM), setting.trims, fault)
        account = Account(setting.backing() or bytes(setting.size))
        played = Played(setting, base, recorder, account)
        self._file = None
        if after is not None:
            account.goes_on(after.account)
            account.opened(read_by_guest(played))
        for step in history:
            self._step(played, step)
        return played

    def _step(self, played: Played, step: Step) -> None:
        recorder, account = played.recorder, played.account
        failures = recorder.failures
        account.begin(step, len(recorder.events))
        try:
            answer = self._do(played, step)
        except (Refused, OSError, BadImage) as problem:
            answer = str(problem)
        if self._file is None and step.verb not in ("offline", "open"):
            account.opened(read_by_guest(played))
        harmed = recorder.failures > failures
        account.end(step, not answer, not (step.verb == "offline" and answer), len(recorder.events))
        writable = self._file is not None and not self._file.read_only
        position, asked = len(recorder.events), len(recorder.asked)
        played.done.append(Done(step, answer, harmed, position, asked, writable))

    def _do(self, played: Played, step: Step) -> str:
        storage = _Storage(played.recorder)
        if step.verb in ("open", "offline"):
            if self._file is not None:
                return "it is open"
            file = ImageFile(storage, step.read_only)
            if step.verb == "open":
                self._file = file
                played.account.opened(read_by_guest(played))
            elif step.action != "check":
                _on_bitmap(file, step.action, step, played.setting)
                file.store()
            return ""
        file_or_none = self._file
        if file_or_none is None:
            return "" if step.verb == "kill" else "it is not open"
        if step.verb in ("close", "quit", "kill"):
            self._file = None
            if step.verb != "kill" and not file_or_none.read_only:
                file_or_none.store()
        elif step.verb == "reopen":
            file_or_none.reopen(step.read_only)
        elif step.verb in ("write", "zero"):
            _write(played, file_or_none, step)
        elif step.verb == "flush":
            file_or_none.flush()
        elif step.verb == "abort-remove":
            return "aborted"
        else:
            _on_bitmap(file_or_none, step.verb, step, played.setting)
        return ""


def _on_bitmap(file: ImageFile, verb: str, step: Step, setting: Setting) -> None:
    if verb == "add":
        file.add(step.name, step.scale << setting.cluster_bits, step.enabled)
    elif verb in ("remove", "transaction-remove"):
        file.remove(step.name)
    elif verb in ("enable", "disable"):
        file.change(step.name, enabled=verb == "enable")
    elif verb == "merge":
        file.change(step.name, merged=step.source)
    else:  # a backup that succeeds leaves a bitmap as a clear does
        file.change(step.name, cleared=True)


def _write(played: Played, file: ImageFile, step: Step) -> None:
    clusters, each = CLUSTERS[played.setting.cluster_bits], (1 << played.setting.cluster_bits) // SECTOR
    if file.read_only:
        raise Refused("it is read-only")
    first = step.first % clusters
    count = min(step.count, clusters - first)
    data = played.account.begin_write(first * each, count * each, step.verb == "zero")
    well = False
    try:
        file.write(first * each * SECTOR, data)
        well = True
    finally:
        played.account.end_write(well)
