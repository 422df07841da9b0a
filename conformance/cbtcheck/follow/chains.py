"""Follows what the backups of a history give back, and which commands are to blame where they do not.

The sets come from the specification (`cbtmodel.chain`). What is added is where in the history a point has its
instant, and the reasons why a bitmap lacks a block. Blame is laid on commands, never on the implementation: what is
followed is what the specification says that these commands do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal

from cbtmodel import commands as c
from cbtmodel.backup import Ended, Outcome
from cbtmodel.bitmap import recording
from cbtmodel.blocks import S
from cbtmodel.chain import Chains, Link, Point, changed, follow
from cbtmodel.claims import is_full, owed_under_name, waives, written
from cbtmodel.node import State
from cbtmodel.record import replace
from cbtmodel.step import Step
from cbtmodel.table import Table
from cbtmodel.traits import changed_bitmap, traits_of

from cbtcheck.follow.reasons import BEGINNING, At, Reason, Reasons
from cbtcheck.scenario.actions import actions_of

Place = tuple[str, str]

MOST_FOLLOWED = 4
"""Links of a disk that others can be laid over; what came of older ones is kept, and they are followed no more."""

MOST_KEPT = 64
"""Links that are kept; the oldest are forgotten then."""

MOST_WAIVED = 64
"""Waivers that are remembered, and failed backups."""


MOST_GONE = 64
"""Bitmaps that were removed, of which it is still known why they lacked what."""


BEFORE = "changed before"

MOST_TAKEN = 8
"""Reasons of other bitmaps, the latest ones, that a new bitmap is held against."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the backup of a point began, and what was asked for."""

    at: At
    full: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A backup of which nothing counts: failed, or cancelled, or gone with a crash, or not even begun."""

    job: str
    node: str
    full: bool
    began: At
    ended: At
    outcome: Outcome | Literal["gone", "refused"]


@dataclass(frozen=True, slots=True)
class Waived(Generic[S]):
    """Blocks that a command said no backup need have, but for those that a backup has supplied as they were then.

    `next` is the number that the next point had then.
    """

    place: Place
    at: At
    blocks: S
    next: int


@dataclass(frozen=True, slots=True)
class ChainsFollowed(Generic[S]):
    """All that has been followed until now. It does not change, so that several worlds can go on from it.

    `pending` are changes of disks that the points have not been told of yet. `assumed` are the links that need an
    older one which is not in this history: made before, or by other means, it is taken to be right. `kept` are links
    that are followed no more.

    An event may have changed a disk, or not: a crash what was in flight, others what they could write. `chains` has
    all that; `surely` is followed beside it, from then on, and has only what has changed for certain; None if that is
    the same. `certain` are the links that came of it, by their number.
    """

    chains: Chains[S] = field(default_factory=Chains)
    kept: Table[Point[S]] = field(default_factory=Table)
    pending: Table[S] = field(default_factory=Table)
    reasons: Mapping[Place, Reasons[S]] = field(default_factory=dict)
    began: Mapping[str, Begun] = field(default_factory=dict)
    waived: tuple[Waived[S], ...] = ()
    failed: tuple[Failed, ...] = ()
    refusals: tuple[Failed, ...] = ()
    assumed: frozenset[str] = frozenset()
    forgotten: int = 0
    surely: Chains[S] | None = None
    certain: Table[Link[S]] = field(default_factory=Table)

    def step(self, at: At, before: State[S], command: object, step: Step[S]) -> ChainsFollowed[S]:
        """A command was carried out, or refused."""
        if step.refusal is not None:
            return self.refused(at, command)
        after = self
        if traits_of(command).records or before.nodes != step.state.nodes:
            for node in before.nodes:
                after = after.wrote(at, before, node, written(before, command, step, node))
        after = after._said(at, before, command, step)
        if not step.ended and len(before.jobs) == len(step.state.jobs):
            return after
        return (after.told() if _begins(before, step) else after)._lived(at, before, command, step)

    def refused(self, at: At, command: object) -> ChainsFollowed[S]:
        """A command was refused: whoever goes on after a full backup that was, has nothing to lay increments over."""
        fulls = [each for each in actions_of(command) if isinstance(each, c.StartBackup) and each.sync == "full"]
        failed = tuple(Failed(each.job, each.node, True, at, at, "refused") for each in fulls)
        return replace(self, refusals=(*self.refusals, *failed)[-MOST_WAIVED:]) if failed else self

    def fulls_tried(self, node: str) -> list[Failed]:
        """Full backups of a disk that nothing can be laid over, in the order of their ends."""
        listed = (each for each in (*self.failed, *self.refusals) if each.node == node and each.full)
        return sorted(listed, key=lambda each: each.ended)

    def wrote(self, at: At, state: State[S], node: str, blocks: S) -> ChainsFollowed[S]:
        """Guest writes of these blocks of a disk have ended."""
        if not any(point.node == node for point in self.chains.points.values()):
            return self
        after, known = self, self.pending.get(node)
        if blocks is not state.space.empty:
            after = replace(self, pending=self.pending.put(node, blocks if known is None else known | blocks))
        return after.lacked(at, state, node, blocks)

    def lacked(self, at: At, state: State[S], node: str, blocks: S) -> ChainsFollowed[S]:
        """What changes on a disk is not in the bitmaps that do not record."""
        after = self
        for name, bitmap in state.nodes[node].bitmaps.items():
            if not recording(bitmap):
                known = self.reasons.get((node, name), Reasons())
                why, blame = known.distrusted or (
                    f"written while {node}/{name} was disabled", known.disabled or at
                )  # fmt: skip
                after = after.lacks((node, name), Reason(why, blame, blocks, at, at, at))
        return after

    # Bitmaps

    def lacks(self, place: Place, reason: Reason[S]) -> ChainsFollowed[S]:
        """A bitmap lacks blocks, for this reason."""
        known = self.reasons.get(place, Reasons())
        return replace(self, reasons={**self.reasons, place: known.and_also(reason)})

    def _said(self, at: At, before: State[S], command: object, step: Step[S]) -> ChainsFollowed[S]:
        """What a command, or a transaction with all its actions, says of bitmaps."""
        actions = actions_of(command)
        after = self
        for place in dict.fromkeys(map(changed_bitmap, actions)):
            if place is not None and place[0] in before.nodes:
                anew = any(isinstance(each, c.AddBitmap) and changed_bitmap(each) == place for each in actions)
                after = after._changed(at, before, command, step, place, anew)
        return after

    def _changed(
        self, at: At, before: State[S], command: object, step: Step[S], place: Place, anew: bool
    ) -> ChainsFollowed[S]:
        node, name = place
        then, now = before.nodes[node].bitmaps.get(name), step.state.nodes[node].bitmaps.get(name)
        after = self
        if then is not None and waives(command, node, name):
            after = after._waives(at, place, owed_under_name(then) | written(before, command, step, node))
        if anew:
            after = after._adds(at, place, before)
        known = after.reasons.get(place, Reasons())
        off = now is not None and not recording(now)
        known = replace(
            known, disabled=(known.disabled or at) if off else None, removed=at if now is None else None,
            added=known.added or anew, distrusted=None if anew else known.distrusted,
        )  # fmt: skip
        return replace(after, reasons=without_the_long_gone({**after.reasons, place: known}))

    def _waives(self, at: At, place: Place, owed: S) -> ChainsFollowed[S]:
        told, needed = self.told(), owed
        for point in told.chains.points.values():
            if point.node == place[0] and point.link is not None and point.link.complete:
                needed = needed - (point.link.supplied - point.since)
        known = (*told.waived, Waived(place, at, needed, told.chains.next))[-MOST_WAIVED:]
        first = told.first_on(place[0], at)
        return replace(told.lacks(place, Reason("waived", at, owed, first, at, at)), waived=known)

    def _adds(self, at: At, place: Place, before: State[S]) -> ChainsFollowed[S]:
        """A new bitmap lacks all that has changed before, since the oldest point.

        What another bitmap of the disk has, it could have been merged from. What none has, is lacking for the reason
        for which the last of them lacks it; if it is not only that it was added later, too.
        """
        after = self.told()
        node, name = place
        points = [each for each in after.chains.points.values() if each.node == node]
        if not points:
            return after
        known, first = after.reasons.get(place, Reasons()), after.first_on(node, at)
        lacks, added = points[0].since, f"{BEFORE} {node}/{name} was added"
        why, blame = known.distrusted or (added, known.removed or at)
        nowhere = lacks
        for each in before.nodes[node].bitmaps.values():
            nowhere = nowhere - owed_under_name(each)
        beside = [each for other, each in after.reasons.items() if other[0] == node and other != place]
        others = {(one.why, one.blame): one for each in beside for one in each.known[-MOST_TAKEN:]}.values()
        after = after.lacks(place, Reason(why, blame, lacks, first, at, at))
        for one in sorted(others, key=lambda one: (not one.why.startswith(BEFORE), one.came, one.last))[-MOST_TAKEN:]:
            blocks = one.blocks & nowhere
            if not blocks <= before.space.empty:
                after = after.lacks(place, replace(one, blocks=blocks, came=at))
        return after

    # Points

    def first_on(self, node: str, at: At) -> At:
        """Where the oldest point of a disk has its instant; `at` if there is none."""
        began = (self.began[number] for number, point in self.chains.points.items() if point.node == node)
        return next((each.at for each in began), at)

    def both(self, change: Callable[[Chains[S]], Chains[S]]) -> ChainsFollowed[S]:
        """Something happens to chains, whatever has changed for certain."""
        return replace(
            self, chains=change(self.chains), surely=None if self.surely is None else change(self.surely)
        )

    def told(self) -> ChainsFollowed[S]:
        """The points know of all changes."""

        def all_changed(chains: Chains[S]) -> Chains[S]:
            for node, blocks in self.pending.items():
                chains = changed(chains, node, blocks)
            return chains

        return replace(self.both(all_changed), pending=Table())

    def _lived(self, at: At, before: State[S], command: object, step: Step[S]) -> ChainsFollowed[S]:
        """Backups have begun, or have ended."""
        after = self.both(lambda chains: follow(chains, before, command, step))
        return self.went_on(at, after, command, step.ended, before.space.empty)

    def went_on(
        self, at: At, after: ChainsFollowed[S], command: object, ended: Iterable[Ended[S]], empty: S
    ) -> ChainsFollowed[S]:
        """All else that is to be known of points, and of links: `after` has what has become of the chains."""
        outcomes = {end.job_id: end.outcome for end in ended}
        then, chains, surely, certain = self.chains.points, after.chains, after.surely, self.certain
        new = {
            number: Begun(at, is_full(command, point.job))
            for number, point in chains.points.items()
            if number not in then
        }
        failed = [
            Failed(point.job, point.node, begun.full, begun.at, at, outcomes.get(point.job, "gone"))
            for number, point in then.items()
            for begun in [self.began[number]]
            if number not in chains.points
        ]
        waived, assumed = self.waived, self.assumed
        for number, point in chains.points.items():
            if point.link is not None and (number not in then or then[number].link is None):
                if self._has_its_base_elsewhere(point, new[number] if number in new else self.began[number]):
                    assumed |= {number}
                    chains = _nothing_is_lost(chains, number, empty)
                    surely = None if surely is None else _nothing_is_lost(surely, number, empty)
                sure = None if surely is None else surely.points[number].link
                certain = certain if sure is None else certain.put(number, sure)
                waived = tuple(_supplied(each, number, point, empty) for each in waived)
        points, kept = chains.points.keys(), self.kept.keys()
        began = {number: each for number, each in self.began.items() if number in points or number in kept} | new
        known = (*self.failed, *failed)[-MOST_WAIVED:] if failed else self.failed
        after = replace(after, chains=chains, began=began, waived=waived, failed=known, assumed=assumed)
        return replace(after, surely=surely, certain=certain)._without_the_oldest()

    def _has_its_base_elsewhere(self, point: Point[S], began: Begun) -> bool:
        """Whether there is nothing to lay an increment over, and nobody has tried to make it in this history.

        Before a bitmap that was there at the beginning, there may have been a backup that it belongs to.
        """
        alone = not began.full and point.link is not None and not point.link.lost_on
        tried = self.fulls_tried(point.node)
        return alone and not (tried and self.reasons.get((point.node, str(point.bitmap)), Reasons()).added)

    def _without_the_oldest(self) -> ChainsFollowed[S]:
        points, kept = self.chains.points, self.kept
        for node in {point.node for point in points.values()}:
            links = [number for number, point in points.items() if point.node == node and point.link is not None]
            for number in links[:-MOST_FOLLOWED]:
                kept, points = kept.put(number, _over(points[number])), points.drop(number)
        if points is self.chains.points:
            return self
        over = [*kept][: max(0, len(kept) - MOST_KEPT)]
        certain, began = self.certain, {n: b for n, b in self.began.items() if n not in over}
        for number in over:
            kept, certain = kept.drop(number), certain.drop(number) if number in certain else certain
        after = self.both(lambda chains: _only(chains, points))
        return replace(after, kept=kept, began=began, certain=certain, forgotten=self.forgotten + len(over))

    def without(self, jobs: Iterable[str]) -> ChainsFollowed[S]:
        """Without the points of these jobs, which have not ended, and of whose ends nobody will know."""
        points = self.chains.points
        for job_id in jobs:
            for number, point in self.chains.points.items():
                if point.job == job_id and point.link is None:
                    points = points.drop(number)
        return self if points is self.chains.points else self.both(lambda chains: _only(chains, points))

    def apart(self, node: str) -> ChainsFollowed[S]:
        """From now on this is another disk: its links are kept, and nothing is laid over them any more."""
        told, kept = self.told(), self.kept
        points = told.chains.points
        for number, point in told.chains.points.items():
            if point.node == node:
                points = points.drop(number)
                kept = kept if point.link is None else kept.put(number, _over(point))
        reasons = dict(told.reasons)
        for place, each in told.reasons.items():
            if place[0] == node:
                reasons[place] = replace(each, disabled=None, removed=None, added=False, distrusted=None)
        waived = tuple(each for each in told.waived if each.place[0] != node)
        after = told.both(lambda chains: _only(chains, points))
        return replace(after, kept=kept, reasons=reasons, waived=waived)

    def points(self) -> dict[str, Point[S]]:
        """All points that are known, by number."""
        return {**self.kept, **self.chains.points}


def _begins(before: State[S], step: Step[S]) -> bool:
    """Whether a backup begins, or has at once ended: a new point keeps what had changed since each older one."""
    return any(job_id not in before.jobs for job_id in (*step.state.jobs, *(end.job_id for end in step.ended)))


def _only(chains: Chains[S], numbers: Iterable[str]) -> Chains[S]:
    """These points, and no others."""
    listed = frozenset(numbers)
    return replace(chains, points=Table({number: each for number, each in chains.points.items() if number in listed}))


def _nothing_is_lost(chains: Chains[S], number: str, empty: S) -> Chains[S]:
    """What a link needs, and has nothing in this history to be laid over, is taken to be right."""
    point = chains.points[number]
    if point.link is None:
        return chains
    whole = replace(point, link=replace(point.link, lost=empty))
    return replace(chains, points=chains.points.put(number, whole))


def _over(point: Point[S]) -> Point[S]:
    """A point that is followed no more: what changed since is not kept, that may be much."""
    return point if point.link is None else replace(point, since=point.link.lost, until=Table())


def without_the_long_gone(reasons: dict[Place, Reasons[S]]) -> dict[Place, Reasons[S]]:
    """Without those of the bitmaps that were removed first, if too many are gone."""
    gone = [place for place, each in reasons.items() if each.removed is not None]
    gone.sort(key=lambda place: reasons[place].removed or BEGINNING)
    for place in gone[: max(0, len(gone) - MOST_GONE)]:
        del reasons[place]
    return reasons


def _supplied(waived: Waived[S], number: str, point: Point[S], empty: S) -> Waived[S]:
    """What is left of a waiver when a backup has supplied something that began after it."""
    if waived.blocks is empty:
        return waived
    if point.link is None or not point.link.complete or point.node != waived.place[0]:
        return waived
    began_later = int(number) >= waived.next
    supplied = point.link.supplied if began_later else point.link.supplied - point.since
    return replace(waived, blocks=waived.blocks - supplied)
