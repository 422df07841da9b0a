"""What exhaustive exploration costs: state by state, up to permutation of blocks, and SPIN beside it.

SPIN explores `promela/one_bitmap_one_job.pml`, breadth first and without partial order reduction. It is admitted only
where its numbers of states and transitions equal the explorer's; if they do not, the run fails. Times are CPU
time, so that other work on the machine does not count; SPIN's is that of the search, without compiling it.
"""

from __future__ import annotations

import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cbtproofs.explorer.breadth_first import explore
from cbtproofs.explorer.exploration import explore_scope
from cbtproofs.explorer.scopes import Scope
from cbtproofs.explorer.symmetry import Quotient

PROMELA = Path(__file__).parent / "promela/one_bitmap_one_job.pml"
BLOCKS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32)
MOST = {"checked": 4, "alone": 5, "spin": 7}
"""Up to how many blocks each is run, so that the whole takes a few minutes."""

OTHERS = (
    Scope(1), Scope(2), Scope(2, granularity=2, alphabet="small"), Scope(2, bitmaps=2, alphabet="small"),
    Scope(1, bitmaps=2), Scope(1, jobs=2), Scope(1, bitmaps=2, jobs=2, alphabet="small"),
    Scope(1, bitmaps=2, jobs=2, nodes=2, alphabet="small"),
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """How many states and transitions, and the seconds that they took."""

    states: int
    transitions: int
    seconds: float

    @property
    def cells(self) -> str:
        """Seconds and states per second, as cells of a table."""
        return f"{self.seconds:.2f} | {self.states / max(self.seconds, 0.005):,.0f}"


def cpu(run: Callable[[], tuple[int, int]]) -> Cost:
    began = time.process_time()
    states, transitions = run()
    return Cost(states, transitions, time.process_time() - began)


def state_by_state(scope: Scope, properties: bool) -> Cost:
    def run() -> tuple[int, int]:
        if properties:
            outcome = explore_scope(scope, limit=None)
            assert outcome.good, outcome
            return outcome.states, outcome.transitions
        explored = explore(scope.initial(), scope.commands)
        return len(explored.states), explored.transitions

    return cpu(run)


def up_to_permutation(scope: Scope) -> tuple[Cost, Quotient]:
    quotient = Quotient(scope)

    def run() -> tuple[int, int]:
        assert quotient.explore() is None
        assert not quotient.sightings.missing
        return quotient.states, quotient.transitions

    return cpu(run), quotient


def spin(blocks: int, promela: Path = PROMELA) -> Cost | None:
    """SPIN's cost; None if it, or a C compiler, is not there."""
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        return None
    with tempfile.TemporaryDirectory() as directory:
        for command in (
            ["spin", "-a", f"-DBLOCKS={blocks}", str(promela)],
            ["gcc", "-O2", "-DBFS", "-DNOREDUCE", "-DSAFETY", "-w", "-o", "pan", "pan.c"],
        ):
            subprocess.run(command, cwd=directory, check=True, capture_output=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["./pan", "-b"], cwd=directory, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert "errors: 0" in done.stdout, done.stdout
    # SPIN counts the initial state as arrived at by one transition more.
    return Cost(_number(done.stdout, "states, stored"), _number(done.stdout, "transitions") - 1, seconds)


def _number(text: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}", text)
    assert found is not None, text
    return int(found[1])


def against_blocks() -> Iterator[str]:
    yield (
        "| blocks | states | transitions | with every property, s | states/s | the model alone, s | states/s | "
        "SPIN, s | states/s |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for blocks in [each for each in BLOCKS if each <= max(MOST.values())]:
        scope = Scope(blocks, alphabet="small")
        costs = {
            "checked": state_by_state(scope, True) if blocks <= MOST["checked"] else None,
            "alone": state_by_state(scope, False) if blocks <= MOST["alone"] else None,
            "spin": spin(blocks) if blocks <= MOST["spin"] else None,
        }
        counts = {(each.states, each.transitions) for each in costs.values() if each is not None}
        quotient = up_to_permutation(scope)[1]
        counts.add(quotient.weighted())
        if len(counts) != 1:
            sys.exit(f"{blocks} blocks: the numbers of states and transitions differ: {counts}")
        ((states, transitions),) = counts
        cells = " | ".join(" | " if each is None else each.cells for each in costs.values())
        yield f"| {blocks} | {states:,} | {transitions:,} | {cells} |"


def with_symmetry() -> Iterator[str]:
    yield "| blocks | states | transitions | s | states/s | stands for states |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for blocks in BLOCKS:
        cost, quotient = up_to_permutation(Scope(blocks, alphabet="small"))
        whole = quotient.weighted()[0]
        yield f"| {blocks} | {cost.states:,} | {cost.transitions:,} | {cost.cells} | {approximately(whole)} |"


def approximately(number: int) -> str:
    return f"{number:,}" if number < 10**9 else f"{number:.1e}"


def against_scopes() -> Iterator[str]:
    yield "| scope | states | transitions | s | states/s |"
    yield "|---|---:|---:|---:|---:|"
    for scope in OTHERS:
        cost = state_by_state(scope, True)
        yield f"| {scope} | {cost.states:,} | {cost.transitions:,} | {cost.cells} |"


def main() -> None:
    version = "SPIN is not installed: its column is empty"
    if shutil.which("spin") is not None:
        version = subprocess.run(["spin", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"Python {platform.python_version()}, {platform.machine()}; {version}; CPU seconds\n")
    for title, rows in (
        ("One bitmap, one job, small alphabet, state by state:", against_blocks()),
        ("The same up to permutation of blocks, with every property:", with_symmetry()),
        ("Other scopes, state by state, with every property:", against_scopes()),
    ):
        print(title, end="\n\n")
        for row in rows:
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()
