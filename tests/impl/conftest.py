"""Fixtures: a host with one node of 16 granules of 64 KiB, disks that can fail, and words for what is dirty."""

from collections.abc import Callable

import pytest
from cbtimpl import FaultyDisk, Host, MemoryDisk

K = 65536


class Scene:
    """A host with node `n`; granules are named by number."""

    def __init__(self) -> None:
        self.host = Host()
        self.source = FaultyDisk(MemoryDisk(16 * K))
        self.host.add_node("n", 16 * K, disk=self.source)
        self.targets: dict[str, FaultyDisk] = {}

    def target(self, job: str = "j") -> FaultyDisk:
        """A new target, remembered by the job's id."""
        self.targets[job] = FaultyDisk(MemoryDisk(16 * K))
        return self.targets[job]

    def write(self, *granules: int, byte: bytes = b"x", node: str = "n") -> None:
        for granule in granules:
            self.host.write(node, granule * K + 100, byte * 10)

    def dirty(self, name: str = "b", node: str = "n") -> set[int]:
        return set(self.host.nodes[node].bitmaps[name].bits.granules())

    def successor(self, name: str = "b") -> set[int]:
        successor = self.host.nodes["n"].bitmaps[name].successor
        assert successor is not None
        return set(successor.bits.granules())

    def backup(self, job: str = "j", sync: str = "incremental", **more: object) -> FaultyDisk:
        if sync != "full":
            more.setdefault("bitmap", "b")
        target = self.target(job)
        self.host.backup(job, "n", target, sync, **more)  # type: ignore[arg-type]
        return target

    def copy(self, *clusters: int, job: str = "j") -> None:
        for cluster in clusters:
            self.host.copy(job, cluster * K, 1)

    def work(self, job: str = "j") -> set[int]:
        return set(self.host.jobs[job].work.granules())

    def outcomes(self) -> list[tuple[str, str]]:
        return [tuple(ended) for ended in self.host.take_ended()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def tracked(scene: Scene) -> Scene:
    """Bitmap `b` with granules 1, 3 and 5 dirty."""
    scene.host.bitmap_add("n", "b")
    scene.write(1, 3, 5)
    return scene


@pytest.fixture
def image() -> Callable[[MemoryDisk | FaultyDisk], bytes]:
    return lambda disk: disk.read(0, disk.size)
