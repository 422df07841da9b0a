"""The oracle as a service: a line that says what happened, was seen, or is asked; and a line that answers it.

A line that cannot be used is answered by an error, and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from cbtmodel.commands import AddBitmap
from cbtmodel.image import Persist
from msgspec import UNSET

from cbtcheck import adapter
from cbtcheck.adapter import Reply, SeenAnonymous, SeenEntry, SeenImage
from cbtcheck.follow import chain_words
from cbtcheck.follow.bits import BitsFinding
from cbtcheck.oracle import messages as m
from cbtcheck.oracle import replies as r
from cbtcheck.oracle.answer import Ends, ImageBounds, OracleError
from cbtcheck.oracle.observed import Seen, Sight
from cbtcheck.oracle.oracle import INDEFINITE, Oracle
from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.strict_json import BOM, WITH_A_BOM, BadJSON, refuse_duplicates
from cbtcheck.scenario.verdict import EXIT_CODES, Finding, Verdict, exit_code, worst
from cbtcheck.sets.granules import Granules

EXTENTS_OF_A_FINDING = 1000
LONGEST_ERROR = 500

ENCODE = msgspec.json.Encoder().encode


class Service:
    """One conversation. `worst` is the worst verdict so far, `wrong` how many lines could not be used."""

    def __init__(self) -> None:
        self.oracle: Oracle | None = None
        self.lines = self.wrong = 0
        self.worst = Verdict.EXACT
        self._sizes: dict[str, int] = {}
        self._in_images = False

    def answer(self, raw: bytes) -> bytes:
        """The answer to a line, both without their ends."""
        self.lines += 1
        try:
            line = m.READ.decode(raw)
            refuse_duplicates(raw)
            plain = line.__class__ is m.WRITE and line.reply is UNSET and line.ended is UNSET
            if plain and self.oracle is not None:
                given = self.oracle.write(line.node, line.offset, line.length, line.kind, line.result)
                if given.accepted and not given.ended and given.worlds == 1:
                    return b'{"is":"answer","line":%d,"reply":"accepted"}' % self.lines
                return ENCODE(self._answered(given))
            return ENCODE(self._answer(line))
        except (msgspec.MsgspecError, OracleError, UnicodeError, BadJSON) as problem:
            return self.complain(WITH_A_BOM if raw.startswith(BOM) else str(problem))
        except RecursionError:
            return self.complain("nested too deeply")

    def too_long(self) -> bytes:
        """The answer to a line that was not read to its end."""
        self.lines += 1
        return self.complain(f"longer than {m.LONGEST_LINE} bytes")

    def complain(self, why: str) -> bytes:
        """The error, in one line of decent length."""
        self.wrong += 1
        plain = " ".join((why if why.isprintable() else ascii(why)[1:-1]).split())
        return ENCODE(r.Wrong(self.lines, plain if len(plain) <= LONGEST_ERROR else plain[:LONGEST_ERROR] + "…"))

    @property
    def exit_code(self) -> int:
        """64 if a line could not be used, or there was none; else that of the worst verdict."""
        return EXIT_CODES["usage"] if self.wrong or not self.lines else exit_code(self.worst)

    def _answer(self, line: Any) -> Any:
        if isinstance(line, m.Disks):
            if self.oracle is not None:
                raise OracleError("the disks are there already: they are told once, in the first line")
            self.oracle = Oracle(line.disks, line.block, line.alignment, line.images)
            self._sizes, self._in_images = line.disks, line.images
            return r.Begun(self.lines, len(line.disks))
        if self.oracle is None:
            raise OracleError('no disks yet: the first line is {"do":"disks","disks":{NAME:SIZE,…},"block":BYTES}')
        if isinstance(line, m.Bounds):
            return self._bounds(self.oracle, line)
        if isinstance(line, m.Images):
            nodes = list(self._sizes) if line.nodes is None else line.nodes
            return r.InImages(self.lines, [_imaged(node, self.oracle.image(node), line.most) for node in nodes])
        if isinstance(line, m.Chains):
            tables = [chain_words.as_data(each) for each in self.oracle.chains()]
            listed = msgspec.convert(tables, list[r.ChainsOfHistory])
            return r.Chained(self.lines, listed, self.oracle.chains_left_out)
        if isinstance(line, m.Observed):
            findings = self.oracle.observe(_sight(line, self._sizes))
            self._note(findings)
            verdict: Any = worst([each.verdict for each in findings]).value
            return r.Judged(self.lines, verdict, _findings(findings), len(self.oracle.states))
        return self._command(self.oracle, line)

    def _command(self, oracle: Oracle, line: Any) -> r.Answered:
        command = m.to_step(line)
        self._room_for(oracle, command)
        oracle.number = self.lines
        reply: Any = None
        if line.reply == "indefinite":
            reply = INDEFINITE
        elif line.reply is not UNSET:
            reply = Reply("" if line.reply == "accepted" else line.reply, line.text)
        ended: Ends | None = None if line.ended is UNSET else tuple(line.ended.items())
        return self._answered(oracle.command(command, reply, ended))

    @staticmethod
    def _room_for(oracle: Oracle, step: Played) -> None:
        command = step.add if isinstance(step, Persist) else step
        actions = actions_of(command)
        more = sum(isinstance(each, AddBitmap) for each in actions)
        if more and len(oracle.bitmaps()) + more > m.MOST_BITMAPS:
            raise OracleError(f"more than {m.MOST_BITMAPS} bitmaps")

    def _answered(self, given: Any) -> r.Answered:
        self._note(given.findings)
        others = [r.Other(_said(reply), dict(ended)) for reply, ended in given.others]
        return r.Answered(
            self.lines, _said(given.reply), given.reply.text, dict(given.ended), _findings(given.findings), others,
            given.worlds,
        )  # fmt: skip

    def _note(self, findings: Iterable[Finding]) -> None:
        self.worst = worst([self.worst, *(each.verdict for each in findings)])

    def _bounds(self, oracle: Oracle, asked: m.Bounds) -> r.Bounded:
        places = oracle.bitmaps() if asked.bitmaps is None else [(each.node, each.name) for each in asked.bitmaps]
        listed = []
        for node, name in places:
            bounds = oracle.bounds(node, name)
            must, may = _some(bounds.must, asked.most), _some(bounds.may, asked.most)
            made = r.BitmapBounds(node, name, bounds.granularity, bounds.recording, bounds.busy, must, may)
            if self._in_images:
                made.persistent, made.inconsistent = bounds.persistent, bounds.inconsistent
            listed.append(made)
        return r.Bounded(self.lines, listed)


def _imaged(node: str, histories: Iterable[ImageBounds], most: int) -> r.Imaged:
    return r.Imaged(node, [
        r.ImageBounds(each.open, [
            r.EntryBounds(name, entry.granularity, entry.enabled, entry.in_use, _some(entry.must, most),
                          _some(entry.may, most))
            for name, entry in each.entries.items()
        ])
        for each in histories
    ])  # fmt: skip


def _said(reply: Reply) -> Any:
    return reply.refusal or "accepted"


def _some(granules: Granules, most: int) -> r.Some:
    extents = granules.extents(most + 1)
    return r.Some(len(granules), extents[:most], len(extents) <= most)


def _findings(findings: Iterable[Finding]) -> list[r.Finding]:
    listed = []
    for each in findings:
        granules = each.granules if isinstance(each, BitsFinding) else None
        extents = None if granules is None else granules.extents(EXTENTS_OF_A_FINDING)
        verdict: Any = each.verdict.value
        listed.append(r.Finding(verdict, each.property, each.where, each.expected, each.seen, extents))
    return listed


# What was observed, as the library takes it


def _sight(line: m.Observed, sizes: dict[str, int]) -> Sight:
    bitmaps: dict[tuple[str, str], Seen | None] = {}
    for each in line.bitmaps:
        if (each.node, each.name) in bitmaps:
            raise OracleError(f"bitmap '{each.node}/{each.name}' is observed twice")
        bitmaps[each.node, each.name] = _seen(each)
    jobs: dict[str, adapter.SeenJob | None] | None = None
    if line.jobs is not UNSET:
        jobs = {}
        for job in line.jobs:
            if job.job in jobs:
                raise OracleError(f"job '{job.job}' is observed twice")
            jobs[job.job] = _seen_job(job, sizes)
    successors = None if line.successors is UNSET else _successors(line.successors, sizes)
    writes = None if line.writes is UNSET else frozenset((each.node, each.write) for each in line.writes)
    images = None if line.images is UNSET else _seen_images(line.images)
    return Sight(bitmaps, jobs, successors, writes, line.complete, images)


def _seen(each: m.SeenBitmap) -> Seen | None:
    flags = [each.granularity, each.recording, each.busy, each.count, each.persistent, each.inconsistent]
    told = [*flags, each.dirty, each.raw]
    where = f"bitmap '{each.node}/{each.name}'"
    if each.absent:
        if any(one is not UNSET for one in told):
            raise OracleError(f"{where} is absent, and something was seen of it")
        return None
    if each.dirty is not UNSET and each.raw is not UNSET:
        raise OracleError(f"{where}: either 'dirty' or 'raw' can be told")
    granularity, recording, busy, count, persistent, inconsistent, dirty, raw = (
        None if one is UNSET else one for one in told
    )
    bits = dirty if raw is None else raw
    return Seen(granularity, recording, busy, bits, count, persistent, inconsistent)  # type: ignore[arg-type]


def _seen_images(listed: list[m.SeenImage]) -> dict[str, SeenImage]:
    found: dict[str, SeenImage] = {}
    for each in listed:
        if each.node in found:
            raise OracleError(f"the image of '{each.node}' is observed twice")
        entries: dict[str, SeenEntry] | None = None if each.entries is UNSET else {}
        for entry in each.entries or ():
            where = f"bitmap '{each.node}/{entry.name}' in its image"
            assert entries is not None
            if entry.name in entries:
                raise OracleError(f"{where} is observed twice")
            if entry.dirty is not UNSET and entry.raw is not UNSET:
                raise OracleError(f"{where}: either 'dirty' or 'raw' can be told")
            bits = entry.dirty if entry.raw is UNSET else entry.raw
            entries[entry.name] = SeenEntry(
                entry.granularity, entry.enabled, entry.in_use, None if bits is UNSET else bits
            )
        found[each.node] = SeenImage(each.open, entries)
    return found


def _seen_job(job: m.SeenJob, sizes: dict[str, int]) -> adapter.SeenJob | None:
    if job.absent:
        if job.phase is not UNSET or job.copied is not UNSET:
            raise OracleError(f"job '{job.job}' is absent, and something was seen of it")
        return None
    if job.phase is UNSET:
        raise OracleError(f"job '{job.job}' has no phase")
    largest = max(sizes.values())
    copied = None if job.copied is UNSET else tuple(job.copied)
    for offset, length in copied or ():
        if offset + length > largest:
            raise OracleError(f"job '{job.job}' copied beyond the end of every disk")
    return adapter.SeenJob(job.phase, copied)


def _successors(listed: list[m.SeenSuccessor], sizes: dict[str, int]) -> dict[str, tuple[SeenAnonymous, ...]]:
    found: dict[str, tuple[SeenAnonymous, ...]] = {}
    for each in listed:
        if each.node not in sizes:
            raise OracleError(f"there is no disk '{each.node}'")
        try:
            count = len(Granules.from_extents(each.dirty, each.granularity, sizes[each.node]))
        except ValueError as problem:
            raise OracleError(f"a successor on '{each.node}': {problem}") from None
        one = SeenAnonymous(each.granularity, each.recording, count)
        found[each.node] = (*found.get(each.node, ()), one)
    return found
