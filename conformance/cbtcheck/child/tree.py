"""The processes of a child: all that descend from it, also those that have left it, as /proc shows them (Linux).

A process that outlives its parent becomes a child of the nearest *subreaper* above, which is this process. It is
told from other children of this process by its session, or by a mark in the environment that it was started with.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "CBTSPEC_ADAPTER"
"""The variable of the environment that marks a child and all that descends from it."""

PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
PATIENCE = 2.0
"""Seconds until processes that were killed must be gone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A process: its parent, its process group, its session, its memory in bytes, and whether it is a zombie."""

    pid: int
    parent: int
    group: int
    session: int
    memory: int
    zombie: bool


def adopt_orphans() -> bool:
    """Makes processes that outlive their parents children of this process. Whether the system can do that."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def processes() -> dict[int, Entry]:
    """Every process that there is; none where there is no /proc."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(PROC):
            if name.isdigit():
                entry = _entry(int(name))
                if entry is not None:
                    found[entry.pid] = entry
    return found


def _entry(pid: int) -> Entry | None:
    try:
        raw = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return Entry(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[21]) * PAGE, fields[0] in b"ZX")


def descendants(root: int, mark: str) -> dict[int, Entry]:
    """The process `root`, all that descend from it, and all orphans of it; living ones and zombies."""
    everyone = processes()
    mine = {root} & everyone.keys()
    mine |= {pid for pid, each in everyone.items() if each.session == root or each.group == root}
    myself = os.getpid()
    for pid, each in everyone.items():
        if pid not in mine and each.parent == myself and _is_marked(pid, mark):
            mine.add(pid)
    grown = True
    while grown:
        more = {pid for pid, each in everyone.items() if each.parent in mine and pid not in mine}
        mine |= more
        grown = bool(more)
    return {pid: everyone[pid] for pid in mine if pid != myself}


def _is_marked(pid: int, mark: str) -> bool:
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={mark}".encode() in environment.split(b"\0")


def memory_of(root: int, mark: str) -> int:
    """What they have in physical memory together, in bytes."""
    return sum(each.memory for each in descendants(root, mark).values())


def kill_all(root: int, mark: str) -> None:
    """Kills them, the whole group at once, and then whoever is left, until nobody is.

    `root` itself is left to whoever waits for it. Stopped processes die of SIGKILL, too.
    """
    with contextlib.suppress(OSError):
        os.killpg(root, signal.SIGKILL)
    until = time.monotonic() + PATIENCE
    reaped: set[int] = set()
    while True:
        left = {pid: each for pid, each in descendants(root, mark).items() if pid != root}
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        reaped |= {*_reap(left)}
        if not left.keys() - reaped or time.monotonic() > until:
            return
        time.sleep(0.005)


def _reap(entries: dict[int, Entry]) -> Iterator[int]:
    """Those that were children of this process and are gone now."""
    myself = os.getpid()
    for pid, each in entries.items():
        if each.parent == myself:
            with contextlib.suppress(OSError):
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    yield pid


def state_of(pid: int) -> str:
    """The letter that /proc has for the state of a process; "" if there is none."""
    try:
        raw = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return ""
    return raw[raw.rindex(b")") + 2 :][:1].decode()
