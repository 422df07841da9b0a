"""With images, too, both walk the same graph and agree on every edge; and each mistake at restarts is found.

The deep worlds take minutes: `CBTSPEC_NIGHT=1 pytest tests/proofs/test_refine_images.py`.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.adapters.mistakes.registry import NarrowMistake
from cbtcheck.adapters.qcow2_store import MemoryStorage, Qcow2Store
from cbtcheck.cli.command import main
from cbtcheck.run.part import RESTARTS
from cbtcheck.scenario.images import refusal_kind
from cbtimpl.host import Host
from cbtimpl.images import ImageOfDisk, StoredBitmap
from cbtimpl.node import Node
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, Stored, happen
from cbtmodel.refusal import Refused
from cbtproofs.explorer.few_blocks import BLOCK, FewBlocks
from cbtproofs.explorer.image_scopes import Asked, ImageScope, events
from cbtproofs.refinement.concrete import EveryByte, copy_of, identity_of
from cbtproofs.refinement.failing import Failing, FailingStorage
from cbtproofs.refinement.image_abstraction import (
    misfits_of_images,
    parts_of_images,
    stored_abstraction,
    what_can_be_seen,
)
from cbtproofs.refinement.image_walk import ImageWalk, restarts_kill
from cbtproofs.refinement.image_worlds import MOST_REQUESTS, image_worlds, initially, of_image_scope
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.worlds import World
from click.testing import CliRunner

PAGE = (Path(__file__).parents[2] / "docs/understand/refinement.md").read_text()
Counts = tuple[int, int, int, int]

COUNTS: dict[str, Counts] = {
    "an image with a bitmap": (65, 65, 65, 1_625),
    "an image with coarse granules": (39, 39, 39, 585),
    "an image with two bitmaps": (249, 249, 172, 6_474),
    "an image and a job": (437, 437, 389, 12_236),
    "two images": (517, 517, 327, 10_857),
}
"""Pairs of states; states of the implementation, and of the specification; edges."""

WHERE_REQUESTS_FAIL: dict[str, Counts] = {
    "an image whose requests fail": (77, 77, 75, 21_098),
    "an image with two bitmaps, whose requests fail": (329, 329, 204, 92_120),
}
DEEP_WHERE_REQUESTS_FAIL: dict[str, Counts] = {"an image whose requests fail, and a job": (205, 205, 191, 57_810)}

DEEP: dict[str, Counts] = {
    "an image with two bitmaps, and a job": (2_585, 2_585, 1_581, 93_060),
    "an image of two blocks": (1_342, 1_342, 1_084, 40_260),
}

MISTAKES = {name: each for name, each in NARROW.items() if each.found_by == RESTARTS}
ADD, WRITE = Persist(c.AddBitmap("d", "a", BLOCK)), c.Write("d", 0, BLOCK)

deep = pytest.mark.skipif(os.environ.get("CBTSPEC_NIGHT") != "1", reason="takes minutes: set CBTSPEC_NIGHT=1")


def named(name: str) -> World:
    return next(world for world in image_worlds("deep") if world.name == name)


def agrees(name: str) -> Counts:
    """Walks it, and the specification alone: the walk has been to every state that is reached, and to no other."""
    world = named(name)
    walked = ImageWalk(world).run()
    if walked.disagreement is not None:
        pytest.fail(f"{walked.disagreement.differences} after {walked.disagreement.path}")
    assert walked.otherwise == 0
    assert walked.abstract == reached_alone(world)
    return walked.pairs, walked.concrete, len(walked.abstract), walked.edges


def reached_alone(world: World) -> frozenset[Any]:
    """What can be seen of all states that the specification reaches, told apart by all that is in them."""
    first = initially(world, FewBlocks())
    known: dict[Stored[frozenset[int]], None] = {first: None}
    listed = [first]
    for stored in listed:  # grows meanwhile
        for asked in world.commands:
            after = happen(stored, asked).stored
            if after not in known:
                known[after] = None
                listed.append(after)
    return frozenset(map(what_can_be_seen, known))


def test_all_worlds_are_here() -> None:
    assert {world.name for world in image_worlds("usual")} == {*COUNTS, *WHERE_REQUESTS_FAIL}
    deep_ones = {*DEEP, *DEEP_WHERE_REQUESTS_FAIL}
    assert {world.name for world in image_worlds("deep")} == {*COUNTS, *WHERE_REQUESTS_FAIL, *deep_ones}
    assert len(image_worlds("quick")) == 5


@pytest.mark.parametrize("name", COUNTS)
def test_both_agree_on_every_edge(name: str) -> None:
    pairs, _, _, edges = counts = agrees(name)
    assert counts == COUNTS[name]
    assert f"| {name} | {len(named(name).commands)} | {pairs:,} | {edges:,} |" in PAGE


@deep
@pytest.mark.parametrize("name", DEEP)
def test_both_agree_on_every_edge_of_larger_worlds(name: str) -> None:
    assert agrees(name) == DEEP[name]


# Requests that fail


def agrees_where_requests_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Walks it; the specification alone, where each way to fail is there, reaches no less."""
    world, most = named(name), 0

    class Counting(FailingStorage):
        def works_again(self) -> None:
            nonlocal most
            most = max(most, self.requests)
            super().works_again()

    monkeypatch.setattr("cbtproofs.refinement.subject.FailingStorage", Counting)
    walked = ImageWalk(world).run()
    if walked.disagreement is not None:
        pytest.fail(f"{walked.disagreement.differences} after {[*map(str, walked.disagreement.path)]}")
    assert 9 < most < MOST_REQUESTS, "the last numbers are those of requests that there are not"
    plain = [each for each in world.commands if not isinstance(each, Failing)]
    failures = [each for each in events(ImageScope()) if getattr(each, "fails", "")]
    assert walked.abstract <= reached_alone(replace(world, commands=(*plain, *failures)))
    return walked.pairs, walked.concrete, len(walked.abstract), walked.edges


