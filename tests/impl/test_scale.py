"""A 16 TiB disk costs what was written to it: counted in steps, not in seconds."""

import random

import pytest
from cbtimpl import Host, MemoryDisk
from cbtimpl.backup import BackupJob
from cbtimpl.bits import GranuleSet

TIB = 2**40
SIZE = 16 * TIB
WRITES = 3000


class Counted(GranuleSet):
    """Counts how often the set is stepped through."""

    steps = 0

    def next(self, granule):
        Counted.steps += 1
        return super().next(granule)


@pytest.fixture
def written():
    host = Host()
    host.add_node("n", SIZE)
    host.bitmap_add("n", "b")
    host.bitmap_add("n", "fine", granularity=4096)
    generator = random.Random(1)
    for number in range(WRITES):
        host.write("n", generator.randrange(SIZE // 4096) * 4096, number.to_bytes(4, "big") * 1024)
    return host


def test_an_increment_copies_what_was_written_and_nothing_else(written, monkeypatch):
    chunks = []
    original = BackupJob.copy_chunk
    monkeypatch.setattr(
        BackupJob, "copy_chunk", lambda job, first, past: chunks.append((first, past)) or original(job, first, past)
    )
    dirty = written.nodes["n"].bitmaps["b"].bits.count()
    written.backup("j", "n", MemoryDisk(SIZE), "incremental", "b")
    written.run("j")
    assert written.take_ended() == [("j", "completed")]
    assert sum(past - first for first, past in chunks) == dirty <= WRITES


def test_a_full_backup_is_one_range_and_takes_zeroes_in_long_steps(written):
    target = MemoryDisk(SIZE)
    written.backup("j", "n", target, "full", "b", "always")
    work = written.jobs["j"].work
    assert list(work.runs()) == [(0, SIZE // 65536)]
    written.copy("j", 0, 1)
    written.zeroes("n", 0, TIB)
    assert list(work.runs()) == [(TIB // 65536, SIZE // 65536)]
    written.run("j")
    assert written.take_ended() == [("j", "completed")]
    assert len(target._pages) >= WRITES * 0.99
    assert written.nodes["n"].bitmaps["b"].bits.count() == TIB // 65536


def test_merging_across_granularities_steps_over_runs(written):
    full = Counted.full(65536, SIZE)
    Counted.steps = 0
    fine = Counted(4096, SIZE)
    fine.merge(full)
    assert fine.count() == SIZE // 4096
    assert Counted.steps <= 3
    written.bitmap_merge("n", "b", [("n", "fine")])
    assert written.nodes["n"].bitmaps["b"].bits.count() <= WRITES


def test_what_is_left_of_a_full_backup_is_a_range(written):
    written.backup("j", "n", MemoryDisk(SIZE), "full", "fine", "always", cluster=2**20)
    written.cancel("j")
    assert list(written.nodes["n"].bitmaps["fine"].bits.runs()) == [(0, SIZE // 4096)]
