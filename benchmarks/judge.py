"""What `cbtspec judge` costs: the proxy's part of a tool's time, and the seconds of a schedule.

    python benchmarks/judge.py [--rounds N] [--windows]

The tool is `examples/judge/right.sh`. *Proxy*: full backups by way of the proxy and without it, in turn, on one QEMU;
the ratio is that of each pair, so what else the machine does is in both. *Schedule*: by the clock, and of the
processor, the tool and QEMU included; and what of that a Python costs that does nothing, as the tool starts five.
*Windows*: all of them, two at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from cbtcheck.judging.campaign import judge
from cbtcheck.judging.emulator import Emulator
from cbtcheck.judging.enumerated import Profile, baseline, windows
from cbtcheck.judging.guest import Guest
from cbtcheck.judging.instants import History
from cbtcheck.judging.plan import Plan, read_plan
from cbtcheck.judging.play import play
from cbtcheck.judging.proxy import Proxy
from cbtcheck.judging.schedule import Schedule
from cbtcheck.judging.stage import Stage
from cbtcheck.judging.storage import Storage
from cbtcheck.judging.tool import GUARDS, Running
from cbtcheck.judging.verdicts import Judgement

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


def processor_seconds() -> float:
    """Of this process, and of all that it has waited for."""
    return sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--windows", action="store_true")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    plan = read_plan(PLAN)
    pairs = asyncio.run(proxy_ratios(plan, rounds))
    ratio = statistics.median(one[1] / one[0] for one in pairs)
    direct = statistics.median(one[0] for one in pairs)
    print(f"proxy      {100 * (ratio - 1):+.1f} % of a full backup's {direct:.2f} s (median of {rounds} pairs)")
    quiet = play(plan, Schedule("quiet", plan.increments, baseline(plan)))
    took = []
    GUARDS.close()  # so that all is counted
    before = processor_seconds()
    for each in windows(plan, quiet.points)[:rounds]:
        begun = time.perf_counter()
        play(plan, each)
        took.append(time.perf_counter() - begun)
    GUARDS.close()
    used = (processor_seconds() - before) / len(took)
    what = f"a full backup, {plan.increments} increments, {plan.increments + 1} restores ({len(took)} windows)"
    print(f"schedule   {statistics.median(took):.2f} s (median), and {used:.2f} s of the processor: {what}")
    before = processor_seconds()
    for _ in range(20):
        subprocess.run(["python3", "-c", "pass"], check=True)
    print(f"python3    {(processor_seconds() - before) / 20:.3f} s of the processor to do nothing")
    if arguments.windows:
        begun, before = time.perf_counter(), processor_seconds()
        result = judge(plan, Profile("windows", None, 0, 0, 0), 0, 2)
        seconds, used = time.perf_counter() - begun, processor_seconds() - before
        number = result.schedules
        print(f"windows    {number} schedules, two at a time: {seconds:.0f} s, and {used:.0f} s of the processor")
        assert result.judgement is Judgement.SAFE
    print(f"load       {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
