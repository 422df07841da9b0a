"""How the first items of a run are played: the tour, and every write history against its control sequences.

The ledger comes before them, since it says what must be turned away: a command that would run into a known defect
is not played, and what it was there for is counted as not reached, with that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator

from cbtmodel.commands import Copy, EndWrite, Write

from cbtcheck.adapter import Capabilities
from cbtcheck.follow.play import Frame
from cbtcheck.run.part import HISTORIES, NOT_ASKED_FOR, TOUR, Part
from cbtcheck.run.plan import EveryHistory, Walked, unclaimed
from cbtcheck.run.playing import Playing
from cbtcheck.run.report import TourCount
from cbtcheck.scenario.scenario import Scenario, word_for
from cbtcheck.search.tour.narrow import narrow
from cbtcheck.search.tour.one_cluster_at_a_time import one_cluster_at_a_time
from cbtcheck.search.tour.sizes import Sizes, sizes_for, sizes_for_histories, wide
from cbtcheck.search.tour.universal_play import (
    Play,
    different_histories,
    plays,
)
from cbtcheck.search.tour.walks import Walk

MAY_HAVE_BEEN_TOO_SMALL = ("pause-job", "cancel-job", "start-backup", "transaction", "end-copy: happened")
"""What comes between only because there is too little left to copy; then the blocks are made wider."""

MOST_CLUSTERS = 128
"""On the disks of a walk in wider blocks: of more, it would copy for minutes, one cluster at a time."""

AFTER_A_FAILURE = "after a failure"

AS_IT_COMES = (Write, EndWrite, Copy)
"""What may have happened before it is asked for, so that there is nothing left to do."""


class TourPhases:
    """How a course plays the items of these phases."""

    def __init__(self, course: Playing) -> None:
        self.course = course
        self.capabilities = course.adapter.capabilities
        self.played: set[Hashable] = set()

    def walk(self, number: int, walked: Walked, part: Part) -> None:
        """Plays a walk of the tour."""
        listed = sizes_for(self.capabilities)
        why = self._not_for_us(walked) or self._in_all_sizes(walked.walk, listed[number % len(listed)])
        part.missed_because = dict.fromkeys(walked.walk.aims, why)

    def _in_all_sizes(self, walk: Walk, sizes: Sizes) -> str:
        """Plays a walk in as many sizes as it takes for what it is there for; what came between."""
        part = self.course.part
        part.tour.walks += 1
        missed_because = self._play(walk, sizes)
        for other in self._other_sizes(walk, sizes, missed_because):
            if not walk.aims <= part.edges:
                missed_because = self._play(walk, other) or missed_because
        return missed_because

    def _other_sizes(self, walk: Walk, sizes: Sizes, missed_because: str) -> Iterator[Sizes]:
        """In which a walk may reach what it missed, where the implementation picks the clusters that it copies."""
        plainest = sizes_for(self.capabilities)[0]
        if not self.capabilities.picks_clusters:
            if sizes.block > sizes.cluster:  # so that one copy was not all of a block
                yield plainest
            clusters = sum(dict(walk.world.disks).values()) * wide(sizes).block // sizes.cluster
            if missed_because.startswith(MAY_HAVE_BEEN_TOO_SMALL) and clusters <= MOST_CLUSTERS:
                yield wide(sizes)

    def _play(self, walk: Walk, sizes: Sizes) -> str:
        """Plays a walk; what came between if it did not go as asked."""
        scenario, left_out = realised(walk.scenario(sizes), self.capabilities)
        if not scenario.commands:
            return not_made_to_happen(left_out)
        if not self.course.play(TOUR, TOUR, scenario):
            return AFTER_A_FAILURE
        happened_otherwise = first_deviation(scenario, self.course.player.frames, self.course.turned_away_now)
        return not_made_to_happen(left_out) or happened_otherwise

    def _not_for_us(self, walked: Walked) -> str:
        """Why a walk is not played at all."""
        missing = unclaimed(walked.walk.commands, walked.walk.world.disks, self.capabilities)
        if missing:
            return f"the implementation does not claim {missing}"
        return "" if walked.asked_for else NOT_ASKED_FOR

    # The universal disk

    def every_history(self, item: EveryHistory, part: Part) -> None:
        """Plays every write history against a control sequence."""
        if not item.asked_for:
            part.tour.in_part[NOT_ASKED_FOR] += 1
            return
        started = time.monotonic()
        listed = plays(item.sequence, self.course.most_writes)
        missed_because = [self._universal(play, sizes) for play in listed for sizes in self._sizes(play)]
        _count(part.tour, listed, next(filter(None, missed_because), ""))
        part.tour.seconds = time.monotonic() - started

    def _sizes(self, play: Play) -> tuple[Sizes, ...]:
        return sizes_for_histories(self.capabilities, len(play.histories))

    def _universal(self, play: Play, sizes: Sizes) -> str:
        """Plays it, if it was not yet; what came between if it was not played whole.

        What an implementation cannot be asked for, because it would only be refused, changes nothing: without it the
        sequence is whole, unless it is no other then than one that was played before. A copy that does not happen any
        more, because the implementation has made it by itself, is no reason either.
        """

        def smaller(fails: Callable[[Scenario], object]) -> Scenario:
            def part_fails(part: Play) -> bool:
                return bool(fails(realised(part.scenario(sizes), self.capabilities)[0]))

            return realised(narrow(play, part_fails).scenario(sizes), self.capabilities)[0]

        scenario, left_out = realised(play.scenario(sizes), self.capabilities)
        played = tuple(scenario.disks.items()), scenario.commands
        if played in self.played and left_out:
            return not_made_to_happen(left_out)
        self.played.add(played)
        self.course.part.tour.plays += 1
        if not self.course.play(HISTORIES, HISTORIES, scenario, smaller):
            return AFTER_A_FAILURE
        return first_deviation(scenario, self.course.player.frames, self.course.turned_away_now, AS_IT_COMES)


def _count(count: TourCount, listed: tuple[Play, ...], missed_because: str) -> None:
    """Counts a control sequence, whole or in part."""
    if missed_because:
        count.in_part[missed_because] += 1
        return
    count.sequences += 1
    count.writes = max(play.writes for play in listed)
    count.pairs += different_histories(listed)
    count.bounded += len(listed) > 1


def realised(scenario: Scenario, capabilities: Capabilities) -> tuple[Scenario, tuple[str, ...]]:
    """A scenario as an implementation can be asked for it, and the names of the commands that it cannot be."""
    return (scenario, ()) if capabilities.picks_clusters else one_cluster_at_a_time(scenario)


def not_made_to_happen(names: tuple[str, ...]) -> str:
    """The reason for commands that an implementation cannot be asked for; "" if there are none."""
    return f"{names[0]}: not made to happen" if names else ""


def first_deviation(
    scenario: Scenario, frames: list[Frame], turned_away: list[str], tolerated: type | tuple[type, ...] = ()
) -> str:
    """The first command of a scenario that agrees which was not played as asked, and why; "" if all were.

    With `tolerated`, only what did not happen at all counts, and of these commands not even that.
    """
    return next(filter(None, deviations(scenario, frames, turned_away, tolerated)), "")


def deviations(
    scenario: Scenario, frames: list[Frame], turned_away: list[str], tolerated: type | tuple[type, ...] = ()
) -> Iterator[str]:
    """The same of each command in turn."""
    ids, played = iter(turned_away), iter(frames)
    frame = next(played, None)
    for asked in scenario.commands:
        name = word_for(asked)
        if frame is None or frame.asked is not asked:
            yield f"{name}: turned away ({next(ids, 'a known defect')})"
            continue
        if not frame.trace and not (tolerated and isinstance(asked, tolerated)):
            yield not_made_to_happen((name,))
        elif not tolerated and (len(frame.trace) > 1 or frame.trace[0][0] != asked):
            yield f"{name}: happened otherwise"
        else:
            yield ""
        frame = next(played, None)
