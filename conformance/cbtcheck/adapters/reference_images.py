"""The images of the reference implementation: real files, and what happens to them.

The files live as long as the adapter, and are written anew for each scenario.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import assert_never

import cbtimpl
from cbtmodel.image import Close, Crash, Event, Open, Persist, Reopen, WrittenByOthers

from cbtcheck.adapter import SeenImage
from cbtcheck.adapters.driving import Answer, Driven, Driver
from cbtcheck.adapters.qcow2_store import FileStorage, Qcow2Store
from cbtcheck.host import temporary

DIFFERENT_SIZES = 32
"""Files that are kept open for later scenarios."""


class ReferenceImages:
    """The files of all disks of a scenario, by the names of the disks."""

    def __init__(self) -> None:
        self._folder = ""
        self._known: dict[tuple[int, int], Qcow2Store] = {}
        self._stores: dict[str, Qcow2Store] = {}

    def begin(self, driver: Driver) -> None:
        """Puts the disks of a scenario into new images, which are open for writing."""
        self._stores = {}
        numbers: dict[int, int] = {}
        for name, disk in driver.disks.items():
            number = numbers[disk.size] = numbers.get(disk.size, -1) + 1
            self._stores[name] = self._store(disk.size, number)
        put_into_images(driver, self._stores)

    def _store(self, size: int, number: int) -> Qcow2Store:
        if (size, number) in self._known:
            self._known[size, number].renew()
            return self._known[size, number]
        if len(self._known) >= DIFFERENT_SIZES:
            self.close()
        self._folder = self._folder or temporary.make()
        path = os.path.join(self._folder, f"{len(self._known)}.qcow2")
        self._known[size, number] = Qcow2Store(FileStorage(path), size)
        return self._known[size, number]

    def happen(self, driver: Driver, event: Event) -> Driven:
        """What happens to an image. Raises what the host raises, but refusals: those are answers."""
        return happen(driver, self._stores, event)

    def seen(self, host: cbtimpl.Host) -> dict[str, SeenImage]:
        """How each is open, and what our own reader finds in its file."""
        return {name: SeenImage(_open(host, name), store.seen()) for name, store in self._stores.items()}

    def close(self) -> None:
        """Removes the files. May be called twice."""
        for store in self._known.values():
            store.close()
        self._known = {}
        if self._folder:
            temporary.remove(self._folder)
            self._folder = ""


def _open(host: cbtimpl.Host, name: str) -> str:
    if name not in host.nodes:
        return ""
    return "ro" if host.nodes[name].read_only else "rw"


def put_into_images(driver: Driver, stores: Mapping[str, Qcow2Store]) -> None:
    """Puts disks into images, which are open for writing from then on."""
    host = driver.host
    for name, store in stores.items():
        del host.nodes[name]
        host.add_image(name, driver.disks[name], store)
        host.open_image(name)


def happen(driver: Driver, stores: Mapping[str, Qcow2Store], event: Event) -> Driven:
    """What happens to an image. Raises what the host raises, but refusals: those are answers."""
    host = driver.host
    try:
        match event:
            case Persist(add):
                host.add_persistent(add.node, add.name, add.granularity, add.enabled)
            case Open(node, writable):
                host.open_image(node, read_only=not writable)
            case Close(node):
                host.close_image(node)
            case Reopen(node, writable):
                host.reopen_image(node, read_only=not writable)
            case WrittenByOthers(node):
                _written_by_others(host, stores, node)
            case Crash():
                host.crash()
            case _:
                assert_never(event)
    except cbtimpl.Refused as refusal:
        return Driven((Answer(event, refusal.kind, str(refusal)),), tuple(host.take_ended()))
    return Driven((Answer(event),), tuple(host.take_ended()))


def _written_by_others(host: cbtimpl.Host, stores: Mapping[str, Qcow2Store], node: str) -> None:
    if node not in stores:
        raise cbtimpl.NotFound(f"There is no image of '{node}'")
    if node in host.nodes:
        raise cbtimpl.Exists(f"The image of '{node}' is open")
    stores[node].write_without_bitmaps()
