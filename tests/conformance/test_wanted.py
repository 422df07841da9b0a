"""What `--only` plays: all that is about what is named, and little else."""

import pytest
from cbtcheck.adapters.mistakes import MISTAKES, NARROW
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.follow.play import Player
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.run.wanted import SUBJECTS, commands_of, concerns, exercises, names_for_only, only_of_images
from cbtcheck.scenario.images import EVENTS
from cbtcheck.scenario.scenario import KINDS, Scenario
from cbtcheck.search.families import families, members
from cbtcheck.search.tour.contexts.plan import edges_of_scope, tour
from cbtcheck.search.tour.coverage import Edge
from cbtcheck.search.tour.sizes import sizes_for
from cbtcheck.search.tour.universal_play import control_sequences, played_with, sequence_of
from cbtcheck.search.traps import traps
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.image import Crash, Open

COMMANDS = [name for name in names_for_only() if name not in PROPERTIES and not only_of_images(name)]


def test_every_property_is_a_subject() -> None:
    assert {*SUBJECTS, "RULE-DISK"} == PROPERTIES.keys()


def test_the_rule_of_images_and_each_event_can_be_named_and_nothing_of_the_tour_is_about_them() -> None:
    named = [name for name in names_for_only() if only_of_images(name)]
    assert named == ["RULE-DISK", "open", "close", "reopen", "crash", "written-by-others"]
    aims = [aim for walk in tour("quick") for aim in walk.aims]
    assert not any(concerns(aims, name) for name in named)
    claims = ReferenceAdapter.capabilities
    others = [*workflows().values(), *traps(claims).values()]
    others += [each.scenario for each in members(families(), claims, "quick")]
    assert not any(exercises(each, name) for each in others for name in named)


def test_a_scenario_with_images_is_about_its_events_and_about_their_rule() -> None:
    add, crash = c.AddBitmap("d", "b", 4096), Scenario({"d": 4096}, (Crash(), Open("d")), images=True)
    assert [name for name in ("RULE-DISK", *EVENTS) if exercises(crash, name)] == ["RULE-DISK", "open", "crash"]
    assert exercises(Scenario({"d": 4096}, (add,), images=True), "RULE-DISK")
    assert not exercises(Scenario({"d": 4096}, (add,)), "RULE-DISK")


def test_every_subject_of_a_family_is_a_command_that_its_scenarios_have() -> None:
    """On the reference, or, where nothing is too far away for that, on what has larger clusters and fewer of them."""
    claims = ReferenceAdapter().capabilities, QemuAdapter.capabilities
    found = [each for one in claims for each in members(families(), one, "quick")]
    for family in families():
        assert family.subject
        assert family.subject <= KINDS.keys()
        for each in family.subject:
            assert any(exercises(one.scenario, each, family.subject) for one in found if one.family is family), each


@pytest.mark.parametrize("only", COMMANDS)
def test_each_edge_of_a_command_is_an_aim_of_a_walk_that_is_played(only: str) -> None:
    aims = {aim for walk in tour("quick") if concerns(walk.aims, only) for aim in walk.aims}
    of_it = {edge for edge in edges_of_scope("quick") if only in edge.command.split(": ")}
    assert of_it
    assert of_it <= aims


def test_an_action_that_is_taken_back_is_its_commands_business() -> None:
    edge = Edge("transaction: undone", "clear, then merge into", "enabled dirty", "in reverse")
    assert commands_of(edge) == {"transaction", "clear-bitmap", "merge-bitmaps"}
    assert commands_of(Edge("transaction: merge-bitmaps: again", "", "any", "3rd time")) == {
        "transaction", "merge-bitmaps"
    }  # fmt: skip


def test_a_command_inside_a_transaction_counts() -> None:
    clear = Scenario({"d": 4096}, (c.Transaction((c.ClearBitmap("d", "b"),)),))
    assert exercises(clear, "clear-bitmap")
    assert exercises(clear, "transaction")
    assert exercises(clear, "ATOMIC")  # there is no such bitmap
    assert not exercises(clear, "merge-bitmaps")
    assert not exercises(clear, "clear-bitmap", frozenset({"transaction"}))


def test_each_walk_that_is_asked_for_has_a_control_sequence_that_begins_as_it_does() -> None:
    walks = [walk for walk in tour("quick") if not walk.in_context]
    sequences = control_sequences(walks)
    assert played_with(sequences, walks) == frozenset(sequences)
    some = [walk for walk in walks if concerns(walk.aims, "pause-job")]
    chosen = played_with(sequences, some)
    assert 0 < len(chosen) < len(sequences) / 5
    for it in filter(lambda each: each.gaps, map(sequence_of, some)):
        assert any(each.commands[: len(it.commands)] == it.commands for each in chosen)


@pytest.mark.parametrize(
    ("only", "most"),
    [("pause-job", 0.1), ("clear-bitmap", 0.15), ("merge-bitmaps", 0.3), ("write", 0.3), ("DELIVERED", 0.4)],
)
def test_little_more_of_the_tour_is_played_than_what_is_named(only: str, most: float) -> None:
    played = sum(len(walk.commands) for walk in tour("quick") if concerns(walk.aims, only))
    assert 0 < played < most * sum(len(walk.commands) for walk in tour("quick"))


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("fourth-source-left-out", "merge-bitmaps"), ("merge-not-undone", "merge-bitmaps"),
        ("merge-not-undone", "ATOMIC"), ("disable-undone-too-far", "disable-bitmap"),
        ("enable-not-undone", "enable-bitmap"), ("disabled-clear-not-undone", "clear-bitmap"),
        ("disabled-add-stays", "add-bitmap"), ("disabled-removal-stays", "remove-bitmap"),
        ("cancels-the-neighbour", "cancel-job"), ("finalizes-the-neighbour", "finalize-job"),
        ("failed-newest-write-lost", "end-write"), ("fourth-bitmap-blind", "write"),
        ("second-member-stays-frozen", "start-backup"), ("sixth-action-forgotten", "transaction"),
        ("third-reclaim-loses", "FAILURE-KEEPS"), ("fourth-abdication-loses", "NO-LOST-WRITE"),
        ("target-error-is-success", "DELIVERED"), ("first-job-saves", "POINT-IN-TIME"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_is_named_is_found_by_the_walks_about_it(name: str, only: str) -> None:
    host = (NARROW[name] if name in NARROW else MISTAKES[name]).host
    adapter = ReferenceAdapter(host, name)
    player, sizes = Player(adapter), sizes_for(adapter.capabilities)[0]
    walks = (walk for walk in tour("quick") if concerns(walk.aims, only))
    assert any(player.play_scenario(walk.scenario(sizes)) for walk in walks)
