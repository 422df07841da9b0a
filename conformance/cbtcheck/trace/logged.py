"""Where a line of a log has a QMP message: every form in which people keep and paste QMP.

- the message as it was sent or received, alone on its line or behind any prefix (a time, a host, a logger's name);
- behind an arrow (`-->`, `<--`, `->`, `<-`, `>>>`, `<<<`, `>`, `<`), as the QMP documentation and `qemu.qmp` have it;
- libvirt's log: `QEMU_MONITOR_SEND_MSG: mon=… msg={…}`, `…_RECV_REPLY: … reply={…}`, `…_RECV_EVENT: … event={…}`;
- QEMU's own trace events: `handle_qmp_command mon … req: {…}`, `monitor_qmp_respond mon … resp: {…}`;
- `socat -v`: a header before each piece of data, `\\r` spelled out, and backslashes doubled (`undone`);
- as Python prints a dict, or with strings in single quotes: `{'execute': …}`;
- a line of Docker's JSON log: `{"log":"…","stream":…}`, with any of these in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

LONGEST_PENDING = 16 << 20
"""The most characters of a piece of data that `socat` has not finished."""

LIBVIRT = re.compile(r"QEMU_MONITOR_(?:SEND_MSG|RECV_REPLY|RECV_EVENT): mon=(\S+) (?:msg|reply|event)=(?=\{)")
OTHER_LIBVIRT = ("qemuMonitor", "QEMU_MONITOR", "virDomainQemuMonitorCommand")
"""What libvirt's other lines have: they repeat messages."""

QEMU_TRACE = re.compile(
    r"(?:(\d{1,10})@[\d.]+:)?(?:handle_qmp_command|monitor_qmp_respond) mon (\S+) (?:req|resp): (?=\{)"
)
QEMU_QMP = re.compile(r"\bqemu\.qmp\.protocol\.([^\s:]+)")
ARROW = re.compile(r"(?:^|[\s:])(?:<--|-->|<-|->|<<<?|>>>?|<=|=>|[<>])\s*(?=\{)")
QMP_SHELL = re.compile(r"^\(QEMU\) (?:TRANS> )*(?=\{\s*$)")
"""What `qmp-shell -p` has before a command that it lays out for people."""

MEMBERS = "execute|exec-oob|return|error|event|timestamp|QMP|id|arguments"
JSON_START = re.compile(r'\{\s*"(?:' + MEMBERS + r')"\s*:')
PYTHON_START = re.compile(r"\{\s*'(?:" + MEMBERS + r")'\s*:")
SOCAT = re.compile(r"([<>]) \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+  length=\d+ from=\d+ to=\d+\s*$")
NEW_MESSAGE = re.compile(r'\{"(?:' + MEMBERS + r')"\s*:')


@dataclass(frozen=True, slots=True)
class Start:
    """A message begins in a line at this place. `monitor` is whose it is, `channel` which of its connections.

    `python`: it is spelled as Python prints it.
    """

    at: int
    monitor: str = ""
    channel: str = ""
    python: bool = False


def start(text: str) -> Start | None:
    """Where a message begins in a line; None if there is none."""
    if text.startswith("{"):
        return Start(0, python=PYTHON_START.match(text) is not None)
    if "{" not in text:
        return None
    if (found := LIBVIRT.search(text)) is not None:
        return Start(found.end(), found[1])
    if any(each in text for each in OTHER_LIBVIRT):
        return None
    if (found := QEMU_TRACE.search(text)) is not None:
        return Start(found.end(), f"pid {found[1]}" if found[1] else "", found[2])
    if (found := QMP_SHELL.match(text)) is not None:
        return Start(found.end())
    logger = QEMU_QMP.search(text)
    monitor = logger[1] if logger is not None else ""
    if (found := PYTHON_START.search(text)) is not None:
        return Start(found.start(), monitor, python=True)
    if (found := ARROW.search(text)) is not None:
        return Start(found.end(), monitor)
    found = JSON_START.search(text)
    return None if found is None else Start(found.start(), monitor)


def begins_another(text: str) -> bool:
    """Whether a line cannot be inside a message that is laid out on several: another one begins there."""
    return NEW_MESSAGE.match(text) is not None or (not text[:1].isspace() and (
        any(form.search(text) is not None for form in (LIBVIRT, QEMU_TRACE, ARROW, QMP_SHELL))
    ))  # fmt: skip


class Braces:
    """Finds the end of a JSON object that is given in pieces, cut wherever."""

    MARKS = re.compile(r'["\'{}\\]')

    def __init__(self) -> None:
        self._depth, self._quoted, self._escaped = 0, "", False

    def close(self, piece: str) -> int | None:
        """The place in this piece after which the object is complete; None if it goes on."""
        at, self._escaped = int(self._escaped and bool(piece)), self._escaped and not piece
        while (found := self.MARKS.search(piece, at)) is not None:
            at, mark = found.end(), found[0]
            if mark == "\\":
                self._escaped = bool(self._quoted) and at == len(piece)
                at += bool(self._quoted)
            elif mark in "\"'":
                self._quoted = mark if not self._quoted else "" if self._quoted == mark else self._quoted
            elif not self._quoted:
                self._depth += 1 if mark == "{" else -1
                if self._depth <= 0:
                    return at
        return None


def unpacked(listed: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines, those of Docker's log as they were written."""
    for number, text in listed:
        inner = None
        if text.startswith('{"log":'):
            with suppress(ValueError, RecursionError):
                data = json.loads(text)
                inner = data.get("log") if isinstance(data, dict) and "stream" in data else None
        yield number, inner if isinstance(inner, str) else text


def undone(listed: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines without what `socat -v` adds to them; others as they are."""
    direction, pending = "", {"<": "", ">": ""}
    for number, text in listed:
        header = SOCAT.search(text) if " length=" in text else None
        if header is None:
            if direction:
                text, pending[direction] = pending[direction] + _plain(text), ""
            yield number, text
            continue
        if direction:
            data = pending[direction] + _plain(text[: header.start()])
            complete = Braces().close(data) is not None or not data.strip() or len(data) > LONGEST_PENDING
            if complete and data.strip():
                yield number, data
            pending[direction] = "" if complete else data
        direction = header[1]
    for left in pending.values():
        if left:
            yield number, left


def _plain(text: str) -> str:
    stripped = text.rstrip("\n")
    if stripped.endswith("\\r"):
        stripped = stripped[:-2]
    return stripped.replace("\\\\", "\\")
