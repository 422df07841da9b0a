"""Which items of a window commute, so that it makes no difference in which order they happened.

Two items commute if they touch nothing in common: no bitmap, no job, and no disk as a whole (LOCAL). What writes or
copies data touches the whole of its disk; so does what is said to a job that is there, and the disks of its group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cbtmodel import commands as c

from cbtcheck.scenario.actions import actions_of
from cbtcheck.trace.events import (
    AllCopied,
    EndOfJobs,
    Event,
    Forgotten,
    Given,
    Landed,
    Look,
    LookAtJobs,
    OfImages,
    Resized,
    StoppedByError,
    Used,
)
from cbtcheck.trace.untracked import names_in
from cbtcheck.trace.window import Item, Window
from cbtcheck.trace.world import Rules, Traced

NONE: frozenset[str] = frozenset()

JOB = "\0"
"""What a job that begins touches of its disk is named so, as a bitmap: it touches no others, nor other jobs."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What an item has to do with: disks as a whole, bitmaps by (node, name), and jobs; or with everything."""

    disks: frozenset[str] = NONE
    bitmaps: frozenset[tuple[str, str]] = frozenset()
    jobs: frozenset[str] = NONE
    everything: bool = False

    def meets(self, other: Touched) -> bool:
        """Whether there is something that both have to do with."""
        if self.everything or other.everything:
            return True
        if self.disks & other.disks or self.bitmaps & other.bitmaps or self.jobs & other.jobs:
            return True
        return any(node in other.disks for node, _ in self.bitmaps) or any(
            node in self.disks for node, _ in other.bitmaps
        )

    def is_on(self, node: str) -> bool:
        """Whether it has to do with this disk, or with a bitmap of it."""
        return self.everything or node in self.disks or any(node_name == node for node_name, _ in self.bitmaps)


class Disks:
    """Which disks hang together by jobs that may end together, in a window that begins in these worlds."""

    def __init__(self, items: Iterable[Item], worlds: Iterable[Traced]) -> None:
        self._of_job: dict[str, set[str]] = {}
        self._in_flight: set[str] = set()
        self._together: list[set[str]] = []
        for world in worlds:
            for job_id, job in world.state.jobs.items():
                members = {world.state.jobs[each].node for each in job.group if each in world.state.jobs}
                self._add((job_id, *job.group), members | {job.node})
                if job.copying.most:
                    self._in_flight.add(job.node)
            self._in_flight |= {node_name for node_name, node in world.state.nodes.items() if node.writes}
        for item in items:
            command = item.event.command if isinstance(item.event, Given) else None
            actions = actions_of(command)
            starts = [each for each in actions if isinstance(each, c.StartBackup)]
            self._add([each.job for each in starts], {each.node for each in starts})

    def _add(self, ids: Iterable[str], nodes: set[str]) -> None:
        for job_id in ids:
            self._of_job.setdefault(job_id, set()).update(nodes)
        joined = [each for each in self._together if each & nodes]
        self._together = [each for each in self._together if not each & nodes]
        self._together.append(nodes.union(*joined))

    def of(self, nodes: Iterable[str]) -> frozenset[str]:
        """These disks and those that hang together with them."""
        listed = set(nodes)
        return frozenset(listed.union(*(each for each in self._together if each & listed)))

    def start_touches(self, node: str) -> bool:
        """Whether it matters to the whole of a disk that a job begins there: it waits for what is in flight."""
        return node in self._in_flight

    def of_jobs(self, ids: Iterable[str]) -> frozenset[str]:
        """The disks of these jobs."""
        return self.of(node for job_id in ids for node in self._of_job.get(job_id, ()))


def touched(event: Event, disks: Disks) -> Touched:
    """What an item has to do with."""
    match event:
        case Given(command):
            return _by_command(command, disks)
        case Landed(node):
            return Touched(disks.of([node]))
        case EndOfJobs(jobs):
            ids = [job_id for job_id, _ in jobs]
            return Touched(disks.of_jobs(ids), jobs=frozenset(ids))
        case AllCopied(job_id) | StoppedByError(job_id):
            return Touched(disks.of_jobs([job_id]), jobs=frozenset([job_id]))
        case Forgotten(node, _) if node is not None:
            return Touched(disks.of([node]))
        case Resized(node, _):
            return Touched(disks.of([node]))
        case Look(node):
            return Touched(frozenset([node]))
        case LookAtJobs() | Forgotten() | Used() | OfImages():
            return Touched(everything=True)


def _by_command(command: c.Command, disks: Disks) -> Touched:
    if isinstance(command, c.OfJob):
        return Touched(disks.of_jobs([command.job]), jobs=frozenset([command.job]))
    whole: set[str] = set()
    bitmaps: set[tuple[str, str]] = set()
    ids: set[str] = set()
    for each in actions_of(command):
        if isinstance(each, c.StartBackup):
            ids.add(each.job)
            bitmaps.add((each.node, f"{JOB}{each.job}"))
            if disks.start_touches(each.node):
                whole.add(each.node)
        for node, name in names_in(each):
            if name is not None:
                bitmaps.add((node, name))
            elif not isinstance(each, c.StartBackup):
                whole.add(node)
    return Touched(disks.of(whole), frozenset(bitmaps), frozenset(ids))


def dependences(window: Window, worlds: Sequence[Traced], exact: bool) -> dict[int, int]:
    """By number, the numbers (as bits) of those commands of a window that an item does not commute with.

    `exact`: also those that would commute, but for a write or a look that may have been between them and tells which
    of them was first.
    """
    disks = Disks(window.items, worlds)
    controls = [item for item in window.items if not item.is_look]
    of = {item.number: touched(item.event, disks) for item in controls}
    found = dict.fromkeys(of, 0)
    for at, one in enumerate(controls):
        for other in controls[:at]:
            depends = of[one.number].meets(of[other.number])
            if depends or (exact and _told_apart(window, one, other, of)):
                found[one.number] |= 1 << other.number
                found[other.number] |= 1 << one.number
    return found


def _told_apart(window: Window, one: Item, other: Item, of: dict[int, Touched]) -> bool:
    """Whether a write or a look that may be between the two has to do with both."""
    first, second = of[one.number], of[other.number]
    both = 1 << one.number | 1 << other.number
    for each in window.classes:
        aside = each.before & both == both or each.closed <= min(one.number, other.number)
        if each.sure and not aside and first.is_on(each.node) and second.is_on(each.node):
            return True
    for item in window.items:
        if not item.is_look or item.before & both == both:
            continue
        if one.before >> item.number & 1 and other.before >> item.number & 1:
            continue
        if isinstance(item.event, LookAtJobs) or (
            isinstance(item.event, Look) and first.is_on(item.event.node) and second.is_on(item.event.node)
        ):
            return True
    return False


Touching = Mapping[int, frozenset[str]]
"""By number of an item, the disks that it has to do with."""


def touching(
    items: Sequence[Item], worlds: Sequence[Traced], nodes: Collection[str], rules: Rules
) -> Touching:
    """Which of these disks the items of a window have to do with."""
    if rules.untracked or any(world.strange for world in worlds):
        # What is said of bitmaps that are not known may be about every disk.
        return {item.number: frozenset(nodes) for item in items}
    disks = Disks(items, worlds)
    touch = {item.number: touched(item.event, disks) for item in items}
    return {number: frozenset(node for node in nodes if one.is_on(node)) for number, one in touch.items()}
