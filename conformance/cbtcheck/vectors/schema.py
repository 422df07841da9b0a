"""The JSON Schema of files with test vectors, from the types that read them and the specification's commands."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Annotated, Any, Literal

import msgspec
from cbtmodel import commands as c

from cbtcheck.scenario import KINDS, spelled
from cbtcheck.vectors.format import MALFORMED, VERSION, VectorFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCES = "#/$defs/{name}"
COMMAND, ACTION = "Command", "Action"


def schema() -> dict[str, Any]:
    """The schema, as JSON data. All members of all objects are required, and there are no others."""
    whole = msgspec.json.schema(VectorFile, ref_template=REFERENCES)
    parts = whole.pop("$defs")
    commands = [each for name, each in KINDS.items() if name not in ("abort", "restore")]
    actions = list(c.Action.__args__)
    for kind in dict.fromkeys((*commands, *actions)):
        parts[kind.__name__] = of_command(kind)
    parts["Source"] = of_fields(c.Source)
    parts[COMMAND] = {"oneOf": [{"$ref": REFERENCES.format(name=each.__name__)} for each in commands]}
    parts[ACTION] = {"oneOf": [{"$ref": REFERENCES.format(name=each.__name__)} for each in actions]}
    parts["Step"]["properties"]["command"] = {
        "type": "object", "required": ["do"], "properties": {"do": {"type": "string"}},
    }  # fmt: skip
    parts["Vector"] |= _well_formed_unless_said()
    title = f"Test vectors of changed block tracking, version {VERSION}"
    return {"$schema": DIALECT, "title": title, **whole, "$defs": dict(sorted(parts.items()))}


def to_bytes() -> bytes:
    """The schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n"


def _well_formed_unless_said() -> dict[str, Any]:
    """In a vector that does not need `malformed` every command is well formed."""
    steps = {"items": {"properties": {"command": {"$ref": REFERENCES.format(name=COMMAND)}}}}
    return {
        "if": {"properties": {"needs": {"not": {"contains": {"const": MALFORMED}}}}},
        "then": {"properties": {"steps": steps}},
    }


def of_command(kind: type) -> dict[str, Any]:
    """A command with its `do`; guest writes with the byte that they are of."""
    made = of_fields(kind)
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
