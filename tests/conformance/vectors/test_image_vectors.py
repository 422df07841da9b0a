"""Vectors about stored bitmaps: they come out as their histories say, and catch what goes wrong at restarts."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cbtcheck.adapter import Observation
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.adapters.mistakes.registry import host_class
from cbtcheck.adapters.mistakes.restarts import RESTARTS
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.scenario.images import EVENTS
from cbtcheck.vectors import folder
from cbtcheck.vectors.format import from_bytes
from cbtcheck.vectors.record import VectorError
from cbtcheck.vectors.restarts.telling import INCONSISTENT, ImageHistory, sound
from cbtcheck.vectors.restarts.told import IMAGE_HISTORIES, check, scenario_of
from cbtcheck.vectors.written import Told, vector
from cbtimpl import Host
from cbtimpl.actions import BitmapRemove
from cbtimpl.bitmap import Bitmap
from cbtimpl.images import ImageOfDisk, StoredBitmap
from cbtimpl.node import Node
from cbtimpl.state import Step
from vector_runner import play

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "conformance" / "vectors"
IMAGES: list[dict[str, Any]] = json.loads((VECTORS / "images.json").read_bytes())["vectors"]
OF = {each["id"].removeprefix("image-"): each for each in IMAGES}


def caught(
    host: Callable[[], Host], name: str, adapter: type[ReferenceAdapter] = ReferenceAdapter
) -> Iterator[str]:  # fmt: skip
    """The vectors that fail."""
    made = adapter(host, name)
    try:
        yield from (each["id"] for each in IMAGES if play(made, each))
    finally:
        made.close()


# The mistakes of the phase *restarts*


class ShowsNoFile(ReferenceAdapter):
    """What is in the files of images cannot be seen."""

    def observe(self, exact: frozenset[tuple[str, str]] | None = None) -> Observation:
        """Without entries."""
        seen = super().observe(exact)
        return replace(seen, images={name: replace(each, entries=None) for name, each in (seen.images or {}).items()})


@pytest.mark.parametrize("adapter", [ReferenceAdapter, ShowsNoFile])
@pytest.mark.parametrize("name", [name for name, each in NARROW.items() if each.line == RESTARTS])
def test_each_mistake_at_restarts_is_caught(name: str, adapter: type[ReferenceAdapter]) -> None:
    """Also by those who cannot look into the file: then by what comes out of it."""
    assert any(caught(NARROW[name].host, name, adapter))


# Mistakes that were written when the vectors were there: one of each kind of history. Of these no vector caught
# `StaysReadOnlyWhenReopened` at first; there are two more since.


class OnlyWhatRecordsIsStored(Host):
    def to_store(self, node: Node) -> dict[str, StoredBitmap]:
        return {name: each for name, each in super().to_store(node).items() if each.enabled or each.in_use}


class CrashKeepsTheJobs(Host):
    def crash(self) -> None:
        jobs = self.jobs
        super().crash()
        self.jobs = jobs


class NameOfAnInconsistentOneIsFree(Host):
    def check_free_name(self, node: Node, name: str) -> None:
        if name in node.bitmaps and not node.bitmaps[name].inconsistent:
            super().check_free_name(node, name)


class NothingCanBeDisabledThatIsReadOnly(Host):
    def check_disable(self, bitmap: Bitmap) -> None:
        super().check_disable(bitmap)
        self.check_not_read_only(bitmap)


class StaysReadOnlyWhenReopened(Host):
    def reopen_image(self, name: str, read_only: bool) -> None:
        super().reopen_image(name, read_only)
        for bitmap in self.nodes[name].bitmaps.values():
            bitmap.read_only = bitmap.persistent


class MarksEveryImage(Host):
    def mark(self, image: ImageOfDisk) -> None:
        for each in self.images.values():
            super().mark(each)


class CloseForgetsJobs(Host):
    def close_image(self, name: str) -> None:
        before = len(self.ended)
        super().close_image(name)
        del self.ended[before:]


class WithdrawnRemovalIsNotStoredAgain(Host):
    def prepare_remove(self, action: BitmapRemove) -> Step:
        step = super().prepare_remove(action)
        self.find_bitmap(action.node, action.name).persistent = False
        return step


class ClosedImageCanBeReopened(Host):
    def reopen_image(self, name: str, read_only: bool) -> None:
        if name in self.nodes:
            super().reopen_image(name, read_only)


WRITTEN_AFTERWARDS = {
    OnlyWhatRecordsIsStored: "image-disabled-when-it-is-closed",
    CrashKeepsTheJobs: "image-crash-while-a-backup-runs",
    NameOfAnInconsistentOneIsFree: "image-inconsistent-takes-its-name",
    NothingCanBeDisabledThatIsReadOnly: "image-read-only-and-disabled",
    StaysReadOnlyWhenReopened: "image-reopened-to-write-and-cleared",
    MarksEveryImage: "image-crash-of-two-disks",
    CloseForgetsJobs: "image-closed-while-an-increment-runs",
    WithdrawnRemovalIsNotStoredAgain: "image-transaction-removal-withdrawn",
    ClosedImageCanBeReopened: "image-reopened-while-it-is-closed",
}


@pytest.mark.parametrize("mistake", WRITTEN_AFTERWARDS, ids=lambda each: each.__name__)
def test_mistakes_that_nobody_had_thought_of_are_caught(mistake: type[Host]) -> None:
    assert WRITTEN_AFTERWARDS[mistake] in caught(host_class(mistake), mistake.__name__)


# An implementation in another program


def persistent(*mistake: str) -> list[str]:
    """The vectors that fail on the example that stores its bitmaps in files. It makes no backups itself."""
    adapter = ExecAdapter(["python3", str(ROOT / "examples/python-persistent/adapter.py"), *mistake])
    adapter._suite = None  # commands go to it as they are: what the suite does itself takes the specification's state
    try:
        claims = adapter.capabilities
        words = (claims.commands - {"start-backup"}) | claims.features
        mine = [each for each in IMAGES if {word for word in each["needs"] if ":" not in word} <= words | {"tails"}]
        assert len(mine) > 50
        return [f"{each['id']}: {found}" for each in mine if (found := play(adapter, each))]
    finally:
        adapter.close()


def test_the_example_passes_them() -> None:
    assert persistent() == []


@pytest.mark.parametrize("mistake", ["no-mark", "trusts", "heals", "loses-flag"])
def test_the_mistakes_of_the_example_are_caught(mistake: str) -> None:
    assert persistent(mistake)


# What they are about


def test_there_is_a_vector_for_each_history_and_they_have_every_event_and_reason() -> None:
    assert list(OF) == [each.name for each in IMAGE_HISTORIES]
    steps = [step for each in IMAGES for step in each["steps"]]
    asked = Counter(step["command"]["do"] for step in steps)
    assert asked.keys() >= {*EVENTS, "transaction", "merge-bitmaps", "start-backup", "copy", "remove-bitmap"}
    refused = Counter(kind for step in steps for kind in step["refused"])
    assert {*refused} == {"not found", "exists", "busy", "aborted", "read only", "inconsistent"}
    entries = [entry for step in steps for image in step["after"]["images"] for entry in image["entries"]]
    assert {(each["in_use"], each["enabled"]) for each in entries} >= {(True, True), (False, True), (False, False)}
    assert all("persistence" in each["needs"] and "RULE-DISK" in each["properties"] for each in IMAGES)
    assert len(IMAGES) >= 90


def test_after_others_have_written_the_content_is_anything_until_the_guest_writes() -> None:
    steps = OF["written-by-others"]["steps"]
    at = next(number for number, each in enumerate(steps) if each["command"]["do"] == "written-by-others")
    assert [each["after"]["disks"][0]["content"] for each in steps[at : at + 3]] == [
        [[-1, 524288]], [[-1, 524288]], [[-1, 131072], [6, 512], [-1, 392704]],
    ]  # fmt: skip


HISTORY = next(each for each in IMAGE_HISTORIES if each.name == "inconsistent-takes-its-name")


@pytest.mark.parametrize(
    "changed",
    [
        replace(HISTORY, comes={}), replace(HISTORY, comes={"b": sound()}), replace(HISTORY, refused={8: "exists"}),
        replace(HISTORY, refused={8: "exists", 9: "busy"}), replace(HISTORY, comes={"c": INCONSISTENT}),
        replace(HISTORY, steps=HISTORY.steps[:2], refused={}),
    ],
)  # fmt: skip
def test_a_history_that_comes_out_otherwise_than_it_says_is_found(changed: ImageHistory) -> None:
    check(HISTORY, vector(Told("image-x", ""), scenario_of(HISTORY)))
    with pytest.raises(AssertionError):
        check(changed, vector(Told("image-x", ""), scenario_of(changed)))


def test_chains_are_not_said_of_images() -> None:
    with pytest.raises(ValueError, match="not followed across images"):
        vector(Told("image-x", ""), scenario_of(HISTORY), chains_after=(1,))


# Other vectors, and readers of before


@pytest.mark.parametrize("group", ["mistakes", "workflows", "chains", "ledger"])
def test_no_other_vector_says_anything_of_images(group: str) -> None:
    lines = (VECTORS / f"{group}.json").read_text().splitlines()
    raw = "\n".join(line for line in lines if not line.startswith('{"id":"ledger-CRASH-'))
    for word in ('"persistent"', '"inconsistent"', '"images"', '"persistence"'):
        assert word not in raw


# The format


def small(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """A file with one vector, changed at these places; None: the member is gone."""
    made = copy.deepcopy(OF["closed-and-opened"])
    for (*path, last), value in changes:
        place: Any = made
        for each in path:
            place = place[each]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return {"format": "cbtspec-vectors", "version": 1, "group": "images", "title": "", "vectors": [made]}


AFTER = ("steps", 3, "after")
ENTRY = (*AFTER, "images", 0, "entries", 0)
BAD: list[tuple[tuple[Any, ...], Any, str]] = [
    ((*AFTER, "images"), None, "step 4: 'images' are said if the vector needs 'persistence'"),
    (("needs",), ["write"], "'add-bitmap' is about images, and the vector does not need 'persistence'"),
    (("steps", 0, "after", "bitmaps", 0, "persistent"), None, "step 1: 'persistent' and 'inconsistent' are said if"),
    ((*AFTER, "images", 0, "node"), "e", "step 4: there is no disk 'e'"),
    ((*AFTER, "images"), [], "step 4: not the images of all disks"),
    ((*AFTER, "images", 0, "open"), "rx", "Invalid enum value 'rx'"),
    ((*ENTRY, "must"), [[0, 1 << 40]], "step 4: the image of 'd': extent [0,1099511627776] is empty, out of order"),
    ((*ENTRY, "size"), 1, "unknown field `size`"),
    ((*AFTER, "images", 0, "entries"), [OF["closed-and-opened"]["steps"][3]["after"]["images"][0]["entries"][0]] * 2,
     "step 4: the image of 'd': there are two bitmaps of a name"),
    (("steps", 3, "command", "fails"), True, "step 4: 'close' has no 'fails'"),
    (("steps", 3, "refused"), ["read-only"], "Invalid enum value 'read-only'"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "problem"), BAD, ids=[each[2][:40] for each in BAD])
def test_a_bad_file_is_refused_in_one_line(path: tuple[Any, ...], value: Any, problem: str) -> None:
    assert from_bytes(json.dumps(small()).encode(), "FILE")
    with pytest.raises(VectorError) as refused:
        from_bytes(json.dumps(small((path, value))).encode(), "FILE")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_event_in_a_vector_that_does_not_need_persistence_is_refused() -> None:
    ledger = json.loads((VECTORS / "ledger.json").read_bytes())
    ledger["vectors"][0]["steps"][0]["command"] = {"do": "crash"}
    with pytest.raises(VectorError, match="'crash' is about images, and the vector does not need 'persistence'"):
        from_bytes(json.dumps(ledger).encode(), "FILE")


def test_the_schema_has_images_where_they_are_needed_and_nowhere_else() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((VECTORS / folder.SCHEMA).read_bytes()))
    assert validator.is_valid(small())
    wrong = [
        (("needs",), ["write"]), ((*AFTER, "images"), None),
        (("steps", 0, "after", "bitmaps", 0, "persistent"), None),
        (("steps", 0, "command", "persistent"), 1), (("steps", 4, "command", "writable"), None),
        (("steps", 3, "command", "fails"), True), ((*ENTRY, "in_use"), None),
    ]  # fmt: skip
    for each in wrong:
        assert not validator.is_valid(small(each)), each
    ledger = json.loads((VECTORS / "ledger.json").read_bytes())
    assert validator.is_valid(ledger)
    ledger["vectors"][0]["steps"][0]["command"]["persistent"] = False
    assert not validator.is_valid(ledger)
