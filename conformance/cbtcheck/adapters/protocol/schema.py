"""The JSON Schemas of the adapter protocol, from the types of its messages and the specification's commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from cbtmodel import commands as c

from cbtcheck.adapters.protocol import VERSION
from cbtcheck.adapters.protocol import messages as m
from cbtcheck.scenario.command_schema import DIALECT, REFERENCES, of_command, of_fields
from cbtcheck.scenario.images import EVENTS, NOT_TOLD
from cbtcheck.scenario.scenario import KINDS

LATER = ("Reset", "images")
"""A member of a request that came after version 1: it is sent to those who claim `persistence`."""

FOLDER = Path(__file__).parents[2] / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by their file names: one of all requests, and one of each kind of reply."""
    made = {f"adapter-{VERSION}-request.json": _requests()}
    for name, kind in m.REPLIES.items():
        title = f"Adapter protocol {VERSION}: the reply '{name}'"
        made[f"adapter-{VERSION}-reply-{name}.json"] = _schema_of(title, kind)
    return made


def to_bytes(schema: dict[str, Any]) -> bytes:
    """A schema as it is published."""
    return json.dumps(schema, indent=1, ensure_ascii=False).encode() + b"\n"


def write() -> None:
    """Writes them all into the package."""
    for name, schema in schemas().items():
        (FOLDER / name).write_bytes(to_bytes(schema))


def _schema_of(title: str, kind: type[m.Record]) -> dict[str, Any]:
    whole = msgspec.json.schema(kind, ref_template=REFERENCES)
    if kind is m.Done:
        whole["$defs"]["Done"]["properties"]["trace"]["items"] = {
            "type": "object", "required": ["do"], "properties": {"do": {"type": "string"}},
        }  # fmt: skip
    return {"$schema": DIALECT, "title": title, **whole, "$defs": dict(sorted(whole["$defs"].items()))}


def _requests() -> dict[str, Any]:
    """Every request. In a command all members of its class are there, and a `seq` before them."""
    _, parts = msgspec.json.schema_components(m.REQUESTS, ref_template=REFERENCES)
    commands = [each for name, each in KINDS.items() if name not in ("abort", "restore")]
    for each in commands:
        parts[each.__name__] = _with_seq(of_command(each))
    for each in EVENTS.values():
        parts[each.__name__] = _with_seq(of_command(each, but=NOT_TOLD))
    for part in (parts["AddBitmap"],):
        part["properties"]["persistent"] = {"type": "boolean"}
    for each in c.Action.__args__:
        parts[f"{each.__name__}Action"] = of_command(each)
    actions = [f"{each.__name__}Action" for each in c.Action.__args__]
    parts["Action"] = {"oneOf": [{"$ref": REFERENCES.format(name=name)} for name in actions]}
    parts["Source"] = of_fields(c.Source)
    names = [each.__name__ for each in (*m.REQUESTS, *commands, *EVENTS.values())]
    for name in (each.__name__ for each in m.REQUESTS):
        parts[name]["required"] = [member for member in parts[name]["properties"] if (name, member) != LATER]
    title = f"Adapter protocol {VERSION}: requests"
    choice = {"oneOf": [{"$ref": REFERENCES.format(name=name)} for name in names]}
    return {"$schema": DIALECT, "title": title, **choice, "$defs": dict(sorted(parts.items()))}


def _with_seq(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"seq": {"type": "integer", "minimum": 1, "maximum": m.LARGEST}, **schema["properties"]}
    return schema | {"properties": properties, "required": list(properties)}
