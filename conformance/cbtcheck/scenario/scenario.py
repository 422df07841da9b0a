"""A scenario: disks and a list of commands, as data. Read from and written to JSON.

A scenario file says `"format": "cbtspec-scenario"` and a `version`; this suite reads versions up to `VERSION`. Every
command is an object whose `do` is the command's name (`add-bitmap`, `write`, `start-backup`, …) and whose other
members are the fields of the command of that name in `cbtmodel.commands`; fields with a default may be left out.
One more step belongs to scenarios only: `restore`, which compares a restored chain of backups with the disk. One with
`"images": true` has the steps of `images` besides.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cbtmodel import commands
from cbtmodel.commands import Command, Transaction
from cbtmodel.image import Event, Persist

from cbtcheck.adapter import PERSISTENCE
from cbtcheck.host.printable import plain, plain_json
from cbtcheck.host.saving import write_whole
from cbtcheck.scenario import strict_json
from cbtcheck.scenario.images import EVENTS, NOT_TOLD
from cbtcheck.scenario.memory import MOST_MEMORY, estimated
from cbtcheck.scenario.strict_json import shown as shown

FORMAT = "cbtspec-scenario"
VERSION = 1
MAX_BYTES = 4 << 20
LARGEST_DISK = 32 << 40
LARGEST_BLOCK = 1 << 31
MOST_DISKS = 64
LONGEST_NAME = 1023
"""Bytes of a disk's name in UTF-8."""
MEMBERS = ("format", "version", "title", "story", "block", "disks", "images", "commands")

LONGEST_ERROR = 500
"""The most characters of what an error quotes."""


class ScenarioError(Exception):
    """A scenario file cannot be used; the message says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Restores the backups of these jobs, oldest first, and compares with the disk at the start of the last one."""

    jobs: tuple[str, ...]


Step = Command | Event | Restore
ACTIONS = commands.Action.__args__


@dataclass(frozen=True, slots=True)
class Scenario:
    """Disks by name with their sizes in bytes, and what happens to them. `block` is the unit of tracking in bytes.

    `images`: each disk lies in an image of its own, which is open for writing at the beginning.
    """

    disks: dict[str, int]
    commands: tuple[Step, ...]
    block: int = 512
    title: str = ""
    story: str = ""
    images: bool = False


@functools.lru_cache
def spelled(name: str) -> str:
    """How a command's class is written in a scenario: `AddBitmap` is `add-bitmap`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


KINDS: dict[str, type] = {
    spelled(each.__name__): each for each in [*commands.Command.__args__, commands.Abort, Restore]
}
STEPS = KINDS | EVENTS
"""Those of scenarios with images are among them, too."""


def word_for(step: object) -> str:
    """What the `do` of a step or an action is."""
    return "add-bitmap" if isinstance(step, Persist) else spelled(type(step).__name__)


def to_data(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON data. Half a character, which an implementation may have said, is a question mark."""
    data: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if scenario.title:
        data["title"] = _whole(scenario.title)
    if scenario.story:
        data["story"] = _whole(scenario.story)
    data |= {"block": scenario.block, "disks": dict(scenario.disks)}
    if scenario.images:
        data["images"] = True
    data["commands"] = [command_to_data(each) for each in scenario.commands]
    return data


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()


def command_to_data(command: object) -> dict[str, Any]:
    """A command as JSON data; fields that have their default are left out."""
    if isinstance(command, Persist):
        return command_to_data(command.add) | {"persistent": True}
    data: dict[str, Any] = {"do": spelled(type(command).__name__)}
    for field in dataclasses.fields(command):  # type: ignore[arg-type]
        value = getattr(command, field.name)
        if value != field.default:
            data[field.name] = _plain(value)
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if dataclasses.is_dataclass(value) and type(value) is commands.Source:
        return {"node": value.node, "name": value.name}
    if dataclasses.is_dataclass(value):
        return command_to_data(value)
    return value


LATER = "claimed as"
"""In the metadata of a command's field: it came after version 1 of protocol and vectors, and what claims it."""


@functools.cache
def later_members(kind: type) -> dict[str, str]:
    """The members of a kind of command that came after version 1, each with the capability that claims it.

    `field(default=…, metadata={LATER: WORD})` makes one; the word is one of `adapter.FEATURES`.
    """
    return {each.name: each.metadata[LATER] for each in dataclasses.fields(kind) if LATER in each.metadata}


