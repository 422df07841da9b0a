"""What `cbtspec judge` costs: the proxy's part of a tool's time, and the seconds of a schedule.

    python benchmarks/judge.py [--rounds N]

The tool is `examples/judge/right.sh`. *Proxy*: full backups by way of the proxy and without it, in turn, on one QEMU;
the ratio is that of each pair, so what else the machine does is in both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from cbtcheck.judging.emulator import Emulator
from cbtcheck.judging.enumerated import baseline, windows
from cbtcheck.judging.guest import Guest
from cbtcheck.judging.instants import History
from cbtcheck.judging.plan import Plan, read_plan
from cbtcheck.judging.play import play
from cbtcheck.judging.proxy import Proxy
from cbtcheck.judging.schedule import Schedule
from cbtcheck.judging.stage import Stage
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.tool import Running

PLAN = Path(__file__).parents[1] / "examples" / "judge" / "right.toml"


async def tool_seconds(plan: Plan, socket: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        running = await Running.start(f"sh {plan.here}/right.sh {socket} full", Path(folder), {})
        ended = await running.ended(plan.deadline)
        took = time.perf_counter() - begun
        assert ended.succeeded, ended.output
        return took


async def proxy_ratios(plan: Plan, rounds: int) -> list[tuple[float, float]]:
    """Seconds of the tool without the proxy, and with it, for each round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = Storage(plan.disks, folder)
        emulator = Emulator(plan, storage, folder)
        guest = Guest(History(plan.sizes()), storage)
        stage = Stage(Schedule("none"), guest, storage, emulator)
        proxy = Proxy(emulator.tool_socket, stage)
        await storage.start()
        guest.device = await emulator.start()
        await proxy.listen(folder / "qmp")
        found = []
        for number in range(rounds + 1):
            stage.begin("1")
            ways = [emulator.tool_socket, str(folder / "qmp")]
            took = {each: await tool_seconds(plan, each) for each in (ways if number % 2 else ways[::-1])}
            found.append((took[ways[0]], took[ways[1]]))
        await proxy.close()
        await guest.device.close()
        await emulator.kill()
        await storage.close()
        return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    plan = read_plan(PLAN)
    pairs = asyncio.run(proxy_ratios(plan, rounds))
    ratio = statistics.median(one[1] / one[0] for one in pairs)
    direct = statistics.median(one[0] for one in pairs)
    print(f"proxy      {100 * (ratio - 1):+.1f} % of a full backup's {direct:.2f} s (median of {rounds} pairs)")
    quiet = play(plan, Schedule("quiet", plan.increments, baseline(plan)))
    took, used = [], []
    for each in windows(plan, quiet.points)[:rounds]:
        begun, before = time.perf_counter(), sum(os.times()[:4])
        play(plan, each)
        took.append(time.perf_counter() - begun)
        used.append(sum(os.times()[:4]) - before)
    what = f"a full backup, {plan.increments} increments, {plan.increments + 1} restores (median of {len(took)})"
    wall, processor = statistics.median(took), statistics.median(used)
    print(f"schedule   {wall:.2f} s, and {processor:.2f} s of the processor: {what}")
    print(f"load       {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
