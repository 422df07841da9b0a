"""The format of files with test vectors: what is in them, and how they are read.

`conformance/vectors/README.md` tells what an implementer does with each member; `schema` makes the JSON Schema of it.
A file has one vector in a line. Offsets, lengths and sizes are in bytes, none beyond 2^63 - 1; an *extent* is
[offset, length], a *run* is [byte, count]: so many bytes that all are `byte`, or unknown if that is `ANYTHING`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from cbtmodel.backup import Outcome
from cbtmodel.image import Event
from cbtmodel.refusal import Kind
from msgspec import UNSET, Meta, UnsetType

from cbtcheck.adapter import PERSISTENCE
from cbtcheck.scenario.images import ImageRefusal
from cbtcheck.scenario.scenario import ScenarioError, command_from_data, shown
from cbtcheck.vectors.chain_format import Chains, check_chains
from cbtcheck.vectors.image_format import Image, check_images
from cbtcheck.vectors.record import (
    Extent,
    Record,
    Run,
    Size,
    VectorError,
    check_extents,
    check_runs,
    size_of,
)

FORMAT = "cbtspec-vectors"
VERSION = 1
MAX_BYTES = 16 << 20
MALFORMED = "malformed"
"""What a vector needs if one of its commands is not even well formed."""

Phase = Literal["running", "paused", "waiting", "pending"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Disk(Record, frozen=True):
    """A disk at the beginning: all zeroes."""

    name: str
    size: Size


class Successor(Record, frozen=True):
    """The anonymous bitmap that records while a bitmap is frozen; it has the bitmap's granularity."""

    recording: bool
    must: list[Extent]
    may: list[Extent]


class Bitmap(Record, frozen=True):
    """A named bitmap after a step: what it must report as dirty, and what it may report at most.

    Where disks lie in images: whether it is to be stored, and whether it says openly that it is not to be trusted.
    """

    node: str
    name: str
    granularity: Size
    recording: bool
    busy: bool
    must: list[Extent]
    may: list[Extent]
    successor: Successor | None
    persistent: bool | UnsetType = UNSET
    inconsistent: bool | UnsetType = UNSET


class Job(Record, frozen=True):
    """A job that has not ended. Its target has `copied`; it may have what it is `copying`, and nothing else."""

    job: str
    phase: Phase
    copied: list[Extent]
    copying: list[Extent]


class InFlight(Record, frozen=True):
    """A guest write in flight."""

    node: str
    write: str


class Content(Record, frozen=True):
    """The content of a disk."""

    node: str
    content: list[Run]


class After(Record, frozen=True):
    """Everything that there is after a step, and nothing else is. `images` if disks lie in images."""

    bitmaps: list[Bitmap]
    jobs: list[Job]
    writes: list[InFlight]
    disks: list[Content]
    images: list[Image] | UnsetType = UNSET


class Ended(Record, frozen=True):
    """A job that ended by a step: its outcome, what its target was given, and what that holds now."""

    job: str
    outcome: Outcome
    copied: list[Extent]
    target: list[Run]


class Step(Record, frozen=True):
    """A command; the kinds of refusal that are right, none if it must be accepted; and what there is after it."""

    command: dict[str, Any]
    refused: list[Kind | ImageRefusal]
    ended: list[Ended]
    after: After


class Restore(Record, frozen=True):
    """At the very end: the targets of these jobs laid over each other, oldest first, over zeroes, give `content`."""

    jobs: Annotated[list[str], Meta(min_length=1)]
    content: list[Run]


class Bug(Record, frozen=True):
    """A real bug that a vector catches; "" where no public page is known."""

    id: str
    title: str
    link: str


