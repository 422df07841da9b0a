"""Families and long histories: what they have, that they can be played, and that they find what they are for."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import combinations, product

import pytest
from cbtcheck.adapters import capabilities_of, open_adapter
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.follow.play import Player
from cbtcheck.run.found_alone import found_by_others, found_in_context
from cbtcheck.run.hunting import player_of
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.verdict import worst
from cbtcheck.search.families import families, members
from cbtcheck.search.families.covering import rows
from cbtcheck.search.families.long import history
from cbtcheck.search.families.wrapping import WRAPPING, WRAPPING_OF_ONE
from cbtimpl import Host
from cbtimpl.bitmap import Bitmap
from cbtmodel import commands as c

REFERENCE = capabilities_of("reference")
ALL = os.environ.get("CBTSPEC_MATRIX") == "1"
"""Otherwise some are played to the other phases only, which takes seconds each."""


def test_every_two_values_occur_together() -> None:
    sizes = (3, 4, 2)
    made = [*rows(*(range(size) for size in sizes))]
    assert made == [*rows(*(range(size) for size in sizes))]
    for one, other in combinations(range(3), 2):
        pairs = {(row[one], row[other]) for row in made}
        assert pairs == {*product(range(sizes[one]), range(sizes[other]))}
    assert [*rows((1,), (), (2, 3))] == []


OF_THE_REFERENCE = [each for each in families() if each.name != "far away"]  # see test_landmarks


@pytest.mark.parametrize("family", OF_THE_REFERENCE, ids=lambda family: family.name)
def test_the_reference_plays_every_sixth_of_a_family_to_its_end(family: object) -> None:
    player = Player(open_adapter("reference"))
    played = [*members((family,), REFERENCE, "quick")][::6]  # type: ignore[arg-type]
    for each in played:
        assert each.whole_if_claimed(REFERENCE) == each.whole(), each.name
        assert not player.play_scenario(each.whole()), each.name
        assert not player.state.jobs, each.name
    assert played


def test_they_are_made_for_what_is_claimed() -> None:
    few = replace(REFERENCE, max_jobs=1, max_disks=1, max_writes=2)
    claimed = [each.whole() for each in members(families(), few, "quick") if not missing_for(each.scenario, few)]
    assert claimed
    assert all(len(each.disks) == 1 for each in claimed)
    assert not [each for each in claimed if missing_for(each, few)]
    made = [each.whole_if_claimed(few) for each in members(families(), few, "quick")]
    assert [each for each in made if each is not None] == claimed


def test_of_several_and_elsewhere_play_what_few_features_and_two_jobs_allow() -> None:
    without = {"discard", "zeroes", "failed-write", "never", "always", "grouped", "manual-finalize"}
    few = replace(REFERENCE, max_jobs=2, max_disks=2, max_writes=2, features=REFERENCE.features - without)
    for name in ("the same place", "meanwhile elsewhere", "copies of several jobs", "what is undone, of several"):
        listed = [*members([each for each in families() if each.name == name], few, "quick")]
        dropped = [each for each in listed if missing_for(each.scenario, few)]
        assert len(listed) >= 10
        assert len(dropped) < len(listed) / 20, name


def test_a_long_history_depends_on_its_seed_and_number_and_is_as_long_as_it_says() -> None:
    one = history(REFERENCE, 1, 1, 300)
    assert one == history(REFERENCE, 1, 1, 300)
    assert one != history(REFERENCE, 2, 1, 300) != history(REFERENCE, 1, 3, 300)
    assert len(one.commands) >= 300
    assert not Player(open_adapter("reference")).play_scenario(one)
    assert len({each.name for each in one.commands if isinstance(each, c.AddBitmap)}) > 3, "crowded"


class SeventhReclaimLoses(Bitmap):
    """What the walks of the tour do not have: they end with the sixth."""

    reclaimed = 0

    def reclaim(self) -> Bitmap:
        self.reclaimed += 1
        if self.reclaimed % 7 == 0 and self.successor is not None:
            self.successor.clear()
        return super().reclaim()


class NinthIsLeftOut(Host):
    """Sources are merged in batches of eight, of which a second one is lost."""

    def prepare_merge(self, action):  # type: ignore[no-untyped-def]
        return super().prepare_merge(replace(action, sources=action.sources[:8]))


@pytest.mark.parametrize(
    ("host", "name"),
    [(type("H", (Host,), {"bitmap_class": SeventhReclaimLoses}), "how often"), (NinthIsLeftOut, "how many sources")],
)
def test_a_family_finds_what_it_is_for(host: type[Host], name: str) -> None:
    from cbtcheck.adapters.reference import ReferenceAdapter

    player = Player(ReferenceAdapter(host, "mine"))
    listed = (each for each in families() if each.name == name)
    assert any(player.play_scenario(each.whole()) for each in members(listed, REFERENCE, "quick"))


OF_FAMILIES = [name for name, each in NARROW.items() if each.found_by == "families"]
BY = {
    "eight-record": "how many bitmaps", "swap-remove": "which one, again", "ninth-source-skipped": "how many sources",
    "eight-in-flight": "how many writes", "group-of-four": "how many jobs", "four-copy-before-write": "how many jobs",
    "undo-log-of-eight": "how many actions", "sixteen-actions": "how many actions",
    "third-disk-not-drained": "three disks", "third-disk-not-merged": "which sources",
    "paused-third-has-done-it": "groups, again", "cancelled-after-two-failures": "how often",
    "second-cancel-of-the-third": "which one, again", "third-group-of-the-same-ids": "groups, again",
    "third-write-of-an-id": "which one, again", "write-256-of-a-backup": "how often, of one",
    "merge-256-of-a-target": "how often, of one", "copy-256-before-a-write": "how often, of one",
    "third-write-error-loses": "how often", "second-cancel-of-pending-completes": "groups, again",
    "second-start-amid-writes": "which one, again", "cleared-and-started-twice": "which one, again",
    "same-range-four-times": "the same place", "coarser-in-its-place": "the same place",
    "disabled-heir-forgets": "the same place", "zeroes-beside-a-paused-job": "meanwhile elsewhere",
    "third-copy-not-waited-for": "copies of several jobs", "three-members-withdrawn": "what is undone, of several",
    "disabled-before-a-refused-merge": "what is undone, of several",
}  # fmt: skip
"""Which family finds it; what is not named here takes more than 256 rounds."""


def found_by_family(name: str, family: str, profile: str) -> bool:
    """Whether a member of that family shows the mistake, with its verdict."""
    player = player_of(NARROW[name])
    for each in members([each for each in families() if each.name == family], REFERENCE, profile):
        player.closely = each.family.closely
        verdicts = [finding.verdict for finding in player.play_scenario(each.whole())]
        if verdicts and worst(verdicts) is NARROW[name].verdict:
            return True
    return False


@pytest.mark.parametrize("name", OF_FAMILIES)
def test_its_family_finds_a_narrow_mistake(name: str) -> None:
    assert found_by_family(name, BY.get(name, WRAPPING.name), "quick")


@pytest.mark.parametrize("name", [name for name, each in NARROW.items() if each.found_by == "families of ci"])
def test_what_takes_a_thousand_is_found_in_ci_alone(name: str) -> None:
    assert found_by_family(name, WRAPPING_OF_ONE.name, "ci")
    assert not any(found_by_family(name, each.name, "quick") for each in (WRAPPING, WRAPPING_OF_ONE))


FOUND_TOO = {"eight-record": {"what is undone"}}
"""Walks of the tour in context that find a mistake besides: eight bitmaps record where eight actions are undone."""


@pytest.mark.parametrize("name", OF_FAMILIES if ALL else OF_FAMILIES[::6])
def test_nothing_but_families_finds_it(name: str) -> None:
    assert found_by_others(NARROW[name], histories=ALL) == []
    assert found_in_context(NARROW[name]).keys() == FOUND_TOO.get(name, set())


def test_how_many_and_how_often_have_mistakes_of_their_own() -> None:
    lines = [NARROW[name].line for name in OF_FAMILIES]
    assert lines.count("how many, more") >= 12
    assert lines.count("how often, more") >= 13
