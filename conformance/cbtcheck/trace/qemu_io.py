"""Guest writes that are given to QEMU's monitor: `qemu-io DEVICE "write -P 9 0 64k"`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import Any

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}
WRITES = {"write", "w", "aio_write", "writev", "aio_writev", "wv"}
WITH_VALUE = {"-P", "-s", "-C"}

DONE = re.compile(r"\bwrote \d+/\d+ bytes\b|\bdiscard \d+/\d+ bytes\b|\bops?; ")
"""What `qemu-io` says of a write that it has made, if that is in the reply at all."""

REFUSED = re.compile(
    r"(?i)permission conflict|not found|cannot find|no such|conflicts? with|read-only|no medium|in use|usage|invalid|"
    r"unknown|bad |non-numeric|expected|must be|is not|requires|too (?:large|big|many|few)|beyond|parameter"
)
"""What it says of one that it has not even begun. Of one that failed on its way, some part may have been written."""


@dataclass(frozen=True, slots=True)
class HumanWrite:
    """A write of a device in bytes, or of an unknown range if there is no `length`.

    Not `sure`: it may have no effect. `later`: it may end at any time after this.
    """

    device: str
    offset: int
    length: int | None
    sure: bool = True
    later: bool = False


def came_of(asked: HumanWrite, said: str) -> HumanWrite | None:
    """The write as it was, by what the monitor's reply says: as it was asked for, perhaps, or not at all (None)."""
    text = said.strip()
    if not text or DONE.search(text):
        return asked
    return None if REFUSED.search(text) else replace(asked, sure=False)


def human_write(line: str) -> HumanWrite | None:
    """The write that a line of the human monitor asks for; None if it asks for none."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if not words or words[0] != "qemu-io":
        return None
    rest = [word for word in words[1:] if word != "-d"]
    if len(rest) != 2:
        return None
    device, command = rest[0], rest[1].split()
    if not command or command[0] not in WRITES | {"discard", "d"}:
        return None
    later = command[0].startswith("aio_")
    numbers = _numbers(command[1:])
    if numbers is None or len(numbers) < 2:
        return HumanWrite(device, 0, None, False, later)
    return HumanWrite(device, numbers[0], sum(numbers[1:]), command[0] not in ("discard", "d"), later)


def written_by(name: str, arguments: Any, said: Any) -> HumanWrite | None:
    """The write that a command has made, or perhaps: `said` is what its reply returns."""
    line = arguments.get("command-line") if isinstance(arguments, dict) else None
    if name != "human-monitor-command" or not isinstance(said, str) or not isinstance(line, str):
        return None
    asked = human_write(line)
    return None if asked is None else came_of(asked, said)


def _numbers(words: list[str]) -> list[int] | None:
    found: list[int] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if word in WITH_VALUE:
            if not words:
                return None
            words.pop(0)
        elif not word.startswith("-"):
            number = _size(word)
            if number is None:
                return None
            found.append(number)
    return found


def _size(word: str) -> int | None:
    matched = re.fullmatch(r"(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,19})([bkmgtpeBKMGTPE]?)", word)
    if matched is None:
        return None
    return int(matched[1], 0 if matched[1][:2].lower() == "0x" else 10) * UNITS[matched[2].lower()]