def command_in_full(command: object, fill: int, claimed: Container[str] = ()) -> dict[str, Any]:
    """A command with all its members, also those that have their default; a guest write has its `fill`.

    Members that came after version 1 only if they are `claimed`: whoever does not know them is not shown them.
    """
    if isinstance(command, Persist):
        return command_in_full(command.add, fill, claimed) | {"persistent": True}
    data: dict[str, Any] = {"do": spelled(type(command).__name__)}
    kind: type = type(command)
    later = later_members(kind)
    for each in dataclasses.fields(command):  # type: ignore[arg-type]
        if each.name not in NOT_TOLD and (each.name not in later or later[each.name] in claimed):
            data[each.name] = _in_full(getattr(command, each.name), claimed)
    if isinstance(command, commands.Write | commands.BeginWrite):
        data["fill"] = fill
    if isinstance(command, commands.AddBitmap) and PERSISTENCE in claimed:
        data["persistent"] = False
    return data


def _in_full(value: Any, claimed: Container[str]) -> Any:
    if isinstance(value, tuple):
        return [_in_full(each, claimed) for each in value]
    if isinstance(value, commands.Source):
        return {"node": value.node, "name": value.name}
    return command_in_full(value, 0, claimed) if dataclasses.is_dataclass(value) else value


def command_from_data(data: Any, where: str) -> Step:
    """The command, or `ScenarioError` naming the place."""
    command: Any = _read(data, where)
    if type(command) is commands.Abort:
        raise ScenarioError(f"{where}: 'abort' is an action: it belongs into a transaction")
    return command  # type: ignore[no-any-return]


def _action(data: Any, where: str) -> Any:
    """An action of a transaction. Looked at before it is read, so that nesting is refused at its first level."""
    if isinstance(data, dict) and STEPS.get(str(data.get("do"))) not in (None, *ACTIONS):
        raise ScenarioError(f"{where}: '{data['do']}' is no action of a transaction")
    if isinstance(data, dict) and data.get("persistent") is True:
        raise ScenarioError(f"{where}: what is to be stored is added by a command of its own, not in a transaction")
    return _read(data, where)


def _read(data: Any, where: str) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("do"), str):
        raise ScenarioError(f"{where}: a command is an object with a 'do'")
    kind = STEPS.get(data["do"])
    if kind is None:
        raise ScenarioError(f"{where}: unknown command {shown(data['do'])} (known: {', '.join(sorted(STEPS))})")
    rest = {name: value for name, value in data.items() if name != "do"}
    if kind is commands.AddBitmap and "persistent" in rest:
        return _persistent(rest.pop("persistent"), rest | {"do": data["do"]}, where)
    unknown = rest.keys() - {field.name for field in dataclasses.fields(kind)} | rest.keys() & {*NOT_TOLD}
    if unknown:
        raise ScenarioError(f"{where}: '{data['do']}' has no {shown(sorted(unknown)[0])}")
    actions: tuple[Any, ...] = ()
    if kind is Transaction:
        if not isinstance(rest.get("actions"), list):
            raise ScenarioError(f"{where}: a transaction has a list of actions")
        actions = tuple(_action(a, f"{where}, action {i + 1}") for i, a in enumerate(rest.pop("actions")))
        rest["actions"] = ()
    try:
        return _make(kind, rest, actions)
    except (msgspec.ValidationError, TypeError) as problem:
        why = plain(str(problem))
        why = why if len(why) <= LONGEST_ERROR else why[:LONGEST_ERROR] + "…"
        raise ScenarioError(f"{where}: '{data['do']}': {why}") from None


def _persistent(said: Any, data: dict[str, Any], where: str) -> Any:
    if type(said) is not bool:
        raise ScenarioError(f"{where}: 'add-bitmap': 'persistent' must be true or false")
    added = _read(data, where)
    return Persist(added) if said else added


def _make(kind: type, rest: dict[str, Any], actions: tuple[Any, ...]) -> Any:
    if kind is Transaction:
        return Transaction(actions, msgspec.convert(rest.get("grouped", False), bool))
    return msgspec.convert(rest, kind)


