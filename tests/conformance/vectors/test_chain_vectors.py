"""Vectors about chains: true of the bytes, what the oracle says of the same commands, and nothing to old readers."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import Hint
from cbtcheck.adapters.mistakes import host_with
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.oracle.service import Service
from cbtcheck.scenario.scenario import command_from_data
from cbtcheck.vectors.format import from_bytes
from cbtcheck.vectors.groups import GROUPS
from cbtcheck.vectors.histories.told import HISTORIES
from cbtcheck.vectors.record import VectorError
from vector_runner import play

VECTORS = Path(__file__).parents[3] / "conformance" / "vectors"
SUITE = {name: json.loads((VECTORS / f"{name}.json").read_bytes())["vectors"] for name in GROUPS}
CHAINS: list[dict[str, Any]] = SUITE["chains"]
OF: dict[str, dict[str, Any]] = {each["id"].removeprefix("chain-"): each for each in CHAINS}
WITH_TABLE = [*CHAINS, *SUITE["workflows"]]


def named(vector: dict[str, Any]) -> str:
    return str(vector["id"])


# The bytes, as an implementer would compare them


def restored(vector: dict[str, Any]) -> Iterator[str]:
    """What the targets of the reference say against the tables of a vector: for people who have a tracker."""
    adapter = ReferenceAdapter()
    adapter.reset({disk["name"]: disk["size"] for disk in vector["disks"]})
    targets: dict[str, tuple[bytes, list[list[int]]]] = {}
    tables = {each["step"]: each for each in vector["chains"]}
    for number, step in enumerate(vector["steps"], 1):
        asked = {name: value for name, value in step["command"].items() if name != "fill"}
        adapter.perform(command_from_data(asked, ""), Hint(None, step["command"].get("fill", 1)))  # type: ignore[arg-type]
        for end in step["ended"]:
            content = adapter.target(end["job"])
            assert content is not None
            targets[end["job"]] = content, end["copied"]
        if number in tables:
            for each in of_table(tables[number], targets):
                yield f"after step {number}: {each}"
    adapter.finish()


def of_table(table: dict[str, Any], targets: dict[str, tuple[bytes, list[list[int]]]]) -> Iterator[str]:
    images: dict[int, bytes] = {}
    below: dict[str, bytes] = {}
    for point in table["restore_points"]:
        number, (content, copied) = point["number"], targets[point["job"]]
        images[number] = over(below.get(point["node"], bytes(len(content))), content, copied)
        below[point["node"]] = images[number]
        if not point["complete"]:
            continue
        wanted = expanded(point["content"])
        lost = [extent for each in point["lost"] for extent in each["blocks"]]
        if over(images[number], wanted, lost) != wanted:
            yield f"{number}: more is lost than is said"
        for offset, length in lost:
            if images[number][offset : offset + length] == wanted[offset : offset + length]:
                yield f"{number}: {offset}+{length} is not lost"
        for other in point["stacks_on"]:
            if over(images[other], content, copied) != wanted:
                yield f"{number} does not stack on {other}"
        for other in point["not_on"]:
            if over(images[other], content, copied) == wanted:
                yield f"{number} stacks on {other}"


def over(under: bytes, content: bytes, extents: list[list[int]]) -> bytes:
    image = bytearray(under)
    for offset, length in extents:
        image[offset : offset + length] = content[offset : offset + length]
    return bytes(image)


def expanded(runs: list[list[int]]) -> bytes:
    return b"".join(bytes([byte]) * count for byte, count in runs)


@pytest.mark.parametrize("vector", WITH_TABLE, ids=named)
def test_what_is_said_of_backups_is_true_of_the_bytes_that_the_reference_copied(vector: dict[str, Any]) -> None:
    assert not list(restored(vector))
    assert vector["chains"][-1]["step"] == len(vector["steps"])
    assert vector["chains"][-1]["restore_points"]


CHANGES = (
    ("cleared-when-the-full-has-ended", 1, "lost", []),
    ("three-increments", 1, "lost", [{"why": "", "blame": 1, "from": 1, "to": 1, "blocks": [[65536, 512]]}]),
    ("three-increments", 1, "content", [[9, 524288]]),
    ("three-increments", 2, "stacks_on", [2, 1]),
    ("three-increments", 2, "not_on", [2]),
    ("always-cancelled-and-repeated", 1, "complete", True),
)


@pytest.mark.parametrize(("name", "at", "member", "value"), CHANGES)
def test_a_table_that_says_something_else_is_not_true_of_the_bytes(
    name: str, at: int, member: str, value: Any
) -> None:
    vector = copy.deepcopy(OF[name])
    point = vector["chains"][-1]["restore_points"][at]
    assert point[member] != value
    point[member] = value
    if member == "complete":
        point["content"] = vector["chains"][-1]["restore_points"][0]["content"]
    assert list(restored(vector))


# What the oracle says


def told(vector: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each table of a vector, and what the oracle answers at this point."""
    service = Service()
    sizes = {disk["name"]: disk["size"] for disk in vector["disks"]}
    service.answer(json.dumps({"do": "disks", "disks": sizes, "block": vector["block"]}).encode())
    tables = {each["step"]: each for each in vector["chains"]}
    asked = 0  # lines that are no commands of the vector: the oracle numbers by lines
    of_line: dict[int, int] = {}
    for number, step in enumerate(vector["steps"], 1):
        of_line[1 + number + asked] = number
        line = {name: value for name, value in step["command"].items() if name != "fill"}
        if step["refused"]:
            line["reply"] = step["refused"][0]
        answer = json.loads(service.answer(json.dumps(line).encode()))
        assert answer["is"] == "answer", answer
        if number in tables:
            asked += 1
            (history,) = json.loads(service.answer(b'{"do":"chains"}'))["histories"]
            yield tables[number], in_steps(history, of_line)


