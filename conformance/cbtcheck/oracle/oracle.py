"""The oracle as a library: tell it what happens to a disk, and ask what an implementation must and may report.

It is the specification itself (`cbtmodel.step`, and `cbtmodel.image` where disks lie in images), on compressed sets;
guest writes are gathered until somebody asks.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any, Literal

from cbtmodel.bitmap import busy, recording
from cbtmodel.commands import AddBitmap, StartBackup, Write, WriteKind, malformed
from cbtmodel.image import Persist
from cbtmodel.node import Node, State, initial
from cbtmodel.step import whole_write

from cbtcheck.adapter import Reply
from cbtcheck.follow.bits import limits
from cbtcheck.follow.chain_table import ChainTable, Tabled
from cbtcheck.follow.chains import ChainsFollowed
from cbtcheck.follow.reasons import At
from cbtcheck.follow.worlds import MOST_WORLDS, World, different, distinct, follow, possible
from cbtcheck.oracle.answer import Answer, Bounds, Ends, ImageBounds, OracleError, answer_of
from cbtcheck.oracle.buffer import MOST_WRITES, SHORT, Buffer
from cbtcheck.oracle.observed import Bits, Seen, Sight, judged, to_look_at_twice
from cbtcheck.oracle.stored import ASK, followable, image_bounds
from cbtcheck.scenario.actions import actions_of
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.images import Played, fresh
from cbtcheck.scenario.scenario import Restore, ScenarioError, command_from_data
from cbtcheck.scenario.verdict import Finding
from cbtcheck.sets.compressed import Compressed, CompressedSets

MOST_BLOCKS = 1 << 36
"""How many blocks a disk may have: 256 TiB in blocks of 4 KiB."""

NOWHERE: Node[Compressed] = Node(0)
"""A disk that is closed has no bitmaps."""

INDEFINITE = Reply(definite=False)
"""The reply to a command that was not answered: it may have happened or not."""


class Oracle:
    """Follows what happens to disks (sizes in bytes, by name) in blocks of `block` bytes, a power of two.

    Granularities of bitmaps and clusters of jobs must not be smaller than a block. `alignment`: writes may be
    recorded as if they began and ended at multiples of so many bytes, a power of two; 1 if they are not padded.
    `images`: each disk lies in an image of its own, which is empty and open for writing at first.

    Nothing that is given is changed or kept but as a part of the specification's state. Not for several threads at a
    time.
    """

    def __init__(
        self, disks: Mapping[str, int], block: int = 512, alignment: int = 1, images: bool = False
    ) -> None:  # fmt: skip
        """Fresh disks. `OracleError` if a size, the block or the alignment cannot be used."""
        if type(block) is not int or block < 512 or block.bit_count() != 1:
            raise OracleError(f"a block of {block!r} bytes: it must be a power of two, at least 512")
        for name, size in disks.items():
            if type(size) is not int or not 0 < size <= MOST_BLOCKS * block or size % 512:
                raise OracleError(
                    f"disk '{name}' of {size!r} bytes: it must be a multiple of 512, and have no more than "
                    f"{MOST_BLOCKS:,} blocks of {block} bytes (larger blocks allow a larger disk)"
                )
        if type(alignment) is not int or alignment < 1 or alignment.bit_count() != 1:
            raise OracleError(f"an alignment of {alignment!r} bytes: it must be a power of two")
        self.space = CompressedSets(block, alignment)
        self._sizes, self._in_images = dict(disks), images
        files = fresh(self._sizes) if images else None
        chains: tuple[ChainsFollowed[Compressed], ...] = (ChainsFollowed(),)
        self._worlds = [World(initial(self.space, self._sizes), chains=chains, files=files)]
        self.number = 1  # of the next command, by which `chains` calls it
        self._buffer_of = {name: Buffer(self.space, size) for name, size in disks.items()}
        self._buffers = dict(self._buffer_of)  # of disks to which guests may write, for certain
        self._gathered = Answer()

    # What happens

    def write(
        self, node: str, offset: int, length: int, kind: WriteKind = "write", result: Literal["ok", "failed"] = "ok"
    ) -> Answer:  # fmt: skip
        """A whole guest write, of bytes: the fast path of `command(Write(…))`, to which it is equal."""
        buffer = self._buffers.get(node)
        if (
            buffer is None
            or type(offset) is not int
            or type(length) is not int
            or offset < 0
            or length <= 0
            or offset + length > buffer.size
            or kind != "write"
            or result != "ok"
        ):
            return self.command(Write(node, offset, length, kind, result))
        first = offset >> buffer.shift
        last = (offset + length - 1) >> buffer.shift
        if buffer.watched and not buffer.may_wait(first, last + 1):
            return self.command(Write(node, offset, length))
        if first == last:
            buffer.numbers.append(first)
            buffer.left -= 1
        else:
            buffer.put(first, last + 1)
        if not buffer.left:
            self._flush(node, buffer)
        return self._gathered

    def writes(self, node: str, offsets: Sequence[int], length: int) -> None:
        """Many guest writes of the same length in bytes, one after the other, best as an `array` of offsets.

        `OracleError` if one of them would be refused; then none has happened.
        """
        buffer = self._buffers.get(node)
        try:
            begins = offsets if isinstance(offsets, array) and offsets.typecode in "QLI" else array("Q", offsets)
        except (TypeError, OverflowError) as problem:
            raise OracleError(f"not offsets of writes: {problem}") from None
        if buffer is None:
            known = "is not open for writing, for certain" if node in self._sizes else "is not there"
            raise OracleError(f"disk '{node}' {known}")
        if type(length) is not int or length < 0:
            raise OracleError(f"a length of {length!r}")
        if begins and max(begins) + length > buffer.size:
            raise OracleError(f"the write at {max(begins)} of {length} bytes is beyond the end of disk '{node}'")
        if buffer.watched or length > SHORT * self.space.block:
            for offset in begins:
                self.write(node, offset, length)
            return
        for at in range(0, len(begins) if length else 0, MOST_WRITES):
            if buffer:
                self._flush(node, buffer)
            buffer.put_all(begins[at : at + MOST_WRITES], length)

    def command(
        self, command: Played | Mapping[str, Any], reply: Reply | None = None, ended: Ends | None = None
    ) -> Answer:  # fmt: skip
        """A command of the specification, or its JSON data as in a scenario file, was given.

        Where disks lie in images it may be an event of `cbtmodel.image` as well, as scenarios have them.
        `reply` is how it was answered: None is as specified; `INDEFINITE` is not at all, so that it may have
        happened or not: both are followed from then on, until something is seen that decides. `ended` are the jobs
        that ended by it with their outcomes, None if nobody looked. `OracleError` if it cannot be followed.
        """
        if isinstance(command, Mapping):
            command = _read(command)
        command = followable(command, self._in_images)
        if reply is not None and not isinstance(reply, Reply):
            raise OracleError(f"{reply!r} is no reply")
        said_yes = reply is None or (reply.definite and not reply.refusal)
        if isinstance(command, Write) and said_yes and not ended and self._gather(command):
            return self._gathered
        return self._happens(command, reply, ended)

    def _gather(self, command: Write) -> bool:
        """Whether a write may wait, and does: it is accepted and ends no job for certain."""
        buffer = self._buffers.get(command.node) if malformed(command) is None else None
        fits = buffer is not None and 0 < command.length <= buffer.size - command.offset
        if buffer is None or not fits or command.result not in ("ok", "failed"):
            return False
        first = command.offset >> buffer.shift
        past = ((command.offset + command.length - 1) >> buffer.shift) + 1
        if buffer.watched and not buffer.may_wait(first, past):
            self._flush(command.node, buffer)
            if buffer.watched and not buffer.may_wait(first, past):
                return False
        buffer.put(first, past)
        if not buffer.left:
            self._flush(command.node, buffer)
        return True

    def _happens(self, command: Played, reply: Reply | None, ended: Ends | None) -> Answer:
        self._flush_all()
        before = [world.fork() for world in self._worlds]
        for world in before:
            world.begin()
            world.at = At(self.number, "command", describe(command))
        self.number += 1
        after = follow(before, command, reply)
        accepted = any(world.last is not None and world.last.refusal is None for world in after)
        if accepted and (fine := _too_fine(command, self.space.block)) is not None:
            raise OracleError(f"{fine} bytes cannot be told apart in blocks of {self.space.block} bytes")
        if ended is not None:
            for world in after:
                world.has_ended(ended)
        kept = possible(after)
        said, *others = dict.fromkeys(answer_of(world.last) for world in kept)
        findings = tuple(kept[0].findings)
        for world in kept:
            world.begin()
        worlds = different(kept)
        if len(worlds) > MOST_WORLDS:
            raise OracleError(f"more than {MOST_WORLDS} histories are possible: observe something that decides")
        self._go_on(worlds)
        return Answer(*said, findings, tuple(others), len(worlds))

    # What is seen, and what is asked

    def observe(self, sight: Sight) -> list[Finding]:
        """What was seen of an implementation, judged; an empty list if the specification allows it.

        Histories that contradict what was seen are possible no more; if all do, the findings of one that does least
        are given. `OracleError` if what was seen cannot be so.
        """
        self._flush_all()
        sight = to_look_at_twice(sight)
        worlds = [world.fork() for world in self._worlds]
        try:
            for world in worlds:
                world.findings, world.files = judged(self.space, world.state, sight, world.shown, world.files)
        except ValueError as problem:
            raise OracleError(str(problem)) from None
        kept = possible(worlds)
        findings = kept[0].findings
        for world in kept:
            world.begin()
        self._go_on(kept)
        return findings

    def observe_bitmap(
        self, node: str, name: str, bits: Bits | None = None, *, granularity: int | None = None,
        recording: bool | None = None, busy: bool | None = None, count: int | None = None,
        persistent: bool | None = None, inconsistent: bool | None = None,
    ) -> list[Finding]:  # fmt: skip
        """The same, of one bitmap; what is None was not looked at (see `Seen`)."""
        seen = Seen(granularity, recording, busy, bits, count, persistent, inconsistent)
        return self.observe(Sight({(node, name): seen}))

    def observe_no_bitmap(self, node: str, name: str) -> list[Finding]:
        """The same, of a bitmap that is not there."""
        return self.observe(Sight({(node, name): None}))

    def bounds(self, node: str, name: str) -> Bounds:
        """What a bitmap must have, and what it may. `OracleError` if there is none, or its kind is not known."""
        self._flush_all()
        has = [world for world in self._worlds if name in world.state.nodes.get(node, NOWHERE).bitmaps]
        there = [world.state.nodes[node].bitmaps[name] for world in has]
        if not there:
            raise OracleError(f"there is no bitmap '{node}/{name}'")
        granularity = there[0].granularity
        if any(each.granularity != granularity for each in there):
            raise OracleError(f"the granularity of '{node}/{name}' is not known: observe it first")
        size = self._sizes[node]
        listed = [limits(self.space, each, size) for each in there]
        must, may = reduce(and_, (each.must for each in listed)), reduce(or_, (each.may for each in listed))
        if len(there) < len(self._worlds):
            must = must - must
        worth = ["" if world.files is None else world.files.worth(node, name) for world in has]
        return Bounds(
            must, may, granularity, all(map(recording, there)), any(map(busy, there)), all(worth),
            "inconsistent" in worth,
        )  # fmt: skip

    def image(self, node: str) -> list[ImageBounds]:
        """How the image of a disk is open, and what is in its file; more than one if it is not known which.

        `OracleError` if there is no such disk, or it lies in no image.
        """
        self._flush_all()
        if not self._in_images:
            raise OracleError(f"the disks lie in no images: {ASK}")
        if node not in self._sizes:
            raise OracleError(f"there is no disk '{node}'")
        found = [image_bounds(self.space, each.files, node) for each in self._worlds if each.files is not None]
        return distinct(found, lambda one, other: one == other)

    def chains(self) -> list[ChainTable]:
        """What the backups give back, in each history that is possible: see `docs/use/chains.md`.

        Commands are counted from 1, guest writes that were gathered are with the one after them. Histories that have
        led to the same state are told apart up to 16; `chains_left_out` says how many more there were.
        """
        self._flush_all()
        return [
            Tabled(self.space, self.space.block, world.state, each, self._sizes).table()
            for world in self._worlds
            for each in world.chains
        ]

    @property
    def chains_left_out(self) -> int:
        """Of so many histories it is not followed what their backups give back: there were too many."""
        return sum(world.chains_left_out for world in self._worlds)

    def bitmaps(self) -> list[tuple[str, str]]:
        """The bitmaps that there are, in any possible history, as (disk, name)."""
        nodes = ((node_name, node) for state in self.states for node_name, node in state.nodes.items())
        return list(dict.fromkeys((node_name, name) for node_name, node in nodes for name in node.bitmaps))

    @property
    def states(self) -> tuple[State[Compressed], ...]:
        """The state of the specification; more than one if it is not known what has happened."""
        self._flush_all()
        return tuple(self._states())

    # Inside

    def _go_on(self, worlds: list[World[Compressed]]) -> None:
        same = len(worlds) == len(self._worlds) == 1 and worlds[0].state is self._worlds[0].state
        same = same and worlds[0].files is self._worlds[0].files
        self._worlds = worlds
        if same:
            return
        if self._in_images:
            self._buffers = {name: each for name, each in self._buffer_of.items() if self._is_written_to(name)}
        self._gathered = Answer(worlds=len(worlds))
        for node, buffer in self._buffers.items():
            buffer.watch(self._states(), node)

    def _is_written_to(self, node: str) -> bool:
        """Whether the disk is open for writing, in every history that is possible."""
        opened = (None if each.files is None else each.files.opened.get(node) for each in self._worlds)
        return all(each is not None and each.writable for each in opened)

    def _states(self) -> list[State[Compressed]]:
        return [world.state for world in self._worlds]

    def _flush_all(self) -> None:
        for node, buffer in self._buffers.items():
            if buffer:
                self._flush(node, buffer)

    def _flush(self, node: str, buffer: Buffer) -> None:
        """What waits is written; that ends no job, or it would not have waited."""
        blocks = buffer.taken()
        at = At(self.number, "command", "guest writes before it")
        for world in self._worlds:
            world.chains = tuple(each.wrote(at, world.state, node, blocks) for each in world.chains)
            world.state, ended = whole_write(world.state, node, blocks)
            if ended:
                raise AssertionError(f"a gathered write ended {ended[0].job_id}")
        buffer.watch(self._states(), node)


def _read(data: Mapping[str, Any]) -> Played:
    try:
        command = command_from_data(dict(data), "command")
    except ScenarioError as problem:
        raise OracleError(str(problem)) from None
    if isinstance(command, Restore):
        raise OracleError("command: 'restore' is about data, of which the oracle knows nothing")
    return command


def _too_fine(step: Played, block: int) -> int | None:
    """A granularity or cluster in a well formed command that is smaller than a block."""
    command = step.add if isinstance(step, Persist) else step
    actions = actions_of(command)
    sizes = [each.granularity for each in actions if isinstance(each, AddBitmap)]
    sizes += [each.cluster for each in actions if isinstance(each, StartBackup)]
    return next((size for size in sizes if size < block), None)
