"""What was said and done in one schedule, in order: messages, writes of the guest, runs of the tool, faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cbtcheck.judging.schedule import FAULTS, Write

Who = Literal["tool", "QEMU", "guest", "suite"]

QUIET = frozenset({
    "qmp_capabilities", "device-list-properties", "human-monitor-command", "object-add", "object-del", "cont", "stop",
    "block-job-set-speed", "netdev_add", "chardev-add", "getfd", "add-fd", "remove-fd", "set_password",
})  # fmt: skip
"""Commands that have nothing to do with what is backed up."""

STARTING = frozenset({"blockdev-backup", "drive-backup"})


RESTARTS = frozenset(f"fault: {FAULTS[each]}" for each in ("emulator-killed", "restart"))
"""What is noted when QEMU is another one from here on."""


@dataclass(frozen=True)
class Entry:
    """One thing. `point`: where it was, if guests and faults may come there. `number`: of a write of the guest.

    `raw` is a message as it was; `run` is the run of the tool in whose course it was.
    """

    who: Who
    text: str
    run: str = ""
    point: str = ""
    connection: int = 0
    raw: bytes = b""
    write: Write | None = None
    number: int = 0


def concerns_disks(command: str) -> bool:
    """Whether a command has to do with disks, so that it matters when the guest writes."""
    return not command.startswith(("query-", "qom-")) and command not in QUIET


def event_name(message: dict[str, Any]) -> str:
    """What an event is called in a point; "" if it has nothing to do with disks."""
    name, data = str(message.get("event")), message.get("data")
    if name == "JOB_STATUS_CHANGE" and isinstance(data, dict):
        return f"{name}:{data.get('status')}"
    return name if name.startswith(("BLOCK_", "JOB_")) else ""


def backups_started(command: str, arguments: Any) -> list[dict[str, Any]]:
    """The arguments of each backup that a command starts."""
    if not isinstance(arguments, dict):
        return []
    if command in STARTING:
        return [arguments]
    actions = arguments.get("actions") if command == "transaction" else None
    found = []
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, dict) and each.get("type") in STARTING and isinstance(each.get("data"), dict):
            found.append(each["data"])
    return found


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


def log_lines(entries: list[Entry]) -> Iterator[bytes]:
    """The conversation for `cbtspec verify`: messages as `cbtspec tap` keeps them, and the guest's writes.

    The tool may connect more than once. To verify, a greeting may be that of another QEMU; here it is known when it
    is, so the later greetings of the same one are left out.
    """
    greeted, negotiating = False, False
    for moment, each in enumerate(entries):
        if each.who == "suite" and each.text in RESTARTS:
            greeted = False
        begins = each.raw and (each.text == "greeting" or each.text.startswith("qmp_capabilities"))
        if begins and greeted and each.text != "greeting":
            negotiating = True
        if begins and greeted:
            continue
        if negotiating and each.raw and each.who == "QEMU" and each.text == "done":
            negotiating = False
            continue
        greeted = greeted or each.text.startswith("qmp_capabilities")
        if each.write is not None:
            line = {"do": "write", "node": each.write.disk, "offset": each.write.offset, "length": each.write.length}
            yield json.dumps(line).encode() + b"\n"
        elif each.raw:
            direction = "send" if each.who == "tool" else "receive"
            head = f'{{"time":{moment},"direction":"{direction}","message":'
            yield head.encode() + each.raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"}\n"
