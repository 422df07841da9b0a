"""What was seen, and what is to be said of it: the same cases for the suite, the oracle and traces.

In each of them `fine` owes 1 granule and may have 4, which a merge from a coarser bitmap has brought.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cbtcheck.adapter import ACCEPTED, Observation, Reply, SeenAnonymous, SeenBitmap, SeenJob, digest
from cbtcheck.follow import judge as judging
from cbtcheck.follow import worlds as following
from cbtcheck.oracle import Oracle, Seen, Sight
from cbtcheck.scenario.scenario import command_to_data
from cbtcheck.scenario.verdict import Verdict, worst
from cbtcheck.sets.bitsets import Bits, BitSets
from cbtcheck.sets.granules import Granules
from cbtcheck.trace.verify import Options, verify
from cbtmodel import commands as c
from cbtmodel.bitmap import busy, recording
from cbtmodel.node import State, initial
from cbtmodel.step import step

D, SIZE, COARSE, FINE = "d", 1 << 20, 1 << 18, 1 << 16
GRANULES = SIZE // FINE

MERGE = c.MergeBitmaps(D, "fine", (c.Source(D, "coarse"),))
BEGUN: tuple[c.Command, ...] = (
    c.AddBitmap(D, "coarse", COARSE), c.AddBitmap(D, "fine", FINE), c.Write(D, 0, 512),
    c.ClearBitmap(D, "fine"), MERGE,
)
"""Now `fine` owes granule 0, and may have 0 to 3."""


@dataclass(frozen=True)
class Look:
    """`fine` was looked at; what is None was not. `there`: there is such a bitmap."""

    count: int | None = None
    bits: frozenset[int] | None = None
    hashed: frozenset[int] | None = None
    recording: bool | None = None
    busy: bool | None = None
    there: bool = True

    def digest(self) -> str | None:
        """The digest of `hashed`."""
        return None if self.hashed is None else digest(sum(1 << each for each in self.hashed), GRANULES)


def of(*granules: int) -> frozenset[int]:
    return frozenset(granules)


@dataclass(frozen=True)
class Given:
    """A command with its reply, and the jobs that were seen to end, None: as specified."""

    command: c.Command
    reply: Reply | None = None
    ended: dict[str, str] | None = None


Step = c.Command | Given | Look


@dataclass(frozen=True)
class Case:
    """Steps, and the verdict."""

    name: str
    steps: tuple[Step, ...]
    verdict: Verdict
    begun: tuple[c.Command, ...] = field(default=BEGUN, repr=False)


def _specified(case: Case) -> Iterator[tuple[Given | Look, dict[str, str]]]:
    """Each step, with the jobs that it ends."""
    state = initial(BitSets(), {D: SIZE})
    for each in (*case.begun, *case.steps):
        ended: dict[str, str] = {}
        if isinstance(each, c.Command):
            each = Given(each)
        if isinstance(each, Given):
            done = step(state, each.command)
            state, ended = done.state, {end.job_id: end.outcome for end in done.ended}
            ended = ended if each.ended is None else each.ended
        yield each, ended


def by_the_suite(case: Case) -> Verdict:
    space = BitSets()
    worlds = [following.World(initial(space, {D: SIZE}))]
    found: list[Verdict] = []
    for each, ended in _specified(case):
        for world in worlds:
            world.begin()
        if isinstance(each, Look):
            for world in worlds:
                seen = _observed(space, world.state, each)
                world.findings = judging.judge(space, world.state, seen, None, world.shown)
        else:
            worlds = following.follow(worlds, each.command, each.reply or ACCEPTED)
            for world in worlds:
                world.has_ended(ended.items())
        worlds = following.different(following.possible(worlds))
        found += [finding.verdict for finding in worlds[0].findings]
    return worst(found)


def _observed(space: BitSets, state: State[Bits], look: Look) -> Observation:
    """All as specified, but for what the look has of `fine`."""
    node = state.nodes[D]
    bitmaps, heirs = {}, []
    for name, each in node.bitmaps.items():
        count = space.counted(each.marks.dirty, each.granularity, SIZE)
        bitmaps[D, name] = SeenBitmap(each.granularity, recording(each), busy(each), count, None)
        if each.successor is not None:
            marks = each.successor.marks.dirty
            heirs.append(
                SeenAnonymous(each.granularity, each.successor.enabled, space.counted(marks, each.granularity, SIZE))
            )
    bitmaps.pop((D, "fine"), None)
    if look.there:
        bits = None if look.bits is None else Granules.from_numbers(sorted(look.bits), FINE, SIZE)
        bitmaps[D, "fine"] = SeenBitmap(FINE, look.recording, look.busy, look.count, look.digest(), bits)
    jobs = {job_id: SeenJob(judging.phase_of(job)) for job_id, job in state.jobs.items()}
    return Observation(bitmaps, jobs, {D: tuple(heirs)}, frozenset())


def by_the_oracle(case: Case) -> Verdict | None:
    """None: of digests it is not told."""
    asked = Oracle({D: SIZE})
    found: list[Verdict] = []
    for each, ended in _specified(case):
        if isinstance(each, Look):
            if each.hashed is not None:
                return None
            bits = None if each.bits is None else Granules.from_numbers(sorted(each.bits), FINE, SIZE)
            seen = Seen(None, each.recording, each.busy, bits, each.count) if each.there else None
            found += [finding.verdict for finding in asked.observe(Sight({(D, "fine"): seen}))]
        else:
            answer = asked.command(each.command, each.reply or ACCEPTED, tuple(ended.items()))
            found += [finding.verdict for finding in answer.findings]
    return worst(found)


def by_a_trace(case: Case) -> Verdict:
    lines: list[dict[str, Any]] = [{"format": "cbtspec-trace", "version": 1, "disks": {D: SIZE}}]
    for each, ended in _specified(case):
        lines.append(_line(each, ended))
    text = "".join(json.dumps(each) + "\n" for each in lines)
    return verify(io.BytesIO(text.encode()), Options()).worst


def _line(each: Given | Look, ended: dict[str, str]) -> dict[str, Any]:
    if isinstance(each, Given):
        said = {} if each.reply is None else {"reply": each.reply.refusal or "accepted"}
        if each.reply is not None and not each.reply.definite:
            said = {"reply": "indefinite"}
        return command_to_data(each.command) | said | ({"ended": ended} if ended else {})
    if not each.there:
        return {"see": "bitmaps", "node": D, "bitmaps": {"coarse": {}}, "all": True}
    seen: dict[str, Any] = {"recording": each.recording, "busy": each.busy, "sha256": each.digest()}
    seen["count"] = None if each.count is None else each.count * FINE
    seen["dirty"] = None if each.bits is None else [[one * FINE, FINE] for one in sorted(each.bits)]
    shown = {what: value for what, value in seen.items() if value is not None}
    return {"see": "bitmaps", "node": D, "bitmaps": {"fine": shown}}


ENGINES: dict[str, Callable[[Case], Verdict | None]] = {
    "suite": by_the_suite, "oracle": by_the_oracle, "trace": by_a_trace,
}

START = c.StartBackup("j", D, "bitmap", "fine", "on-success", cluster=FINE)
NEVER = c.StartBackup("j", D, "bitmap", "fine", "never", cluster=FINE)
ALWAYS = c.StartBackup("j", D, "bitmap", "fine", "always", cluster=FINE)
ALL = c.Copy("j", 0, SIZE)
PERHAPS = Reply("internal", "lost", definite=False)
EXACT, WASTEFUL, DIVERGES, UNSAFE = Verdict.EXACT, Verdict.WASTEFUL, Verdict.DIVERGES, Verdict.UNSAFE

CASES = (
    Case("count of what must be", (Look(1),), EXACT),
    Case("count between", (Look(2),), EXACT),
    Case("count of what may be", (Look(4),), EXACT),
    Case("count of too few", (Look(0),), UNSAFE),
    Case("count of too many", (Look(5),), WASTEFUL),
    Case("set of what must be", (Look(bits=of(0)),), EXACT),
    Case("set between", (Look(bits=of(0, 2)),), EXACT),
    Case("set with one missing", (Look(bits=of(1, 2)),), UNSAFE),
    Case("set with one too many", (Look(bits=of(0, 4)),), WASTEFUL),
    Case("set of another number", (Look(2, of(0)),), DIVERGES),
    Case("digest of what may be", (Look(4, hashed=of(0, 1, 2, 3)),), EXACT),
    Case("digest of what must be", (Look(1, hashed=of(0)),), EXACT),
    Case("digest between", (Look(2, hashed=of(0, 3)),), EXACT),
    Case("digest of as many, others", (Look(4, hashed=of(0, 1, 2, 4)),), DIVERGES),
    Case("digest of one, another", (Look(1, hashed=of(1)),), UNSAFE),
    Case("digest alone, of none of them", (Look(hashed=of(7)),), EXACT),
    Case("flags", (Look(recording=True, busy=False),), EXACT),
    Case("deaf", (Look(recording=False),), UNSAFE),
    Case("hears, and should not", (c.DisableBitmap(D, "fine"), Look(recording=True)), DIVERGES),
    Case("busy", (Look(busy=True),), DIVERGES),
    Case("not there", (Look(there=False),), UNSAFE),
    Case("not there, and owes nothing", (c.ClearBitmap(D, "fine"), Look(there=False)), DIVERGES),
    Case("not there, as specified", (c.RemoveBitmap(D, "fine"), Look(there=False)), EXACT),
    Case("there, and should not be", (c.RemoveBitmap(D, "fine"), Look()), DIVERGES),
    # What was counted once is there until something cleans it
    Case("fewer than before", (Look(3), Look(2)), DIVERGES),
    Case("fewer than before, after a write", (Look(3), c.Write(D, 0, 512), Look(2)), DIVERGES),
    Case("fewer than were in a set before", (Look(bits=of(0, 1, 2)), c.Write(D, 0, 512), Look(2)), DIVERGES),
    Case("as many as before", (Look(3), c.Write(D, 0, 512), Look(3)), EXACT),
    Case("more than before", (Look(2), c.Write(D, 0, 512), Look(3)), EXACT),
    Case("fewer after a clear", (Look(3), c.ClearBitmap(D, "fine"), MERGE, Look(1)), EXACT),
    Case("fewer after a clear in a transaction", (Look(3), c.Transaction((c.ClearBitmap(D, "fine"), MERGE)), Look(1)),
         EXACT),
    Case("fewer after a clear of another", (Look(3), c.ClearBitmap(D, "coarse"), Look(2)), DIVERGES),
    Case("fewer in a new bitmap of that name",
         (Look(3), c.RemoveBitmap(D, "fine"), c.AddBitmap(D, "fine", FINE), MERGE, Look(1)), EXACT),
    Case("fewer after a backup", (Look(3), START, ALL, MERGE, Look(1)), EXACT),
    Case("fewer after a backup with mode never", (Look(3), NEVER, ALL, Look(2)), DIVERGES),
    Case("fewer after a cancelled backup", (Look(3), START, c.CancelJob("j"), Look(2)), DIVERGES),
    Case("fewer after a cancelled backup with mode always",
         (Look(4), ALWAYS, c.Copy("j", 0, FINE), c.CancelJob("j"), Look(3)), EXACT),
    Case("fewer than a cancelled backup with mode always has left",
         (Look(4), ALWAYS, c.Copy("j", 0, FINE), c.CancelJob("j"), Look(2)), UNSAFE),
    # Replies, and ends of jobs
    Case("a refusal that is none", (Given(c.ClearBitmap(D, "fine"), Reply("busy", "")),), DIVERGES),
    Case("another reason", (Given(c.ClearBitmap(D, "none"), Reply("busy", "")),), DIVERGES),
    Case("the reason", (Given(c.ClearBitmap(D, "none"), Reply("not found", "")),), EXACT),
    Case("accepted, and should not be", (Given(c.ClearBitmap(D, "none"), ACCEPTED),), DIVERGES),
    Case("either of two reasons",
         (Given(c.Transaction((c.ClearBitmap(D, "none"),), True), Reply("not found", "")),), EXACT),
    Case("no reason at all", (Given(c.Transaction((c.ClearBitmap(D, "none"),), True), ACCEPTED),), DIVERGES),
    Case("success that is none", (START, Given(c.Copy("j", 0, FINE), None, {"j": "completed"})), UNSAFE),
    Case("an end that is none", (START, Given(c.Copy("j", 0, FINE), None, {"j": "failed"})), DIVERGES),
    # Worlds
    Case("perhaps cleared, and it was", (Given(c.ClearBitmap(D, "fine"), PERHAPS), Look(0)), EXACT),
    Case("perhaps cleared, and it was not", (Given(c.ClearBitmap(D, "fine"), PERHAPS), Look(4)), EXACT),
    Case("perhaps cleared, and later not",
         (Given(c.ClearBitmap(D, "fine"), PERHAPS), Look(4), c.Write(D, 0, 512), Look(0)), UNSAFE),
    Case("perhaps cleared, and then anything", (Given(c.ClearBitmap(D, "fine"), PERHAPS), Look(9)), WASTEFUL),
)
