"""The static test vectors: they are what the specification gives, complete, and catch every seeded mistake.
"""

from __future__ import annotations

import ast
import functools
import json
import random
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import cbtmodel
import jsonschema
import pytest
from cbtcheck.adapters.mistakes import MISTAKES, host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.run.ledger.ledger import entries
from cbtcheck.search.draw import Hand
from cbtcheck.search.machine import next_command
from cbtcheck.search.tour.reachable import reachable
from cbtcheck.search.tour.walks import tour
from cbtcheck.sets.bitsets import BitSets
from cbtcheck.vectors import folder
from cbtcheck.vectors.bugs import BUGS
from cbtcheck.vectors.format import VectorFile, from_bytes, load, to_bytes
from cbtcheck.vectors.groups import GROUPS, SCOPE
from cbtcheck.vectors.malformed import SAMPLES, malformed_commands
from cbtcheck.vectors.record import VectorError
from cbtcheck.vectors.refusals import reached, refusals, refused
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from vector_runner import play

VECTORS = Path(__file__).parents[3] / "conformance" / "vectors"
SUITE = {name: json.loads((VECTORS / f"{name}.json").read_bytes())["vectors"] for name in GROUPS}


# They agree with the right implementation, and catch the wrong ones


@pytest.mark.parametrize("group", GROUPS)
def test_the_reference_passes_every_vector(group: str) -> None:
    adapter = ReferenceAdapter()
    failed = {each["id"]: found for each in SUITE[group] if (found := play(adapter, each))}
    assert not failed
    assert SUITE[group]


@pytest.mark.parametrize("name", MISTAKES)
def test_the_vector_for_a_mistake_catches_it(name: str) -> None:
    (vector,) = [each for each in SUITE["mistakes"] if each["id"] == f"mistake-{name}"]
    assert play(ReferenceAdapter(host_with(name), name), vector)


def test_a_vector_that_expects_something_else_fails() -> None:
    """Every member that the runner looks at makes it fail if it is changed: none is there for nothing."""
    adapter = ReferenceAdapter()
    (vector,) = [each for each in SUITE["workflows"] if each["id"].endswith("3-chain")]
    text = json.dumps({**vector, "chains": []})
    changes = [
        ('"recording": true', '"recording": false'), ('"busy": false', '"busy": true'),
        ('"may": [[131072,', '"may": [[135168,'), ('"must": []', '"must": [[0, 4096]]'),
        ('"refused": []', '"refused": ["busy"]'), ('"phase": "running"', '"phase": "paused"'),
        ('"outcome": "completed"', '"outcome": "failed"'), ('"copied": [[0, 65536]', '"copied": [[0, 131072]'),
        ('"content": [[1, 1', '"content": [[2, 1'), ('"target": [[238, 6', '"target": [[0, 6'),
        ('"job": "j1"', '"job": "j9"'), ('"successor": {', '"successor": null, "was": {'),
        ('"writes": []', '"writes": [{"node": "d", "write": "w"}]'),
    ]  # fmt: skip
    assert not play(adapter, vector)
    for old, new in changes:
        position = text.rindex(old) if old != '"job": "j1"' else text.index(old, text.index('"jobs": [{'))
        assert play(adapter, json.loads(text[:position] + text[position:].replace(old, new, 1))), (old, new)
    chain = json.loads(text)
    chain["restores"][-1]["content"][0][0] ^= 1
    assert "restored" in play(adapter, chain)


# They are what the specification gives, and complete


@functools.cache
def made() -> dict[str, bytes]:
    """All files, made once: that takes half a minute."""
    return dict(folder.generated())


def test_the_published_vectors_are_what_the_specification_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "generated", made().items)
    assert folder.first_difference(VECTORS) == ""


def test_every_walk_of_the_tour_is_there_and_tails_and_sizes_occur() -> None:
    aims = {edge for each in SUITE["tour"] for edge in each["title"].split("; ")}
    assert aims == {str(edge) for edge in reachable(SCOPE)}
    assert len(SUITE["tour"]) == len(tour(SCOPE))
    needs = Counter(word for each in SUITE["tour"] for word in each["needs"])
    assert needs["tails"] > 200
    assert sum(word.startswith("granularity:") for word in needs) == 4
    assert sum(word.startswith("cluster:") for word in needs) == 3


