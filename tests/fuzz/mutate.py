"""Changes JSON where it matters: one value, member or element at a time, for what is nearly right."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 511, 512, 513, 4096, 65536, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64,
    10**400, 0.5, 1e308, -0.0, "", "b0", "disk0", "j0", "w0", "write", "ok", "\x00", "\n", "\ud800", "ä" * 600,
    "x" * 1100, [], [[]], {}, [0, 0], [[0, 4096]], {"do": "abort"}, {"do": "write"}, [[0, 1 << 62], [1 << 62, 1]],
]  # fmt: skip


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of JSON data."""
    inside = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    for key, value in inside:
        yield data, key
        yield from places(value)


def mutated(data: Any, dice: random.Random) -> Any:
    """The data with one to three changes."""
    data = copy.deepcopy(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        everywhere = list(places(data))
        if not everywhere:
            return dice.choice(ODD)
        at, key = dice.choice(everywhere)
        match dice.randrange(6):
            case 0:
                del at[key]
            case 1 if isinstance(at, dict):
                at[dice.choice(("do", "seq", "node", "x", "", str(key).upper()))] = at[key]
            case 1:
                at.insert(key, copy.deepcopy(at[key]))
            case 2:
                other, there = dice.choice(everywhere)
                if there in other if isinstance(other, dict) else there < len(other):
                    at[key] = copy.deepcopy(other[there])
            case 3 if type(at[key]) is int:
                at[key] += dice.choice((-1, 1, 1 << 32, -at[key], at[key]))
            case _:
                at[key] = copy.deepcopy(dice.choice(ODD))
    return data


def mutated_lines(raw: bytes, dice: random.Random) -> bytes:
    """JSON text, or lines of it, with a line changed, dropped, repeated or swapped; else the bytes as they were."""
    lines = raw.split(b"\n")
    at = dice.randrange(len(lines))
    try:
        whole = json.loads(raw)
        return json.dumps(mutated(whole, dice)).encode()
    except (ValueError, RecursionError):
        pass
    match dice.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, dice.choice(lines))
        case _:
            try:
                lines[at] = json.dumps(mutated(json.loads(lines[at]), dice)).encode()
            except (ValueError, RecursionError):
                return raw
    return b"\n".join(lines)
