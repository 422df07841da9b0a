"""The JSON Schema of the specification's commands, from the same type hints that tell it what is malformed."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Collection
from typing import Annotated, Any, Literal

from cbtmodel import commands as c

from cbtcheck.scenario.scenario import spelled

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCES = "#/$defs/{name}"
ACTION = "Action"


def of_command(kind: type, but: Collection[str] = ()) -> dict[str, Any]:
    """A command with its `do`, without the members in `but`; guest writes with the byte that they are of."""
    made = of_fields(kind)
    made["properties"] = {name: each for name, each in made["properties"].items() if name not in but}
    made["properties"] = {"do": {"const": spelled(kind.__name__)}, **made["properties"]}
    if kind in (c.Write, c.BeginWrite):
        made["properties"]["fill"] = {"type": "integer", "minimum": 1, "maximum": 237}
    return made | {"required": list(made["properties"])}


def of_fields(kind: type) -> dict[str, Any]:
    """The fields of a command's class, or of what is in it; all are required."""
    hints = typing.get_type_hints(kind, include_extras=True)
    properties = {each.name: _of_type(hints[each.name]) for each in dataclasses.fields(kind)}
    return {
        "description": " ".join((kind.__doc__ or "").split()), "type": "object", "properties": properties,
        "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _of_type(hint: Any) -> dict[str, Any]:
    """The schema of a field, from the same hints that tell the specification what is malformed."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint == c.Action or dataclasses.is_dataclass(hint):
        return {"$ref": REFERENCES.format(name=ACTION if hint == c.Action else hint.__name__)}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is Annotated:
        low, high = hint.__metadata__[0]
        return {"type": "integer", "minimum": low, "maximum": high}
    if origin is tuple:
        return {"type": "array", "items": _of_type(inner[0])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of_type(each) for each in inner]}
    return {"type": {str: "string", bool: "boolean", types.NoneType: "null"}[hint]}
