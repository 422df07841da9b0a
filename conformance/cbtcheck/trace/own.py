"""Reads a trace in our own format (docs/use/traces.md), and gives it to a verifier.

A guest write is the line that there are millions of: it is decoded into one object and put into a set, no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import msgspec
from cbtmodel import commands as c
from cbtmodel.backup import Outcome
from cbtmodel.image import Event, Persist
from msgspec import UNSET, UnsetType

from cbtcheck.scenario.actions import actions_of
from cbtcheck.sets.compressed import CompressedSets
from cbtcheck.trace import form
from cbtcheck.trace.events import EndOfJobs, Given, Landed, Look, LookAtJobs, OfImages, Span, ToldBitmap, TraceProblem
from cbtcheck.trace.form import DoWrite, Head, JobsEnded, SeeBitmaps, SeeJobs
from cbtcheck.trace.lines import refuse_duplicates
from cbtcheck.trace.verifier import Tell, Verifier
from cbtcheck.trace.world import Rules

Ends = tuple[tuple[str, Outcome], ...]
COPIES = (c.Copy, c.BeginCopy, c.EndCopy)
DO, SEE, ENDED = b'{"do":', b'{"see":', b'{"ended":'


def read_head(number: int, line: bytes) -> Head:
    """The first line, or `TraceProblem`."""
    head: Head = _decoded(form.HEAD, number, line)
    refuse_duplicates(number, line)
    if head.block.bit_count() != 1:
        raise TraceProblem(number, "'block' must be a power of two")
    if head.alignment.bit_count() != 1:
        raise TraceProblem(number, "'alignment' must be a power of two")
    if head.images and head.earlier:
        raise TraceProblem(number, "'images' and 'earlier' exclude each other: images are empty at the beginning")
    if max(head.disks.values()) // head.block > form.MOST_BLOCKS:
        raise TraceProblem(number, f"a disk of more than {form.MOST_BLOCKS} blocks: say a larger 'block'")
    return head


def verifier_for(
    head: Head, tell: Tell, copies: str | None = None, guest: str | None = None, alignment: int | None = None
) -> Verifier:
    """A verifier for a trace with this head; what is given besides counts instead of what the head says."""
    return Verifier(
        CompressedSets(head.block, alignment or head.alignment),
        dict(head.disks),
        tell,
        Rules((copies or head.copies) == "recorded", head.earlier),
        (guest or head.guest) == "recorded",
        frozenset(head.disks) if head.earlier else frozenset(),
        images=head.images,
    )


def _decoded(decoder: Any, number: int, line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as problem:
        raise TraceProblem(number, str(problem)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise TraceProblem(number, f"not JSON: {problem}") from None


class OwnReader:
    """Gives the lines after the head to a verifier."""

    def __init__(self, head: Head, verifier: Verifier) -> None:
        self.head, self.verifier = head, verifier
        self._now = -inf
        self._timed: bool | None = None
        self._bitmaps = 0
        self._sizes, self._shift = head.disks, head.block.bit_length() - 1
        self._write = verifier.write

    def read(self, listed: Iterable[tuple[int, bytes]]) -> None:
        """All lines. `TraceProblem` at the first that is not as it must be."""
        decode = form.DO.decode
        for number, line in listed:
            if line[:6] != DO:
                self._other(number, line)
                continue
            try:
                each = decode(line)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                each = _decoded(form.DO, number, line)  # once more: it says what is wrong
            if type(each) is not DoWrite or not self._is_usual(number, each, line.count(b":")):
                self._do(number, line, each)
        self.verifier.finish()

    def _is_usual(self, number: int, each: DoWrite, colons: int) -> bool:
        """Whether a write has a time and nothing else that it need not have; then it has been given.

        The number of colons says so: those members are there that must be, and no other, and none twice.
        """
        begin: Any = each.at
        end: Any = None
        if colons == 6:
            begin, end = each.begin, each.end
            if type(begin) is not float or type(end) is not float or end < begin:
                return False
        elif colons != 5 or begin is UNSET:
            return False
        first, length, node = each.offset, each.length, each.node
        past = first + length
        if begin < self._now or not self._timed or not length or past > self._sizes.get(node, -1):
            return False
        self._now = begin
        self._write(number, node, first >> self._shift, ((past - 1) >> self._shift) + 1, begin, end)
        return True

    def _do(self, number: int, line: bytes, each: Any) -> None:
        if type(each) is not DoWrite:
            refuse_duplicates(number, line)
            begin, end = self._when(number, each.at, each.begin, each.end)
            self._given(number, each, begin, end)
            return
        if line.count(b":") != _members(each):
            refuse_duplicates(number, line)
        begin, end = self._when(number, each.at, each.begin, each.end)
        offset, length, node = each.offset, each.length, each.node
        plain = each.result in ("ok", "failed") and each.ended is UNSET
        if not plain or offset + length > self._sizes.get(node, -1) or each.reply not in ("accepted", "indefinite"):
            self._given(number, each, begin, end)
        elif length:
            past = ((offset + length - 1) >> self._shift) + 1
            self._write(number, node, offset >> self._shift, past, begin, end, each.reply == "accepted")
        else:
            self.verifier.counts.writes += 1

    def _other(self, number: int, line: bytes) -> None:
        """A line that does not begin as a command usually does."""
        if not line.strip():
            raise TraceProblem(number, "an empty line")
        refuse_duplicates(number, line)
        if line[:7] == SEE:
            self._seen(number, _decoded(form.SEE, number, line))
        elif line[:9] == ENDED:
            self._ended(number, _decoded(form.ENDED, number, line))
        else:
            members = _decoded(msgspec.json.Decoder(dict[str, msgspec.Raw]), number, line)
            if "do" in members:
                ordered = {"do": members.pop("do"), **members}
                line = msgspec.json.encode(ordered)
                self._do(number, line, _decoded(form.DO, number, line))
            elif "see" in members:
                self._seen(number, _decoded(form.SEE, number, line))
            elif "ended" in members:
                self._ended(number, _decoded(form.ENDED, number, line))
            else:
                raise TraceProblem(number, "a line has a 'do', a 'see' or an 'ended'")

    def _when(
        self, number: int, at: float | UnsetType, begin: float | UnsetType, end: float | UnsetType | None
    ) -> tuple[float, float | None]:
        """When it happened: a point, or an interval. Lines come in the order of their begin."""
        until: float | None
        if not isinstance(at, UnsetType):
            if begin is not UNSET or end is not UNSET:
                raise TraceProblem(number, "'at' and 'begin', 'end' exclude each other")
            first, until = float(at), None
        elif not isinstance(begin, UnsetType):
            if end is UNSET:
                raise TraceProblem(number, "a 'begin' without an 'end'")
            first, until = float(begin), inf if not isinstance(end, float) else end
            if until < first:
                raise TraceProblem(number, "it ends before it begins")
        elif end is not UNSET:
            raise TraceProblem(number, "an 'end' without a 'begin'")
        else:
            first, until = float(number), None
        timed = at is not UNSET or until is not None
        if timed is not self._timed:
            if self._timed is not None:
                raise TraceProblem(number, "some lines say when it was, and some do not")
            self._timed = timed
        if first < self._now:
            raise TraceProblem(number, "out of order: it begins before the line above; sort the lines by their begin")
        self._now = first
        return first, until

    def _span(self, number: int, each: Any) -> Span:
        begin, end = self._when(number, each.at, each.begin, each.end)
        return Span(number, begin, begin if end is None else end, end is None)

    def _given(self, number: int, each: Any, begin: float, end: float | None) -> None:
        command = form.to_step(each)
        if isinstance(command, Event):
            self._of_images(number, each, command, begin, end)
            return
        if end == inf:
            raise TraceProblem(number, "of a write like this, it must be known when it ended")
        ended: Ends = () if each.ended is UNSET else tuple(each.ended.items())
        refusal = "" if each.reply in ("accepted", "indefinite") else each.reply
        if ended and each.reply != "accepted":
            raise TraceProblem(number, "jobs can be said to have ended by a command only if it was accepted")
        self._within_limits(number, command, accepted=not refusal)
        text = "" if each.text is UNSET else each.text
        span = Span(number, begin, begin if end is None else end, end is None)
        definite = each.reply != "indefinite"
        if isinstance(command, c.Write) and end is not None and not refusal and command.result != "ignored":
            self._halves(command, definite, text, ended, span)
            return
        self.verifier.happen(Given(command, refusal, definite, text, ended), span)

    def _of_images(self, number: int, each: Any, event: Event, begin: float, end: float | None) -> None:
        if not self.head.images:
            raise TraceProblem(number, "it needs disks that lie in images: say \"images\":true in the head")
        if end is not None:
            raise TraceProblem(number, "what happens to images is at one moment: say 'at', not 'begin' and 'end'")
        if each.reply == "indefinite":
            raise TraceProblem(number, "of what happens to images, it must be known whether it did")
        if isinstance(event, Persist):
            self._within_limits(number, event.add, accepted=each.reply == "accepted")
        ended: Ends = () if each.ended is UNSET else tuple(each.ended.items())
        refusal, text = "" if each.reply == "accepted" else each.reply, "" if each.text is UNSET else each.text
        self.verifier.happen(OfImages(event, refusal, text, ended), Span(number, begin, begin, True))

    def _halves(self, command: c.Write, definite: bool, text: str, ended: Ends, span: Span) -> None:
        """It is when a write begins that jobs copy first, and may end by that; it may be recorded much later."""
        write_id = f"line {span.line}"
        result: Any = "copy failed" if command.result == "copy failed" else "ok"
        begun = c.BeginWrite(command.node, write_id, command.offset, command.length, command.kind, result)
        first = Given(begun, "", definite, text, ended)
        if command.offset + command.length > self._sizes.get(command.node, -1):
            self.verifier.happen(first, span)
        else:
            self.verifier.happen_in_two(first, Landed(command.node, write_id), span)

    def _within_limits(self, number: int, command: c.Command, accepted: bool) -> None:
        if isinstance(command, COPIES) and not self.verifier.rules.copies_seen:
            raise TraceProblem(number, "a copy, although the copies are not in this trace ('copies' of the head)")
        for each in actions_of(command):
            if not accepted:
                continue
            if isinstance(each, c.AddBitmap):
                self._bitmaps += 1
                if each.granularity < self.head.block:
                    raise TraceProblem(number, "a granularity that is smaller than the 'block' of the head")
            if isinstance(each, c.RemoveBitmap):
                self._bitmaps -= 1
            if isinstance(each, c.StartBackup) and each.cluster < self.head.block:
                raise TraceProblem(number, "a cluster that is smaller than the 'block' of the head")
        if self._bitmaps > form.MOST_BITMAPS:
            raise TraceProblem(number, f"more than {form.MOST_BITMAPS} bitmaps at once")

    def _ended(self, number: int, each: JobsEnded) -> None:
        if self.verifier.rules.copies_seen:
            raise TraceProblem(
                number, "jobs end by themselves only where copies are not in the trace (\"copies\":\"unknown\")"
            )
        self.verifier.happen(EndOfJobs(tuple(each.ended.items())), self._span(number, each))

    def _seen(self, number: int, each: SeeBitmaps | SeeJobs) -> None:
        span = self._span(number, each)
        if isinstance(each, SeeJobs):
            self.verifier.happen(LookAtJobs(dict(each.jobs), each.all, self.head.earlier), span)
            return
        if each.node not in self.head.disks:
            raise TraceProblem(number, "there is no disk of that name in the head")
        size = self.head.disks[each.node]
        bitmaps = {name: self._bitmap(number, bitmap, size) for name, bitmap in each.bitmaps.items()}
        self.verifier.happen(Look(each.node, bitmaps, each.all, self.head.earlier), span)

    @staticmethod
    def _bitmap(number: int, seen: form.Bitmap, size: int) -> ToldBitmap:
        dirty = None
        if seen.dirty is not UNSET:
            dirty = tuple(seen.dirty)
            if any(offset >= size and length for offset, length in dirty):
                raise TraceProblem(number, "'dirty' has an extent that begins beyond the end of the disk")
            if any(length > size + (1 << 31) for _, length in dirty):
                raise TraceProblem(number, "'dirty' has an extent that ends far beyond the end of the disk")
        return ToldBitmap(
            _or_none(seen.granularity), _or_none(seen.recording), _or_none(seen.busy), dirty,
            _or_none(seen.count), _or_none(seen.sha256), _or_none(seen.persistent), _or_none(seen.inconsistent),
        )  # fmt: skip


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _members(each: DoWrite) -> int:
    """How many members the line has, if it does not spell out a default."""
    return (
        4
        + (each.kind != "write")
        + (each.result != "ok")
        + (each.at is not UNSET)
        + (each.begin is not UNSET)
        + (each.end is not UNSET)
        + (each.reply != "accepted")
        + (each.ended is not UNSET)
        + (each.text is not UNSET)
    )
