"""JSON that people write: UTF-8, and no member twice: of two of one name readers would not agree which counts.

`decode` gives what `msgspec` gives. A second look, which costs about 20 ms per MiB, is taken only at a text in which
some string is there twice, or one that is escaped.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cbtcheck.host.printable import plain

LONGEST_SHOWN = 60
BOM = b"\xef\xbb\xbf"
WITH_A_BOM = "it begins with a byte order mark: save it as UTF-8 without one"


class BadJSON(ValueError):
    """It is not such JSON. The message says why, in one line."""


class _Twice(Exception):
    pass


def decode(raw: bytes) -> Any:
    """The value. Raises `BadJSON`."""
    if raw.startswith(BOM):
        raise BadJSON(WITH_A_BOM)
    try:
        value = msgspec.json.decode(raw)
    except UnicodeDecodeError:
        raise BadJSON("it is not UTF-8") from None
    except msgspec.DecodeError as problem:
        raise BadJSON(plain(str(problem))) from None
    except RecursionError:
        raise BadJSON("it is nested too deeply") from None
    refuse_duplicates(raw)
    return value


def refuse_duplicates(raw: bytes) -> None:
    """Raises `BadJSON` if an object has a member twice. The text is JSON: it was decoded already."""
    if b"\\" not in raw:
        strings = raw.split(b'"')[1::2]
        if len(set(strings)) == len(strings):
            return
    try:
        json.loads(raw, object_pairs_hook=_members)
    except _Twice as twice:
        raise BadJSON(f"the member {shown(str(twice))} is there twice") from None
    except RecursionError:
        raise BadJSON("it is nested too deeply") from None
    except ValueError as problem:
        raise BadJSON(plain(str(problem))) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def shown(text: str) -> str:
    """A word out of a file, quoted, on one line, not too long."""
    whole = plain(text)
    return f"'{whole}'" if len(whole) <= LONGEST_SHOWN else f"'{whole[:LONGEST_SHOWN]}…'"
