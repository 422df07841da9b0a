"""Families and long histories: what they have, that they can be played, and that they find what they are for."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest
from cbtcheck.adapters import capabilities_of, open_adapter
from cbtcheck.claims import missing_for
from cbtcheck.families import families, members
from cbtcheck.families.covering import rows
from cbtcheck.families.long import history
from cbtcheck.families.wrapping import WRAPPING
from cbtcheck.mistakes import NARROW
from cbtcheck.mistakes.alone import found_by_others, found_in_context
from cbtcheck.mistakes.hunting import player_of
from cbtcheck.play import Player
from cbtcheck.verdict import worst
from cbtimpl import Host
from cbtimpl.bitmap import Bitmap
from cbtmodel import commands as c

REFERENCE = capabilities_of("reference")


def test_every_two_values_occur_together() -> None:
    sizes = (3, 4, 2)
    made = [*rows(*(range(size) for size in sizes))]
    assert made == [*rows(*(range(size) for size in sizes))]
    for one, other in combinations(range(3), 2):
        pairs = {(row[one], row[other]) for row in made}
        assert pairs == {*product(range(sizes[one]), range(sizes[other]))}
    with pytest.raises(ValueError, match="at least one value"):
        [*rows((1,), ())]


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_the_reference_plays_every_sixth_of_a_family_to_its_end(family: object) -> None:
    player = Player(open_adapter("reference"))
    played = [*members((family,), REFERENCE, "quick")][::6]  # type: ignore[arg-type]
    for each in played:
        assert not missing_for(each.scenario, REFERENCE), each.name
        assert not player.play_scenario(each.whole()), each.name
        assert not player.state.jobs, each.name
    assert played


def test_they_are_made_for_what_is_claimed() -> None:
    few = replace(REFERENCE, max_jobs=1, max_disks=1, max_writes=2)
    claimed = [each.whole() for each in members(families(), few, "quick") if not missing_for(each.scenario, few)]
    assert claimed
    assert all(len(each.disks) == 1 for each in claimed)
    assert not [each for each in claimed if missing_for(each, few)]


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


@pytest.mark.parametrize("name", OF_FAMILIES)
def test_a_mistake_that_takes_more_than_256_is_found_by_families_alone(name: str) -> None:
    player = player_of(NARROW[name])
    found = (player.play_scenario(each.whole()) for each in members((WRAPPING,), REFERENCE, "quick"))
    assert worst([each.verdict for findings in found for each in findings]) is NARROW[name].verdict
    assert found_by_others(NARROW[name], histories=False) == []
    assert found_in_context(NARROW[name]) == {}
