"""A scenario: disks and a list of commands, as data. Read from and written to JSON.

A scenario file says `"format": "cbtspec-scenario"` and a `version`; this suite reads versions up to `VERSION`. Every
command is an object whose `do` is the command's name (`add-bitmap`, `write`, `start-backup`, …) and whose other
members are the fields of the command of that name in `cbtmodel.commands`; fields with a default may be left out.
One more step belongs to scenarios only: `restore`, which compares a restored chain of backups with the disk.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cbtmodel import commands
from cbtmodel.commands import Command, Transaction

FORMAT = "cbtspec-scenario"
VERSION = 1
MAX_BYTES = 4 << 20
LARGEST_DISK = 64 << 20


class ScenarioError(Exception):
    """A scenario file cannot be used; the message says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Restores the backups of these jobs, oldest first, and compares with the disk at the start of the last one."""

    jobs: tuple[str, ...]


Step = Command | Restore


@dataclass(frozen=True, slots=True)
class Scenario:
    """Disks by name with their sizes in bytes, and what happens to them. `block` is the unit of tracking in bytes."""

    disks: dict[str, int]
    commands: tuple[Step, ...]
    block: int = 512
    title: str = ""
    story: str = ""


def spelled(name: str) -> str:
    """How a command's class is written in a scenario: `AddBitmap` is `add-bitmap`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


KINDS: dict[str, type] = {
    spelled(each.__name__): each for each in [*commands.Command.__args__, commands.Abort, Restore]
}


def to_data(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON data."""
    data: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if scenario.title:
        data["title"] = scenario.title
    if scenario.story:
        data["story"] = scenario.story
    data |= {"block": scenario.block, "disks": dict(scenario.disks)}
    data["commands"] = [command_to_data(each) for each in scenario.commands]
    return data


def command_to_data(command: object) -> dict[str, Any]:
    """A command as JSON data; fields that have their default are left out."""
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


def command_from_data(data: Any, where: str) -> Step:
    """The command, or `ScenarioError` naming the place."""
    if not isinstance(data, dict) or not isinstance(data.get("do"), str):
        raise ScenarioError(f"{where}: a command is an object with a 'do'")
    kind = KINDS.get(data["do"])
    if kind is None:
        raise ScenarioError(f"{where}: unknown command '{data['do']}' (known: {', '.join(sorted(KINDS))})")
    rest = {name: value for name, value in data.items() if name != "do"}
    unknown = rest.keys() - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ScenarioError(f"{where}: '{data['do']}' has no '{sorted(unknown)[0]}'")
    actions: tuple[Any, ...] = ()
    if kind is Transaction:
        if not isinstance(rest.get("actions"), list):
            raise ScenarioError(f"{where}: a transaction has a list of actions")
        actions = tuple(command_from_data(a, f"{where}, action {i + 1}") for i, a in enumerate(rest.pop("actions")))
        rest["actions"] = ()
    try:
        command: Any = _make(kind, rest, actions)
    except (msgspec.ValidationError, TypeError) as problem:
        raise ScenarioError(f"{where}: '{data['do']}': {problem}") from None
    return command  # type: ignore[no-any-return]


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
    block = data.get("block", 512)
    if type(block) is not int or block < 512 or block.bit_count() != 1:
        raise ScenarioError(f"{where}: 'block' must be a power of two, at least 512")
    disks, listed = data.get("disks"), data.get("commands")
    if not isinstance(disks, dict) or not disks or not all(_usable_size(size) for size in disks.values()):
        raise ScenarioError(
            f"{where}: 'disks' must name at least one disk, each a multiple of 512 up to {LARGEST_DISK}"
        )
    if not isinstance(listed, list):
        raise ScenarioError(f"{where}: 'commands' must be a list")
    steps = tuple(command_from_data(each, f"{where}: command {i + 1}") for i, each in enumerate(listed))
    return Scenario(disks, steps, block, str(data.get("title", "")), str(data.get("story", "")))


def _usable_size(size: Any) -> bool:
    return type(size) is int and 0 < size <= LARGEST_DISK and size % 512 == 0


def load(path: Path) -> Scenario:
    """Reads a scenario file, or raises `ScenarioError`."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise ScenarioError(f"{path}: cannot be read: {problem.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ScenarioError(f"{path}: larger than {MAX_BYTES} bytes; is it a scenario?")
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise ScenarioError(f"{path}: not JSON: {problem}") from None
    return from_data(data, str(path))


def save(scenario: Scenario, path: Path) -> None:
    """Writes a scenario file; one command per line, so that differences are readable."""
    data = to_data(scenario)
    listed = data.pop("commands")
    head = msgspec.json.encode(data).decode()[1:-1]
    lines = ",\n  ".join(msgspec.json.encode(each).decode() for each in listed)
    path.write_text("{" + head + ',\n "commands": [\n  ' + lines + "\n ]}\n")
