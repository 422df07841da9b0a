"""Landmarks, and disks of terabytes: what is played on them, what it costs, and that content is compared there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cbtcheck.adapters import capabilities_of, open_adapter
from cbtcheck.adapters.mistakes import NARROW
from cbtcheck.content import LARGEST_FLAT
from cbtcheck.follow.play import Player
from cbtcheck.run.hunting import player_of
from cbtcheck.scenario.capabilities import missing_for
from cbtcheck.scenario.memory import MOST_MEMORY, estimated
from cbtcheck.scenario.scenario import Scenario, ScenarioError, as_bytes, from_bytes
from cbtcheck.scenario.verdict import worst
from cbtcheck.search.families import landmarks, members
from cbtcheck.search.families.far import FAR
from cbtcheck.search.families.ground import Ground
from cbtcheck.search.families.large import LARGE, RATIOS
from cbtcheck.search.families.naming import NAMES, PAIRS, pairs_for
from cbtcheck.search.families.where import WHERE, flows_of
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c

REFERENCE = capabilities_of("reference")
MINE = (WHERE, *LARGE, NAMES)
TIB = 1 << 40


@pytest.mark.parametrize("profile", ["quick", "ci"])
def test_every_landmark_has_a_place_on_the_reference(profile: str) -> None:
    ground = Ground(REFERENCE, profile)
    there = {each.at for each in landmarks.offsets(ground)}
    assert there == set(landmarks.OFFSETS)
    numbers = {each.at // each.granularity for each in landmarks.numbers(ground)}
    assert numbers == {each for each in landmarks.NUMBERS if each <= landmarks.most_blocks(ground) // 4}


def test_what_is_claimed_bounds_the_disks() -> None:
    few = replace(REFERENCE, largest_disk=1 << 20, tails=False, any_cluster=False, clusters=(65536,))
    listed = [*members(MINE, few, "quick")]
    assert listed
    assert max(max(each.scenario.disks.values()) for each in listed) <= 1 << 20
    large = Scenario({"disk0": 2 << 20}, ())
    assert missing_for(large, few) == "a disk of 2097152 bytes"


ONLY_TRACKS = replace(
    REFERENCE, commands=frozenset({"add-bitmap", "write", "start-backup", "copy", "cancel-job"}),
    features=frozenset[str](), suite_copies=True, any_cluster=True,
)  # fmt: skip


def test_whoever_claims_little_gets_every_landmark_in_what_it_has() -> None:
    ground = Ground(ONLY_TRACKS, "quick")
    flows, places = set(flows_of(ground)), {each.title for each in landmarks.offsets(ground)}
    assert len(flows) > 3
    played = [each.scenario.title for each in members([WHERE], ONLY_TRACKS, "quick")
              if not missing_for(each.scenario, ONLY_TRACKS)]  # fmt: skip
    for place in places:
        assert {flow for flow in flows if any(title.startswith(f"{place}:") and title.endswith(flow)
                                              for title in played)} == flows  # fmt: skip


def test_limits_are_landmarks_themselves() -> None:
    few = replace(REFERENCE, largest_disk=10 * TIB + 512, most_granules=200000, longest_name=100)
    sizes = {each.size for each in landmarks.ends(Ground(few, "quick"))}
    assert sizes == {10 * TIB + 512, 200000 * 512}
    names = {name for pair in pairs_for(Ground(few, "quick")).values() for name in pair}
    assert {"n" * 99, "n" * 100} <= names
    long = [each.scenario for each in members([NAMES], few, "quick") if not missing_for(each.scenario, few)]
    used = {each.name for scenario in long for each in scenario.commands if isinstance(each, c.AddBitmap)}
    assert max(len(name.encode()) for name in used) == 100
    plain = replace(few, ascii_names=True)
    assert missing_for(Scenario({"d": 512}, (c.AddBitmap("d", "é", 512),)), plain) == "a name that is not ASCII"
    assert missing_for(Scenario({"d": 512}, (c.AddBitmap("d", "n" * 101, 512),)), plain) == "a name of 101 bytes"
    assert missing_for(Scenario({"d": 512}, (c.AddBitmap("d", "n" * 1024, 512),)), plain) == ""


def test_what_a_merge_and_a_backup_mark_is_bounded() -> None:
    few, size = replace(REFERENCE, most_marked=1000), 1 << 28
    coarse, fine = c.AddBitmap("d", "a", 1 << 20), c.AddBitmap("d", "b", 512)
    merged = c.MergeBitmaps("d", "b", (c.Source("d", "a"),))
    written = Scenario({"d": size}, (coarse, c.Write("d", 0, 1), fine, merged))
    assert missing_for(written, few) == "a merge of 2048 granules"
    assert missing_for(written, replace(few, most_marked=2048)) == ""
    backup = c.StartBackup("j", "d", "full", cluster=1 << 16)
    assert missing_for(Scenario({"d": size}, (backup,)), few) == "a backup of 4096 clusters"
    assert missing_for(Scenario({"d": size}, (backup,)), replace(few, suite_copies=True)) == ""


def test_disks_are_no_powers_of_two_and_end_within_a_granule() -> None:
    sizes = {size for each in members((RATIOS, WHERE), REFERENCE, "quick") for size in each.scenario.disks.values()}
    assert not [size for size in sizes if size.bit_count() == 1]
    assert max(sizes) > 16 * TIB


@pytest.mark.parametrize("family", MINE, ids=lambda family: family.name)
def test_all_of_them_can_be_written_to_a_file_read_and_played_within_the_limit(family: object) -> None:
    for each in [*members((family,), REFERENCE, "quick")][::9]:  # type: ignore[arg-type]
        whole = each.whole()
        assert from_bytes(as_bytes(whole)) == whole
        assert estimated(whole.disks, whole.block, whole.commands) < MOST_MEMORY // 4


def test_names_of_a_pair_are_different_and_legal() -> None:
    for one, other in PAIRS.values():
        assert one != other
        assert all(1 <= len(each.encode()) <= 1023 for each in (one, other))


def backed_up(size: int, block: int) -> Scenario:
    return Scenario({"d": size}, (
        c.AddBitmap("d", "b", block), c.Write("d", size - 1, 1),
        c.StartBackup("j", "d", "incremental", "b", cluster=block), c.Copy("j", 0, size),
    ), block)  # fmt: skip


@pytest.mark.parametrize("size", [4 << 20, LARGEST_FLAT, LARGEST_FLAT + 65536, 16 * TIB])
def test_content_is_compared_however_large_a_disk_is(size: int) -> None:
    player = Player(open_adapter("reference"))
    assert not player.play_scenario(backed_up(size, 1 << 24 if size > 1 << 40 else 65536))
    assert player.compared == 1


def test_content_beyond_what_is_claimed_is_never_counted_as_compared() -> None:
    adapter = open_adapter("reference")
    adapter.capabilities = replace(REFERENCE, largest_content=LARGEST_FLAT)
    player = Player(adapter)
    assert not player.play_scenario(backed_up(LARGEST_FLAT, 65536))
    assert player.compared == 1
    assert not player.play_scenario(backed_up(LARGEST_FLAT + 65536, 65536))
    assert player.compared == 0


def test_what_is_wrong_in_the_bytes_alone_is_named() -> None:
    player = player_of(NARROW["zeroes-beyond-2-tib"])
    found = player.play_scenario(backed_up(16 * TIB, 1 << 24))
    assert {(each.verdict.value, each.property) for each in found} == {("unsafe", "POINT-IN-TIME")}
    assert {each.seen for each in found} == {f"blocks {(1 << 20) - 1} differ"}


def test_errors_come_true_on_a_large_disk() -> None:
    size, unit = 4 * TIB, 1 << 24
    scenario = Scenario({"d": size}, (
        c.AddBitmap("d", "b", unit), c.Write("d", 3 * TIB, 1, "write", "failed"), c.Write("d", 0, 2 * TIB, "zeroes"),
        c.StartBackup("j", "d", "bitmap", "b", "always", unit), c.Copy("j", 0, unit),
        c.Copy("j", TIB, unit, "write error"),
        c.StartBackup("k", "d", "bitmap", "b", "always", unit), c.Copy("k", 0, size, "read error"),
        c.StartBackup("l", "d", "full", None, None, unit), c.Copy("l", 0, size),
    ), unit)  # fmt: skip
    player = Player(open_adapter("reference"))
    assert not player.play_scenario(scenario)
    assert not player.not_realised


def test_a_disk_too_large_for_its_blocks_is_refused() -> None:
    scenario = replace(backed_up(16 * TIB, 512))
    with pytest.raises(ScenarioError, match="MiB of memory"):
        from_bytes(as_bytes(scenario))
    data = Scenario({"d": 16 * TIB}, (c.Write("d", 0, TIB),), 1 << 24)
    with pytest.raises(ScenarioError, match="MiB of memory"):
        from_bytes(as_bytes(data))


def test_granules_of_large_sets_are_right() -> None:
    space, size = BitSets(512), 512 * 100_003
    blocks = space.blocks(512 * 7, 512 * 90_000) | space.blocks(512 * 100_002, 1)
    for granule in (512, 1024, 65536, 1 << 31):
        rounded = space.round_out(blocks, granule, size)
        word = space.granules(blocks, granule, size)
        assert space.from_granules(word, granule, size) == rounded
        assert space.granules(rounded, granule, size) == word
        per = granule // 512
        assert word == sum(1 << each for each in {block // per for block in (*range(7, 90_007), 100_002)})


MISTAKES = [name for name, each in NARROW.items() if each.found_by == "landmarks"]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_at_a_landmark_is_found(name: str) -> None:
    player = player_of(NARROW[name])
    families = (NAMES,) if NARROW[name].line == "names" else (WHERE, *LARGE)
    for each in members(families, REFERENCE, "quick"):
        findings = player.play_scenario(each.whole())
        if findings and worst([found.verdict for found in findings]) is NARROW[name].verdict:
            return
    pytest.fail("not found")


OF_64_KIB = replace(
    REFERENCE, clusters=(65536,), any_cluster=False, largest_disk=(1 << 40) + (1 << 35), most_copied=2048
)  # fmt: skip


@pytest.mark.parametrize("name", ["sectors-of-31-bits", "copied-from-4-gib-before", "left-over-beyond-4-gib"])
def test_a_mistake_far_away_is_found_where_clusters_are_small(name: str) -> None:
    adapter = player_of(NARROW[name]).adapter
    adapter.capabilities = OF_64_KIB
    player = Player(adapter)
    for each in members((FAR,), OF_64_KIB, "quick"):
        whole = each.whole_if_claimed(OF_64_KIB)
        if whole is not None and player.play_scenario(whole):
            return
    pytest.fail("not found")


def test_what_is_far_away_is_played_in_full_and_agrees() -> None:
    adapter = open_adapter("reference")
    adapter.capabilities = OF_64_KIB
    player, compared = Player(adapter), 0
    listed = [*members((FAR,), OF_64_KIB, "quick")]
    assert {at for at in landmarks.OFFSETS if any(landmarks.power(at) in each.name for each in listed)} == {1 << 40}
    for each in listed:
        whole = each.whole()
        assert from_bytes(as_bytes(whole)) == whole
        assert not player.play_scenario(whole)
        compared += player.compared
    assert compared >= 3
    assert not [*members((FAR,), REFERENCE, "quick")], "who has clusters of every size has it all elsewhere"
