"""Random histories: nothing crashes, refusals change nothing, backups hold their moment, and nothing stays frozen."""

import errno
import random

import pytest
from cbtimpl import Abort, Backup, BitmapAdd, BitmapClear, BitmapMerge, BitmapRemove, FaultyDisk, Host, MemoryDisk
from cbtimpl.errors import CopyFailed, Refused
from cbtimpl.observation import describe

SIZE = 16 * 512 + 100


class History:
    """A host under random commands, with the moment that each job must deliver."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.host = Host()
        self.moments: dict[str, tuple[bytes, FaultyDisk, int, set[int]]] = {}
        self.refusals = self.completed = 0
        for node in "nm":
            self.host.add_node(node, SIZE, disk=FaultyDisk(MemoryDisk(SIZE)))
            for bitmap in "ab":
                self.host.bitmap_add(node, bitmap, granularity=self.random.choice([512, 2048]))

    def action(self):
        node, name = self.random.choice("nm"), self.random.choice("ab")
        mode = self.random.choice([None, "on-success", "never", "always"])
        sync = self.random.choice(["full", "incremental", "bitmap"])
        bitmap = self.random.choice([name, name, None])
        cluster = self.random.choice([512, 1024, 4096])
        policies = [self.random.choice(["report", "ignore", "stop"]) for _ in range(2)]
        job = self.random.choice(["j", "k", "l"])
        target = FaultyDisk(MemoryDisk(SIZE))
        backup = Backup(job, node, target, sync, bitmap, mode, cluster, self.random.random() < 0.8, *policies)
        return self.random.choice(
            [BitmapAdd(node, name, 512), BitmapClear(node, name), BitmapRemove(node, name), Abort()]
            + [BitmapMerge(node, name, [(self.random.choice("nm"), self.random.choice("ab"))])]
            + [backup] * 5
        )

    def remember(self, known):
        for name, job in self.host.jobs.items():
            if known.get(name) is not job:
                selected = {cluster for bits in (job.work, job.copied) for cluster in bits.granules()}
                inner = job.node.disk.inner
                self.moments[name] = (inner.read(0, SIZE), job.target, job.cluster, selected)

    def step(self) -> None:
        host, pick = self.host, self.random
        node, job = pick.choice("nm"), pick.choice(["j", "k", "l"])
        offset = pick.randrange(SIZE)
        length = pick.randrange(min(3000, SIZE - offset) + 1)
        data = bytes([pick.randrange(1, 256)]) * length
        error = pick.choice([None, None, errno.EIO])
        commands = [
            lambda: host.write(node, offset, data),
            lambda: host.zeroes(node, offset, length),
            lambda: host.discard(node, offset, length),
            lambda: host.begin_write(node, pick.choice("vw"), offset, data),
            lambda: host.end_write(node, pick.choice("vw"), error),
            lambda: host.transaction([self.action() for _ in range(pick.randrange(4))]),
            lambda: host.transaction([self.action()] * 1, grouped=True),
            lambda: host.copy(job, offset, length, error, pick.choice(["source", "target"])),
            lambda: host.copy_next(job, error),
            lambda: host.begin_copy(job, offset, length),
            lambda: host.end_copy(job, error),
            lambda: host.pause(job),
            lambda: host.resume(job),
            lambda: host.cancel(job) if pick.random() < 0.5 else None,
            lambda: host.finalize(job),
            lambda: host.run(job) if pick.random() < 0.5 else None,
            lambda: host.nodes[node].disk.arm(pick.choice(["read", "write"])) if pick.random() < 0.2 else None,
            lambda: host.jobs[job].target.arm("write") if job in host.jobs and pick.random() < 0.2 else None,
        ]
        known, before = dict(host.jobs), describe(host)
        try:
            pick.choice(commands)()
        except CopyFailed:
            pass
        except Refused:
            self.refusals += 1
            assert describe(host) == before
        except OSError:
            pass
        self.remember(known)
        self.check()

    def check(self) -> None:
        for name, outcome in self.host.take_ended():
            if name not in self.moments:
                continue  # began and ended in one command
            moment, target, cluster, selected = self.moments.pop(name)
            if outcome == "completed":
                self.completed += 1
                for number in selected:
                    start, past = number * cluster, min((number + 1) * cluster, SIZE)
                    assert target.inner.read(start, past - start) == moment[start:past]
        frozen = {bitmap for node in self.host.nodes.values() for bitmap in node.bitmaps.values() if bitmap.frozen}
        used = {job.bitmap for job in self.host.jobs.values() if job.bitmap is not None}
        assert frozen == used
        for name, job in self.host.jobs.items():
            moment, target, cluster, selected = self.moments[name]
            for number in job.copied.granules():
                start, past = number * cluster, min((number + 1) * cluster, SIZE)
                assert target.inner.read(start, past - start) == moment[start:past]
            for number in job.work.granules():
                start, past = number * cluster, min((number + 1) * cluster, SIZE)
                assert job.node.disk.inner.read(start, past - start) == moment[start:past]


@pytest.mark.parametrize("seed", range(12))
def test_a_random_history(seed):
    history = History(seed)
    for _ in range(6000):
        history.step()
    assert history.refusals > 50
    assert history.completed > 5
    for job in list(history.host.jobs):
        if job in history.host.jobs:
            history.host.cancel(job)
    assert not any(bitmap.busy for node in history.host.nodes.values() for bitmap in node.bitmaps.values())