def test_every_mistake_workflow_and_ledger_entry_has_its_vector() -> None:
    assert [each["id"] for each in SUITE["mistakes"]] == [f"mistake-{name}" for name in MISTAKES]
    assert [each["id"] for each in SUITE["workflows"]] == [f"workflow-{name}" for name in workflows()]
    assert [each["id"] for each in SUITE["ledger"]] == [f"ledger-{entry.id}" for entry in entries()]
    for vector, mistake in zip(SUITE["mistakes"], MISTAKES.values(), strict=True):
        assert (vector["bug"] or {"id": ""})["id"] == mistake.bug
        assert vector["properties"]
    assert BUGS.keys() == {each.bug for each in MISTAKES.values()} - {""}


def places_of_refusal() -> set[tuple[str, range]]:
    """Every `require(...)` and `raise Refused(...)` of the specification: its module and lines."""
    found = set()
    for path in Path(cbtmodel.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            call = node.exc if isinstance(node, ast.Raise) else node
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                raises = isinstance(node, ast.Raise) and call.func.id == "Refused"
                if (call.func.id == "require" or raises) and path.stem != "refusal":
                    found.add((f"cbtmodel.{path.stem}", range(node.lineno, (node.end_lineno or 0) + 1)))
    return found


def test_every_place_where_the_specification_refuses_has_its_vector() -> None:
    reached = {refusal.place[-1] for refusal, _ in refusals()}
    missing = {
        (module, lines.start)
        for module, lines in places_of_refusal()
        if not any(where == module and line in lines for where, _, line in reached)
    }
    assert not missing
    assert len(places_of_refusal()) > 30


def test_nothing_that_is_drawn_is_refused_in_a_way_that_has_no_vector() -> None:
    known = {refusal.key for refusal, _ in refusals()}
    source = random.Random(4)
    drawn = 0
    for layout in ReferenceAdapter.capabilities.disks * 60:
        state = initial(BitSets(), layout)
        for _ in range(20):
            pick = lambda bound: int(source.random() * bound)  # noqa: E731
            command = next_command(Hand(pick, state, ReferenceAdapter.capabilities))
            refusal = refused(state, command)
            drawn += refusal is not None
            assert refusal is None or refusal.key in known, refusal
            state = step(state, command).state
    assert drawn > 500


def test_the_refusals_of_the_tour_have_their_vectors() -> None:
    known = {refusal.key for refusal, _ in refusals()}
    for walk in tour(SCOPE):
        state = initial(BitSets(), {name: blocks * 512 for name, blocks in walk.world.disks})
        for command in walk.commands:
            refusal = refused(state, command)
            assert refusal is None or refusal.key in known, refusal
            state = step(state, command).state


def test_every_field_of_every_command_is_malformed_once() -> None:
    assert {type(each) for _, each in SAMPLES} == set(c.Command.__args__)
    for before, each in SAMPLES:
        assert refused(reached({"d": 8192}, before), each) is None, "well formed, it is accepted"
    said = {c.malformed(each) for _, each in malformed_commands()}
    assert None not in said
    fields = {f"{kind.__name__}: bad {name}" for kind in c.Command.__args__ for name in kind.__dataclass_fields__}
    assert said == fields | {"unknown command FormatDisk"}
    written = [each for each in SUITE["refusals"] if "malformed" in each["needs"]]
    assert len(written) == len(list(malformed_commands()))


# The format


@pytest.mark.parametrize("group", GROUPS)
def test_the_schema_accepts_them(group: str) -> None:
    schema = json.loads((VECTORS / folder.SCHEMA).read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    data = json.loads((VECTORS / f"{group}.json").read_bytes())
    data["vectors"] = data["vectors"][::25] if group == "tour" else data["vectors"]
    jsonschema.Draft202012Validator(schema).validate(data)


FIRST: tuple[Any, ...] = ("vectors", 0)
STEP = (*FIRST, "steps", 0)
GONE = object()


def small(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """A small file of vectors, with what is at each of these paths replaced, or gone."""
    data: dict[str, Any] = json.loads((VECTORS / "ledger.json").read_bytes())
    for (*path, last), value in changes:
        place: Any = data
        for each in path:
            place = place[each]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return data


def test_the_schema_refuses_what_is_missing_too_much_or_malformed() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((VECTORS / folder.SCHEMA).read_bytes()))
    text = ((*STEP, "command", "granularity"), "512")
    assert validator.is_valid(small())
    assert not validator.is_valid(small(((*STEP, "command", "enabled"), GONE)))
    assert not validator.is_valid(small(text))
    assert validator.is_valid(small(text, ((*FIRST, "needs"), ["malformed"])))
    assert not validator.is_valid(small(((*FIRST, "hint"), 1)))
    assert not validator.is_valid(small(((*STEP, "after", "writes"), GONE)))
    assert not validator.is_valid(small(((*STEP, "refused"), ["no idea"])))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("format",), "x", 'no file of vectors (it has no "format": "cbtspec-vectors")'),
        (("version",), 2, "format version 2 is newer than this cbtspec reads (1)"),
        (("version",), "one", "Expected `int`, got `str` - at `$.version`"),
        ((*FIRST, "extra"), 1, "Object contains unknown field `extra` - at `$.vectors[0]`"),
        ((*STEP, "after", "jobs"), GONE, "Object missing required field `jobs` - at `$.vectors[0].steps[0].after`"),
        ((*FIRST, "id"), "ledger-QEMU-2", "vector ledger-QEMU-2: there are two of that id"),
        ((*STEP, "command", "do"), "explode", "step 1: unknown command 'explode'"),
        ((*STEP, "after", "bitmaps", 0, "node"), "no\nwhere", "step 1: there is no disk 'no\\nwhere'"),
        ((*STEP, "after", "bitmaps", 0, "may"), [[0, 1 << 40]], "is empty, out of order or beyond 1048576 bytes"),
        ((*STEP, "after", "disks", 0, "content"), [[0, 5]], "the runs do not make up 1048576 bytes"),
        ((*STEP, "after", "disks"), [], "step 1: not the content of all disks"),
        ((*STEP, "refused"), ["no idea"], "Invalid enum value 'no idea'"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(path: tuple[Any, ...], value: Any, problem: str) -> None:
    with pytest.raises(VectorError) as refused:
        from_bytes(json.dumps(small((path, value))).encode(), "FILE")
    assert problem in str(refused.value)
    assert str(refused.value).startswith("FILE: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"{", b"[" * 100000, b'{"format":"cbtspec-vectors"}'])
def test_garbage_is_refused_in_one_line(raw: bytes) -> None:
    with pytest.raises(VectorError, match=r"\AFILE: .+\Z"):
        from_bytes(raw, "FILE")


@given(st.integers(0, 6000), st.binary(min_size=0, max_size=4), st.integers(0, 8))
def test_a_damaged_file_is_read_or_refused_in_one_line(at: int, put: bytes, gone: int) -> None:
    raw = (VECTORS / "ledger.json").read_bytes()
    said = ""
    try:
        from_bytes(raw[:at] + put + raw[at + gone :], "FILE")
    except VectorError as refused:
        said = str(refused)
    assert "\n" not in said


def test_a_restore_of_nothing_and_a_target_of_another_size_are_refused() -> None:
    file = load(VECTORS / "workflows.json")
    chain = next(each for each in file.vectors if each.restores)
    data = json.loads(to_bytes(file))
    (vector,) = [each for each in data["vectors"] if each["id"] == chain.id]
    vector["restores"][0]["jobs"] = ["nobody"]
    with pytest.raises(VectorError, match="restores 'nobody', a job that did not end"):
        from_bytes(json.dumps(data).encode(), "FILE")
    next(step["ended"] for step in vector["steps"] if step["ended"])[0]["target"] = [[0, 512]]
    with pytest.raises(VectorError, match="has 512 bytes, as no disk has"):
        from_bytes(json.dumps(data).encode(), "FILE")


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(VectorError, match="cannot be read: No such file"):
        load(tmp_path / "none.json")
    monkeypatch.setattr("cbtcheck.vectors.format.MAX_BYTES", 10)
    with pytest.raises(VectorError, match="larger than 10 bytes"):
        load(VECTORS / "ledger.json")


def test_what_is_read_is_what_was_written() -> None:
    for name in GROUPS:
        raw = (VECTORS / f"{name}.json").read_bytes()
        file: VectorFile = from_bytes(raw, name)
        assert to_bytes(file) == raw
        assert raw.count(b"\n") == len(file.vectors) + 2, "one vector in a line"


def test_the_readme_knows_every_member_and_word_and_its_example_is_real() -> None:
    text = (VECTORS / "README.md").read_text()
    example = re.search(r"wrapped:\n\n((?:    .*\n)+)", text)
    assert example is not None
    assert json.loads(example[1]) in SUITE["mistakes"]
    schema = json.loads((VECTORS / folder.SCHEMA).read_bytes())["$defs"]
    for record in ("Vector", "Step", "After", "Ended", "Bitmap", "Job", "Successor", "Restore", "Image", "Entry"):
        for member in schema[record]["properties"]:
            assert member in text, member
    words = {word.partition(":")[0] for group in SUITE.values() for each in group for word in each["needs"]}
    assert not {word for word in words if f"`{word}" not in text}


def test_the_page_about_ways_to_be_judged_says_how_many_there_are() -> None:
    page = (VECTORS.parents[1] / "docs/use/your-implementation.md").read_text()
    assert f"| {sum(map(len, SUITE.values())):,} scenarios as JSON" in page


# The command


@pytest.fixture(scope="module")
def once() -> list[tuple[str, bytes]]:
    return list(folder.generated())


def cbtspec(*arguments: str) -> Any:
    from cbtcheck.cli.command import main

    return CliRunner().invoke(main, ["vectors", *arguments])


def test_verify_agrees_with_what_was_just_written(
    tmp_path: Path, once: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "generated", lambda: iter(once))
    assert cbtspec("--out", str(tmp_path)).exit_code == 0
    done = cbtspec("--verify", "--out", str(tmp_path))
    assert (done.exit_code, done.stdout) == (0, f"the vectors in {tmp_path} are what the specification gives\n")


def test_verify_names_the_first_file_and_vector_that_differ(
    tmp_path: Path, once: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "generated", lambda: iter(once))
    folder.write(tmp_path)
    ledger = tmp_path / "ledger.json"
    right = ledger.read_text()

    def said(content: str) -> str:
        ledger.write_text(content)
        done = cbtspec("--verify", "--out", str(tmp_path))
        assert done.exit_code == 2
        assert done.stdout == ""
        return str(done.stderr)

    lines = right.splitlines(keepends=True)
    changed = right.replace('"size":1048576', '"size":1048577', 1)
    assert "runs do not make up 1048577 bytes" in said(changed)
    assert f"{ledger}: line 3: vector ledger-QEMU-2 differs" in said(right.replace("always marks", "never marks", 1))
    assert "line 3: vector ledger-QEMU-3 in place of ledger-QEMU-2" in said("".join(lines[:2] + lines[3:]))
    assert "line 1: the head differs" in said(right.replace("known defects", "defects", 1))
    assert "not JSON" in said("".join(lines[:-1]))
    ledger.write_text(right)
    (tmp_path / "more.json").write_text("{}")
    done = cbtspec("--verify", "--out", str(tmp_path))
    assert (done.exit_code, f"{tmp_path / 'more.json'} belongs to no group of vectors" in done.stderr) == (2, True)
    (tmp_path / "more.json").unlink()
    (tmp_path / "tour.json").unlink()
    assert f"{tmp_path / 'tour.json'} is missing" in cbtspec("--verify", "--out", str(tmp_path)).stderr


def test_the_place_of_an_archive_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbtcheck.vectors.folder.archive", None)
    told = cbtspec("--archive", str(tmp_path / "nowhere" / "a.tar.gz"))
    assert told.exit_code == 74
    assert "cannot be written" in told.output


def test_an_archive_is_reproducible_and_has_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "generated", made().items)
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    for each in (first, second):
        assert cbtspec("--archive", str(each)).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        names = tar.getnames()
        assert names == sorted(names)
        assert {name.removeprefix("cbtspec-vectors-1/") for name in names} == {
            "LICENSE", "README.md", folder.SCHEMA, *(f"{name}.json" for name in GROUPS)
        }  # fmt: skip
        for entry in tar.getmembers():
            assert (entry.mtime, entry.uid, entry.gid, entry.mode) == (0, 0, 0, 0o644)
            extracted = tar.extractfile(entry)
            path = VECTORS / entry.name.split("/")[1]
            assert extracted is not None
            assert extracted.read() == (path if path.is_file() else VECTORS.parents[1] / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--archive", "/nowhere/a.tar.gz"), "/nowhere/a.tar.gz cannot be written: No such file or directory"),
        (("--archive", "a.tar.gz", "--verify"), "--archive goes with no other option"),
        (("--verify", "--out", "/nowhere"), "/nowhere/vectors-1.schema.json is missing"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: tuple[str, ...], problem: str, once: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "generated", lambda: iter(once))
    done = cbtspec(*arguments)
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.exit_code == (74 if "cannot be written" in problem else 2 if "missing" in problem else 64)
