"""The last word is data: backups are restored and compared, byte for byte, with the disk as it was.

For every bitmap there is a *chain*: the disk as it was when the bitmap was added, with every backup laid over it that
the bitmap gave. After each successful backup the chain must equal the disk at the job's start, except where the
operator waived it: blocks written while the bitmap was disabled, or cleared away. Those are its `stale` blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from cbtmodel import commands as c
from cbtmodel.backup import Ended
from cbtmodel.bitmap import Bitmap, recording
from cbtmodel.image import Event, Persist
from cbtmodel.node import State, drain
from cbtmodel.step import Step
from cbtmodel.traits import traits_of

from cbtcheck.adapter import POISON, Adapter
from cbtcheck.content import Content, Runs, filled_with, in_form, in_runs
from cbtcheck.scenario.verdict import Finding, Verdict
from cbtcheck.sets.bitsets import NOTHING, Bits, BitSets, extents, filled, ranges

Place = tuple[str, str]
Other = c.AddBitmap | c.MergeBitmaps | c.StartBackup | c.Abort | c.Transaction | c.Guest


@functools.cache
def poisoned(size: int) -> Content:
    """The content of a target of `size` bytes to which nothing was written."""
    return filled_with(POISON, size)


class Contents:
    """What an adapter shows of disks and targets in one step, asked for once; None where it cannot be read.

    Of disks beyond `Capabilities.largest_content` nothing is read. `sizes` are those of the disks, in bytes.
    """

    def __init__(self, adapter: Adapter, sizes: Mapping[str, int]) -> None:
        self._adapter = adapter
        self._sizes = sizes
        self.forget(())

    def forget(self, ended: Iterable[str]) -> None:
        """A new step: everything may be different now. `ended` are the jobs that have ended, says the adapter."""
        self._ended = [*ended]
        self._disks: dict[str, Content | None] = {}
        self._targets: dict[str, list[Content | None]] = {}

    def disk(self, node: str) -> Content | None:
        """The content of a disk."""
        if self._sizes.get(node, 0) > self._adapter.capabilities.largest_content:
            return None
        if node not in self._disks:
            self._disks[node] = _formed(self._adapter.disk(node))
        return self._disks[node]

    def target(self, job: str, number: int = 0) -> Content | None:
        """The content of the target of a job that has ended in this step; None also if the adapter knows of no end.

        That is at odds with the specification already; whoever asked for the target would be told that there is none.
        `number` counts the jobs of that id that have ended in this step before: an id may be used again at once.
        """
        if number >= self._ended.count(job):
            return None
        targets = self._targets.setdefault(job, [])
        while len(targets) <= number:
            targets.append(_formed(self._adapter.target(job)))
        return targets[number]


def _formed(content: Content | None) -> Content | None:
    return None if content is None else in_form(content)


@dataclass
class Chain:
    """What a restore gives now, and where it may differ from what the bitmap thinks that it gives.

    The image is None if no content can be read. `stale_meanwhile`: as `stale`, for writes since the running job
    started, which that job does not make good.
    """

    image: Content | None
    stale: Bits = NOTHING
    stale_meanwhile: Bits = NOTHING


@dataclass
class Backup:
    """A backup that has ended: the disk at its start, its target at its end, and the blocks that it copied."""

    node: str
    then: Content | None
    target: Content | None
    copied: Bits


@dataclass
class Restorer:
    """Follows a scenario step by step, and compares after each backup. What cannot be read is not compared."""

    space: BitSets
    contents: Contents
    chains: dict[Place, Chain] = field(default_factory=dict)
    starts: dict[str, Content | None] = field(default_factory=dict)
    backups: dict[str, Backup] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    compared: int = 0

    def begin(self) -> None:
        """A new step, in which no job has ended yet."""
        self.ends = []

    def fork(self) -> Restorer:
        """Another one that has followed the same, and may follow something else from now on."""
        chains = {place: replace(each) for place, each in self.chains.items()}
        starts, backups, ends = dict(self.starts), dict(self.backups), list(self.ends)
        return replace(self, chains=chains, starts=starts, backups=backups, ends=ends)

    def follow(self, before: State[Bits], command: c.Command, step: Step[Bits]) -> list[Finding]:
        """A command of the trace was accepted, with this result. Returns what differs."""
        self._follow_writes(before, step)
        self._follow_bitmaps(before, command)
        jobs = [*step.state.jobs.items(), *((end.job_id, end.job) for end in step.ended)]
        for job_id, job in jobs:
            if job_id not in before.jobs:
                self.starts[job_id] = self.contents.disk(job.node)
        findings: list[Finding] = []
        for end in step.ended:
            findings += self._ended(before, step, end)
        return findings

    def follow_event(self, before: State[Bits], event: Event, step: Step[Bits]) -> list[Finding]:
        """Something has happened to images. The chain of a bitmap goes on when it is loaded again.

        One that is not loaded any more, or not to be trusted, gives no backup from then on.
        """
        if isinstance(event, Persist):
            return self.follow(before, event.add, step)
        after = step.state
        for node, disk in before.nodes.items():
            for write, blocks in disk.writes.items():
                if node not in after.nodes or write not in after.nodes[node].writes:
                    self._written(before, node, blocks)
        findings = [finding for end in step.ended for finding in self._ended(before, step, end)]
        self.starts = {job: start for job, start in self.starts.items() if job in after.jobs}
        gone = {
            (node, name) for node, name in self.chains
            if node in after.nodes and name not in after.nodes[node].bitmaps
        }  # fmt: skip
        self.chains = {place: chain for place, chain in self.chains.items() if place not in gone}
        return findings

    def _follow_writes(self, before: State[Bits], step: Step[Bits]) -> None:
        """Writes that were in flight and are not any more have ended, whatever made them end."""
        for node_name, node in before.nodes.items():
            for write_id, blocks in node.writes.items():
                if write_id not in step.state.nodes[node_name].writes:
                    self._written(before, node_name, blocks)

    def _follow_bitmaps(self, before: State[Bits], command: c.Command | c.Action) -> None:
        if isinstance(command, c.OnBitmap):
            self._follow_bitmap(before, command)
        elif not isinstance(command, c.OfJob):
            self._follow_others(before, command)

    def _follow_bitmap(self, before: State[Bits], command: c.OnBitmap) -> None:
        """What is said of one bitmap that there is: that it goes, that it need not have what it has, or neither."""
        place = command.node, command.name
        if traits_of(command).names:
            del self.chains[place]
        elif traits_of(command).waives:
            self._cleared(before.nodes[command.node].bitmaps.get(command.name), place)

    def _follow_others(self, before: State[Bits], command: Other) -> None:
        match command:
            case c.Write(node, offset, length):
                if command.result != "ignored":
                    self._written(before, node, self.space.blocks(offset, length))
            case c.AddBitmap(node, name):
                self.chains[node, name] = Chain(self.contents.disk(node))
            case c.MergeBitmaps() | c.StartBackup() | c.BeginWrite() | c.EndWrite() | c.Abort():
                pass
            case c.Transaction(actions):
                for name in before.nodes:
                    before = drain(before, name)
                for action in actions:
                    self._follow_bitmaps(before, action)
            case _:
                assert_never(command)

    def _written(self, state: State[Bits], node: str, blocks: Bits) -> None:
        for name, bitmap in state.nodes[node].bitmaps.items():
            chain = self.chains[node, name]
            if recording(bitmap):
                continue
            if bitmap.successor is None:
                chain.stale = chain.stale | blocks
            else:
                chain.stale_meanwhile = chain.stale_meanwhile | blocks

    def _cleared(self, bitmap: Bitmap[Bits] | None, place: Place) -> None:
        """What a clear waives; a bitmap that the same transaction added has nothing to waive."""
        if bitmap is not None:
            self.chains[place].stale = self.chains[place].stale | bitmap.marks.owed

    def _ended(self, before: State[Bits], step: Step[Bits], end: Ended[Bits]) -> list[Finding]:
        job = end.job
        then = self.starts.pop(end.job_id)
        target = self.contents.target(end.job_id, self.ends.count(end.job_id)) if then is not None else None
        self.ends.append(end.job_id)
        copied = job.scope - job.todo
        self.backups[end.job_id] = Backup(job.node, then, target, copied)
        if then is None or target is None:
            return []
        findings = self._judge_target(end, then, target, copied)
        if end.bitmap is None or job.bitmap is None:
            return findings
        chain = self.chains[job.node, job.bitmap]
        if chain.image is None:
            return findings
        image = self._laid_over(chain.image, target, copied)
        if end.outcome == "completed":
            self.compared += 1
            findings += self._judge_image(
                f"{job.node} restored through {end.job_id}", image, then, chain.stale - copied
            )
            if job.mode != "never":
                chain.image, chain.stale = image, chain.stale - copied
        elif job.mode == "always":
            chain.image, chain.stale = image, chain.stale - copied
        chain.stale, chain.stale_meanwhile = chain.stale | chain.stale_meanwhile, NOTHING
        return findings

    def _judge_target(self, end: Ended[Bits], then: Content, target: Content, copied: Bits) -> list[Finding]:
        """What was copied is as it was at the start; nothing else was written."""
        expected = self._laid_over(poisoned(len(then)), then, copied)
        if target == expected:
            return []
        wrong = self._differing(target, expected)
        safe = not wrong & copied
        verdict = Verdict.WASTEFUL if safe else Verdict.UNSAFE
        return [self._differs(verdict, f"target of {end.job_id}", wrong)]

    def _judge_image(self, where: str, image: Content, then: Content, stale: Bits) -> list[Finding]:
        if image == then:
            return []
        wrong = self._differing(image, then) - stale
        return [self._differs(Verdict.UNSAFE, where, wrong)] if wrong else []

    def _differs(self, verdict: Verdict, where: str, wrong: Bits) -> Finding:
        return Finding(
            verdict, "POINT-IN-TIME", where, "the disk at the job's start", f"blocks {ranges(wrong.word)} differ"
        )

    def _differing(self, one: Content, other: Content) -> Bits:
        """The blocks of the first content in which the second is different."""
        block = self.space.block
        word = 0
        if isinstance(one, Runs) or isinstance(other, Runs):
            for offset, length in in_runs(one).differing(in_runs(other)):
                word |= self.space.blocks(offset, length).word
            return Bits(word & filled(-(-len(one) // block)))
        for index in range(-(-len(one) // block)):
            at = slice(index * block, (index + 1) * block)
            if one[at] != other[at]:
                word |= 1 << index
        return Bits(word)

    def _laid_over(self, under: Content, over: Content, blocks: Bits) -> Content:
        if blocks.word == filled(-(-len(under) // self.space.block)):
            return over
        if isinstance(under, Runs) or isinstance(over, Runs):
            block = self.space.block
            parts = ((first * block, count * block) for first, count in extents(blocks.word))
            return in_runs(under).laid_over(in_runs(over), parts)
        image = bytearray(under)
        for first, count in extents(blocks.word):
            at = slice(first * self.space.block, (first + count) * self.space.block)
            image[at] = over[at]
        return bytes(image)

    def has(self, jobs: tuple[str, ...]) -> bool:
        """Whether all of these jobs have ended."""
        return all(job in self.backups for job in jobs)

    def leaves_out(self, jobs: tuple[str, ...]) -> bool:
        """Whether these backups, each one right, do not make up the disk at the start of the last one.

        That is so where something else has happened than was asked for: another backup succeeded, and has what these
        then lack.
        """
        if not jobs or not self.has(jobs):
            return False
        backups = [self.backups[job_id] for job_id in jobs]
        image = self._restored([(each.then, each.copied) for each in backups])
        return image is not None and image != backups[-1].then

    def _restored(self, layers: Sequence[tuple[Content | None, Bits]]) -> Content | None:
        """What these contents give, each with the blocks of it that count, laid over each other on an empty disk.

        None if one of them cannot be read.
        """
        contents = [content for content, _ in layers if content is not None]
        if len(contents) < len(layers):
            return None
        image = filled_with(0, len(contents[-1]))
        for content, (_, copied) in zip(contents, layers, strict=True):
            image = self._laid_over(image, content, copied)
        return image

    def restore(self, jobs: tuple[str, ...]) -> list[Finding]:
        """Restores backups that have ended, oldest first, and compares with the disk at the start of the last."""
        missing = [job_id for job_id in jobs if job_id not in self.backups]
        if missing or not jobs:
            return [Finding(Verdict.DIVERGES, "", "restore", f"an ended backup '{missing[:1]}'", "none")]
        last = self.backups[jobs[-1]]
        if last.then is None:
            return []
        image = self._restored([(each.target, each.copied) for each in map(self.backups.__getitem__, jobs)])
        if image is None:
            return []
        self.compared += 1
        return self._judge_image(f"{last.node} restored from {', '.join(jobs)}", image, last.then, Bits())