@pytest.mark.parametrize("name", WHERE_REQUESTS_FAIL)
def test_both_agree_where_requests_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, _, _, edges = counts = agrees_where_requests_fail(name, monkeypatch)
    assert counts == WHERE_REQUESTS_FAIL[name]
    assert f"| {name} | {len(named(name).commands)} | {pairs:,} | {edges:,} |" in PAGE


@deep
@pytest.mark.parametrize("name", DEEP_WHERE_REQUESTS_FAIL)
def test_both_agree_where_requests_fail_of_larger_worlds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agrees_where_requests_fail(name, monkeypatch) == DEEP_WHERE_REQUESTS_FAIL[name]


class ValidAfterAFailure(Host):
    """What QEMU does (CRASH-2): a reopening fails, the file says that its bitmaps are valid, and writes go on."""

    def store_or_distrust(self, node: Node) -> None:
        """Stores, and no more."""
        self.store_image(node)


class WritesThoughItCannotBeMarked(Host):
    """The same where marking it again fails, too."""

    def store_or_distrust(self, node: Node) -> None:
        """As it is, and open for writing."""
        try:
            super().store_or_distrust(node)
        finally:
            self.set_read_only(node, False)


class HalfOpen(Host):
    """An opening fails, and the node is there."""

    def mark(self, image: ImageOfDisk) -> None:
        """Says nothing of what fails."""
        with suppress(OSError):
            super().mark(image)


class OpenAfterItsClose(Host):
    """A close fails, and the node is there still."""

    def close_image(self, name: str) -> None:
        """As it was before."""
        node = self.nodes.get(name)
        try:
            super().close_image(name)
        except OSError:
            assert node is not None
            self.nodes[name] = node
            raise


class JobsWaitForEver(Host):
    """A reopening fails, and what it has drained is not let go on."""

    def reopen_image(self, name: str, read_only: bool) -> None:
        """Writes are in flight as before."""
        node = self.nodes.get(name)
        before = None if node is None else dict(node.writes)
        try:
            super().reopen_image(name, read_only)
        except OSError:
            assert node is not None
            assert before is not None
            node.writes.update(before)
            raise


