"""What is wrong with a line that is no reply, and what the likely mistake is: for people who write adapters.

Nothing here is in a hurry: a run ends with what is found here.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, get_args

from msgspec import structs

from cbtcheck.adapters.protocol import messages as m
from cbtcheck.host.printable import plain as plain

SHOWN = 100
"""Characters of a line that are shown."""

LOG = "standard output is for replies only: print logs to standard error"
FLUSH = "end each reply with a newline, and flush after it"
NUMBERS = "a reply has the seq of its request; replies come in the order of requests, one for each"
ONE_LINE = "a reply is one line: write it without newlines inside"

OTHER_WORDS = {
    "id": "seq", "sequence": "seq", "disk": "node", "device": "node", "drive": "node", "bitmap": "name",
    "bits": "dirty", "extents": "dirty", "ranges": "dirty", "granules": "dirty", "size": "granularity",
    "enabled": "recording", "active": "recording", "frozen": "busy", "locked": "busy", "status": "phase",
    "state": "phase", "message": "text", "reason": "text", "result": "outcome", "data": "content",
    "caps": "capabilities", "features": "capabilities", "EBUSY": "busy", "ENOENT": "not found",
    "EEXIST": "exists", "EINVAL": "invalid", "ENOTSUP": "unsupported", "EIO": "internal",
}  # fmt: skip
"""Words that people use, and what the protocol says."""


PARTS: dict[str, type[m.Record]] = {
    "bitmaps": m.SeenBitmap, "jobs": m.SeenJob, "writes": m.SeenWrite, "successors": m.SeenSuccessor,
    "ended": m.Ended,
}  # fmt: skip
"""What the lists in replies consist of."""

ALIKE = 0.8
"""As `difflib` has it: two names that are more alike are taken for one, misspelt."""


class ProtocolError(Exception):
    """What an adapter said is no reply to what it was asked. The message is one line, with a hint at its end."""

    def __init__(self, what: str, line: bytes | None = None, hint: str = "") -> None:
        shown = "" if line is None else f": {printable(line)}"
        super().__init__(plain(f"{what}{shown}" + (f" ({hint})" if hint else "")))


def printable(line: bytes) -> str:
    """A line, however bad and long, as a few printable characters."""
    start = line[: 4 * SHOWN].decode("utf-8", "backslashreplace")
    text = plain(start)
    if len(text) > SHOWN or len(line) > 4 * SHOWN:
        return f"{text[:SHOWN]}… ({len(line)} bytes)"
    return text or "(nothing)"


def mistake_in(line: bytes, seq: int, kind: type[m.Record], problem: Exception | None) -> ProtocolError:
    """What is wrong with the line, that was to be a reply of this kind with this number.

    `problem` is what decoding it has raised, None if it could be decoded.
    """
    unreadable = _unreadable(line)
    if unreadable is not None:
        return unreadable
    try:
        data = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_no_giant)
    except _Wrong as wrong:
        return ProtocolError(wrong.what, line, wrong.hint)
    except RecursionError:
        return ProtocolError("JSON that is nested too deeply", line)
    except ValueError as wrong:
        return _not_json(line, str(wrong))
    if not isinstance(data, dict):
        return ProtocolError("JSON, but no object", line, "a reply is a JSON object with the request's seq")
    wrong_number = _wrong_number(data.get("seq"), seq, "seq" in data)
    if wrong_number:
        return ProtocolError(wrong_number, line, NUMBERS)
    what, hint = _misfit(data, kind, problem)
    return ProtocolError(what, line, hint)


def said_twice(line: bytes) -> str | None:
    """The name of a member that an object of the line has twice; None if there is none, or it is no JSON."""
    try:
        json.loads(line, object_pairs_hook=_once)
    except _Wrong as wrong:
        return wrong.what
    except (ValueError, RecursionError):
        return None
    return None


def misspelt(line: bytes, seq: int, kind: type[m.Record]) -> ProtocolError | None:
    """A member that nobody knows, and that is called nearly as one that is missing beside it; None if there is none.

    Other members that are not known come from an adapter that is newer than the suite, and are ignored. This one is a
    mistake: ignored, it would take away a check (`sucessors`: none is seen) without a word. What is ignored must be
    JSON all the same, and have no member twice.
    """
    unreadable = _unreadable(line)
    if unreadable is not None:
        return unreadable
    try:
        data = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number, parse_int=_no_giant)
    except (_Wrong, RecursionError, ValueError):
        return mistake_in(line, seq, kind, None)
    found = _odd_name(data, kind)
    if found is None:
        return None
    what = f"a reply that is not as the protocol has it: unknown member '{found[0][:60]}'"
    return ProtocolError(what, line, f"did you mean '{found[1]}'?")


def _odd_name(data: dict[str, Any], kind: type[m.Record]) -> tuple[str, str] | None:
    """The first member that is not known, with the missing one that is probably meant."""
    for each, its_kind in ((data, kind), *_parts(data, kind)):
        known = [one.name for one in structs.fields(its_kind)]
        missing = [name for name in known if name not in each]
        for name in each:
            meant = None if name in known else _meant(name, missing, ALIKE)
            if meant is not None:
                return name, meant
    return None


def _parts(data: dict[str, Any], kind: type[m.Record]) -> Iterator[tuple[dict[str, Any], type[m.Record]]]:
    """The objects in the lists of a reply."""
    for name in (each.name for each in structs.fields(kind) if each.name in PARTS):
        several = data.get(name)
        if isinstance(several, list):
            yield from ((each, PARTS[name]) for each in several if isinstance(each, dict))


class _Wrong(Exception):
    """Found by the reader of JSON."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Wrong(f"the member {json.dumps(twice)[:60]} twice in one object")
    return made