class Vector(Record, frozen=True):
    """One vector. `needs` are capabilities, `properties` IDs of what it is about, `block` the unit of tracking.

    `chains`: what backups give back after some of the steps, in their order.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[A-Za-z0-9]+)*$")]
    title: str
    needs: list[str]
    properties: list[str]
    bug: Bug | None
    block: Size
    disks: Annotated[list[Disk], Meta(min_length=1)]
    steps: Annotated[list[Step], Meta(min_length=1)]
    restores: list[Restore]
    chains: list[Chains]


class VectorFile(Record, frozen=True):
    """A group of vectors."""

    format: Literal["cbtspec-vectors"]
    version: Literal[1]
    group: str
    title: str
    vectors: list[Vector]


def to_bytes(file: VectorFile) -> bytes:
    """The file as it is published: one vector in a line."""
    head = msgspec.json.encode({name: getattr(file, name) for name in ("format", "version", "group", "title")})
    lines = b",\n".join(msgspec.json.encode(each) for each in file.vectors)
    return head[:-1] + b',"vectors":[\n' + lines + b"\n]}\n"


def load(path: Path) -> VectorFile:
    """Reads a file of vectors, or raises `VectorError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise VectorError(f"{path}: cannot be read: {problem.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise VectorError(f"{path}: larger than {MAX_BYTES} bytes; is it a file of vectors?")
    return from_bytes(raw, str(path))


def from_bytes(raw: bytes, where: str) -> VectorFile:
    """The file, or `VectorError` that names the place."""
    _check_version(raw, where)
    try:
        file = msgspec.json.decode(raw, type=VectorFile)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise VectorError(f"{where}: {problem}") from None
    seen: set[str] = set()
    for vector in file.vectors:
        place = f"{where}: vector {vector.id}"
        if vector.id in seen:
            raise VectorError(f"{place}: there are two of that id")
        seen.add(vector.id)
        _check(vector, place)
    return file


def _check_version(raw: bytes, where: str) -> None:
    """So that a file of another kind or version is named as that, and not by its first unknown member."""
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise VectorError(f"{where}: not JSON: {problem}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise VectorError(f'{where}: no file of vectors (it has no "format": "{FORMAT}")')
    version = data.get("version")
    if type(version) is int and version > VERSION:
        raise VectorError(f"{where}: format version {version} is newer than this cbtspec reads ({VERSION})")


def _check(vector: Vector, where: str) -> None:
    """What a schema does not say: names mean something, runs and extents lie on their disks, commands can be read."""
    sizes = {disk.name: disk.size for disk in vector.disks}
    in_images = PERSISTENCE in vector.needs
    for number, step in enumerate(vector.steps, 1):
        place = f"{where}, step {number}"
        if MALFORMED not in vector.needs:
            _check_command(step.command, in_images, place)
        check_images(step.after.images, in_images, sizes, place)
        for bitmap in step.after.bitmaps:
            size = size_of(sizes, bitmap.node, place)
            if (bitmap.persistent is UNSET, bitmap.inconsistent is UNSET) != (not in_images, not in_images):
                what = f"{place}: 'persistent' and 'inconsistent'"
                raise VectorError(f"{what} are said if the vector needs 'persistence', and only then")
            heir = bitmap.successor
            for extents in (bitmap.must, bitmap.may, *((heir.must, heir.may) if heir else ())):
                check_extents(extents, size, place)
        for disk in step.after.disks:
            check_runs(disk.content, size_of(sizes, disk.node, place), f"{place}: disk {shown(disk.node)}")
        if {disk.node for disk in step.after.disks} != sizes.keys():
            raise VectorError(f"{place}: not the content of all disks")
        for job in step.after.jobs:
            check_extents(job.copied, max(sizes.values()), place)
            check_extents(job.copying, max(sizes.values()), place)
        for end in step.ended:
            size = sum(count for _, count in end.target)
            if size not in sizes.values():
                raise VectorError(f"{place}: the target of {shown(end.job)} has {size} bytes, as no disk has")
            check_extents(end.copied, size, place)
    ended = {end.job: end.target for step in vector.steps for end in step.ended}
    for restore in vector.restores:
        missing = [each for each in restore.jobs if each not in ended]
        if missing:
            raise VectorError(f"{where}: restores {shown(missing[0])}, a job that did not end")
        check_runs(restore.content, sum(count for _, count in ended[restore.jobs[-1]]), f"{where}: a restore")
    for chains in vector.chains:
        check_chains(chains, sizes, len(vector.steps), where)
        completed = {end.job for step in vector.steps[: chains.step] for end in step.ended}
        for point in chains.restore_points:
            if point.job not in completed:
                raise VectorError(f"{where}: a restore point of {shown(point.job)}, a job that did not end")


def _check_command(data: dict[str, Any], in_images: bool, where: str) -> None:
    try:
        step = command_from_data({name: value for name, value in data.items() if name != "fill"}, where)
    except ScenarioError as problem:
        raise VectorError(str(problem)) from None
    if not in_images and (isinstance(step, Event) or "persistent" in data):
        raise VectorError(f"{where}: {shown(data['do'])} is about images, and the vector does not need 'persistence'")
