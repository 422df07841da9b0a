"""The implementation and the specification walk the same graph, and agree on every edge; and a walk can fail.

The deep worlds take minutes: `CBTSPEC_DEEP=1 pytest tests/proofs/test_refinement.py`.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.adapters.mistakes.registry import Mistake
from cbtcheck.cli.command import main
from cbtimpl import Host
from cbtimpl.backup import BackupJob
from cbtimpl.bitmap import Bitmap
from cbtimpl.host import Host as AnyHost
from cbtmodel import commands as c
from cbtmodel.step import step
from cbtproofs.explorer.breadth_first import explore
from cbtproofs.explorer.few_blocks import FewBlocks
from cbtproofs.explorer.scopes import Scope
from cbtproofs.refinement.abstraction import abstraction, misfits, without_ghosts
from cbtproofs.refinement.subject import Subject
from cbtproofs.refinement.walk import Walk, refinement_kills
from cbtproofs.refinement.walking import Walked
from cbtproofs.refinement.worlds import World, of_scope, tail, worlds
from click.testing import CliRunner

Counts = tuple[int, int, int, int, int]

QUICK: dict[str, Counts] = {
    "granules of two clusters": (571, 571, 299, 12_562, 0),
    "merges of two granularities": (149, 149, 85, 2_384, 0),
    "two bitmaps": (496, 496, 245, 13_888, 0),
    "two disks and another": (310, 310, 290, 8_680, 0),
    "a partial last granule, small": (331, 331, 143, 7_613, 0),
    "clusters of two granules": (775, 775, 503, 17_050, 0),
    "two jobs for one bitmap": (57, 57, 53, 1_425, 0),
    "transactions": (114, 114, 94, 8_094, 0),
    "guest writes": (420, 392, 238, 24_780, 1_700),
    "groups": (654, 654, 500, 20_928, 96),
    "two blocks": (418, 418, 304, 9_614, 0),
    "odd values": (4, 4, 4, 44, 0),
    "two writes in flight": (90, 90, 72, 540, 0),
    "two copies in flight": (13, 13, 9, 91, 0),
    "two removals": (10, 10, 8, 50, 0),
}
"""Pairs of states; states of the implementation, and of the specification; edges, and those that went otherwise."""

OTHERS: dict[str, Counts] = {
    "two blocks, large": (2_009, 2_009, 1_218, 88_396, 0),
    "two bitmaps, large": (1_562, 1_562, 680, 76_538, 0),
    "two bitmaps with jobs": (2_709, 2_709, 909, 92_106, 0),
    "groups of three": (350, 350, 232, 9_450, 0),
    "every value": (1_102, 1_050, 482, 81_548, 3_202),
    "three sources and five actions": (493, 493, 125, 17_748, 0),
    "two jobs for one bitmap, large": (2_782, 2_782, 1_160, 158_574, 528),
    "a partial last granule, large": (4_222, 4_222, 1_506, 219_544, 0),
    "two jobs for one bitmap of two blocks": (373, 373, 277, 11_190, 0),
    "two disks with jobs": (1_769, 1_769, 949, 61_915, 0),
    "two disks, large": (1_780, 1_780, 1_360, 94_340, 0),
}

BLIND: dict[str, str] = {
    "unchanged-not-marked": "every request of a walk writes bytes that were never there, so none changes nothing",
}
"""Seeded mistakes that the quick walks do not see, each with the reason."""

deep = pytest.mark.skipif(os.environ.get("CBTSPEC_DEEP") != "1", reason="takes minutes: set CBTSPEC_DEEP=1")


def named(name: str) -> World:
    return next(world for world in worlds("deep") if world.name == name)


def agrees(world: World) -> Counts:
    """Walks it; fails with the shortest disagreement."""
    walked = Walk(world).run()
    if walked.disagreement is not None:
        pytest.fail(f"{walked.disagreement.differences} after {walked.disagreement.path}")
    check_same_states(walked)
    return walked.pairs, walked.concrete, len(walked.abstract), walked.edges, walked.otherwise


def check_same_states(walked: Walked) -> None:
    """The walk has been to every state that the specification alone reaches, and to no other."""
    alone = explore(walked.world.initial(FewBlocks()), walked.world.commands, identity=without_ghosts)
    assert walked.abstract == {without_ghosts(state) for state in alone.states}


def test_all_worlds_are_here() -> None:
    assert [world.name for world in worlds("quick")] == [*QUICK]
    assert [world.name for world in worlds("deep")] == [*QUICK, *OTHERS]


@pytest.mark.parametrize("name", QUICK)
def test_both_agree_on_every_edge(name: str) -> None:
    assert agrees(named(name)) == QUICK[name]


@deep
@pytest.mark.parametrize("name", OTHERS)
def test_both_agree_on_every_edge_of_larger_worlds(name: str) -> None:
    assert agrees(named(name)) == OTHERS[name]


# Mistakes


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_walk_finds_the_mistake(mistake: Mistake) -> None:
    found = refinement_kills(mistake.host)
    assert (found is None) == (mistake.name in BLIND)
    if found is not None:
        assert 1 <= len(found.path) <= 6
        assert found.differences


class Forgetful(Bitmap):
    """Loses the third write that it is told of; until then it looks like any other."""

    told = 0

    def record(self, offset: int, length: int) -> None:
        self.told = min(self.told + 1, 4)
        if self.told != 3:
            super().record(offset, length)


class HostOfForgetful(Host):
    bitmap_class = Forgetful


def test_states_that_look_alike_are_told_apart() -> None:
    """After one write and after two the abstraction is the same; what comes next is not."""
    add, write, clear = c.AddBitmap("d", "a", 512), c.Write("d", 0, 512), c.ClearBitmap("d", "a")
    found = Walk(World("forgetful", (("d", 512),), (add, write, clear)), HostOfForgetful).run().disagreement
    assert found is not None
    assert found.path == (add, write, write, clear, write)
    assert found.differences == ("d/a dirty should be [0], but is []",)


class WrongBlock(BackupJob):
    """Marks and copies what it should, but puts the data of one block where the other's belong."""

    def write(self, pieces):  # type: ignore[no-untyped-def]
        return super().write([replace(each, data=each.data[512:] + each.data[:512]) for each in pieces])


