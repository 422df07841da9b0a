"""What a restart of QEMU does to the chains of a log, once it is known what it was.

Here is what is done; what it is that a log shows of a restart is found out by `doubts`.
"""

from __future__ import annotations

from typing import Protocol

from cbtmodel import bitmap as bitmaps
from cbtmodel.claims import owed_under_name
from cbtmodel.node import with_bitmap
from cbtmodel.record import replace
from cbtmodel.table import Table

from cbtcheck.follow.chains import ChainsFollowed, Place
from cbtcheck.follow.reasons import At, Reason, Reasons
from cbtcheck.sets.between import EMPTY, Between, TooMuch
from cbtcheck.trace.events import EndOfJobs
from cbtcheck.trace.stepped import stepped
from cbtcheck.trace.world import Rules, Traced, possible


class Follower(Protocol):
    """A state, and the chains that were followed in it: `cbtcheck.trace.chains`, and each of its variants."""

    world: Traced
    followed: ChainsFollowed[Between]


def take(one: Follower, place: Place, why: str, at: At, there: bool) -> None:
    """A bitmap is gone without a command, or, if it is still `there`, not to be trusted: what it owed is in none."""
    state = one.world.state
    node = state.nodes.get(place[0])
    bitmap = None if node is None else node.bitmaps.get(place[1])
    if node is None or bitmap is None:
        return
    known = one.followed.reasons.get(place, Reasons())
    known = replace(known, distrusted=(why, at), removed=known.removed if there else at)
    followed = replace(one.followed, reasons={**one.followed.reasons, place: known})
    reason = Reason(why, at, owed_under_name(bitmap), followed.first_on(place[0], at), at, at)
    one.followed = followed.lacks(place, reason)
    if there:
        state = with_bitmap(state, *place, bitmaps.create(state.space, bitmap.granularity, False))
    else:
        state = replace(state, nodes=state.nodes.put(place[0], replace(node, bitmaps=node.bitmaps.drop(place[1]))))
    one.world = replace(one.world, state=state, guesses=())


def added_again(one: Follower, place: Place, by: At) -> None:
    """A bitmap that was taken is added again: that is said with the reason."""
    known = one.followed.reasons.get(place)
    if known is not None and known.distrusted is not None:
        why, at = known.distrusted
        known = replace(known, distrusted=(f"{why}, and added again in {by.short}", at))
        one.followed = replace(one.followed, reasons={**one.followed.reasons, place: known})


def cancel(one: Follower, job: str, at: At, rules: Rules, apart: frozenset[str], counts: bool) -> None:
    """A job is over. `counts`: it was cancelled; if not, it is not known how it ended, and it is no backup at all."""
    if job not in one.world.state.jobs:
        return
    if not counts:
        one.followed = one.followed.without(one.world.state.jobs[job].group)
    change = EndOfJobs(((job, "cancelled"),))
    try:
        found = possible(one.world, change, rules)
    except TooMuch:
        found = []
    if found:
        before, one.world = one.world, replace(found[0], due=frozenset())
        one.followed = stepped(one.followed, at, change, before, found[0], apart)


def lose(one: Follower, job: str, at: At) -> None:
    """A job is gone with its process, and so is its bitmap: nobody counts what it has copied."""
    state, followed = one.world.state, one.followed
    if job not in state.jobs:
        return
    group = state.jobs[job].group
    chains = followed.without(group)
    jobs = Table({job_id: each for job_id, each in state.jobs.items() if job_id not in group})
    one.followed = followed.went_on(at, chains, None, (), EMPTY)
    one.world = replace(one.world, state=replace(state, jobs=jobs), guesses=())


def another_disk(one: Follower, node: str) -> None:
    """From here on the name is that of another disk: nothing that comes is laid over what was before."""
    one.followed = one.followed.apart(node)
    state = one.world.state
    jobs = Table({job_id: each for job_id, each in state.jobs.items() if each.node != node})
    if node in state.nodes:
        nothing = replace(state.nodes[node], bitmaps=Table(), writes=Table())
        state = replace(state, nodes=state.nodes.put(node, nothing))
    one.world = replace(one.world, state=replace(state, jobs=jobs), guesses=())
