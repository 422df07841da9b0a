"""What crash states and failing requests cost, in one process and in two.

    python benchmarks/crash.py [profile [qemu-storage-daemon]]

The same runs with `--jobs 1` and `--jobs 2` in alternation; quick in two rounds, of which the one with less processor
time counts. Their reports are compared, and have to be the same but for rates. CPU is that of the suite and of every
QEMU that it has started; rates are per second of it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

CBTSPEC = Path(sys.executable).with_name("cbtspec")
ROUNDS = {"quick": 2}
RATES = ("judged_per_cpu_second", "confirmed_per_cpu_second")
TO_BE = {"quick": 5, "ci": 90}
"""Seconds of wall time on two cores, at most."""


@dataclass(frozen=True)
class Taken:
    """What a run took, in seconds, its rates, and what it has reported besides."""

    wall: float
    processor: float
    rates: tuple[int, ...]
    report: dict[str, object]


def run(words: list[str]) -> Taken:
    """Runs the command as its user does."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([CBTSPEC, "crash", *words, "--json"], capture_output=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2):
        sys.exit(done.stderr.decode() + done.stdout.decode()[-2000:])
    report = json.loads(done.stdout)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall, processor, tuple(report.pop(each) for each in RATES), report)


def main() -> None:
    profile, *daemon = sys.argv[1:] or ["quick"]
    words = ["--profile", profile, *(["--qemu-storage-daemon", *daemon] if daemon else [])]
    print("| run | jobs | states | faults | wall, s | CPU, s | of one job's | judged/s | confirmed/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    loads = []
    for adapter in ("qemu", "reference"):
        rounds = [
            (run([adapter, *words]), run([adapter, *words, "--jobs", "2"])) for _ in range(ROUNDS.get(profile, 1))
        ]
        loads.append(os.getloadavg()[0])
        best = [min(each, key=lambda taken: taken.processor) for each in zip(*rounds, strict=True)]
        for jobs, each in enumerate(best, 1):
            states = int(str(each.report["states"])) + int(str(each.report["states_after_faults"]))
            wall, of_one = f"{each.wall:.1f}", f"{each.processor / best[0].processor:.2f}"
            judged, confirmed = each.rates
            print(f"| {adapter} | {jobs} | {states:,} | {each.report['faults']} | {wall} ", end="")
            print(f"| {each.processor:.1f} | {of_one} | {judged:,} | {confirmed:,} |")
        if any(each.report != best[0].report for pair in rounds for each in pair):
            sys.exit("the reports differ")
    to_be = f"; to be {TO_BE[profile]} s of wall time" if profile in TO_BE else ""
    print(f"\nThe reports with one job and with two are the same. {profile}{to_be}.")
    print(f"{os.cpu_count()} cores, load {min(loads):.1f} to {max(loads):.1f}.")


if __name__ == "__main__":
    main()
