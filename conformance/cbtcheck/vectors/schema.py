"""The JSON Schema of files with test vectors, from the types that read them and the specification's commands."""

from __future__ import annotations

from typing import Any

import msgspec
from cbtmodel import commands as c

from cbtcheck.adapter import PERSISTENCE
from cbtcheck.scenario.command_schema import ACTION, DIALECT, REFERENCES, of_command, of_fields
from cbtcheck.scenario.images import EVENTS, NOT_TOLD
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
    for kind in EVENTS.values():
        parts[kind.__name__] = of_command(kind, but=NOT_TOLD)
    parts["AddBitmap"]["properties"]["persistent"] = {"type": "boolean"}
    parts["Source"] = of_fields(c.Source)
    everything = [*commands, *EVENTS.values()]
    parts[COMMAND] = {"oneOf": [{"$ref": REFERENCES.format(name=each.__name__)} for each in everything]}
    parts[ACTION] = {"oneOf": [{"$ref": REFERENCES.format(name=each.__name__)} for each in actions]}
    parts["Step"]["properties"]["command"] = {
        "type": "object", "required": ["do"], "properties": {"do": {"type": "string"}},
    }  # fmt: skip
    parts["Vector"]["allOf"] = [_well_formed_unless_said(), _images_if_said()]
    title = f"Test vectors of changed block tracking, version {VERSION}"
    return {"$schema": DIALECT, "title": title, **whole, "$defs": dict(sorted(parts.items()))}


def to_bytes() -> bytes:
    """The schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n"


def _well_formed_unless_said() -> dict[str, Any]:
    """In a vector that does not need `malformed` every command is well formed."""
    command = {"command": {"$ref": REFERENCES.format(name=COMMAND)}}
    return {"if": {"not": _needs(MALFORMED)}, "then": _steps({"properties": command})}


def _images_if_said() -> dict[str, Any]:
    """Images are told of in a vector that needs `persistence`, in every step of it, and in no other."""
    of_bitmap = ["persistent", "inconsistent"]
    told = {"required": ["images"], "properties": {"bitmaps": {"items": {"required": of_bitmap}}}}
    neither = {"anyOf": [{"required": [name]} for name in of_bitmap]}
    not_told = {"not": {"required": ["images"]}, "properties": {"bitmaps": {"items": {"not": neither}}}}
    no_event = {"properties": {"do": {"not": {"enum": [*EVENTS]}}}, "not": {"required": ["persistent"]}}
    return {
        "if": _needs(PERSISTENCE), "then": _steps({"properties": {"after": told}}),
        "else": _steps({"properties": {"after": not_told, "command": no_event}}),
    }  # fmt: skip


def _needs(word: str) -> dict[str, Any]:
    return {"properties": {"needs": {"contains": {"const": word}}}}


def _steps(each: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"steps": {"items": each}}}
