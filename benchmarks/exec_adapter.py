"""What the adapter protocol costs: steps a second through a program in C that does nothing.

    python benchmarks/exec_adapter.py [--steps N]

*Lockstep*: one guest write after the other, each answered before the next is sent. *In batches*: 1,000 at a time. The
yardstick is a line through the same pipes and a line back, with nothing made of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cbtcheck.adapter import Hint
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.adapters.protocol import lines
from cbtcheck.sets.bitsets import BitSets
from cbtmodel.commands import Write
from cbtmodel.node import initial

SOURCE = Path(__file__).with_suffix(".c")
DISKS = {"disk0": 64 << 20}
ROUNDS = 5
BATCH = 1000

BEFORE = initial(BitSets(), DISKS)


def rate(steps: int, play: Callable[[int], None]) -> tuple[float, float, float]:
    """Steps a second: the median of the rounds, the slowest, the fastest."""
    rates = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        play(steps)
        rates.append(steps / (time.perf_counter() - begun))
    return statistics.median(rates), min(rates), max(rates)


def writes(count: int) -> list[Write]:
    return [Write("disk0", 4096 * (i % 4096), 4096) for i in range(count)]


def measured(program: str, steps: int) -> list[tuple[str, tuple[float, float, float]]]:
    rows = []
    hint = Hint(BEFORE, 7)
    for copies in ("adapter", "suite"):
        adapter = ExecAdapter((program, copies))
        adapter.reset(DISKS)
        given, hints = writes(BATCH), [hint] * BATCH

        def lockstep(count: int, adapter: ExecAdapter = adapter, given: list[Write] = given) -> None:
            for i in range(count):
                adapter.perform(given[i % BATCH], hint)

        def batch(
            count: int, adapter: ExecAdapter = adapter, given: list[Write] = given, hints: list[Hint] = hints
        ) -> None:
            for _ in range(count // BATCH):
                adapter.perform_many(given, hints)

        rows.append((f"lockstep, copies: {copies}", rate(steps, lockstep)))
        rows.append((f"in batches, copies: {copies}", rate(10 * steps, batch)))
        adapter.close()
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        request, reply = child.stdin.fileno(), child.stdout.fileno()
        line = lines.write_line(1000, Write("disk0", 4096, 4096), 7)

        def alone(count: int) -> None:
            for _ in range(count):
                os.write(request, line)
                os.read(reply, 4096)

        rows.append(("pipes alone, lockstep", rate(steps, alone)))
        child.stdin.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20_000)
    steps = parser.parse_args().steps
    print(f"{steps:,} steps in lockstep, {10 * steps:,} in batches of {BATCH:,}, median of {ROUNDS} rounds; "
          f"Python {platform.python_version()}, {platform.machine()}")  # fmt: skip
    print(f"{'':32}{'steps/s':>12}{'slowest':>12}{'fastest':>12}")
    with tempfile.TemporaryDirectory() as home:
        program = f"{home}/adapter"
        subprocess.run(["cc", "-O2", "-o", program, str(SOURCE)], check=True)
        for title, (median, slowest, fastest) in measured(program, steps):
            print(f"{title:32}{median:12,.0f}{slowest:12,.0f}{fastest:12,.0f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
