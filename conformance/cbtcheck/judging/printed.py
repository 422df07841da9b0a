"""A judgement as text: what was played, what came of it, and of each kind of failure the shortest schedule."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cbtcheck.host.printable import plain
from cbtcheck.host.version import VERSION
from cbtcheck.judging.campaign import Result
from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.grouped import Shown, main_reason
from cbtcheck.judging.instants import STRANGE, Loss
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.schedule import in_words
from cbtcheck.judging.verdicts import Judgement, Reason

MOST_LOSSES = 6
MOST_LINES = 60
WIDTH = 132


def lines(result: Result, again: str) -> Iterator[str]:
    """The whole report. `again`: how the command was called, for lines that play a schedule again."""
    for number, each in enumerate(result.shown, 1):
        yield from failure(each, f"{number} of {len(result.shown)}", again)
        yield ""
    yield from summary(result)


def summary(result: Result) -> Iterator[str]:
    """What was played, and the verdict."""
    plan, quiet = result.plan, result.quiet
    disks = ", ".join(f"{each.name} {each.size >> 10}K {each.format}" for each in plan.disks)
    name = plan.name or "the tool"
    yield f"cbtspec {VERSION} judged {plain(name)} on QEMU {quiet.version} ({plan.kind}), seed {result.seed}; {disks}"
    parts = ", ".join(f"{what} {some:,}" + (f" of {of:,}" if some < of else "") for what, some, of in result.bounds)
    resumed = f"; {result.resumed:,} of them in runs before" if result.resumed else ""
    yield f"schedules    {result.schedules:,} played{resumed}; the profile has 1 without any happening, {parts}"
    if result.left_out:
        yield f"left out     {result.left_out:,} of the profile (--only)"
    came = ", ".join(f"{each.value} {result.counts[each]:,}" for each in Judgement if result.counts.get(each))
    yield f"came out     {came}"
    yield f"restores     {result.restored:,} compared, after {result.writes:,} writes of the guest"
    if result.unprovoked:
        number, first = len(result.unprovoked), plain(result.unprovoked[0])
        yield f"unprovoked   in {number:,} of the loud ones nothing but the tool has failed, as in {first}"
    if result.missed:
        yield f"not reached  in {len(result.missed):,} schedules a point did not come, as in {result.missed[0]}"
    yield closing(result)


def closing(result: Result) -> str:
    """The last line."""
    said = {
        Judgement.SAFE: "no restore gave back what the disk never was",
        Judgement.WASTEFUL: "an increment copies far more than has changed",
        Judgement.STUCK: "after a failure the next backup fails, or never ends, until somebody cleans up",
        Judgement.UNSAFE: "a restore gave back what the disk was at no instant of its backup",
        Judgement.BROKEN: "QEMU or the guest failed by themselves; see above",
    }[result.judgement]
    end = " (not all of the profile was played)" if result.left_out else ""
    end = end if result.complete else " (interrupted: not all was played)"
    return f"{result.judgement.value.upper()} in profile {result.profile}: {said}{end}."


def failure(shown: Shown, number: str, again: str) -> Iterator[str]:
    """A kind of failure."""
    outcome = shown.outcome
    reason = main_reason(outcome)
    if reason is None:
        return
    yield f"{outcome.judgement.value.upper()} ({number}): {plain(reason.text)}"
    if any(shown.between):
        before, after = shown.between
        yield f"  window     after {before or 'the beginning'}, before {after or 'the end'}"
    yield from facts(reason, outcome)
    kinds = ", ".join(f"{kind or 'no fault'} {count}" for kind, count in shown.faults.most_common())
    if shown.schedules:
        yield f"  shown by   {shown.schedules:,} schedule{'s' * (shown.schedules != 1)} ({kinds})"
    yield f"  this is    {outcome.schedule.name}"
    yield ""
    yield from timeline(outcome, reason)
    if shown.verified:
        yield f"  verify     {shown.verified}"
    if shown.saved is not None:
        yield f"  again      {again} --play {shlex.quote(str(shown.saved))}"


def facts(reason: Reason, outcome: Outcome) -> Iterator[str]:
    """What is lost, and in which window."""
    for each in reason.losses[:MOST_LOSSES]:
        yield f"  lost       {loss_in_words(each)}"
    if len(reason.losses) > MOST_LOSSES:
        yield f"  lost       and {len(reason.losses) - MOST_LOSSES} ranges more"
    if reason.window:
        before, after = reason.between
        where = f"after {before or 'the beginning'}, before {after or 'the end'}"
        yield f"  written    {where} ({in_words(reason.window)})"
    for fault in outcome.schedule.faults:
        yield f"  fault      {fault.kind}, {in_words(fault.at)}"


def loss_in_words(loss: Loss) -> str:
    """A range, with what is there and what should be."""
    end = loss.offset + loss.length
    there = {0: "zeroes", STRANGE: "what nobody wrote"}.get(loss.found, f"write {loss.found}")
    wanted = f"write {loss.wanted} is missing" if loss.wanted else "nothing had been written there"
    return f"{loss.disk}, bytes {loss.offset:,} to {end - 1:,}: {there} is there; {wanted}"


def timeline(outcome: Outcome, reason: Reason) -> Iterator[str]:
    """The conversation, without what has to do with no disk; the writes that are lost have an arrow."""
    lost = {each.wanted for each in reason.losses if each.wanted}
    shown = [each for each in outcome.entries if each.point or each.who in ("suite", "guest")]
    gap = len(shown) - MOST_LINES
    if gap > 0:
        yield f"    … {gap} lines before"
        shown = shown[-MOST_LINES:]
    for each in shown:
        yield plain(line_of(each, each.number in lost and each.who == "guest"))[:WIDTH]


def line_of(entry: Entry, lost: bool) -> str:
    """A line of the timeline."""
    sign = {"tool": "tool  ─▶", "QEMU": "QEMU  ◀─", "guest": "guest ✎ ", "suite": "  ──    "}[entry.who]
    number = f"write {entry.number}: " if entry.who == "guest" else ""
    return f"  {'➤' if lost else ' '} {entry.run:<3} {sign} {number}{entry.text}" + ("   ← lost" if lost else "")
