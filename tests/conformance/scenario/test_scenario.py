"""Scenario files: every command survives the way to JSON and back, and a bad file is refused in one line."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.scenario.scenario import (
    KINDS,
    LARGEST_DISK,
    MAX_BYTES,
    Restore,
    Scenario,
    ScenarioError,
    command_from_data,
    command_to_data,
    from_data,
    load,
    save,
    to_data,
)
from cbtmodel import commands as c
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type can hold."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is typing.Annotated:
        return st.integers(*hint.__metadata__[0])
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if arguments:
        return st.one_of([values(each) for each in arguments])
    if hint is str:
        return NAMES
    if hint is bool:
        return st.booleans()
    if hint is type(None):
        return st.none()
    return records(hint)


def records(kind: type) -> st.SearchStrategy[Any]:
    """Any command of a kind."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)})


COMMANDS = {name: kind for name, kind in KINDS.items() if kind is not c.Abort}


@pytest.mark.parametrize("kind", COMMANDS.values(), ids=COMMANDS.keys())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_command_survives(kind: type, data: st.DataObject) -> None:
    command = data.draw(records(kind))
    written = json.loads(json.dumps(command_to_data(command)))
    assert command_from_data(written, "here") == command


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.one_of([records(kind) for kind in COMMANDS.values()]), max_size=6),
    disks=st.dictionaries(
        NAMES.filter(bool), st.integers(1, LARGEST_DISK // 512).map(lambda n: n * 512), min_size=1, max_size=3
    ),
    block=st.sampled_from([512, 4096, 65536]),
    title=NAMES,
    story=NAMES,
)
def test_every_scenario_survives(
    steps: list[Any], disks: dict[str, int], block: int, title: str, story: str, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.mktemp("scenario") / "s.json"
    scenario = Scenario(disks, tuple(steps), block, title, story)
    save(scenario, path)
    assert load(path) == scenario
    assert len(path.read_text().splitlines()) >= len(steps)


GOOD: dict[str, Any] = to_data(Scenario({"d": 4096}, (c.AddBitmap("d", "b", 512), Restore(("j",)))))


def with_command(**command: Any) -> dict[str, Any]:
    return GOOD | {"commands": [command]}


DEEP: Any = {"do": "abort"}
for _ in range(50):
    DEEP = {"do": "transaction", "actions": [DEEP]}

BAD: dict[str, tuple[Any, str]] = {
    "null": (None, "not a scenario"),
    "a list": ([], "not a scenario"),
    "a number": (1, "not a scenario"),
    "another format": (GOOD | {"format": "other"}, "not a scenario"),
    "no version": ({k: v for k, v in GOOD.items() if k != "version"}, "'version' must be"),
    "a version of text": (GOOD | {"version": "1"}, "'version' must be"),
    "a version that is true": (GOOD | {"version": True}, "'version' must be"),
    "version 0": (GOOD | {"version": 0}, "'version' must be"),
    "a newer version": (GOOD | {"version": 2}, "newer than this cbtspec reads .*upgrade"),
    "a version that is huge": (GOOD | {"version": 10**30}, "newer than this cbtspec reads"),
    "an unknown member": (GOOD | {"diskz": {}}, "unknown member 'diskz'"),
    "a title that is no text": (GOOD | {"title": ["x"]}, "'title' must be text"),
    "a story that is no text": (GOOD | {"story": 5}, "'story' must be text"),
    "a block of 3": (GOOD | {"block": 3}, "'block' must be"),
    "a block of 0": (GOOD | {"block": 0}, "'block' must be"),
    "a block below 0": (GOOD | {"block": -512}, "'block' must be"),
    "a block larger than any disk": (GOOD | {"block": 1 << 70}, "'block' must be"),
    "a block that is null": (GOOD | {"block": None}, "'block' must be"),
    "no disks": (GOOD | {"disks": {}}, "'disks' must"),
    "disks in a list": (GOOD | {"disks": ["d"]}, "'disks' must"),
    "a disk of no bytes": (GOOD | {"disks": {"d": 0}}, "'disks' must"),
    "a disk of half a sector": (GOOD | {"disks": {"d": 256}}, "'disks' must"),
    "a disk that is true": (GOOD | {"disks": {"d": True}}, "'disks' must"),
    "a disk of 1 EiB": (GOOD | {"disks": {"d": 1 << 60}}, "'disks' must"),
    "a hundred thousand disks": (GOOD | {"disks": {str(i): 512 for i in range(100_000)}}, "'disks' must"),
    "no commands": ({k: v for k, v in GOOD.items() if k != "commands"}, "'commands' must be a list"),
    "commands in an object": (GOOD | {"commands": {}}, "'commands' must be a list"),
    "a command of text": (GOOD | {"commands": ["write"]}, "command 1: a command is an object with a 'do'"),
    "a command without do": (with_command(node="d"), "command 1: a command is an object with a 'do'"),
    "do is a list": (with_command(do=["write"]), "command 1: a command is an object with a 'do'"),
    "an unknown command": (with_command(do="explode"), "command 1: unknown command 'explode' .known: "),
    "a command with a newline": (with_command(do="ex\nplode"), "unknown command"),
    "an unknown field": (with_command(do="write", node="d", offset=0, length=1, colour="red"), "no 'colour'"),
    "a missing field": (with_command(do="write", node="d"), "command 1: 'write': .*offset"),
    "an offset of text": (with_command(do="write", node="d", offset="0", length=1), "command 1: 'write': "),
    "an offset that is true": (with_command(do="write", node="d", offset=True, length=1), "command 1: 'write': "),
    "an offset that is half": (with_command(do="write", node="d", offset=0.5, length=1), "command 1: 'write': "),
    "an unknown kind": (with_command(do="write", node="d", offset=0, length=1, kind="x"), "command 1: 'write': "),
    "a node that is null": (with_command(do="write", node=None, offset=0, length=1), "command 1: 'write': "),
    "jobs that are text": (with_command(do="restore", jobs="j1"), "command 1: 'restore': "),
    "a transaction without actions": (with_command(do="transaction"), "a transaction has a list of actions"),
    "actions that are text": (with_command(do="transaction", actions="x"), "a transaction has a list of actions"),
    "an action that is a number": (with_command(do="transaction", actions=[1]), "command 1, action 1: a command is"),
    "an unknown action": (with_command(do="transaction", actions=[{"do": "x"}]), "command 1, action 1: unknown"),
    "a transaction in another": (GOOD | {"commands": [DEEP]}, "command 1, action 1: 'transaction' is no action"),
    "a restore in a transaction": (
        with_command(do="transaction", actions=[{"do": "restore", "jobs": []}]), "'restore' is no action",
    ),
    "grouped that is text": (with_command(do="transaction", actions=[], grouped="yes"), "'transaction': "),
    "an abort outside of a transaction": (with_command(do="abort"), "command 1: 'abort' is an action"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_scenario_is_refused_in_one_line(data: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as refused:
        from_data(data, "file.json")
    text = str(refused.value)
    assert text.startswith("file.json")
    assert "\n" not in text
    assert len(text) < 600


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "text": (b"hello", "not JSON"),
    "binary": (bytes(range(256)), "not JSON"),
    "cut off": (json.dumps(GOOD).encode()[:-5], "not JSON"),
    "not UTF-8": (json.dumps(GOOD).replace('"b"', '"\\ud800"').encode() + b"\xff", "not JSON"),
    "not UTF-8 in a text": (b'{"format": "\xff"}', "not JSON"),
    "deeply nested lists": (b"[" * 100_000, "not JSON"),
    "deeply nested objects": (b'{"a":' * 100_000, "not JSON"),
    "larger than any scenario": (b" " * (MAX_BYTES + 1), "larger than"),
    "NaN": (b'{"format": NaN}', "not JSON"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=message) as refused:
        load(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read: No such file"):
        load(tmp_path / "nothing.json")
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ScenarioError, match="larger than"):
        load(path)


def test_a_field_with_its_default_is_left_out() -> None:
    assert command_to_data(c.AddBitmap("d", "b", 512)) == {
        "do": "add-bitmap", "node": "d", "name": "b", "granularity": 512,
    }  # fmt: skip


def test_a_scenario_can_ask_for_what_the_specification_refuses() -> None:
    """Sizes and names that mean nothing are for the specification to refuse, not for the file format."""
    odd = c.AddBitmap("nowhere", "", 3)
    assert command_from_data(command_to_data(odd), "here") == odd
