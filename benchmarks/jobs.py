"""What a run takes in several processes, beside the same run in one.

    python benchmarks/jobs.py [adapter [profile [examples]]]

The same run with `--jobs 1` and `--jobs 2` (and as many as there are cores, if more), one after the other, in two
rounds, of which the quicker one counts. Their reports are compared: those of the reference must be the same but for
times. Seconds are wall time and CPU time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CBTSPEC = Path(sys.executable).with_name("cbtspec")
ROUNDS = 2
TIMES = ("seconds", "pairs_per_second")


@dataclass(frozen=True)
class Taken:
    """What a run took, in seconds, and what it has reported without its times."""

    wall: float
    processor: float
    scenarios: int
    report: dict[str, object]


def without_times(value: object) -> object:
    """JSON data without what a clock says."""
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items() if name not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def leaves(value: object, place: str = "") -> dict[str, object]:
    """The single values of JSON data, by their place."""
    if isinstance(value, dict):
        return {at: each for name, part in value.items() for at, each in leaves(part, f"{place}/{name}").items()}
    if isinstance(value, list):
        return leaves(dict(enumerate(value)), place)
    return {place: value}


def run(words: list[str], jobs: int) -> Taken:
    """Runs the suite as its user does."""
    with tempfile.TemporaryDirectory() as scratch:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [CBTSPEC, "check", *words, "--jobs", f"{jobs}", "--format", "json"],
            cwd=scratch, capture_output=True, check=False,
        )  # fmt: skip
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stderr.decode() + done.stdout.decode()[-2000:])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads(done.stdout)
    return Taken(wall, processor, sum(report["scenarios"].values()), without_times(report))  # type: ignore[arg-type]


def main() -> None:
    adapter, profile, *more = [*sys.argv[1:], *("reference", "quick")[len(sys.argv) - 1 :]]
    words = [adapter, "--profile", profile, *(["--examples", more[0]] if more else [])]
    cores = len(os.sched_getaffinity(0))
    taken: dict[int, list[Taken]] = {jobs: [] for jobs in sorted({1, 2, cores})}
    for _ in range(ROUNDS):
        for jobs, rounds in taken.items():
            rounds.append(run(words, jobs))
    print(f"check {' '.join(words)}: {taken[1][0].scenarios:,} scenarios; {cores} cores\n")
    print("| jobs | wall, s | of one job's | CPU, s | of one job's |\n|---:|---:|---:|---:|---:|")
    best = {jobs: min(rounds, key=lambda each: each.wall) for jobs, rounds in taken.items()}
    for jobs, each in best.items():
        wall, processor = each.wall / best[1].wall, each.processor / best[1].processor
        print(f"| {jobs} | {each.wall:.1f} | {wall:.2f} | {each.processor:.1f} | {processor:.2f} |")
    first, *others = [leaves(each.report) for rounds in taken.values() for each in rounds]
    agree = {place for place, value in first.items() if all(each.get(place) == value for each in others)}
    every = first.keys() | {place for each in others for place in each}
    print(f"\nThe {1 + len(others)} reports agree in {len(agree):,} of {len(every):,} values, times left out.")
    if agree != every and adapter == "reference":
        sys.exit(1)


if __name__ == "__main__":
    main()
