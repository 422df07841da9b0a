"""Whatever is in an input: an answer, or an error of its kind in one line; never a traceback."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from random import Random

from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.oracle.service import Service
from cbtcheck.run.course import replay
from cbtcheck.scenario import scenario
from cbtcheck.trace.events import TraceProblem
from cbtcheck.trace.verify import Options, verify
from cbtcheck.vectors import format as vectors
from cbtcheck.vectors.record import VectorError
from mutated import mutated

TIMES = int(os.environ.get("CBTSPEC_MUTATIONS", "150"))
SMALL = 1 << 22

TRACES = [each.read_bytes() for each in sorted((Path(__file__).parent / "trace" / "traces").glob("*.jsonl"))]
SCENARIOS = [
    each.read_bytes() for each in sorted(files("cbtcheck").joinpath("workflows").iterdir(), key=str)
    if each.name.endswith(".json")
]  # fmt: skip
CONVERSATION = [
    json.dumps(each).encode() for each in (
        {"do": "disks", "disks": {"d": 1 << 20}, "block": 512},
        {"do": "add-bitmap", "node": "d", "name": "b0", "granularity": 65536},
        {"do": "write", "node": "d", "offset": 0, "length": 512, "reply": "accepted"},
        {"do": "start-backup", "job": "j", "node": "d", "sync": "bitmap", "bitmap": "b0", "bitmap_mode": "always"},
        {"do": "transaction", "actions": [{"do": "abort"}]},
        {"do": "observed", "bitmaps": [{"node": "d", "name": "b0", "dirty": [[0, 65536]], "busy": True}]},
        {"do": "bounds", "most": 3},
    )
]  # fmt: skip

IN_IMAGES = [
    json.dumps(each).encode() for each in (
        {"do": "disks", "disks": {"d": 1 << 20}, "block": 512, "images": True},
        {"do": "add-bitmap", "node": "d", "name": "b0", "granularity": 65536, "persistent": True},
        {"do": "close", "node": "d", "reply": "accepted"},
        {"do": "open", "node": "d", "writable": False},
        {"do": "reopen", "node": "d", "writable": True, "reply": "indefinite"},
        {"do": "observed", "images": [{"node": "d", "open": "rw", "entries": [
            {"name": "b0", "granularity": 65536, "enabled": True, "in_use": True, "dirty": []}]}]},
        {"do": "crash"},
        {"do": "images", "most": 3},
    )
]  # fmt: skip


def one_line(problem: Exception) -> None:
    text = str(problem)
    assert text
    assert len(text) < 1500
    assert text.isprintable(), text


def test_scenarios() -> None:
    random = Random(1)
    for number in range(TIMES):
        raw = mutated(random.choice(SCENARIOS), random)
        try:
            made = scenario.from_bytes(raw)
        except scenario.ScenarioError as problem:
            one_line(problem)
            continue
        if sum(made.disks.values()) <= SMALL and number % 10 == 0:
            replay(ReferenceAdapter(), made)
            scenario.as_bytes(made)


def test_lines_of_the_oracle() -> None:
    random = Random(2)
    for number in range(2 * TIMES):
        service, told = Service(), (CONVERSATION, IN_IMAGES)[number % 2]
        changed = random.randrange(len(told))
        for index, line in enumerate(told):
            raw = mutated(line, random).replace(b"\n", b"") if index == changed else line
            assert json.loads(service.answer(raw))["line"] == index + 1
        assert service.exit_code != 70


def test_traces() -> None:
    random = Random(3)
    for _ in range(TIMES):
        lines = random.choice(TRACES).split(b"\n")
        changed = random.choice([index for index, each in enumerate(lines) if each.strip()])
        lines[changed] = mutated(lines[changed], random)
        try:
            verify(io.BytesIO(b"\n".join(lines)), Options())
        except TraceProblem as problem:
            one_line(problem)


def smallest_vectors() -> Iterable[bytes]:
    place = Path(vectors.__file__).parents[2] / "vectors"
    listed = sorted(place.glob("*.json"), key=lambda each: each.stat().st_size)
    with_images = json.loads((place / "images.json").read_bytes())
    with_images["vectors"] = with_images["vectors"][:2]
    yield json.dumps(with_images).encode()
    yield from [each.read_bytes() for each in listed if b'"vectors"' in each.read_bytes()][:2]


def test_vectors() -> None:
    random, listed = Random(4), list(smallest_vectors())
    assert listed
    for _ in range(TIMES):
        try:
            vectors.from_bytes(mutated(random.choice(listed), random), "file")
        except VectorError as problem:
            one_line(problem)
