"""What the oracle costs on a disk of 16 TiB: guest writes, a full observation, and memory.

    python benchmarks/oracle.py [--writes MILLIONS]

Each measurement is a process of its own, so that its peak memory is its own (that of Python and of the numbers that
are written is in it). Random writes of 4 KiB, aligned, in blocks of 4 KiB; one bitmap, 64 KiB granules, unless a row
says otherwise. The yardsticks are the same loop around the least that anybody's tracker could do in Python.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from random import Random

from cbtcheck.oracle import Oracle
from cbtcheck.oracle.service import Service
from cbtmodel.commands import AddBitmap, Copy, MergeBitmaps, Source, StartBackup

SEED = 20160121
DISK, BLOCK, GRANULARITY = 16 << 40, 4096, 65536
BLOCKS, ROUND = DISK // BLOCK, 500_000
TIMES = 5

Loop = Callable[[list[int]], None]


def told(bitmaps: int = 1) -> Oracle:
    oracle = Oracle({"disk0": DISK}, block=BLOCK)
    for number in range(bitmaps):
        oracle.command(AddBitmap("disk0", f"b{number}", GRANULARITY << number))
    return oracle


def timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def rate(writes: int, loop: Loop, end: Callable[[], object] = lambda: None) -> dict[str, float]:
    """Writes a second, drawing them not counted; at the `end` all must be done."""
    random, seconds = Random(SEED), 0.0
    for _ in range(writes // ROUND):
        offsets = [random.randrange(BLOCKS) * BLOCK for _ in range(ROUND)]
        seconds += timed(lambda offsets=offsets: loop(offsets))  # type: ignore[misc]
    seconds += timed(end)
    return {"rate": writes / seconds}


# Guest writes


class Nothing:
    def write(self, node: str, offset: int, length: int) -> None:
        pass


class Granules:
    """A set of granules, rounded outwards; no checks, no jobs, no bounds."""

    def __init__(self) -> None:
        self.dirty: set[int] = set()

    def write(self, node: str, offset: int, length: int) -> None:
        self.dirty.update(range(offset // GRANULARITY, (offset + length - 1) // GRANULARITY + 1))


def calls_of_nothing(writes: int) -> dict[str, float]:
    return rate(writes, one_by_one(Nothing()))


def python_set(writes: int) -> dict[str, float]:
    return rate(writes, one_by_one(Granules()))


def one_by_one(to: Nothing | Granules | Oracle) -> Loop:
    def loop(offsets: list[int]) -> None:
        write = to.write
        for offset in offsets:
            write("disk0", offset, 4096)

    return loop


def streamed(writes: int) -> dict[str, float]:
    oracle = told()
    return rate(writes, one_by_one(oracle), lambda: oracle.bounds("disk0", "b0"))


def streamed_to_four(writes: int) -> dict[str, float]:
    oracle = told(4)
    return rate(writes, one_by_one(oracle), lambda: oracle.bounds("disk0", "b3"))


def during_a_backup(writes: int) -> dict[str, float]:
    oracle = told()
    oracle.writes("disk0", array("Q", range(0, DISK, 1 << 24)), 4096)
    oracle.command(StartBackup("j0", "disk0", "incremental", "b0"))
    oracle.command(StartBackup("j1", "disk0", "full"))
    return rate(writes, one_by_one(oracle), lambda: oracle.bounds("disk0", "b0"))


def arrays(writes: int) -> dict[str, float]:
    oracle = told()
    return rate(writes, lambda offsets: oracle.writes("disk0", array("Q", offsets), 4096),
                lambda: oracle.bounds("disk0", "b0"))  # fmt: skip


def lines(writes: int) -> dict[str, float]:
    service = Service()
    service.answer(b'{"do":"disks","disks":{"disk0":%d},"block":4096}' % DISK)
    service.answer(b'{"do":"add-bitmap","node":"disk0","name":"b0","granularity":65536}')

    def loop(offsets: list[int]) -> None:
        for offset in offsets:
            service.answer(b'{"do":"write","node":"disk0","offset":%d,"length":4096}' % offset)

    return rate(writes, loop, lambda: service.answer(b'{"do":"bounds","most":1}'))


# A full observation


def written(writes: int) -> Oracle:
    oracle, random = told(), Random(SEED)
    for _ in range(writes // ROUND):
        oracle.writes("disk0", array("Q", (random.randrange(BLOCKS) * BLOCK for _ in range(ROUND))), 4096)
    oracle.bounds("disk0", "b0")
    return oracle


def observed(writes: int, form: str) -> dict[str, float]:
    """Seconds, the median: once as it should be, once with a granule missing, of which it must be told."""
    oracle = written(writes)
    right = oracle.bounds("disk0", "b0").may.numbers()
    missing = right - type(right)([right[len(right) // 2]])
    seconds = []
    for numbers, findings in ((right, 0), (missing, 1)):
        granules = type(oracle.bounds("disk0", "b0").may).from_numbers(numbers, GRANULARITY, DISK)
        bits = {"bitmap": lambda: numbers, "raw": granules.raw_bits, "extents": granules.extents}[form]()  # noqa: B023
        each = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            found = oracle.observe_bitmap("disk0", "b0", bits)
            each.append(time.perf_counter() - begun)
            if len(found) != findings:
                raise SystemExit(f"{form}: {len(found)} findings, expected {findings}")
        seconds.append(sorted(each)[TIMES // 2])
    return {"right": seconds[0], "missing": seconds[1], "granules": len(right)}


def as_bitmap(writes: int) -> dict[str, float]:
    return observed(writes, "bitmap")


def as_raw_bits(writes: int) -> dict[str, float]:
    return observed(writes, "raw")


def as_extents(writes: int) -> dict[str, float]:
    return observed(writes, "extents")


# Commands on what is there


def commands(writes: int) -> dict[str, float]:
    oracle = written(writes)
    listed = {
        "add": AddBitmap("disk0", "finer", 4096),
        "merge into finer granules": MergeBitmaps("disk0", "finer", (Source("disk0", "b0"),)),
        "add another": AddBitmap("disk0", "coarser", 1 << 20),
        "merge into coarser granules": MergeBitmaps("disk0", "coarser", (Source("disk0", "b0"),)),
        "start a full backup": StartBackup("j0", "disk0", "full"),
        "start an incremental backup, clusters of 128 KiB": StartBackup(
            "j1", "disk0", "incremental", "b0", cluster=1 << 17
        ),
        "copy half of the disk": Copy("j0", 0, DISK // 2),
        "copy all that is dirty, which ends it": Copy("j1", 0, DISK),
    }
    found = {}
    for name, each in listed.items():
        begun = time.perf_counter()
        answer = oracle.command(each)
        found[name] = time.perf_counter() - begun
        if not answer.accepted:
            raise SystemExit(f"{name}: {answer.reply}")
    return found


WRITING: dict[str, Callable[[int], dict[str, float]]] = {
    "yardstick: a method that does nothing": calls_of_nothing,
    "yardstick: a Python set of granules": python_set,
    "one call for each write": streamed,
    "the same, four bitmaps": streamed_to_four,
    "the same, two backups running": during_a_backup,
    "arrays of offsets": arrays,
    "JSON lines (the service, without a pipe)": lines,
}
SEEING: dict[str, Callable[[int], dict[str, float]]] = {
    "a pyroaring bitmap": as_bitmap,
    "raw bits, 32 MiB": as_raw_bits,
    "extents": as_extents,
}
OTHER = {"commands": commands}


def child(name: str, writes: int) -> dict[str, float]:
    """Runs one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--only", name, "--writes", str(writes)], stdout=subprocess.PIPE, check=True
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--writes", type=float, default=10.0, metavar="MILLIONS")
    options.add_argument("--only", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.only is not None:
        found = (WRITING | SEEING | OTHER)[chosen.only](int(chosen.writes))
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        json.dump(found, sys.stdout)
        return
    writes = int(chosen.writes * 1_000_000)
    print(f"Python {platform.python_version()}, {platform.machine()}; a disk of 16 TiB in blocks of 4 KiB\n")
    results = {name: child(name, writes) for name in WRITING}
    of_a_set = results["yardstick: a Python set of granules"]["rate"]
    print(f"| {writes:,} random writes of 4 KiB | writes/s | beside the set | peak memory, MB |")
    print("|---|---:|---:|---:|")
    for name, each in results.items():
        print(f"| {name} | {each['rate']:,.0f} | {each['rate'] / of_a_set:.2f} | {each['memory']:.0f} |")
    print("\n| a full observation as | dirty granules | all is right, s | one is missing, s | peak memory, MB |")
    print("|---|---:|---:|---:|---:|")
    for name in SEEING:
        for millions in (1_000_000, writes):
            each = child(name, millions)
            print(f"| {name} | {each['granules']:,.0f} | {each['right']:.3f} | {each['missing']:.3f} "
                  f"| {each['memory']:.0f} |")  # fmt: skip
    print(f"\n| command, after {writes:,} writes | s |\n|---|---:|")
    found = child("commands", writes)
    memory = found.pop("memory")
    for name, seconds in found.items():
        print(f"| {name} | {seconds:.3f} |")
    print(f"\nPeak memory of these commands: {memory:.0f} MB.")


if __name__ == "__main__":
    main()