def in_steps(history: dict[str, Any], of_line: dict[int, int]) -> dict[str, Any]:
    """The oracle's answer as a vector has it."""
    for point in history["restore_points"]:
        point["at"] = of_line[point["at"]]
        for each in point["lost"]:
            each["blocks"], perhaps = each.pop("certain"), each.pop("perhaps")
            assert not perhaps
            for name in ("blame", "from", "to"):
                each[name] = of_line[each[name]]
    for waived in history["waived"]:
        waived["at"], waived["blocks"] = of_line[waived["at"]], waived.pop("certain")
        assert not waived.pop("perhaps")
    for failed in history["failed"]:
        failed["began"], failed["ended"] = of_line[failed["began"]], of_line[failed["ended"]]
    assert history.pop("forgotten") == 0
    return history


@pytest.mark.parametrize("vector", WITH_TABLE, ids=named)
def test_the_oracle_says_the_same_of_the_same_commands(vector: dict[str, Any]) -> None:
    compared = 0
    for table, answer in told(vector):
        here = copy.deepcopy(table)
        for point in here["restore_points"]:
            del point["content"]
        del here["step"], here["one_instant"]
        for mine, other in zip(windows(here), windows(answer), strict=True):
            assert mine["from"] <= other.pop("from")  # guest writes are with the command after them
            assert mine["to"] <= other.pop("to")
            del mine["from"], mine["to"]
        assert answer == here
        compared += 1
    assert compared == len(vector["chains"])


def windows(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for point in table["restore_points"] for each in point["lost"]]


# What they are about


