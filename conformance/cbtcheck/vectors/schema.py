"""The JSON Schema of files with test vectors, from the types that read them and the specification's commands."""

from __future__ import annotations

from typing import Any

import msgspec
from cbtmodel import commands as c

from cbtcheck.scenario.command_schema import ACTION, DIALECT, REFERENCES, of_command, of_fields
from cbtcheck.scenario.scenario import KINDS
from cbtcheck.vectors.format import MALFORMED, VERSION, VectorFile

COMMAND = "Command"


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