def _no_number(constant: str) -> Any:
    raise _Wrong(f"{constant}, which is no JSON", "numbers are integers, in bytes")


def _no_giant(digits: str) -> int:
    if len(digits) > 20:
        raise _Wrong(f"a number of {len(digits)} digits", f"no number is beyond 2^63 - 1 = {m.LARGEST}")
    return int(digits)


def _unreadable(line: bytes) -> ProtocolError | None:
    """What is wrong with it as text."""
    if not line.strip(b" \t\r"):
        return ProtocolError("an empty line where a reply should be", None, f"{ONE_LINE}, and no empty ones between")
    if line.startswith(b"\xef\xbb\xbf"):
        return ProtocolError("a byte order mark before a reply", line, "write UTF-8 without one")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or line[1:2] == b"\0":
        return ProtocolError("a line in UTF-16", line, "write UTF-8")
    if b"\0" in line:
        return ProtocolError("a NUL byte in a line", line, "write a string without the byte that ends it in C")
    try:
        line.decode()
    except UnicodeDecodeError as problem:
        return ProtocolError(f"a line that is not UTF-8 (at byte {problem.start})", line)
    return None


def _not_json(line: bytes, problem: str) -> ProtocolError:
    stripped = line.strip()
    if not stripped.startswith((b"{", b"[")):
        closing = stripped in (b"}", b"]") or stripped.startswith(b'"')
        return ProtocolError("a line that is no reply", line, ONE_LINE if closing else LOG)
    if problem.startswith("Extra data"):
        return ProtocolError("more than one reply on a line", line, FLUSH)
    if stripped in (b"{", b"[") or not stripped.endswith((b"}", b"]")):
        return ProtocolError("a line that ends within a reply", line, ONE_LINE)
    return ProtocolError(f"a line that is no JSON ({problem})", line)


def _wrong_number(said: Any, seq: int, there: bool) -> str:
    """What is wrong with the sequence number; "" if nothing is."""
    if not there:
        return f"a reply without seq, where {seq} is expected"
    if type(said) is not int:
        return f"a seq that is no integer, where {seq} is expected"
    if said == seq:
        return ""
    if said == seq - 1:
        return f"the reply to request {seq} has seq {said}: an answer to the request before, or it answers twice"
    if said < seq:
        return f"the reply to request {seq} has seq {said}: an answer to an earlier request"
    return f"the reply to request {seq} has seq {said}: an answer to a request that was not sent"


# What does not fit its type


def _misfit(data: dict[str, Any], kind: type[m.Record], problem: Exception | None) -> tuple[str, str]:
    """What is wrong, and a hint."""
    text = str(problem) if problem is not None else "something is wrong with it"
    what = f"a reply that is not as the protocol has it: {text.replace('`', chr(39))}"
    odd = _odd_name(data, kind)
    if odd is not None:
        return what[:300], f"'{odd[0][:60]}' is not known: did you mean '{odd[1]}'?"
    missing = re.search(r"missing required field `(.*?)`", text)
    if missing:
        return what[:300], _missing(missing[1], kind)
    said = data.get("error")
    if "$.error" in text and isinstance(said, str):
        return f"an error of an unknown kind '{said[:60]}'", _did_you_mean(said, list(get_args(m.ErrorKind)))
    if "$.protocol" in text:
        return f"another version of the protocol than 1: {json.dumps(data.get('protocol'))[:60]}", ""
    return what[:300], _of_type(text)


def _missing(name: str, kind: type[m.Record]) -> str:
    if kind is m.SeenState and name == "bitmaps":
        return "observe is answered with what there is, an empty list if there is nothing"
    if kind is m.SeenContent and name == "content":
        return "observe of a disk or target, and read, are answered with runs [byte, how many]"
    return f"every such object has a '{name}'"


def _of_type(text: str) -> str:
    if "`int`" in text and "got `str`" in text:
        return "numbers are JSON numbers, not texts"
    if "`int`" in text and "got `float`" in text:
        return "numbers are integers, in bytes"
    if "<= " in text:
        return f"no offset, length or sum of them is beyond 2^63 - 1 = {m.LARGEST}"
    if "`array`" in text or "length 2" in text:
        return "a list of [offset, length] in bytes, or [byte, how many] for content"
    return ""


def _did_you_mean(word: str, known: list[str]) -> str:
    means = _meant(word, known, 0.6)
    return f"did you mean '{means}'?" if means else f"known: {', '.join(known)}"


def _meant(word: str, known: list[str], alike: float) -> str | None:
    """The word of the protocol that is probably meant, if there is one."""
    means = OTHER_WORDS.get(word)
    if means in known:
        return means
    return next(iter(difflib.get_close_matches(word.lower(), known, 1, alike)), None)
