"""The tour of images: it takes every edge of every world, each where it says, and finds the mistakes at restarts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import FEATURES_OF_VERSION_1, Adapter
from cbtcheck.adapters.mistakes import NARROW, NarrowMistake
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run import course, plan
from cbtcheck.run.gather import OF_WHAT_IS_NOT_CLAIMED
from cbtcheck.run.options import Options
from cbtcheck.run.part import NOT_ASKED_FOR, NOT_IN_THE_PART
from cbtcheck.run.plan import Plan, WalkedInImages
from cbtcheck.run.profiles import Profile
from cbtcheck.run.report import Report
from cbtcheck.run.tour_of_images import edges_of
from cbtcheck.scenario.scenario import from_bytes, load
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.tour.images.graph import graph
from cbtcheck.search.tour.images.walks import ImageWalk, edges_of_images, tour_of_images
from cbtcheck.search.tour.images.words import edge
from cbtcheck.search.tour.images.world import ImageWorld, image_worlds
from cbtcheck.search.tour.reachable import BLOCK, SCOPES, D
from cbtcheck.search.tour.sizes import AS_IN_THE_WORLD, one_cluster_a_block, scaled, sizes_for
from cbtmodel import commands as c
from cbtmodel.image import Crash, Open, Persist, Reopen, happen
from click.testing import CliRunner

CLAIMS = ReferenceAdapter.capabilities
SIZES = sizes_for(CLAIMS)

# states and what can happen in each of them, by world
GRAPHS = {
    "an image, a bitmap and a job": (59, 19),
    "an image of two blocks, and a job": (41, 16),
    "an image of three blocks": (39, 12),
    "two bitmaps in an image": (75, 11),
    "an image and every job": (389, 30),
    "two bitmaps in an image, merged": (220, 25),
    "an image, with copies in flight": (555, 32),
}

# walks, their steps, and the edges of a scope
PINNED = {"quick": (172, 4074, 2457), "ci": (1072, 29254, 17350), "deep": (1499, 41088, 23440)}

OF_RESTARTS = {name: each for name, each in NARROW.items() if each.line == "restarts"}


# The graph


@pytest.mark.parametrize("world", image_worlds("deep"), ids=lambda world: world.name)
def test_the_words_of_a_state_tell_it_from_all_others(world: ImageWorld) -> None:
    found = graph(world).edges
    assert len({listed[0].told.state for listed in found}) == len(found)
    assert (len(found), len(world.alphabet)) == GRAPHS[world.name]
    assert len(graph(world).told) == len(found) * len(world.alphabet), "every command is an edge in every state"


def test_a_larger_scope_has_all_edges_of_a_smaller_one() -> None:
    quick, ci, deep = map(edges_of_images, SCOPES)
    assert quick < ci < deep


def test_every_event_is_accepted_somewhere_and_refused_somewhere_if_it_can_be() -> None:
    came = {(each.command, each.outcome.startswith("refused")) for each in edges_of_images("quick")}
    events = {"open", "close", "reopen", "written-by-others", "add-bitmap"}
    assert came >= {(word, refused) for word in events for refused in (False, True)}
    assert ("crash", False) in came


def test_nothing_fails_in_these_worlds() -> None:
    for world in image_worlds("deep"):
        assert not any(getattr(each, "fails", False) for each in world.alphabet)


# The walks


@pytest.mark.parametrize("scope", SCOPES)
def test_each_edge_is_an_aim_of_one_walk(scope: str) -> None:
    walks = tour_of_images(scope, CLAIMS)
    aims = Counter(told for walk in walks for told in walk.aims)
    assert aims.keys() == edges_of_images(scope)
    assert set(aims.values()) == {1}
    assert (len(walks), sum(len(walk.steps) for walk in walks), len(aims)) == PINNED[scope]
    assert max(len(walk.steps) for walk in walks) < 60


def test_a_walk_takes_the_edges_that_it_says() -> None:
    by_name = {world.name: world for world in image_worlds("quick")}
    for walk in tour_of_images("quick", CLAIMS):
        stored, took = by_name[walk.world].initial(), []
        for asked in walk.steps:
            happened = happen(stored, asked)
            took.append(edge(stored, D, BLOCK, asked, happened))
            stored = happened.stored
        assert tuple(took) == walk.takes


def test_the_sizes_of_an_implementation_change_no_edge() -> None:
    player = Player(ReferenceAdapter())
    for number, walk in enumerate(tour_of_images("quick", CLAIMS)[::9]):
        sizes = SIZES[number % len(SIZES)]
        assert player.play_scenario(walk.scenario(sizes)) == []
        world = {scaled(each, sizes): each for each in walk.steps}
        took = [told for frame in player.frames for told in edges_of(frame, world, sizes.block)]
        assert tuple(took) == walk.takes


def test_what_is_added_to_be_stored_is_put_into_other_sizes_too() -> None:
    add = Persist(c.AddBitmap(D, "a", BLOCK))
    assert scaled(add, SIZES[0]) == Persist(c.AddBitmap(D, "a", SIZES[0].granularity))


def test_who_picks_what_is_copied_has_a_cluster_for_each_block() -> None:
    listed = one_cluster_a_block(QemuAdapter.capabilities)
    assert listed
    assert all(each.block == each.cluster for each in listed)


def test_a_walk_can_be_saved_and_read(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["tour", "--images", "--write", str(tmp_path), "--adapter", "qemu"])
    assert (result.exit_code, len([*tmp_path.iterdir()])) == (0, PINNED["quick"][0])
    assert load(tmp_path / "0001.json").images
    assert from_bytes((tmp_path / "0172.json").read_bytes()).disks == {D: 65536}


def test_the_command_lists_it() -> None:
    said = CliRunner().invoke(main, ["tour", "--images"]).output.splitlines()
    walks, steps, edges = PINNED["quick"]
    assert said[-1] == f"{walks:,} walks, {steps:,} steps: all {edges:,} edges of images of the scope 'quick'"
    assert len(said) == walks + 1


def test_either_answer_takes_an_edge_in_which_implementations_differ() -> None:
    """QEMU 11 adds no bitmap that is to be stored to a disk that is only read; others do."""
    stored = happen(image_worlds("quick")[0].initial(), Reopen(D, writable=False)).stored
    add = Persist(c.AddBitmap(D, "a", BLOCK))
    one, other = (edge(stored, D, BLOCK, add, happen(stored, each)) for each in (add, replace(add, fails=True)))
    assert one.outcome == "accepted, or refused: read only"
    assert one.state == other.state == "only read"


# In a run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """A run of the tour of images alone: of each so manyeth walk of it."""

    def of(adapter: Adapter, every: int = 1, only: str | None = None) -> Report:
        monkeypatch.setattr(plan, "tour", lambda _: ())
        monkeypatch.setattr(plan, "tour_of_images", lambda *claimed: tour_of_images(*claimed)[::every])
        monkeypatch.setattr(plan, "workflows", dict)
        monkeypatch.setattr(plan, "traps", lambda _: {})
        monkeypatch.setattr(plan, "families", lambda: ())
        monkeypatch.setattr(plan, "restarts", lambda *_: {})
        monkeypatch.setattr(Profile, "lengths", lambda _: [])
        monkeypatch.setattr(plan.Plan, "drawn", lambda self: iter(()))
        options = Options("quick", 1, None, None, only, tmp_path / "r")
        return course.run(lambda: adapter, options, lambda *_: None)

    return of


def test_the_reference_takes_every_edge(run: Callable[..., Report]) -> None:
    report = run(ReferenceAdapter())
    walks, steps, edges = PINNED["quick"]
    assert (report.images.covered, report.images.reachable, report.images.unreached) == (edges, edges, {})
    assert (report.phases, report.steps, report.failures) == ({"tour of images": walks}, steps, [])
    assert report.properties["RULE-DISK"].checked > steps


def test_the_reference_agrees_in_larger_worlds_too() -> None:
    player = Player(ReferenceAdapter(), self_check=True)
    for number, walk in enumerate(tour_of_images("ci", CLAIMS)[172::13]):
        assert player.play_scenario(walk.scenario(SIZES[number % len(SIZES)])) == []
    assert not player.not_realised


def test_what_is_not_claimed_is_in_no_walk_and_counted(run: Callable[..., Report]) -> None:
    class Modest(ReferenceAdapter):
        capabilities = replace(CLAIMS, commands=CLAIMS.commands - {"begin-write", "end-write"})

    report = run(Modest())
    assert set(report.images.unreached) == {OF_WHAT_IS_NOT_CLAIMED}
    assert report.images.unreached[OF_WHAT_IS_NOT_CLAIMED] == 390
    assert report.images.covered == 2457 - 390
    assert not report.failures


def test_who_does_not_claim_images_has_none(run: Callable[..., Report]) -> None:
    adapter: Any = ReferenceAdapter()
    adapter.capabilities = replace(CLAIMS, features=FEATURES_OF_VERSION_1)
    assert run(adapter).images == Report("", "", "", "", 0).images


def walked(name: str, seed: int, only: str | None = None, profile: str = "quick") -> list[WalkedInImages]:
    items = Plan(name, QemuAdapter.capabilities, Options(profile, seed, None, None, only, Path("r"))).images()
    return [each.what for each in items if isinstance(each.what, WalkedInImages)]


def test_on_qemu_a_part_is_played_that_the_seed_chooses() -> None:
    one, other = ([each.left_out for each in walked("qemu", seed)] for seed in (1, 2))
    assert set(one) == {"", NOT_IN_THE_PART}
    assert one.count("") == other.count("") == -(-len(one) // 3)
    assert one != other
    assert {each.left_out for each in walked("reference", 1)} == {""}
    assert {each.left_out for each in walked("qemu", 1, profile="deep")} == {""}


def test_what_is_left_out_is_counted_as_not_reached(run: Callable[..., Report], monkeypatch: Any) -> None:
    monkeypatch.setattr(ReferenceAdapter, "name", "qemu")
    monkeypatch.setattr(plan, "entries_of", lambda _: [])
    report = run(ReferenceAdapter())
    assert set(report.images.unreached) == {NOT_IN_THE_PART}
    assert report.images.covered + report.images.unreached[NOT_IN_THE_PART] == report.images.reachable
    assert report.phases["tour of images"] == 58


def test_only_walks_that_have_what_is_named_are_played(run: Callable[..., Report]) -> None:
    report = run(ReferenceAdapter(), only="cancel-job")
    with_it = [each for each in tour_of_images("quick", CLAIMS) if c.CancelJob("j") in each.steps]
    assert report.phases["tour of images"] == len(with_it)
    assert set(report.images.unreached) == {NOT_ASKED_FOR}


def test_what_came_between_is_told_of_each_edge(run: Callable[..., Report], monkeypatch: Any) -> None:
    def turn_away(self: course.Course, state: Any, asked: Any) -> bool:
        if isinstance(asked, Crash):
            self.turned_away_now.append("REF-1")
        return isinstance(asked, Crash)

    monkeypatch.setattr(course.Course, "turn_away", turn_away)
    report = run(ReferenceAdapter())
    assert report.images.unreached["crash: turned away (REF-1)"] > 100
    assert set(report.images.unreached) == {"crash: turned away (REF-1)", "all as asked, but in another state"}


def test_after_a_failure_the_edges_of_a_walk_are_not_reached(run: Callable[..., Report]) -> None:
    mistake = OF_RESTARTS["stale-entries-are-believed"]
    report = run(ReferenceAdapter(mistake.host, mistake.name))
    assert report.images.unreached["after a failure"] > 0
    assert report.images.covered < report.images.reachable
    assert report.verdict is mistake.verdict
    assert min(len(each.scenario.commands) for each in report.failures) <= 5


def test_it_is_played_on_a_real_daemon_and_agrees(binary: str, run: Callable[..., Report]) -> None:
    report = run(QemuAdapter(binary), every=6)
    assert [str(finding) for each in report.failures for finding in each.findings] == []
    assert report.phases["tour of images"] == 10
    assert report.images.covered > 100


# The seeded mistakes


LESS = {"inconsistent-can-be-used": Verdict.DIVERGES}
"""Each walk ends where such a bitmap is used at first, before anything is lost by it; restarts go on."""


def finds(mistake: NarrowMistake, walks: tuple[ImageWalk, ...]) -> bool:
    """Whether one of these walks shows it with its verdict, or with the lesser one that is told above."""
    player = Player(ReferenceAdapter(mistake.host, mistake.name))
    for number, walk in enumerate(walks):
        findings = player.play_scenario(walk.scenario(SIZES[number % len(SIZES)]))
        if findings and verdict_of(findings) is LESS.get(mistake.name, mistake.verdict):
            return True
    return False


@pytest.mark.parametrize("mistake", OF_RESTARTS.values(), ids=OF_RESTARTS.keys())
def test_the_quick_tour_finds_every_mistake_at_restarts(mistake: NarrowMistake) -> None:
    assert finds(mistake, tour_of_images("quick", CLAIMS))


def test_the_title_of_a_walk_says_where_it_is() -> None:
    walk = next(each for each in tour_of_images("quick", CLAIMS) if Open(D) in each.steps)
    assert walk.scenario(AS_IN_THE_WORLD).title == "the tour of images: an image, a bitmap and a job"