class HostOfWrongBlock(Host):
    job_class = WrongBlock


def test_the_right_data_must_be_in_the_right_place() -> None:
    found = Walk(tail("small"), HostOfWrongBlock).run().disagreement
    assert found is not None
    assert any("good, so on" in each for each in found.differences)


def test_a_crash_is_a_disagreement() -> None:
    class Crashes(Host):
        def pause(self, job: str) -> None:
            raise ZeroDivisionError("oops")

    found = refinement_kills(Crashes)
    assert found is not None
    assert found.differences == ("it crashes: ZeroDivisionError: oops",)
    assert isinstance(found.path[-1], c.PauseJob)


# The abstraction function


def played(*commands: c.Command, host: Callable[[], AnyHost] = Host) -> Subject:
    subject = Subject(host, {"d": 1536})
    for each in commands:
        subject.perform(each)
    return subject


START = (
    c.AddBitmap("d", "a", 1024), c.Write("d", 0, 512), c.StartBackup("j", "d", "incremental", "a", cluster=512),
    c.Write("d", 1024, 512), c.BeginCopy("j", 0, 512), c.BeginWrite("d", "w", 1024, 1),
)  # fmt: skip


def test_the_abstraction_of_a_state_in_the_middle_of_everything() -> None:
    space = FewBlocks()
    state = World("", (("d", 1536),), ()).initial(space)
    for command in START:
        state = step(state, command).state
    seen = abstraction(played(*START).host, space)
    assert seen == without_ghosts(state) != state
    assert seen.nodes["d"].bitmaps["a"].marks.dirty == {0, 1}
    assert seen.nodes["d"].bitmaps["a"].successor is not None
    assert seen.nodes["d"].writes["w"] == {2}
    assert (seen.jobs["j"].todo, seen.jobs["j"].copying) == ({0, 1}, {0})


