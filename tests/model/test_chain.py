"""RESTORES: what laying backups over each other gives is the disk of the last one's instant, but for what is lost.

The blocks of the disks have contents here, a new one with each change; backups really copy them.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

from cbtmodel.bitmap import recording
from cbtmodel.chain import Chains, follow, uncovered
from cbtmodel.claims import begun, switches, waives, written
from cbtmodel.node import State
from cbtmodel.step import Step

Content = dict[int, int]


class Disks:
    """Contents of disks, of their backups' targets, and of the disks at the backups' instants."""

    def __init__(self, state: State[Any]) -> None:
        self.fresh = count(1)
        self.now = {
            node_name: dict.fromkeys(state.space.everything(node.size), 0) for node_name, node in state.nodes.items()
        }
        self.instants: dict[str, Content] = {}
        self.targets: dict[str, Content] = {}
        self.number_of: dict[str, str] = {}

    def follow(self, chains: Chains[Any], before: State[Any], command: object, step: Step[Any]) -> None:
        """`chains` are those after the step."""
        jobs = {**step.state.jobs, **{end.job_id: end.job for end in step.ended}}
        for job_id, job in before.jobs.items():
            for block in job.todo - jobs[job_id].todo:  # each is copied before anything of this step is written
                self.targets[self.number_of[job_id]][block] = self.now[job.node][block]
        for node, content in self.now.items():
            for block in written(before, command, step, node) | begun(
                before, command, step, node
            ):  # both may change it
                content[block] = next(self.fresh)
        for number, point in chains.points.items():
            if number not in self.instants:
                self.number_of[point.job] = number
                self.instants[number], self.targets[number] = dict(self.now[point.node]), {}

    def image(self, numbers: list[str]) -> Content:
        """These targets, each laid over those before it."""
        return {block: seen for number in numbers for block, seen in self.targets[number].items()}


def played(walks: Any) -> Iterator[tuple[Disks, Chains[Any], Chains[Any], State[Any], object, Step[Any]]]:
    last: State[Any] | None = None
    chains: Chains[Any]
    for before, command, step in walks():
        if last is not before:
            disks, chains = Disks(before), Chains()
        then, chains = chains, follow(chains, before, command, step)
        disks.follow(chains, before, command, step)
        yield disks, then, chains, before, command, step
        last = step.state


def test_what_is_laid_over_each_other_is_the_disk_but_for_what_is_lost(walks: Any) -> None:
    links = lost = partial = 0
    for disks, then, chains, *_ in played(walks):
        for number, point in chains.points.items():
            if point.link is None or (number in then.points and then.points[number].link is not None):
                continue
            older = [*reversed([*point.link.lost_on])]
            for below in range(len(older) + 1):
                image = disks.image([*older[:below], number])
                right = {block for block, seen in disks.instants[number].items() if image.get(block) == seen}
                nothing = frozenset(disks.instants[number]) - point.link.supplied
                expected = point.link.lost_on[older[below - 1]] if below else nothing
                assert frozenset(disks.instants[number]) - right == expected, (number, below)
            links, lost = links + 1, lost + bool(point.link.lost)
            partial += not point.link.complete
    assert links > 100
    assert lost > 20
    assert partial > 10


def test_nothing_but_an_operator_ends_that_a_bitmap_covers_a_point(walks: Any) -> None:
    """A block that nothing under a bitmap's name owes was lacking before; or a backup has delivered it."""
    held = 0
    for _, then, chains, before, command, step in played(walks):
        for number, point in then.points.items():
            for name, bitmap in before.nodes[point.node].bitmaps.items():
                heir = step.state.nodes[point.node].bitmaps.get(name)
                said = waives(command, point.node, name) or switches(command, point.node, name)
                if heir is None or said or not recording(bitmap) or number not in chains.points:
                    continue
                delivered = [end.job.good for end in step.ended if end.job.bitmap == name]
                now = uncovered(heir, chains.points[number])
                assert now <= uncovered(bitmap, point) | frozenset().union(*delivered), (command, name)
                held += bool(point.since)
    assert held > 300
