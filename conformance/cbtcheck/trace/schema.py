"""The JSON Schema of a line of a trace, published in the package; made from the types that lines are checked against.

    python -m cbtcheck.trace.schema > conformance/cbtcheck/schemas/trace-1.json
"""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import Any

import msgspec

from cbtcheck.trace import form


def published() -> str:
    """The schema as it is in the package."""
    return files("cbtcheck").joinpath("schemas", f"trace-{form.VERSION}.json").read_text(encoding="utf-8")


def made() -> bytes:
    """The schema, made anew: a line is a head, a command, something seen, or ends of jobs."""
    kinds: dict[str, list[Any]] = {
        "Head": [form.Head],
        "Command": [form.DoWrite, *form.COMMANDS, *form.EVENTS],
        "Seen": [form.SeeBitmaps, form.SeeJobs],
        "JobsEnded": [form.JobsEnded],
    }
    listed = [each for kind in kinds.values() for each in kind]
    refs, components = msgspec.json.schema_components(listed, ref_template="#/$defs/{name}")
    for each, title in components.items():
        title.setdefault("title", each)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a trace for cbtspec verify, version 1; the first line of a trace is a Head, no other is",
        "oneOf": list(refs),
        "$defs": components,
    }
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=1) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(made())
