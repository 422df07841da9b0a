"""How fast traces are verified, how that grows with their length, and the memory it takes.

`python benchmarks/verify.py [--events N …]`: each trace is made, verified in a process of its own by
`cbtspec verify`, and removed. 128 GiB disk, guest writes of 4 KiB, as points in time or as intervals with 32 in
flight; every 1,000 events a command or a look, which overlaps some of them. Rates are by time of the processor.

With `--backups` increments begin and complete, one every 1,000 events, and what they give back is followed; the same
trace is verified without that, for the ratio. With `--tool` it is the history of `long_logs.py`: what a backup tool
does on `--disks` disks, one increment of one of them every `--every` events; with `--qmp` as the monitor's log.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import long_logs

SIZE, BLOCK, GRANULARITY = 1 << 37, 4096, 65536
SEED = 20160121
IN_FLIGHT = 32
SHOW = "from cbtcheck.cli.command import main; main()"
WITHOUT = f"""
from cbtcheck.trace.chains import OfWorlds
for name in ("wrote", "happens", "learns", "happen_at_once"):
    setattr(OfWorlds, name, lambda *given: None)
{SHOW}"""
"""The same, but nothing is followed of what backups give back."""


def trace(events: int, points: bool) -> Iterator[str]:
    """A trace of so many events: time goes on by one with each."""
    random = Random(SEED)
    yield f'{{"format":"cbtspec-trace","version":1,"block":{BLOCK},"disks":{{"disk0":{SIZE}}},"copies":"unknown"}}\n'
    for name in ("daily", "weekly"):
        yield f'{{"do":"add-bitmap","node":"disk0","name":"{name}","granularity":{GRANULARITY},"at":0}}\n'
    controls = (
        '"do":"clear-bitmap","node":"disk0","name":"daily"',
        '"see":"bitmaps","node":"disk0","bitmaps":{"daily":{"recording":true,"busy":false},"weekly":{"busy":false}}',
        '"do":"start-backup","job":"j","node":"disk0","sync":"incremental","bitmap":"daily"',
        '"do":"cancel-job","job":"j","ended":{"j":"cancelled"}',
    )
    turn = 0
    for now in range(1, events - 2):
        if now % 1000 == 0:
            yield f'{{{controls[turn % 4]},"begin":{now},"end":{now + 2}}}\n'
            turn += 1
            continue
        offset = random.randrange(SIZE // 4096) * 4096
        when = f'"at":{now}' if points else f'"begin":{now},"end":{now + random.randint(1, 2 * IN_FLIGHT)}'
        yield f'{{"do":"write","node":"disk0","offset":{offset},"length":4096,{when}}}\n'


def backups(events: int, points: bool) -> Iterator[str]:
    """A trace of so many events, in which an increment begins or completes every 500."""
    random = Random(SEED)
    add = f'{{"do":"add-bitmap","node":"disk0","name":"b","granularity":{GRANULARITY}}}'
    yield f'{{"format":"cbtspec-trace","version":1,"block":{BLOCK},"disks":{{"disk0":{SIZE}}},"copies":"unknown"}}\n'
    full = '{"do":"start-backup","job":"full","node":"disk0","sync":"full"}'
    yield f'{{"do":"transaction","actions":[{add},{full}],"at":0}}\n{{"ended":{{"full":"completed"}},"at":0}}\n'
    for now in range(1, events - 2):
        offset = random.randrange(SIZE // 4096) * 4096
        when = f'"at":{now}' if points else f'"begin":{now},"end":{now + random.randint(1, 2 * IN_FLIGHT)}'
        line = f'"do":"write","node":"disk0","offset":{offset},"length":4096,{when}'
        if now % 500 == 0:
            job, span = f"j{now // 1000}", f'"begin":{now},"end":{now + 2}'
            line = f'"ended":{{"{job}":"completed"}},{span}'
            if now % 1000 == 0:
                line = f'"do":"start-backup","job":"{job}","node":"disk0","sync":"incremental","bitmap":"b",{span}'
            elif now < 1000:
                continue
        yield f"{{{line}}}\n"


def measured(path: Path, show: str = SHOW) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and MiB that it takes to verify a trace."""
    start = time.perf_counter()
    command = [sys.executable, "-c", show, "verify", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the trace is not judged as it should be:\n{said}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, nargs="*", default=[100_000, 1_000_000])
    options.add_argument("--backups", action="store_true")
    options.add_argument("--tool", action="store_true")
    options.add_argument("--qmp", action="store_true")
    options.add_argument("--disks", type=int, default=1)
    options.add_argument("--every", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=1, help="of which the quickest counts")
    chosen = options.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    print(f"{'guest writes':14}{'events':>12}{'MB':>7}{'seconds':>10}", end="")
    print(f"{'CPU s':>8}{'events/CPU s':>14}{'memory MiB':>12}{'ratio' if chosen.backups else '':>8}".rstrip())
    for kind in ("unknown",) if chosen.qmp else ("points", "intervals"):
        points = kind == "points"
        for events in chosen.events:
            if chosen.qmp:
                lines = long_logs.qmp(events, chosen.disks, chosen.every)
            elif chosen.tool:
                lines = long_logs.trace(events, chosen.disks, chosen.every, points)
            else:
                lines = (backups if chosen.backups else trace)(events, points)
            with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as file:
                file.writelines(lines)
            path = Path(file.name)
            try:
                seconds, busy, memory = min((measured(path) for _ in range(chosen.rounds)), key=lambda each: each[1])
                size = path.stat().st_size / 1e6
                print(f"{kind:14}{events:12,}{size:7,.0f}{seconds:10.1f}{busy:8.1f}", end="")
                ratio = f"{busy / measured(path, WITHOUT)[1]:8.2f}" if chosen.backups else ""
                print(f"{events / busy:14,.0f}{memory:12,.0f}{ratio}", flush=True)
            finally:
                path.unlink()


if __name__ == "__main__":
    main()