SPOILERS: dict[str, Callable[[AnyHost], object]] = {
    "node d: another name or size": lambda host: setattr(host.nodes["d"], "size", 512),
    "d/a: another name or size": lambda host: setattr(host.nodes["d"].bitmaps["a"], "name", "b"),
    "d/a: frozen, and not by the job that it says": lambda host: setattr(host.nodes["d"].bitmaps["a"], "user", "k"),
    "d/a: its successor is not anonymous, or not free": lambda host: setattr(
        host.nodes["d"].bitmaps["a"].successor, "name", "a"
    ),
    "d/a: its successor has another granularity or size": lambda host: setattr(
        host.nodes["d"].bitmaps["a"].successor.bits, "granularity", 512
    ),
    "job j: another id, or an unknown node": lambda host: setattr(host.jobs["j"], "id", "k"),
    "job j: its group has members that are gone": lambda host: host.jobs["j"].group.members.clear(),
    "job j: its bitmap is not what its node has under that name": lambda host: host.nodes["d"].bitmaps.clear(),
    "job j: a cluster is in two places at once": lambda host: host.jobs["j"].work.add(0, 1),
}


@pytest.mark.parametrize("what", SPOILERS)
def test_what_does_not_fit_together_stands_for_nothing(what: str) -> None:
    host = played(*START).host
    assert not [*misfits(host)]
    SPOILERS[what](host)
    assert what in [*misfits(host)]


# Copies and identities


def test_a_copy_is_equal_and_shares_nothing() -> None:
    original = played(*START)
    copy, before = original.copy(), original.identity()
    assert copy.identity() == before
    for command in (c.EndCopy("j"), c.Copy("j", 512, 512), c.EndWrite("d", "w"), c.ClearBitmap("d", "a")):
        copy.perform(command)
    assert copy.identity() != before == original.identity()
    assert not copy.host.jobs
    assert original.host.jobs["j"].group.members == [original.host.jobs["j"]]


def test_content_counts_only_as_far_as_it_is_what_a_job_found() -> None:
    """A disk without a job is like any other; with one it matters whether a block has changed."""
    write = c.Write("d", 0, 512)
    assert played().identity() == played(write).identity()
    job = c.StartBackup("j", "d", "full", cluster=512, auto_finalize=False)
    copied = (job, c.Copy("j", 0, 512))
    assert played(*copied).identity() != played(*copied, write).identity() == played(*copied, write, write).identity()


def test_code_is_no_state() -> None:
    subject = played()
    subject.host.surprise = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="cannot look into a function"):
        subject.identity()


# The command


def test_the_command_says_that_both_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = of_scope("tiny", Scope(1, alphabet="small"))
    monkeypatch.setattr("cbtcheck.cli.refined.worlds", lambda name: (tiny,))
    monkeypatch.setattr("cbtcheck.cli.refined.image_worlds", lambda name: ())
    shown = CliRunner().invoke(main, ["refine"])
    assert shown.exit_code == 0
    edges = Walk(tiny).run().edges
    assert f"agree on all {edges} edges" in shown.output
    report = json.loads(CliRunner().invoke(main, ["refine", "--format", "json"]).stdout)
    assert report["agree"]
    assert report["worlds"][0]["edges"] == edges


def test_the_command_draws_where_they_part() -> None:
    shown = CliRunner().invoke(main, ["refine", "--worlds", "quick", "--mistake", "round-inwards"])
    assert shown.exit_code == 2
    assert "they part in 'granules of two clusters', after 2 commands" in shown.output
    assert "✗  d/a dirty should be [0, 1], but is []" in shown.output
    assert "▼ written by the guest" in shown.output
    report = json.loads(
        CliRunner().invoke(main, ["refine", "--mistake", "round-inwards", "--format", "json"]).stdout
    )  # fmt: skip
    assert not report["agree"]
    assert [each["do"] for each in report["disagreement"]["scenario"]["commands"]] == ["add-bitmap", "write"]


def test_an_unknown_mistake_is_a_mistake_of_the_caller() -> None:
    assert CliRunner().invoke(main, ["refine", "--mistake", "nonsense"]).exit_code == 64
