"""A command as one short line that a person would say: `write disk0 64K+4K`.

Scenarios may hold anything in any field, on purpose: every value is shown in some way, and none of them is a crash.
A range is written OFFSET+LENGTH. Sizes have binary units: 64K is 65,536 bytes.
"""

from __future__ import annotations

from typing import Any

from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers
from cbtmodel.traits import verb

from cbtcheck.scenario.scenario import Restore

LONGEST_NAME = 24
RESULTS = ("read error", "write error", "copy failed", "failed", "ignored")
UNITS = (("P", 1 << 50), ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))


def size_text(size: object) -> str:
    """A number of bytes with a binary unit where that is exact to a half: 64K, 1.5M, 1000."""
    if type(size) is not int:
        return name_text(size)
    if abs(size) >= 1 << 64:
        return f"{size:#x}"[:LONGEST_NAME] + "…"
    for letter, unit in UNITS:
        if size >= unit and size % (unit // 2) == 0:
            return f"{size // unit}{'.5' if size % unit else ''}{letter}"
    return str(size)


def name_text(name: object) -> str:
    """A name as it is if it is an ordinary one; else so that what is odd about it can be seen."""
    if isinstance(name, str) and name.isprintable() and name and not any(each.isspace() for each in name):
        text = name
    else:
        try:
            text = ascii(name)
        except Exception:  # a value that cannot even be shown is still only a value
            text = f"<{type(name).__name__}>"
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def describe(command: object) -> str:
    """The command as one line; total, whatever the fields hold."""
    if isinstance(command, c.OnBitmap):
        return f"{verb(type(command))} {_place(command.node, command.name)}"
    if isinstance(command, c.OnJob):
        return f"{verb(type(command))} {name_text(command.job)}"
    match command:
        case c.AddBitmap(node, name, granularity, enabled):
            recording = "" if enabled is True else ", disabled" if enabled is False else f", {name_text(enabled)}"
            return f"add bitmap {_place(node, name)} ({size_text(granularity)}{recording})"
        case c.MergeBitmaps(node, target, sources):
            return f"merge {_listed(sources)} into {_place(node, target)}"
        case c.Source(node, name):
            return _place(node, name)
        case c.StartBackup():
            return _start(command)
        case c.Abort():
            return "abort"
        case c.Transaction(actions, grouped):
            return f"{'grouped ' if grouped else ''}transaction: {_listed(actions, '; ')}"
        case Open(node, writable, fails):
            told = f", which fails ({fails})" if fails else ""
            return f"open {name_text(node)}{'' if writable is True else ' for reading only'}{told}"
        case Close(node, fails):
            return f"close {name_text(node)}{', which fails' if fails is True else ''}"
        case Reopen(node, writable, fails):
            told = f", which fails ({fails})" if fails else ""
            return f"reopen {name_text(node)} for {'writing' if writable is True else 'reading only'}{told}"
        case Persist(add, fails):
            return f"{describe(add)}, to be stored{', which fails' if fails is True else ''}"
        case WrittenByOthers(node):
            return f"{name_text(node)} is written to by others"
        case Crash():
            return "crash"
        case Restore(jobs):
            return f"restore {_listed(jobs)} and compare"
        case c.Write() | c.BeginWrite() | c.EndWrite():
            return _write(command)
        case c.Copy() | c.BeginCopy() | c.EndCopy():
            return _copy(command)
    return f"unknown command {name_text(type(command).__name__)}"


def _place(node: object, name: object) -> str:
    return f"{name_text(node)}/{name_text(name)}"


def _range(offset: object, length: object) -> str:
    return f"{size_text(offset)}+{size_text(length)}"


def _listed(values: Any, separator: str = ", ") -> str:
    if not isinstance(values, tuple | list):
        return name_text(values)
    return separator.join(name_text(v) if isinstance(v, str) else describe(v) for v in values) or "nothing"


def _start(command: c.StartBackup) -> str:
    bitmap = "" if command.bitmap is None else f" with {name_text(command.bitmap)}"
    manner = [name_text(command.sync)]
    if command.bitmap_mode is not None:
        manner.append(name_text(command.bitmap_mode))
    if command.cluster != 65536:
        manner.append(f"clusters of {size_text(command.cluster)}")
    if command.auto_finalize is not True:
        manner.append("finalized by hand" if command.auto_finalize is False else name_text(command.auto_finalize))
    if command.on_source_error != "report":
        manner.append(f"on read error {name_text(command.on_source_error)}")
    if command.on_target_error != "report":
        manner.append(f"on write error {name_text(command.on_target_error)}")
    return f"start backup {name_text(command.job)} of {name_text(command.node)}{bitmap} ({', '.join(manner)})"


def _write(command: c.Write | c.BeginWrite | c.EndWrite) -> str:
    result = _result(command.result)
    if isinstance(command, c.EndWrite):
        return f"write {name_text(command.write)} to {name_text(command.node)} lands{result}"
    kinds = {"write": "write", "zeroes": "write zeroes to", "discard": "discard"}
    known = kinds.get(command.kind) if isinstance(command.kind, str) else None
    what = f"{known or name_text(command.kind)} {name_text(command.node)} {_range(command.offset, command.length)}"
    if isinstance(command, c.BeginWrite):
        return f"begin {name_text(command.write)}: {what}{result}"
    return what + result


def _copy(command: c.Copy | c.BeginCopy | c.EndCopy) -> str:
    if isinstance(command, c.EndCopy):
        return f"copy of {name_text(command.job)} ends{_result(command.result)}"
    # A range of a block at most is in one cluster for certain; which clusters are in a longer one the job knows.
    single = type(command.length) is int and 0 < command.length <= 512
    where = f"cluster at {size_text(command.offset)}" if single else f"in {_range(command.offset, command.length)}"
    if isinstance(command, c.BeginCopy):
        return f"begin copy {name_text(command.job)} {where}"
    return f"copy {name_text(command.job)} {where}{_result(command.result)}"


def _result(result: object) -> str:
    return "" if result == "ok" else f": {result if result in RESULTS else name_text(result)}"
