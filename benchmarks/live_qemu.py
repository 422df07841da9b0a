"""Scenarios a second on a live QEMU: the suite, beside the same traffic with no model, no checks and no drawing.

    python benchmarks/live_qemu.py [scenarios]

Both play the same scenarios on the same daemon, in alternation, so that the machine's moods hit both alike. The
"traffic alone" calls the adapter only: the same QMP commands, NBD requests and holds, with every answer thrown away.
The suite draws (in its second process), follows the specification, judges every observation, compares the data of
every backup, and asks the ledger's triggers. Two kinds of scenario: as they are drawn, and the classic
whole scenario (add a bitmap, 8 guest writes, an incremental backup, remove the bitmap), with 8 dirty clusters or 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from itertools import islice

from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.follow.play import Player
from cbtcheck.run.course import Course, gathering_for
from cbtcheck.run.deal import dealer
from cbtcheck.run.options import Options
from cbtcheck.run.plan import Plan
from cbtcheck.scenario.scenario import Scenario
from cbtmodel import commands as c

SEED, STEPS, ROUND = 20160121, 14, 50


class Recorder(QemuAdapter):
    """The adapter, which also remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[object, ...]] = []

    def reset(self, disks: dict[str, int]) -> None:
        self.calls.append((QemuAdapter.reset, disks))
        super().reset(disks)

    def perform(self, command, hint):  # type: ignore[no-untyped-def]
        self.calls.append((QemuAdapter.perform, command, hint))
        return super().perform(command, hint)

    def observe(self, exact=None):  # type: ignore[no-untyped-def]
        self.calls.append((QemuAdapter.observe, exact))
        return super().observe(exact)

    def finish(self) -> None:
        self.calls.append((QemuAdapter.finish,))
        super().finish()

    def traffic_again(self) -> None:
        """The same calls once more, past the recording."""
        calls, self.calls = self.calls, []
        for call, *arguments in calls:
            call(self, *arguments)  # type: ignore[operator]


def whole_scenario(clusters: int) -> Scenario:
    """Add, 8 writes to so many clusters, incremental backup with a step for each copy, remove."""
    size, cluster = 8 * 65536, 65536
    writes = [c.Write("disk0", index % clusters * cluster + index * 4096, 512) for index in range(8)]
    copies = [c.Copy("j", index * cluster, 1) for index in range(clusters)]
    backup = c.StartBackup("j", "disk0", "incremental", "b")
    commands = (c.AddBitmap("disk0", "b", cluster), *writes, backup, *copies, c.RemoveBitmap("disk0", "b"))
    return Scenario({"disk0": size}, commands)


def measure(title: str, scenarios: Iterable[Scenario], adapter: Recorder, player: Player) -> None:
    """Plays rounds of scenarios with the suite, and their traffic alone, and prints both rates."""
    suite = traffic = 0.0
    played = steps = 0
    stream = iter(scenarios)
    while True:
        adapter.calls.clear()
        started = time.perf_counter()
        batch = 0
        for scenario in islice(stream, ROUND):
            findings = player.play_scenario(scenario)
            assert not findings, findings
            batch, steps = batch + 1, steps + len(player.frames)
        suite += time.perf_counter() - started
        if batch == 0:
            break
        started = time.perf_counter()
        adapter.traffic_again()
        traffic += time.perf_counter() - started
        played += batch
    rate, alone = played / suite, played / traffic
    print(f"{title:<28} {played:>6} {steps / played:>7.1f} {rate:>10.0f}/s {alone:>12.0f}/s {rate / alone:>8.2f}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    adapter = Recorder()
    try:
        print(f"{adapter.version}\n")
        print(f"{'scenarios':<28} {'number':>6} {'steps':>7} {'the suite':>12} {'traffic alone':>14} {'ratio':>8}")
        options = Options("quick", SEED, None, None, None, None)  # type: ignore[arg-type]
        gathering = gathering_for(adapter.name, adapter.version, options)
        course = Course(adapter, options, lambda *_: None, bool, gathering.add)
        plan = Plan(adapter.name, adapter.capabilities, options)
        for item in plan.ledger():
            course.play_item(item, gathering.known)
        gathering.confirmed()
        course.know(gathering.known)
        player = Player(adapter, turn_away=course.turn_away, listen=course.tally.listen, closely=False)
        with dealer(adapter.capabilities, SEED, STEPS) as dealt:
            drawn = (scenario for _, scenario in dealt if scenario is not None)
            measure("as drawn", islice(drawn, count), adapter, player)
        measure("8 writes, 8 copies", [whole_scenario(8)] * count, adapter, player)
        measure("8 writes, 1 copy", [whole_scenario(1)] * count, adapter, player)
    finally:
        adapter.close()


if __name__ == "__main__":
    main()
