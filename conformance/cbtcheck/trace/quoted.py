"""JSON as QEMU takes it: strings may be in single quotes, too, as in `{'execute':'query-jobs'}`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)


def as_json(text: str) -> str:
    """The same with all strings in double quotes."""

    def doubled(found: re.Match[str]) -> str:
        string = found[0]
        if string[0] == '"':
            return string
        inner = re.sub(r"\\'|\"", lambda each: "'" if each[0] == "\\'" else '\\"', string[1:-1])
        return f'"{inner}"'

    return STRING.sub(doubled, text)


def loads(text: str, read: Callable[[str], Any] = json.loads) -> Any:
    """What a text says, in either form. `ValueError` if it is neither."""
    try:
        return read(text)
    except ValueError:
        if "'" not in text:
            raise
    return read(as_json(text))
