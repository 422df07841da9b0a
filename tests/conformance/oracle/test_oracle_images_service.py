"""`cbtspec oracle` with `"images": true`: the lines, their errors, and that they say what the library says."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema
import msgspec
import pytest
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.oracle import Oracle, messages, replies
from cbtcheck.oracle.service import Service
from cbtcheck.scenario.scenario import Restore, command_to_data
from cbtcheck.search.restarts.drawn import drawn

SIZE, G = 1 << 16, 1 << 12
DISKS = {"do": "disks", "disks": {"d": SIZE, "e": SIZE}, "images": True}
ADD = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": G, "persistent": True}
WRITE = {"do": "write", "node": "d", "offset": G, "length": 512}
CLOSE, OPEN, CRASH = {"do": "close", "node": "d"}, {"do": "open", "node": "d"}, {"do": "crash"}
STORED = (DISKS, ADD, WRITE, CLOSE)


def told(*lines: Any, service: Service | None = None) -> list[dict[str, Any]]:
    """The answers to these lines."""
    service = service or Service()
    return [json.loads(service.answer(json.dumps(each).encode())) for each in lines]


def seen(**entry: Any) -> dict[str, Any]:
    """The closed image of d, with one entry."""
    said = {"name": "b", "granularity": G, "enabled": True, "in_use": False, **entry}
    return {"do": "observed", "images": [{"node": "d", "open": "", "entries": [said]}]}


# What it says


def test_a_conversation() -> None:
    one = {"granules": 1, "extents": [[G, G]], "whole": True}
    none = {"granules": 0, "extents": [], "whole": True}
    said = {"name": "b", "granularity": G, "enabled": True}
    answers = told(
        *STORED, {"do": "images", "nodes": ["d"]}, {**WRITE, "reply": "accepted"}, OPEN, CRASH,
        {**OPEN, "writable": False, "reply": "indefinite"}, {"do": "images", "nodes": ["d"], "most": 0},
        {"do": "bounds"}, {"do": "observed", "images": [{"node": "d", "open": "ro"}]},
        {"do": "clear-bitmap", "node": "d", "name": "b"},
    )  # fmt: skip
    left = {**said, "in_use": True, "must": none, "may": none}
    assert [each for each in answers[4:] if each["is"] != "answer"] == [
        {"is": "images", "line": 5, "images": [{"node": "d", "histories": [
            {"open": "", "entries": [{**said, "in_use": False, "must": one, "may": one}]}]}]},
        {"is": "images", "line": 10, "images": [{"node": "d", "histories": [
            {"open": "ro", "entries": [left]}, {"open": "", "entries": [left]}]}]},
        {"is": "bounds", "line": 11, "bounds": [
            {"node": "d", "name": "b", "granularity": G, "recording": False, "busy": False, "must": none, "may": none,
             "persistent": True, "inconsistent": True}]},
        {"is": "verdict", "line": 12, "verdict": "exact"},
    ]  # fmt: skip
    assert answers[5]["reply"] == "not found"
    assert answers[5]["findings"][0]["seen"] == "accepted"
    assert answers[8]["histories"] == 2
    assert answers[12]["reply"] == "read only"


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (seen(dirty=[[G, G]]), "exact"), (seen(raw=base64.b64encode(b"\2").decode()), "exact"), (seen(), "exact"),
        (seen(dirty=[]), "unsafe"), (seen(dirty=[[0, 2 * G]]), "wasteful"), (seen(enabled=False), "unsafe"),
        (seen(in_use=True), "diverges"), (seen(granularity=2 * G), "diverges"), (seen(name="c"), "diverges"),
        ({"do": "observed", "images": [{"node": "d", "open": "rw"}]}, "diverges"),
        ({"do": "observed", "images": [{"node": "d", "open": ""}, {"node": "e", "open": "rw"}]}, "exact"),
    ],
)  # fmt: skip
def test_what_was_seen_of_images_is_judged(observed: dict[str, Any], verdict: str) -> None:
    service = Service()
    answer = told(*STORED, observed, service=service)[-1]
    assert answer["verdict"] == verdict, answer
    assert service.exit_code == {"exact": 0, "wasteful": 1, "diverges": 2, "unsafe": 2}[verdict]


@pytest.mark.parametrize("number", range(25))
def test_it_answers_what_the_library_answers(number: int) -> None:
    scenario = drawn(ReferenceAdapter.capabilities, 3, number)
    service, asked = Service(), Oracle(scenario.disks, images=True)
    told({"do": "disks", "disks": scenario.disks, "images": True}, service=service)
    for step in scenario.commands:
        assert not isinstance(step, Restore)
        expected = asked.command(step)
        (answer,) = told(command_to_data(step), service=service)
        assert answer["reply"] == (expected.reply.refusal or "accepted")
        assert answer.get("ended", {}) == dict(expected.ended)
    (bounds, images) = told({"do": "bounds"}, {"do": "images"}, service=service)
    for each in bounds["bounds"]:
        its = asked.bounds(each["node"], each["name"])
        assert [tuple(extent) for extent in each["must"]["extents"]] == its.must.extents()
        assert (each["persistent"], each["inconsistent"]) == (its.persistent, its.inconsistent)
    for image in images["images"]:
        (its_image,), (history,) = asked.image(image["node"]), image["histories"]
        assert history["open"] == its_image.open
        assert [each["name"] for each in history["entries"]] == [*its_image.entries]


def test_chains_of_backups_are_told_with_the_event_that_is_to_blame() -> None:
    backup = {"do": "start-backup", "job": "full", "node": "d", "sync": "full"}
    copied = {"do": "copy", "job": "full", "offset": 0, "length": SIZE}
    answers = told(DISKS, ADD, backup, copied, CRASH, {"do": "chains"})
    [history] = answers[-1]["histories"]
    assert [each["gives"] for each in history["restore_points"]] == ["restores"]
    assert history["no_increment"] == [{"node": "d", "bitmap": "b", "why": "d/b was gone with a crash", "at": 5}]


# What cannot be


WRONG: list[tuple[Any, str]] = [
    ({**CLOSE, "fails": True}, "fails"),
    ({"do": "close"}, "node"),
    ({"do": "open", "node": "d", "writable": "yes"}, "writable"),
    ({"do": "reopen", "node": "d"}, "writable"),
    ({**ADD, "persistent": 1}, "persistent"),
    ({"do": "transaction", "actions": [ADD]}, "persistent"),
    ({"do": "transaction", "actions": [CRASH]}, "crash"),
    ({"do": "images", "nodes": ["x"]}, "there is no disk 'x'"),
    ({"do": "images", "most": -1}, "most"),
    ({"do": "observed", "images": [{"node": "x", "open": ""}]}, "there is no disk 'x'"),
    ({"do": "observed", "images": [{"node": "d", "open": "wr"}]}, "open"),
    ({"do": "observed", "images": [{"node": "d", "open": ""}] * 2}, "the image of 'd' is observed twice"),
    (seen(dirty=[[1, G]]), "granules"),
    (seen(dirty=[], raw=""), "either 'dirty' or 'raw'"),
    (seen(granularity=100), "granularity"),
    (seen(raw="***"), "base64"),
    ({"do": "observed", "images": [{"node": "d", "open": "", "entries": seen()["images"][0]["entries"] * 2}]},
     "bitmap 'd/b' in its image is observed twice"),
    ({"do": "observed", "bitmaps": [{"node": "d", "name": "b", "absent": True, "persistent": True}]}, "absent"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), WRONG, ids=[each[1] for each in WRONG])
def test_a_line_that_cannot_be_used_is_an_error_and_changes_nothing(line: Any, what: str) -> None:
    service = Service()
    told(*STORED, service=service)
    assert service.oracle is not None
    before, images = service.oracle.states, service.oracle.image("d")
    (answer,) = told(line, service=service)
    assert answer["is"] == "error"
    assert what in answer["error"]
    assert (service.oracle.states, service.oracle.image("d")) == (before, images)
    assert service.exit_code == 64


@pytest.mark.parametrize(
    ("line", "what"),
    [(CLOSE, "'close'"), (OPEN, "'open'"), (CRASH, "'crash'"),
     ({"do": "written-by-others", "node": "d"}, "'written-by-others'"),
     ({"do": "reopen", "node": "d", "writable": True}, "'reopen'"), (ADD, "'persistent'"),
     ({"do": "images"}, "the disks lie in no images"), (seen(), "the disks lie in no images")],
)  # fmt: skip
def test_images_have_to_be_asked_for(line: Any, what: str) -> None:
    answers = told({"do": "disks", "disks": {"d": SIZE}}, line, {**ADD, "persistent": False}, {"do": "bounds"})
    assert answers[1]["is"] == "error"
    assert what in answers[1]["error"]
    if what.startswith("'"):
        assert '"images": true beside "disks"' in answers[1]["error"]
    assert answers[2]["reply"] == "accepted"
    assert "persistent" not in answers[3]["bounds"][0]


def test_an_event_of_a_disk_that_is_not_there_is_refused() -> None:
    answer = told(DISKS, {"do": "close", "node": "x", "reply": "accepted"})[-1]
    assert (answer["reply"], answer["reason"]) == ("not found", "Close: not open")
    assert answer["findings"][0]["verdict"] == "diverges"


def test_lines_are_as_the_schemas_say() -> None:
    reads = jsonschema.Draft202012Validator(json.loads(messages.published("input")))
    writes = jsonschema.Draft202012Validator(json.loads(messages.published("output")))
    service = Service()
    lines = (
        *STORED, {"do": "images"}, seen(dirty=[[G, G]]), OPEN, {"do": "bounds"}, CRASH,
        {"do": "reopen", "node": "d", "writable": False}, {"do": "written-by-others", "node": "d"},
        {**CLOSE, "reply": "inconsistent"},
    )  # fmt: skip
    for line in lines:
        reads.validate(line)
        (answer,) = told(line, service=service)
        writes.validate(answer)
        assert answer["is"] != "error"
        msgspec.convert(answer, replies.OUTPUT)
    assert sum(not reads.is_valid(line) for line, _ in WRONG) >= 8