def from_data(data: Any, where: str = "scenario") -> Scenario:
    """The scenario, or `ScenarioError`."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ScenarioError(f'{where}: not a scenario (it has no "format": "{FORMAT}")')
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise ScenarioError(f"{where}: 'version' must be a positive integer")
    if version > VERSION:
        raise ScenarioError(
            f"{where}: format version {version} is newer than this cbtspec reads ({VERSION}): upgrade cbtspec"
        )
    unknown = sorted(data.keys() - set(MEMBERS))
    if unknown:
        raise ScenarioError(f"{where}: unknown member {shown(unknown[0])} (known: {', '.join(MEMBERS)})")
    for member in ("title", "story"):
        if not isinstance(data.get(member, ""), str):
            raise ScenarioError(f"{where}: '{member}' must be text")
    block = data.get("block", 512)
    if type(block) is not int or not 512 <= block <= LARGEST_BLOCK or block.bit_count() != 1:
        raise ScenarioError(f"{where}: 'block' must be a power of two, from 512 to {LARGEST_BLOCK}")
    disks, listed = data.get("disks"), data.get("commands")
    if not isinstance(disks, dict) or not 0 < len(disks) <= MOST_DISKS or not all(map(_usable_size, disks.values())):
        raise ScenarioError(
            f"{where}: 'disks' must name 1 to {MOST_DISKS} disks, each a multiple of 512 up to {LARGEST_DISK} bytes"
        )
    for name in disks:
        if not name or len(name.encode(errors="replace")) > LONGEST_NAME:
            raise ScenarioError(f"{where}: a disk is named {shown(name)}: names have 1 to {LONGEST_NAME} bytes")
    if not isinstance(listed, list):
        raise ScenarioError(f"{where}: 'commands' must be a list")
    images = data.get("images", False)
    if type(images) is not bool:
        raise ScenarioError(f"{where}: 'images' must be true or false")
    steps = tuple(command_from_data(each, f"{where}: command {i + 1}") for i, each in enumerate(listed))
    for i, step in enumerate(steps):
        if isinstance(step, Event) and not images:
            raise ScenarioError(
                f"{where}: command {i + 1}: {_only_of_images(step)} needs disks that lie in images: "
                "say \"images\": true beside \"disks\""
            )
    takes = estimated(disks, block, steps)
    if takes > MOST_MEMORY:
        raise ScenarioError(
            f"{where}: playing it may take {takes >> 20:,} MiB of memory, and {MOST_MEMORY >> 20:,} MiB is the most: "
            "make the disks smaller, or split it"
        )
    return Scenario(disks, steps, block, data.get("title", ""), data.get("story", ""), images)


def _only_of_images(step: Event) -> str:
    return "'persistent'" if isinstance(step, Persist) else f"'{word_for(step)}'"


def _usable_size(size: Any) -> bool:
    return type(size) is int and 0 < size <= LARGEST_DISK and size % 512 == 0


def load(path: Path) -> Scenario:
    """Reads a scenario file, or raises `ScenarioError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise ScenarioError(f"{path}: cannot be read: {problem.strerror}") from None
    return from_bytes(raw, str(path))


def from_bytes(raw: bytes, where: str = "scenario") -> Scenario:
    """The scenario that is in a file's bytes, or `ScenarioError`."""
    if len(raw) > MAX_BYTES:
        raise ScenarioError(f"{where}: larger than {MAX_BYTES} bytes; is it a scenario?")
    try:
        data = strict_json.decode(raw)
    except strict_json.BadJSON as problem:
        raise ScenarioError(f"{where}: not JSON: {problem}") from None
    return from_data(data, where)


def as_text(scenario: Scenario) -> str:
    """The scenario as the text of a file; one command per line, so that differences are readable."""
    data = to_data(scenario)
    listed = data.pop("commands")
    head = msgspec.json.encode(data).decode()[1:-1]
    lines = ",\n  ".join(msgspec.json.encode(each).decode() for each in listed)
    return plain_json("{" + head + ',\n "commands": [\n  ' + lines + "\n ]}\n")


def save(scenario: Scenario, path: Path) -> None:
    """Writes a scenario file, whole or not at all. Raises `OSError`."""
    write_whole(path, as_bytes(scenario))


def as_bytes(scenario: Scenario) -> bytes:
    """The content of a scenario file."""
    return as_text(scenario).encode()