@pytest.mark.parametrize(
    "host", [ValidAfterAFailure, WritesThoughItCannotBeMarked, HalfOpen, OpenAfterItsClose, JobsWaitForEver]
)
def test_a_mistake_at_a_failing_request_is_found(host: type[Host]) -> None:
    found = restarts_kill(host, [named("an image whose requests fail")])
    assert found is not None
    assert isinstance(found.path[-1], Failing)
    assert re.fullmatch(r"\w+ d.*; request \d+( and all that follow)?: input/output error", str(found.path[-1]))
    assert restarts_kill(host, [named("an image with a bitmap")]) is None


class WalkOfEveryByte(ImageWalk):
    """Clusters are told apart, too."""

    image = EveryByte


def test_clusters_make_no_difference_as_far_as_it_is_walked() -> None:
    """Histories of up to eight steps; with bytes told apart there is no end in sight."""
    world = named("an image with a bitmap")
    walk, steps = WalkOfEveryByte(world), 0
    for steps in walk.levels():
        if steps == 8:
            break
    assert walk.disagreement is None
    assert steps == 8
    assert len(walk.known) > 5 * COUNTS[world.name][0]
    assert len(walk.abstract) == COUNTS[world.name][2]
    assert f"{len(walk.known):,} pairs after {steps} steps" in PAGE


# Mistakes


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_walk_finds_the_mistake(mistake: NarrowMistake) -> None:
    found = restarts_kill(mistake.host)
    assert found is not None
    assert 2 <= len(found.path) <= 6
    assert found.differences
    assert found.world.images


def test_the_page_says_how_many() -> None:
    assert f"each of the {len(MISTAKES)} mistakes at restarts" in PAGE


class StoresWhatIsNotTrusted(Host):
    """Stores an inconsistent bitmap, in memory only."""

    def loaded(self, name: str, entry: StoredBitmap, node: Any) -> Any:
        """Without saying that it is to be stored."""
        bitmap = super().loaded(name, entry, node)
        bitmap.persistent = not bitmap.inconsistent
        return bitmap


def test_what_does_not_fit_together_stands_for_nothing() -> None:
    found = restarts_kill(StoresWhatIsNotTrusted)
    assert found is not None
    assert found.differences == ("d/a: inconsistent, and not to be stored",)


def test_a_mistake_of_a_reply_and_of_the_ends_of_jobs_is_found() -> None:
    class NeverBusy(Host):
        def check_nothing_busy(self, node: Any) -> None:
            """Nobody is."""

    found = restarts_kill(NeverBusy)
    assert found is not None
    assert "the reply should be busy, but is accepted" in found.differences

    class ForgetsEnds(Host):
        def close_image(self, name: str) -> None:
            """Does not say which jobs it has cancelled."""
            super().close_image(name)
            self.ended.clear()

    found = restarts_kill(ForgetsEnds)
    assert found is not None
    assert any("jobs that end should be j cancelled, but are none" in each for each in found.differences)


# The abstraction function


def played(*steps: Asked, host: type[Host] = Host, image: type[Qcow2Store] = Qcow2Store) -> Subject:
    subject = Subject(host, {"d": 3 * BLOCK}, image)
    for each in steps:
        subject.perform(each)
    return subject


