"""The tour: it takes every edge, the universal disk has every history, and they find nearly every mistake."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import Adapter
from cbtcheck.adapters.mistakes import MISTAKES, host_with
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.cli.command import main
from cbtcheck.follow.play import Player
from cbtcheck.run import course, plan
from cbtcheck.run.hunting_on_tour import histories_kill, tour_kills
from cbtcheck.run.options import Options
from cbtcheck.run.profiles import Profile
from cbtcheck.run.report import Report
from cbtcheck.scenario.scenario import Scenario, load
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.search.tour.coverage import Coverage
from cbtcheck.search.tour.narrow import narrow
from cbtcheck.search.tour.one_cluster_at_a_time import one_cluster_at_a_time
from cbtcheck.search.tour.reachable import A, D, World, explore, reachable, worlds
from cbtcheck.search.tour.sizes import AS_IN_THE_WORLD, Sizes, sizes_for, sizes_for_histories, wide
from cbtcheck.search.tour.universal_play import (
    ControlSequence,
    Play,
    control_sequences,
    different_histories,
    gray_code,
    plays,
)
from cbtcheck.search.tour.walks import Walk, edges_of, not_claimed, tour
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step
from click.testing import CliRunner

CAPABILITIES = ReferenceAdapter.capabilities

# walks and their commands, control sequences and their write histories; see test_coverage.py on how to pin them anew
PINNED = {"quick": (781, 2779, 430, 7916), "ci": (1355, 4950, 833, 16914)}

ADD, WRITE, BEGIN, END = c.AddBitmap(*A, 512), c.Write(D, 0, 512), c.BeginWrite(D, "w", 0, 512), c.EndWrite(D, "w")
START = c.StartBackup("j", D, "incremental", "a", None, 512)
COPY = c.Copy("j", 0, 512)


def sequence_of(*commands: Any, blocks: int = 1, written: tuple[int, ...] = (0,)) -> ControlSequence:
    return ControlSequence(((D, blocks),), commands, frozenset((D, block) for block in written))


# The tour


@pytest.mark.parametrize("scope", ["quick", "ci"])
def test_the_tour_takes_every_edge_of_its_scope(scope: str) -> None:
    walks = tour(scope)
    for walk in walks:
        assert walk.aims <= edges_of(walk.world, walk.commands)
    assert set().union(*(walk.aims for walk in walks)) == reachable(scope)
    assert sum(len(walk.aims) for walk in walks) == len(reachable(scope)), "an edge is the aim of one walk"


@pytest.mark.parametrize("scope", ["quick", "ci"])
def test_the_counts_are_those_that_were_reviewed(scope: str) -> None:
    walks = tour(scope)
    sequences = control_sequences(walks)
    pairs = sum(different_histories(plays(each, 64)) for each in sequences)
    assert (len(walks), sum(len(walk.commands) for walk in walks), len(sequences), pairs) == PINNED[scope]


def test_no_walk_is_the_beginning_of_another() -> None:
    whole = {(walk.world.name, walk.commands) for walk in tour("quick")}
    beginnings = {(name, commands[:length]) for name, commands in whole for length in range(len(commands))}
    assert not whole & beginnings
    assert len(whole) == len(tour("quick"))


def test_each_way_is_as_short_as_it_can_be() -> None:
    """All lists of up to three commands lead to no edge that has a longer way."""
    world = World("small", ((D, 1),), (ADD, WRITE, START, COPY))
    explored = explore(world)
    shorter: set[Any] = set()
    lists: list[tuple[c.Command, ...]] = [()]
    for length in range(1, 4):
        lists = [(*each, command) for each in lists for command in world.alphabet]
        new = set().union(*(edges_of(world, each) for each in lists)) - shorter
        assert {edge for edge in explored.edges if len(explored.path(edge)) == length} == new
        shorter |= new


def test_a_process_does_not_matter() -> None:
    shown = "[print(walk.world.name, walk.commands, sorted(walk.aims)) for walk in tour('quick')]"
    told = f"from cbtcheck.search.tour.walks import tour; {shown}"
    runs = {
        subprocess.run(
            [sys.executable, "-c", told], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


ALL_SIZES = (*sizes_for(CAPABILITIES), *sizes_for(QemuAdapter.capabilities), wide(Sizes(65536, 512, 65536)))


@pytest.mark.parametrize("sizes", dict.fromkeys(ALL_SIZES), ids=str)
def test_in_other_sizes_the_edges_are_the_same(sizes: Sizes) -> None:
    for walk in tour("quick")[::7]:
        scenario = walk.scenario(sizes)
        coverage = Coverage()
        state = initial(BitSets(scenario.block), scenario.disks)
        for command in scenario.commands:
            result = step(state, command)
            coverage.listen(state, command, result)
            state = result.state
        assert walk.aims <= coverage.edges, walk


def test_the_reference_takes_every_edge() -> None:
    coverage = Coverage()
    player = Player(ReferenceAdapter(), listen=coverage.listen)
    for walk in tour("quick"):
        assert player.play_scenario(walk.scenario(AS_IN_THE_WORLD)) == []
    assert reachable("quick") - coverage.edges == set()


def test_what_is_not_claimed_is_named() -> None:
    without = replace(CAPABILITIES, commands=CAPABILITIES.commands - {"merge-bitmaps"}, max_jobs=1)
    merge = c.MergeBitmaps(*A, ())
    assert not_claimed((ADD, merge), without) == "merge-bitmaps"
    assert not_claimed((c.Transaction((merge,)),), without) == "merge-bitmaps"
    assert not_claimed((START, replace(START, job="k")), without) == "2 jobs"
    assert not_claimed((ADD, START, c.Transaction((c.Abort(),))), without) == ""


# The universal disk


def histories_of(scenario: Scenario, granules: int, granule: int) -> list[tuple[int, ...]]:
    """For each granule of a disk the numbers of the commands that write it; adjacent writes are one."""
    rows: list[int] = []
    hit: dict[int, set[int]] = {number: set() for number in range(granules)}
    row = -1
    previous: object = None
    for each in scenario.commands:
        if isinstance(each, c.Write | c.BeginWrite):
            if type(previous) is not type(each):
                row += 1
                rows.append(row)
            for number in range(each.offset // granule, (each.offset + each.length) // granule):
                hit[number].add(row)
        previous = each
    return [tuple(sorted(hit[number])) for number in range(granules)]


def test_every_history_is_on_the_disk_once() -> None:
    (play,) = plays(sequence_of(ADD, START, c.CancelJob("j")), 3)
    scenario = play.scenario(Sizes(4096, 512, 512))
    assert scenario.disks == {D: 8 * 4096}
    found = histories_of(scenario, 8, 4096)
    assert len(set(found)) == 8
    assert set(found) == {tuple(i for i in range(3) if number >> i & 1) for number in range(8)}


def test_a_write_in_flight_is_one_of_the_writes_and_all_its_parts_end() -> None:
    (play,) = plays(sequence_of(ADD, BEGIN, END), 4)
    scenario = play.scenario(AS_IN_THE_WORLD)
    assert len(set(histories_of(scenario, 16, 512))) == 16
    begun = [each.write for each in scenario.commands if isinstance(each, c.BeginWrite)]
    assert [each.write for each in scenario.commands if isinstance(each, c.EndWrite)] == begun
    assert begun == ["w"], "the first writes have one run"


def test_each_block_of_the_world_has_every_history_and_is_a_range_for_copies() -> None:
    (play,) = plays(sequence_of(ADD, START, c.Copy("j", 512, 512), blocks=2, written=(0, 1)), 3)
    scenario = play.scenario(Sizes(512, 512, 512))
    found = histories_of(scenario, 16, 512)
    assert len(set(found[:8])) == len(set(found[8:])) == 8
    assert c.Copy("j", 8 * 512, 8 * 512) in scenario.commands


def test_what_the_tour_does_not_write_is_not_written() -> None:
    (play,) = plays(sequence_of(ADD, START, blocks=2, written=(1,)), 2)
    found = histories_of(play.scenario(AS_IN_THE_WORLD), 8, 512)
    assert set(found[:4]) == {()}
    assert len(set(found[4:])) == 4


def test_neighbours_differ_in_one_write_and_so_there_are_few_runs() -> None:
    for bits in range(8):
        code = gray_code(bits)
        assert sorted(code) == list(range(1 << bits))
        assert all((one ^ other).bit_count() == 1 for one, other in pairwise(code))
    (play,) = plays(sequence_of(ADD, START, c.PauseJob("j"), c.ResumeJob("j"), c.CancelJob("j")), 5)
    writes = [each for each in play.scenario(AS_IN_THE_WORLD).commands if isinstance(each, c.Write)]
    assert len(writes) == 16, "and not 31"


def test_a_longer_sequence_is_played_with_every_few_gaps_in_a_row() -> None:
    long = sequence_of(ADD, START, c.PauseJob("j"), c.ResumeJob("j"), c.CancelJob("j"))
    listed = plays(long, 3)
    assert [each.gaps for each in listed] == [(0, 1, 2), (1, 2, 3), (2, 3, 4)]
    together = {frozenset(gap for i, gap in enumerate(play.gaps) if history >> (2 - i) & 1)
                for play in listed for history in play.histories}  # fmt: skip
    assert len(together) == different_histories(listed) == 16


def test_before_there_is_anything_to_write_to_there_is_no_gap() -> None:
    assert sequence_of(c.ClearBitmap(*A), ADD).gaps == (1,)
    assert sequence_of(c.ClearBitmap(*A)).gaps == ()


def test_a_sequence_that_is_the_beginning_of_another_is_not_played_twice() -> None:
    world = World("w", ((D, 1),), ())
    walks = [Walk(world, commands, frozenset()) for commands in (
        (ADD, WRITE, START), (ADD, WRITE, WRITE), (ADD, START, WRITE), (ADD, START, COPY), (c.ClearBitmap(*A),),
    )]  # fmt: skip
    assert [each.commands for each in control_sequences(walks)] == [(ADD, START, COPY)]


@pytest.mark.parametrize("histories", [1, 8, 64])
def test_in_the_first_sizes_no_two_histories_share_anything(histories: int) -> None:
    for capabilities in (CAPABILITIES, QemuAdapter.capabilities):
        first, *others = sizes_for_histories(capabilities, histories)
        assert first.block >= max(first.granularity, first.cluster)
        assert all(each.granularity in capabilities.granularities for each in (first, *others))
        assert all(each.cluster in capabilities.clusters for each in (first, *others))
        assert any(each.cluster > each.block for each in others) or histories == 1


def test_at_the_end_everything_has_ended() -> None:
    """So the data of every backup are compared, and every write in flight is recorded by whoever is there then."""
    paused = replace(START, sync="full", bitmap_mode="on-success", auto_finalize=False)
    group = c.Transaction((START, c.StartBackup("k", D, "full", None, None, 512, False)), True)
    for commands in ((ADD, paused, c.BeginCopy("j", 0, 1), c.PauseJob("j"), BEGIN), (ADD, START), (BEGIN, ADD),
                     (ADD, group)):  # fmt: skip
        for play in plays(sequence_of(*commands), 6):
            scenario = play.scenario(AS_IN_THE_WORLD)
            player = Player(ReferenceAdapter())
            assert player.play_scenario(scenario) == []
            assert not player.state.jobs
            assert not player.state.nodes[D].writes
            assert player.compared == int(commands != (BEGIN, ADD))


# One cluster at a time


def test_a_copy_of_a_range_becomes_a_copy_of_each_cluster() -> None:
    commands = (ADD, c.Write(D, 0, 1024), START, c.Copy("j", 0, 1536), COPY, END)
    scenario, left_out = one_cluster_at_a_time(Scenario({D: 1536}, commands))
    assert scenario.commands == (*commands[:3], COPY, c.Copy("j", 512, 512))
    assert left_out == ("copy", "end-write"), "the job has ended, and no write is in flight"


def test_the_rest_of_a_range_is_copied_when_its_first_cluster_is() -> None:
    commands = (ADD, c.Write(D, 0, 1536), START, c.BeginCopy("j", 0, 1024), c.EndCopy("j"))
    scenario, left_out = one_cluster_at_a_time(Scenario({D: 1536}, commands))
    assert scenario.commands[3:] == (c.BeginCopy("j", 0, 512), c.EndCopy("j"), c.Copy("j", 512, 512))
    assert left_out == ()


# A failure is made small


@pytest.mark.parametrize("needed", [{5}, {0, 63}, {1, 2, 33}])
def test_only_the_histories_that_it_takes_are_left(needed: set[int]) -> None:
    play = Play(sequence_of(ADD), (0,), gray_code(6))
    assert set(narrow(play, lambda part: needed <= set(part.histories)).histories) == needed


def test_what_does_not_fail_again_stays_as_it_is() -> None:
    play = Play(sequence_of(ADD), (0,), gray_code(4))
    assert narrow(play, lambda _: False) == play


# In a run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Report]:
    """A run of the tour alone: of these walks of it."""

    def of(adapter: Adapter, walks: tuple[Walk, ...], only: str | None = None) -> Report:
        monkeypatch.setattr(plan, "tour", lambda _: walks)
        monkeypatch.setattr(plan, "workflows", dict)
        monkeypatch.setattr(plan, "traps", lambda _: {})
        monkeypatch.setattr(plan, "families", lambda: ())
        monkeypatch.setattr(plan, "restarts", lambda *_: {})
        monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
        monkeypatch.setattr(Profile, "lengths", lambda _: [])
        monkeypatch.setattr(plan.Plan, "drawn", lambda self: iter(()))
        options = Options("quick", 1, None, None, only, tmp_path / "r")
        return course.run(lambda: adapter, options, lambda *_: None)

    return of


def test_a_run_counts_walks_sequences_and_pairs(run: Callable[..., Report]) -> None:
    walks = tour("quick")[::20]
    report = run(ReferenceAdapter(), walks)
    sequences = control_sequences(walks)
    listed = [plays(each, 6) for each in sequences]
    assert report.conformant
    assert report.phases["tour"] == report.tour.walks == len(walks)
    assert report.tour.sequences == len(sequences)
    assert report.tour.pairs == sum(map(different_histories, listed))
    assert report.phases["every write history"] == report.tour.plays == 3 * sum(map(len, listed))
    assert report.tour.in_part == {}
    assert report.edges_covered >= len(set().union(*(edges_of(each.world, each.commands) for each in walks)))


def test_what_the_universal_disk_finds_is_shown_short(run: Callable[..., Report]) -> None:
    """This mistake needs a write that does not fill its granule, and the walks write whole blocks."""
    name = "round-inwards"
    report = run(ReferenceAdapter(host_with(name), name), tour("quick")[::4])
    origins = [each.origin for each in report.failures]
    assert origins
    assert set(origins) == {"every write history"}
    assert report.safety is Verdict.UNSAFE
    assert min(len(each.scenario.commands) for each in report.failures) == 2
    assert max(len(each.scenario.commands) for each in report.failures) <= 8
    for each in report.failures:
        assert each.saved is not None
        assert course.replay(ReferenceAdapter(), load(each.saved))[1] == []


def test_what_came_between_is_told_edge_by_edge(run: Callable[..., Report]) -> None:
    class Modest(ReferenceAdapter):
        capabilities = replace(CAPABILITIES, commands=CAPABILITIES.commands - {"clear-bitmap"})

    walks = tuple(walk for walk in tour("quick") if not_claimed(walk.commands, Modest.capabilities))[:9]
    report = run(Modest(), (*walks, tour("quick")[-1]))
    assert report.unreached["the implementation does not claim clear-bitmap"] == sum(len(w.aims) for w in walks)
    assert report.tour.walks == 1


def test_a_command_that_is_turned_away_is_a_reason(run: Callable[..., Report], monkeypatch: Any) -> None:
    def turn_away(self: course.Course, state: Any, command: Any) -> bool:
        if isinstance(command, c.PauseJob):
            self.turned_away_now.append("REF-1")
        return isinstance(command, c.PauseJob)

    monkeypatch.setattr(course.Course, "turn_away", turn_away)
    walks = tuple(walk for walk in tour("quick") if any(isinstance(each, c.PauseJob) for each in walk.commands))[-9:]
    report = run(ReferenceAdapter(), walks)
    assert set(report.unreached) == {"pause-job: turned away (REF-1)"}
    assert report.tour.sequences == report.tour.pairs == 0
    assert set(report.tour.in_part) == {"pause-job: turned away (REF-1)"}


def test_only_what_is_named_is_played(run: Callable[..., Report]) -> None:
    report = run(ReferenceAdapter(), tour("quick")[::30], only="begin-write")
    assert 0 < report.tour.walks < len(tour("quick")[::30])
    assert report.unreached["not asked for"] > 0


def test_it_is_played_on_a_real_daemon_and_agrees(binary: str, run: Callable[..., Report]) -> None:
    adapter = QemuAdapter(binary)
    report = run(adapter, tour("quick")[::30])
    assert [str(finding) for each in report.failures for finding in each.findings] == []
    assert report.tour.walks > 20
    assert report.tour.sequences > 3
    assert report.tour.pairs >= 4 * report.tour.sequences
    assert report.edges_covered > report.tour.walks


# The seeded mistakes

NOT_BY_THE_TOUR = {
    "tail-not-copied": "every disk of the tour ends where a cluster does",
    "merge-by-number": "both bitmaps have the same granularity",
    "merge-rounds-inwards": "both bitmaps have the same granularity",
    "withdrawn-means-failed": "no transaction with a best-effort backup is refused",
}
"""What the tour cannot find, and why; drawn scenarios find these, too (test_mistakes.py)."""


@pytest.mark.parametrize("name", MISTAKES)
def test_the_tour_finds_nearly_every_seeded_mistake(name: str) -> None:
    found = tour_kills(MISTAKES[name])
    if name in NOT_BY_THE_TOUR:
        assert found is None, "better than thought: take it off the list"
        return
    assert found is not None
    assert len(found.commands) <= 8
    assert Player(ReferenceAdapter(host_with(name), name)).play_scenario(found)
    assert Player(ReferenceAdapter()).play_scenario(found) == []


def test_some_are_found_by_write_histories_only() -> None:
    assert histories_kill(MISTAKES["round-inwards"], "quick") is not None
    assert len(worlds("quick")) == 3


# The command


def test_the_command_lists_and_writes_the_tour(tmp_path: Path) -> None:
    listed = CliRunner().invoke(main, ["tour"], standalone_mode=False)
    assert "1,518 walks" in listed.output
    assert len(listed.output.splitlines()) == 781 + 737 + 2
    written = CliRunner().invoke(main, ["tour", "--write", str(tmp_path / "t"), "--adapter", "qemu"])
    assert "1,518 scenarios" in written.output
    files = sorted((tmp_path / "t").iterdir())
    assert len(files) == 781 + 737
    assert Player(ReferenceAdapter()).play_scenario(load(files[100])) == []
    assert json.loads(files[700].read_bytes())["disks"]["d"] % 65536 == 0
    (tmp_path / "file").write_text("")
    refused = CliRunner().invoke(main, ["tour", "--write", str(tmp_path / "file" / "t")])
    assert "--write" in refused.output
    assert refused.exit_code == 74
