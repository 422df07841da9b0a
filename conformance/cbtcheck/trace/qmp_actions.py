"""A QMP command as what it does: itself, or each action of a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def actions_in(name: str, arguments: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each with its name and its arguments; what is not as QEMU would take it is passed over."""
    if not isinstance(arguments, dict):
        return
    if name != "transaction":
        yield name, arguments
        return
    actions = arguments.get("actions")
    for each in actions if isinstance(actions, list) else ():
        if isinstance(each, dict):
            yield from actions_in(str(each.get("type")), each.get("data"))
