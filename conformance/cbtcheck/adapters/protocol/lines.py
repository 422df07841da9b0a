"""Messages as lines: requests are written, replies are read, and read strictly.

A right reply costs a few microseconds: it is decoded into its type at once. Only what cannot be is looked at more
closely, to say what is wrong with it (`mistakes`).
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any, TypeVar, cast

import msgspec
from cbtmodel.commands import Write
from msgspec import UNSET, Struct

from cbtcheck.adapters.protocol import messages as m
from cbtcheck.adapters.protocol.mistakes import ProtocolError, misspelt, mistake_in, said_twice
from cbtcheck.scenario.images import Played
from cbtcheck.scenario.scenario import ScenarioError, command_from_data, command_in_full, later_members

R = TypeVar("R", bound=m.Record)

_encode = msgspec.json.Encoder().encode
_decoders: dict[type, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in m.REPLIES.values()}

DONE = m.Done(seq=1)
"""Stands for every reply that says nothing but its number."""

NOT_IN_COMMANDS = ("fill", "error", "text", "definite")


# Requests


class _WriteLine(Struct, gc=False):
    """A guest write, the request that there are most of: in the order of the page, for speed."""

    seq: int
    do: str
    node: str
    offset: int
    length: int
    kind: str
    result: str
    fill: int


_WRITES_HAVE_GROWN = bool(later_members(Write))


def command_line(seq: int, command: Played, fill: int, claimed: Container[str] = ()) -> bytes:
    """The request of a command, with all its members; guest writes are of the byte `fill`.

    Of the members that came after version 1 it has those whose capability is `claimed`. Raises `UnicodeEncodeError`
    for a name that is no Unicode text.
    """
    if type(command) is Write:
        return write_line(seq, command, fill, claimed)
    return _in_full(seq, command, fill, claimed)


def _in_full(seq: int, command: Played, fill: int, claimed: Container[str]) -> bytes:
    data: dict[str, Any] = {"seq": seq, **command_in_full(command, fill, claimed)}
    return _line(data)


def write_line(seq: int, command: Write, fill: int, claimed: Container[str] = ()) -> bytes:
    """The request of a guest write."""
    if _WRITES_HAVE_GROWN:
        return _in_full(seq, command, fill, claimed)
    each = command
    made = _WriteLine(seq, "write", each.node, each.offset, each.length, each.kind, each.result, fill)
    return _line(made)


def request_line(request: m.Record) -> bytes:
    """Any other request."""
    return _line(request)


def _line(message: Any) -> bytes:
    try:
        return _encode(message) + b"\n"
    except OverflowError:  # a number that no 64 bits hold: only a scenario that somebody has written has one
        data = message if isinstance(message, dict) else msgspec.structs.asdict(message)
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


# Replies


def reply(line: bytes, seq: int, kind: type[R]) -> R | m.Done:
    """The reply of this kind to the request with this number; a `Done` with an error, if it is that.

    `line` is without its end. Raises `ProtocolError` for everything else.
    """
    if kind is m.Done and line == b'{"seq":%d}' % seq:
        return DONE
    try:
        decoded = cast(R, _decoders[kind].decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        if kind is not m.Done:
            return _refused(line, seq, kind, problem)
        raise mistake_in(line, seq, kind, problem) from None
    if cast(Any, decoded).seq != seq:
        raise mistake_in(line, seq, kind, None)
    if not _says_just_that(line, decoded):
        if kind is m.Hello and said_twice(line) is not None:
            raise mistake_in(line, seq, kind, None)
        wrong = None if kind is m.Hello else misspelt(line, seq, kind)
        if wrong is not None:
            raise wrong
    return decoded


def _refused(line: bytes, seq: int, kind: type[m.Record], problem: Exception) -> m.Done:
    """The error in place of what was asked for, if that is what it is."""
    try:
        other = reply(line, seq, m.Done)
    except ProtocolError:
        raise mistake_in(line, seq, kind, problem) from None
    if isinstance(other, m.Done) and other.error is not UNSET:
        return other
    raise mistake_in(line, seq, kind, problem) from None


def _says_just_that(line: bytes, decoded: m.Record) -> bool:
    """Whether the line certainly has no member twice, and none that is not known: as many colons as it needs.

    A backslash can hide a colon, and what has defaults has more of them: then it is not certain.
    """
    return b"\\" not in line and type(decoded) is not m.Hello and line.count(b":") == _encode(decoded).count(b":")


def command_in(entry: dict[str, Any]) -> tuple[Played, m.Done]:
    """An entry of a trace: the command, and how it was answered. Raises `ProtocolError`."""
    answer: dict[str, Any] = {name: entry[name] for name in ("error", "text", "definite") if name in entry}
    data = {name: value for name, value in entry.items() if name not in NOT_IN_COMMANDS}
    try:
        command = command_from_data(data, "trace")
        return cast(Played, command), msgspec.convert({"seq": 1, **answer}, type=m.Done)
    except (ScenarioError, msgspec.ValidationError) as problem:
        raise ProtocolError(str(problem), None, "a trace has requests without seq, perhaps with error") from None
