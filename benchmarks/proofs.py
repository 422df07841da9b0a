"""What it costs to prove the specification: CPU seconds by prover, with the numbers of theorems and obligations.

A table in Markdown. The yardstick is a run over all scenes that takes one path through each and proves nothing. Each
prover is measured twice in each round: scene by scene, and with what scenes begin with run once for all of them.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from cbtproofs.arithmetic.granularity import granularity_theorems
from cbtproofs.inductive.paths import Impossible, Path
from cbtproofs.inductive.prove import PROVERS, Proved, prove
from cbtproofs.inductive.stage import scenes
from cbtproofs.inductive.statements import THEOREMS
from cbtproofs.inductive.universal_disk import UniversalDisk

ROUNDS = 3


def timed(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def one_path_each() -> None:
    for scene in scenes():
        with suppress(Impossible):
            for _ in scene.script(UniversalDisk(Path())):
                pass


def by_induction(prover: str, apart: bool) -> Proved:
    *_, proved = prove((prover,), apart=apart)
    assert not proved.failures
    assert not proved.vacuous
    return proved


def main() -> int:
    print(f"Python {platform.python_version()}, {platform.machine()}; CPU seconds, median of {ROUNDS} rounds\n")
    print("| what | theorems | obligations | paths | scene by scene, s | seconds | ratio | obligations/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    print(f"| yardstick: one path through each scene |  |  | {sum(1 for _ in scenes()):,} |"
          f" {statistics.median(timed(one_path_each) for _ in range(ROUNDS)):.2f} |  |  |  |")  # fmt: skip
    for prover in PROVERS:
        pairs = [(by_induction(prover, True), by_induction(prover, False)) for _ in range(ROUNDS)]
        apart, seconds = (statistics.median(pair[i].seconds[prover] for pair in pairs) for i in range(2))
        (one, other), *_ = pairs
        assert one.obligations == other.obligations
        count = one.obligations.total()
        print(f"| {prover} | {len(THEOREMS)} | {count:,} | {one.paths['OPAQUE']:,} | {apart:.2f} | {seconds:.2f} |"
              f" {seconds / apart:.2f} | {count / seconds:,.0f} |")  # fmt: skip
    results = [*granularity_theorems()]
    rounds = [timed(lambda: results.extend(granularity_theorems())) for _ in range(ROUNDS)]
    seconds, results = statistics.median(rounds), results[: len(results) // (ROUNDS + 1)]
    count = sum(each.obligations for each in results)
    print(f"| Z3 on 64-bit integers | {len(results)} | {count:,} | {sum(each.paths for each in results):,} |"
          f"  | {seconds:.2f} |  | {count / seconds:,.0f} |")  # fmt: skip
    return 0 if all(each.verdict == "proved" for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
