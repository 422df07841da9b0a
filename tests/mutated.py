"""Inputs with mistakes in them: of bytes, of JSON members, of types, of numbers. The same seed makes the same."""

from __future__ import annotations

import json
from random import Random
from typing import Any

EXTREMES: list[Any] = [
    None, True, False, 0, -1, 1, 511, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400, 0.5,
    1e308, "", "b0", "\0", "\ud800", "\u202e", "x" * 2000, [], {}, [[]], {"do": "abort"}, "always", "accepted",
]  # fmt: skip
PIECES = [
    b"\xef\xbb\xbf", b"\0", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"[" * 3000, b'{"a":' * 3000, b"NaN", b"1e999",
    b"9" * 5000, b"\n", b",", b'"', b"-", b"null", b'"do":"write",', b"\xff\xfe",
]  # fmt: skip


def mutated(text: bytes, random: Random) -> bytes:
    """That text, changed in one to three places."""
    if random.random() < 0.6:
        return _in_meaning(text, random)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(text) + 1)
        match random.randrange(4):
            case 0:
                text = text[:at] + text[at + random.randrange(40) :]
            case 1:
                text = text[:at] + random.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]
            case 3:
                text = random.choice(PIECES) + text
    return text


def _in_meaning(text: bytes, random: Random) -> bytes:
    data = json.loads(text)
    for _ in range(random.randint(1, 3)):
        places = list(_places(data))
        if not places:
            break
        holder, key = random.choice(places)
        match random.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[random.choice(["", "do", "node", "job", "\ud800", "x"])] = holder.pop(key)
            case 2:
                other, name = random.choice(places)
                holder[key] = json.loads(json.dumps(other[name])) if name in _keys(other) else None
            case _:
                holder[key] = random.choice(EXTREMES)
    return json.dumps(data).encode()


def _keys(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _places(data: Any) -> Any:
    for key in _keys(data):
        yield data, key
        if isinstance(data[key], dict | list):
            yield from _places(data[key])
