"""What is judged: the tool's commands, the disks, and the emulator; from a TOML file or from options."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from cbtcheck.host.lacking import why_of

SECTOR = 512
"""Bytes; a guest writes no less."""

GRANULE = 65536
"""Bytes that QEMU's bitmaps have in a granule where nobody says otherwise."""

SMALLEST, LARGEST = 16 * GRANULE, 64 << 20
"""Bytes of a disk: less has no room for one write of each kind, more is slow and shows nothing else."""

USUAL_SIZE = 24 * GRANULE + 40 * 1024
"""Bytes: the last granule is not whole."""

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
PLACES = re.compile(r"\{([a-z]+(?:\.[A-Za-z0-9_-]+)?)\}")

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,30}$"
Name = Annotated[str, Meta(pattern=NAME)]
Text = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0, le=86_400)]


class PlanProblem(Exception):
    """The file or an option is not as it must be; the message is one line."""


class DiskForm(msgspec.Struct, forbid_unknown_fields=True):
    """A disk as the file has it."""

    size: int | str = USUAL_SIZE
    format: Literal["qcow2", "raw"] = "qcow2"
    storage: Literal["served", "file"] = "served"
    device: str = ""


class ClientForm(msgspec.Struct, forbid_unknown_fields=True):
    """The tool's commands as the file has them."""

    backup: Text
    increment: Text
    restore: Text
    deadline: Positive = 20.0
    together: bool = False
    setup: str = ""
    service: str = ""
    restart: str = ""


