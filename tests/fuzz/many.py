"""Changed traces and logs, as many as there is time for: `python tests/fuzz/many.py NUMBER [SEED]`.

Prints each kind of traceback once, with the input that it came from in a file beside; and in the end how many inputs
there were, the slowest by time of the processor, and the most memory. `test_targets.py` draws the same inputs.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from mutate import mutated_lines
from targets import TARGETS

MOST_SECONDS, MOST_MIB = 2.0, 500


def drawn(pool: list[tuple[str, bytes]], dice: random.Random) -> tuple[str, bytes]:
    """A target, and an input for it that is nearly right."""
    name, changed = dice.choice(pool)
    for _ in range(dice.choice((1, 1, 2, 4))):
        changed = mutated_lines(changed, dice)
    if dice.random() < 0.3:
        changed = changed[: dice.randrange(len(changed) + 1)]
    return name, changed


def kept(what: str, raw: bytes) -> str:
    """The file in which an input is kept."""
    with tempfile.NamedTemporaryFile(prefix=f"cbtspec-{what}-", delete=False) as file:
        file.write(raw)
    return file.name


def main() -> None:
    """Goes through so many, whatever comes of each."""
    number, given = int(sys.argv[1]), sys.argv[2:]
    seed = int(given[0]) if given else random.SystemRandom().randrange(1 << 32)
    dice, found, slowest, slow = random.Random(seed), Counter[str](), 0.0, 0
    pool = [(name, each) for name in ("trace", "log") for each in TARGETS[name].seeds()]
    for done in range(1, number + 1):
        name, raw = drawn(pool, dice)
        before = time.process_time()
        try:
            TARGETS[name].read(raw)
        except Exception as problem:
            last = traceback.extract_tb(problem.__traceback__)[-1]
            kind = f"{type(problem).__name__} in {Path(last.filename).name}:{last.lineno}"
            found[kind] += 1
            if found[kind] == 1:
                print(f"{kind}: {str(problem)[:200]!r}: {kept('traceback', raw)}", flush=True)
        took = time.process_time() - before
        if took > MOST_SECONDS:
            slow += 1
            print(f"{took:.1f} s: {kept('slow', raw)}", flush=True)
        slowest = max(slowest, took)
        if done % 1000 == 0 or done == number:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{done:,} inputs of seed {seed}: {sum(found.values())} tracebacks of {len(found)} kinds, "
                  f"{slow} over {MOST_SECONDS} s (slowest {slowest:.2f} s), {memory:.0f} MiB "
                  f"({'within' if memory < MOST_MIB else 'MORE THAN'} {MOST_MIB})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