def test_there_are_right_orders_and_wrong_ones_of_every_kind() -> None:
    assert len(CHAINS) == len(HISTORIES) == len(OF) >= 80
    tables = [vector["chains"][-1] for vector in CHAINS]
    points = [point for table in tables for point in table["restore_points"]]
    count = Counter(point["gives"] for point in points)
    assert min(count.values()) >= 8
    assert set(count) == {"restores", "does not restore", "in part"}
    wrong = {vector["id"] for vector, table in zip(CHAINS, tables, strict=True)
             if any(point["lost"] for point in table["restore_points"])}  # fmt: skip
    assert wrong == {f"chain-{each.name}" for each in HISTORIES if each.lost}
    assert 30 <= len(wrong) <= len(CHAINS) - 30
    blamed = {
        (vector["steps"][each["blame"] - 1]["command"]["do"], each["why"].partition("d/")[0])
        for vector, table in zip(CHAINS, tables, strict=True)
        for point in table["restore_points"]
        for each in point["lost"]
    }
    assert {do for do, _ in blamed} >= {
        "add-bitmap", "clear-bitmap", "disable-bitmap", "remove-bitmap", "transaction", "copy", "cancel-job"
    }  # fmt: skip
    assert any(table["waived"] for table in tables)
    assert sum(bool(table["failed"]) for table in tables) >= 8
    assert sum(bool(table["one_instant"]) for table in tables) >= 4
    assert sum(len(vector["disks"]) > 1 for vector in CHAINS) >= 6
    assert any(point["not_on"] and point["stacks_on"] for point in points)
    modes = Counter(json.dumps(vector["steps"]).count(f'"bitmap_mode": "{mode}"') > 0
                    for vector in CHAINS for mode in ("always", "never"))  # fmt: skip
    assert modes[True] >= 12


def test_what_was_waived_is_made_good_by_a_later_full_backup_and_said_at_the_marked_steps() -> None:
    first, second = OF["waived-and-made-good"]["chains"][:2]
    assert [each["blocks"] for each in first["waived"]] == [[[65536, 512]]]
    assert second["waived"] == []


# Old readers


def with_more(data: Any) -> Any:
    """The same with members that nobody knows, everywhere but in commands."""
    if isinstance(data, list):
        return [with_more(each) for each in data]
    if not isinstance(data, dict):
        return data
    inner = {name: value if name == "command" else with_more(value) for name, value in data.items()}
    return {"of-a-later-release": [1], **inner, "x": {"y": None}}


def as_before(vector: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in vector.items() if name != "chains"}


def test_a_reader_of_before_plays_them_and_ignores_what_it_does_not_know() -> None:
    """The runner of the vectors' tests knows nothing of `chains`; what it ignores makes no difference to it."""
    for vector in (*CHAINS, *SUITE["workflows"]):
        for each in (vector, as_before(vector), with_more(vector)):
            assert play(ReferenceAdapter(), each) == "", vector["id"]
    mistake = "hook-never-called"
    (caught,) = (each for each in SUITE["mistakes"] if each["id"] == f"mistake-{mistake}")
    for each in (caught, as_before(caught), with_more(caught)):
        assert play(ReferenceAdapter(host_with(mistake), mistake), each)


def test_no_vector_without_chains_means_something_else_by_it() -> None:
    """The growth is one member at the end of each vector: all others are as they were."""
    for group, listed in SUITE.items():
        for vector in listed:
            assert [*vector][-1] == "chains"
            assert bool(vector["chains"]) == (group in ("chains", "workflows"))


# The format

POINT = ("chains", 0, "restore_points", 0)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("chains", 0, "step"), 99, "the backups after step 99: there are"),
        ((*POINT, "node"), "nowhere", "there is no disk 'nowhere'"),
        ((*POINT, "job"), "nobody", "a restore point of 'nobody', a job that did not end"),
        ((*POINT, "content"), [[0, 5]], "the runs do not make up 524288 bytes"),
        ((*POINT, "gives"), "in part", "is at odds with 'complete' or 'lost'"),
        ((*POINT, "gives"), "perhaps", "Invalid enum value 'perhaps'"),
        ((*POINT, "stacks_on"), [1], "stacks on one that is not before it"),
        ((*POINT, "number"), 9, "out of order"),
        (("chains", 0, "one_instant"), [[7]], "an instant of a restore point that is not there"),
        (("chains", 0, "restore_points", 1, "lost", 0, "blocks"), [[524288, 512]], "beyond 524288 bytes"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(path: tuple[Any, ...], value: Any, problem: str) -> None:
    vector = copy.deepcopy(OF["added-while-the-full-runs"])
    place: Any = vector
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    file = {"format": "cbtspec-vectors", "version": 1, "group": "chains", "title": "", "vectors": [vector]}
    with pytest.raises(VectorError) as refused:
        from_bytes(json.dumps(file).encode(), "FILE")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)
