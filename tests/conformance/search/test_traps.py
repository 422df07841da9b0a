"""Traps: each can be set, is as specified on the reference, and catches what it is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cbtcheck.adapters import capabilities_of, open_adapter
from cbtcheck.adapters.mistakes import MISTAKES
from cbtcheck.follow.play import Player
from cbtcheck.run import course, plan
from cbtcheck.run.options import Options
from cbtcheck.run.profiles import Profile
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.verdict import Verdict, worst
from cbtcheck.search.traps import made_for, traps
from cbtmodel.bitmap import busy

REFERENCE = capabilities_of("reference")
ALL = traps(REFERENCE)


def test_the_reference_falls_into_none() -> None:
    player = Player(open_adapter("reference"), self_check=True)
    for name, each in ALL.items():
        assert not player.play_scenario(each), name
        assert not player.state.jobs, name
        assert not any(busy(b) for node in player.state.nodes.values() for b in node.bitmaps.values()), name


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_falls_into_its_own(name: str) -> None:
    player = Player(open_adapter("reference", mistake=name))
    found = player.play_scenario(ALL[f"mistake {name}"])
    assert worst([each.verdict for each in found]) is MISTAKES[name].verdict


@pytest.mark.parametrize(
    ("mistake", "name"),
    [
        ("merge-by-number", "merge into a coarser bitmap"),
        ("merge-rounds-inwards", "merge into a coarser bitmap"),
        ("tail-not-tracked", "a disk that ends within a granule of 65536"),
        ("tail-not-copied", "a disk that ends within a granule of 512"),
        ("withdrawn-means-failed", "a best-effort backup that is withdrawn"),
    ],
)
def test_those_in_an_implementations_own_sizes_catch_what_the_tour_does_not(mistake: str, name: str) -> None:
    player = Player(open_adapter("reference", mistake=mistake))
    found = player.play_scenario(ALL[name])
    assert worst([each.verdict for each in found]) in (Verdict.UNSAFE, Verdict.WASTEFUL)


def test_they_come_in_the_sizes_that_are_claimed() -> None:
    qemu = capabilities_of("qemu")
    assert {each.cluster for s in traps(qemu).values() for each in s.commands if hasattr(each, "cluster")} == {65536}
    no_tails = replace(REFERENCE, tails=False, features=REFERENCE.features - {"always"})
    found = traps(no_tails)
    assert not [name for name in found if "within a granule" in name or "best-effort" in name]
    assert not [name for name, each in found.items() if missing_for(each, no_tails)]


def test_a_merge_between_sizes_is_refused_both_ways() -> None:
    scenario = dict(made_for(REFERENCE))["merge between disks of different sizes"]
    player = Player(open_adapter("reference"))
    assert not player.play_scenario(scenario)
    assert [frame.trace[0][1].refusal for frame in player.frames[-2:]] == ["size mismatch"] * 2


def test_a_run_sets_each_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "tour", lambda _: ())
    monkeypatch.setattr(plan, "families", lambda: ())
    monkeypatch.setattr(plan, "restarts", lambda *_: {})
    monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
    monkeypatch.setattr(Profile, "lengths", lambda _: [])
    options = Options("quick", 5, 1, None, None, tmp_path)
    report = course.run(lambda: open_adapter("reference"), options, lambda *_: None)
    assert report.phases["traps"] == len(ALL) > 60
    report = course.run(lambda: open_adapter("reference", mistake="merge-by-number"), options, lambda *_: None)
    assert "merge into a coarser bitmap" in {each.origin for each in report.failures}