HISTORIES: dict[str, tuple[Asked, ...]] = {
    "just added": (ADD, WRITE),
    "closed": (ADD, WRITE, Close("d")),
    "open again": (ADD, WRITE, Close("d"), Open("d")),
    "left by a crash": (ADD, WRITE, Close("d"), Open("d"), Crash(), Open("d")),
    "only read": (ADD, WRITE, Reopen("d", writable=False)),
    "a job and a write": (
        ADD, WRITE, c.StartBackup("j", "d", "incremental", "a", cluster=BLOCK), c.BeginWrite("d", "w", BLOCK, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HISTORIES)
def test_the_abstraction_of_a_history(name: str) -> None:
    space, subject = FewBlocks(), played(*HISTORIES[name])
    stored = initially(World("", (("d", 3 * BLOCK),), (), images=True), space)
    for each in HISTORIES[name]:
        stored = happen(stored, each).stored
    seen = stored_abstraction(subject.host, subject.stores, space)
    assert seen == what_can_be_seen(stored)
    assert parts_of_images(seen)
    assert [*misfits_of_images(subject.host)] == []


def test_a_copy_is_equal_and_shares_no_file() -> None:
    original = played(ADD, WRITE)
    copy, before = original.copy(), original.identity()
    assert copy.identity() == before
    copy.perform(Close("d"))
    assert copy.identity() != before == original.identity()
    assert copy.stores["d"] is copy.host.images["d"].store
    assert copy.stores["d"].seen()
    assert not original.stores["d"].seen()


def test_what_is_in_a_file_tells_states_apart_and_clusters_do_only_if_asked() -> None:
    once, twice = (ADD, Close("d")), (ADD, Close("d"), Open("d"), Close("d"))
    assert played(*once).identity() == played(*twice).identity()
    assert played(*once).identity() != played(ADD, WRITE, Close("d")).identity()
    assert played(*once, image=EveryByte).identity() != played(*twice, image=EveryByte).identity()


def test_an_image_in_memory_is_the_same_as_one_in_a_file() -> None:
    storage = MemoryStorage()
    storage.write(3, b"abc")
    assert (storage.size, storage.read(2, 9), storage.read(9, 9), storage.read(0, -1)) == (6, b"\0abc", b"", b"")
    storage.renew(b"x")
    assert (storage.size, bytes(copy_of(storage).content)) == (1, b"x")
    assert identity_of(storage) == identity_of(copy_of(storage))


def test_refusals_have_the_kinds_that_implementations_say() -> None:
    assert [refusal_kind(each) for each in ("not open", "no image", "open already", "busy", "read only", None)] == [
        "not found", "not found", "exists", "busy", "read only", "",
    ]  # fmt: skip
    assert refusal_kind(Refused("invalid", "why")) == "invalid"


# The command


def tiny(monkeypatch: pytest.MonkeyPatch) -> World:
    """Nothing else is walked."""
    world = of_image_scope("tiny", ImageScope(jobs=0, flight=False, switches=False, fails=False))
    monkeypatch.setattr("cbtcheck.cli.refined.worlds", lambda name: ())
    monkeypatch.setattr("cbtcheck.cli.refined.image_worlds", lambda name: (world,))
    return world


def test_the_command_walks_images_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny(monkeypatch)
    shown = CliRunner().invoke(main, ["refine"])
    assert shown.exit_code == 0
    edges = ImageWalk(world).run().edges
    assert re.search(rf"agree on all {edges:,} edges", shown.output)


def test_the_command_draws_where_they_part(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny(monkeypatch)
    shown = CliRunner().invoke(main, ["refine", "--mistake", "in-use-is-trusted"])
    assert shown.exit_code == 2
    assert "they part in 'tiny', after 5 commands" in shown.output
    assert "✗  d/a to be stored should be inconsistent, but is sound" in shown.output
    report = json.loads(
        CliRunner().invoke(main, ["refine", "--mistake", "in-use-is-trusted", "--format", "json"]).stdout
    )  # fmt: skip
    scenario = report["disagreement"]["scenario"]
    assert scenario["images"] is True
    assert [each["do"] for each in scenario["commands"]] == ["add-bitmap", "close", "open", "crash", "open"]


def test_the_command_shows_the_request_that_fails_and_what_can_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    world = named("an image whose requests fail")
    monkeypatch.setattr("cbtcheck.cli.refined.worlds", lambda name: ())
    monkeypatch.setattr("cbtcheck.cli.refined.image_worlds", lambda name: (world,))
    monkeypatch.setattr("cbtcheck.cli.refined._host", lambda mistake: ValidAfterAFailure)
    shown = CliRunner().invoke(main, ["refine"])
    assert shown.exit_code == 2
    failing = "reopen d for reading only; request 9: input/output error"
    assert f"   2  {failing}\n   ✗  the image of d: a should be in use, but is valid" in shown.output
    found = json.loads(CliRunner().invoke(main, ["refine", "--format", "json"]).stdout)["disagreement"]
    assert found["failing"] == [failing]
    assert [each["do"] for each in found["scenario"]["commands"]] == ["add-bitmap"]