class EmulatorForm(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator as the file has it."""

    kind: Literal["storage-daemon", "system", "tool"] = "storage-daemon"
    binary: str = ""
    devices: bool = False
    arguments: list[str] = []


class FileForm(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    client: ClientForm
    emulator: EmulatorForm = msgspec.field(default_factory=EmulatorForm)
    disks: Annotated[dict[Name, DiskForm], Meta(max_length=8)] = {}
    increments: Annotated[int, Meta(ge=0, le=8)] = 2


@dataclass(frozen=True)
class PlannedDisk:
    """A disk of the guest: its node's name in QEMU, its size in bytes, and where its bytes are.

    `served`: in memory of the suite, over NBD, so that the suite can hold and fail what QEMU asks; else in a file.
    `device`: in a QEMU that the tool starts, the path of the disk's device, by which the guest writes.
    """

    name: str
    size: int = USUAL_SIZE
    format: str = "qcow2"
    served: bool = True
    device: str = ""


@dataclass(frozen=True)
class Plan:
    """What is judged.

    `together`: the tool promises that all disks of a backup are of one instant. `deadline`: seconds that each of its
    commands has. `socket`: where the tool finds QEMU, if it cannot be told. `setup`: what is run before all else;
    `service`: what runs all the while; `restart`: what starts QEMU once more when it has ended. Of kind "tool" is an
    emulator that the tool starts itself.
    `here`: what `{here}` stands for. `increments`: how many follow the full backup.
    """

    backup: str
    increment: str
    restore: str
    disks: tuple[PlannedDisk, ...] = (PlannedDisk("disk0"),)
    kind: str = "storage-daemon"
    binary: str = ""
    devices: bool = False
    arguments: tuple[str, ...] = ()
    together: bool = False
    deadline: float = 20.0
    increments: int = 2
    here: Path = field(default_factory=Path.cwd)
    name: str = ""
    setup: str = ""
    socket: str = ""
    service: str = ""
    restart: str = ""

    def sizes(self) -> dict[str, int]:
        """The sizes of the disks in bytes."""
        return {each.name: each.size for each in self.disks}

    def disk(self, name: str) -> PlannedDisk:
        """The disk of that name. `KeyError`."""
        return {each.name: each for each in self.disks}[name]


def _plainly(problem: str, data: dict[str, Any]) -> str:
    """What is wrong, with the name that is, or the values that there are."""
    if problem.endswith("at `key` in `$.disks`"):
        bad = next((each for each in data["disks"] if not re.match(NAME, each)), "")
        return f"[disks]: {bad!r} is no name of a disk: a letter, then letters, digits, '-' and '_', 31 at most"
    for member, kind in (("kind", EmulatorForm), ("format", DiskForm), ("storage", DiskForm)):
        if problem.startswith("Invalid enum value") and problem.endswith(f".{member}`"):
            values = ", ".join(get_args(get_type_hints(kind)[member]))
            return f"{problem}: there are {values}"
    return problem


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file. `PlanProblem` if it cannot be read, or something in it is not as it must be."""
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except OSError as problem:
        raise PlanProblem(f"{path} cannot be read: {why_of(problem)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise PlanProblem(f"{path} is no TOML: {problem}") from None
    try:
        form = msgspec.convert(data, FileForm)
    except msgspec.ValidationError as problem:
        raise PlanProblem(f"{path}: {_plainly(str(problem), data)}") from None
    try:
        disks = tuple(_disk(name, each) for name, each in form.disks.items()) or (PlannedDisk("disk0"),)
        plan = Plan(
            form.client.backup, form.client.increment, form.client.restore, disks, form.emulator.kind,
            form.emulator.binary, form.emulator.devices, tuple(form.emulator.arguments), form.client.together,
            form.client.deadline, form.increments, path.resolve().parent, path.stem, form.client.setup,
            service=form.client.service, restart=form.client.restart,
        )  # fmt: skip
        check(plan)
    except PlanProblem as problem:
        raise PlanProblem(f"{path}: {problem}") from None
    return plan


def check(plan: Plan) -> None:
    """`PlanProblem` if the commands name places that there are not, or lack one that there must be."""
    known = {"qmp", "out", "dir", "here"} | {f"out.{each.name}" for each in plan.disks}
    if plan.kind == "tool":
        known = known - {"qmp"} | {"emulator"} | {f"disk.{each.name}" for each in plan.disks}
        _check_hosted(plan)
    for what, command in (
        ("backup", plan.backup), ("increment", plan.increment), ("restore", plan.restore), ("setup", plan.setup),
        ("service", plan.service), ("restart", plan.restart),
    ):  # fmt: skip
        for place in PLACES.findall(command):
            if place not in known:
                there = ", ".join(f"{{{each}}}" for each in sorted(known))
                raise PlanProblem(f"{what}: there is no {{{place}}} (there are {there})")
            if place.startswith("out") and what != "restore":
                raise PlanProblem(f"{what}: {{{place}}} is for the restore only")
    places = PLACES.findall(plan.restore)
    if "out" in places and len(plan.disks) > 1:
        wanted = " ".join(f"{{out.{each.name}}}" for each in plan.disks)
        raise PlanProblem(f"restore: {{out}} is one file, and there are {len(plan.disks)} disks: say {wanted}")
    for each in plan.disks:
        if "out" not in places and f"out.{each.name}" not in places:
            raise PlanProblem(f"restore: it has to write the disk {each.name} to {{out.{each.name}}}, which it lacks")
    if plan.restart and plan.kind != "tool":
        raise PlanProblem("restart: only where the tool starts QEMU itself")
    if plan.devices and plan.kind != "system":
        raise PlanProblem("devices: only with the emulator of kind 'system'")


def _check_hosted(plan: Plan) -> None:
    """`PlanProblem` if something is missing for an emulator that the tool starts itself."""
    if "emulator" not in PLACES.findall(f"{plan.setup} {plan.service}"):
        raise PlanProblem("setup: the tool starts QEMU itself, so it has to be told {emulator}, by setup or service")
    for each in plan.disks:
        if each.served or not each.device:
            raise PlanProblem(
                f"disk {each.name}: the tool starts QEMU itself, so it needs storage = \"file\", and the path of its "
                "device, as in device = \"/machine/peripheral/virtio-disk0/virtio-backend\" "
                f"(--device {each.name}=/machine/peripheral/virtio-disk0/virtio-backend)"
            )


def filled_in(command: str, places: dict[str, str]) -> str:
    """The command for a shell, with its places filled in."""
    return PLACES.sub(lambda found: shlex.quote(places[found[1]]) if found[1] in places else found[0], command)


def _disk(name: str, form: DiskForm) -> PlannedDisk:
    return PlannedDisk(name, disk_size(name, form.size), form.format, form.storage == "served", form.device)


def disk_size(name: str, said: int | str) -> int:
    """A size in bytes, as a number or with K or M. `PlanProblem`."""
    found = re.fullmatch(r"([0-9]{1,12})([KM]?)(?:iB)?", str(said))
    size = int(found[1]) * UNITS[found[2]] if found is not None else 0
    if size % SECTOR or not SMALLEST <= size <= LARGEST:
        raise PlanProblem(
            f"disk {name}: {said!r} is no size of a disk: a multiple of {SECTOR} bytes from {SMALLEST >> 10}K to "
            f"{LARGEST >> 20}M, as in {USUAL_SIZE >> 10}K"
        )
    return size
