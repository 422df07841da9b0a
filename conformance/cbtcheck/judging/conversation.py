"""What was said and done in one schedule, in order: messages, writes of the guest, runs of the tool, faults."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from cbtcheck.judging.schedule import Write

Who = Literal["tool", "QEMU", "guest", "suite"]

QUIET = frozenset({
    "qmp_capabilities", "device-list-properties", "human-monitor-command", "object-add", "object-del", "cont", "stop",
    "block-job-set-speed", "netdev_add", "chardev-add", "getfd", "add-fd", "remove-fd", "set_password",
})  # fmt: skip
"""Commands that have nothing to do with what is backed up."""

STARTING = frozenset({"blockdev-backup", "drive-backup"})


@dataclass(frozen=True)
class Entry:
    """One thing. `point`: where it was, if guests and faults may come there.

    `number`: of a write of the guest, and `parts` are the ranges of a discard that were heeded. `raw` is a message as
    it was; `run` is the run of the tool in whose course it was.
    """

    who: Who
    text: str
    run: str = ""
    point: str = ""
    connection: int = 0
    raw: bytes = b""
    write: Write | None = None
    number: int = 0
    parts: tuple[tuple[int, int], ...] | None = None


def concerns_disks(command: str) -> bool:
    """Whether a command has to do with disks, so that it matters when the guest writes."""
    return not command.startswith(("query-", "qom-")) and command not in QUIET


def event_name(message: dict[str, Any]) -> str:
    """What an event is called in a point; "" if it has nothing to do with disks."""
    name, data = str(message.get("event")), message.get("data")
    if name == "JOB_STATUS_CHANGE" and isinstance(data, dict):
        return f"{name}:{data.get('status')}"
    return name if name.startswith(("BLOCK_", "JOB_")) else ""


def backups_started(command: str, arguments: Any, kinds: Collection[str] = STARTING) -> list[dict[str, Any]]:
    """The arguments of each backup of these kinds that a command starts."""
    if not isinstance(arguments, dict):
        return []
    if command in kinds:
        return [arguments]
    actions = arguments.get("actions") if command == "transaction" else None
    found = []
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, dict) and each.get("type") in kinds and isinstance(each.get("data"), dict):
            found.append(each["data"])
    return found


def granularities(command: str, arguments: Any) -> list[int]:
    """Of each bitmap that a command adds, the granularity that it asks for, in bytes."""
    added = backups_started(command, arguments, ("block-dirty-bitmap-add",))
    return [each["granularity"] for each in added if type(each.get("granularity")) is int]


def brief(message: dict[str, Any], length: int = 160) -> str:
    """A message in few words."""
    for key in ("execute", "exec-oob"):
        if isinstance(message.get(key), str):
            arguments = message.get("arguments")
            actions = arguments.get("actions") if isinstance(arguments, dict) else None
            if message[key] == "transaction" and isinstance(actions, list):
                inner = "; ".join(_action(each) for each in actions)
                return _cut(f"transaction [{inner}]", length)
            return _cut(f"{message[key]} {_words(arguments)}".strip(), length)
    if "error" in message:
        error = message["error"]
        return _cut(f"error: {error.get('desc') if isinstance(error, dict) else error}", length)
    if "event" in message:
        return _cut(f"{message['event']} {_words(message.get('data'))}".strip(), length)
    if "return" in message:
        returned = message["return"]
        return "done" if returned == {} else _cut(f"returns {json.dumps(returned)}", length)
    return "greeting" if "QMP" in message else _cut(json.dumps(message), length)


def _action(each: Any) -> str:
    if not isinstance(each, dict):
        return str(each)
    return f"{each.get('type')} {_words(each.get('data'))}".strip()


def _words(arguments: Any) -> str:
    if not isinstance(arguments, dict):
        return ""
    plain = {key: value for key, value in arguments.items() if not isinstance(value, dict | list)}
    return " ".join(f"{key}={value}" for key, value in plain.items())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
