"""Indefinite replies make two worlds, what is seen decides; and waste hides nothing that is worse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cbtcheck.adapter import Adapter, Hint, Observation, Performed, Reply, SeenBitmap
from cbtcheck.follow.play import Player
from cbtcheck.follow.worlds import MOST_WORLDS, with_waste
from cbtcheck.scenario.verdict import Verdict
from cbtcheck.sets.bitsets import BitSets
from cbtmodel import commands as c
from cbtmodel.commands import Command
from cbtmodel.node import initial
from cbtmodel.step import step

D, GRANULE = "disk0", 65536
PERHAPS = Reply("internal", "the connection was lost", definite=False)


def forgetful(mirror: Any, happens: Callable[[Command], bool], silent: Callable[[Command], bool]) -> Adapter:
    """A mirror that answers what is `silent` indefinitely, and does it only if it `happens`."""

    class Forgetful(mirror):  # type: ignore[misc]
        def perform(self, command: Command, hint: Hint) -> Performed:
            if not silent(command):
                return super().perform(command, hint)  # type: ignore[no-any-return]
            done = super().perform(command, hint) if happens(command) else Performed(())
            return Performed(((command, PERHAPS),), done.ended)

    return Forgetful()  # type: ignore[no-any-return]


def writes(command: Command) -> bool:
    return isinstance(command, c.Write)


@pytest.mark.parametrize("happened", [True, False])
def test_what_is_seen_decides_whether_a_command_has_happened(mirror: Any, play: Any, happened: bool) -> None:
    adapter = forgetful(mirror, lambda _: happened, writes)
    player = play([c.AddBitmap(D, "b0", GRANULE), c.Write(D, 0, 1)], adapter=adapter)
    assert not player.frames[-1].findings
    assert len(player.worlds) == 1
    assert bool(player.state.nodes[D].bitmaps["b0"].marks.dirty) == happened


def test_both_worlds_are_followed_until_something_decides(mirror: Any, play: Any) -> None:
    adapter = forgetful(mirror, lambda _: True, writes)
    steps = [c.AddBitmap(D, "b0", GRANULE), c.Write(D, 0, 1)]
    player = play(steps, adapter=adapter)
    assert len(player.worlds) == 1, "its bits were seen"
    adapter = forgetful(mirror, lambda _: True, lambda each: isinstance(each, c.CancelJob))
    player = play([c.CancelJob("nojob"), c.AddBitmap(D, "b0", GRANULE)], adapter=adapter)
    assert len(player.worlds) == 1, "it can make no difference"
    blind = play_unseen(adapter=forgetful(mirror, lambda _: False, writes))
    assert len(blind.worlds) == 2
    assert not blind.play(c.ClearBitmap(D, "b0"))
    assert len(blind.worlds) == 1, "both lead to the same state"


def play_unseen(adapter: Adapter) -> Player:
    """A player that has added a bitmap, and made a write that nobody looked at."""
    player = Player(adapter)
    player.begin({D: 1 << 20})
    assert not player.play(c.AddBitmap(D, "b0", GRANULE))
    assert not player.play(c.Write(D, 0, 1), observed=False)
    return player


def test_a_definite_reply_decides_too(mirror: Any) -> None:
    player = Player(forgetful(mirror, lambda _: True, lambda each: isinstance(each, c.RemoveBitmap)))
    player.begin({D: 1 << 20})
    assert not player.play(c.AddBitmap(D, "b0", GRANULE), observed=False)
    assert not player.play(c.RemoveBitmap(D, "b0"), observed=False)
    assert len(player.worlds) == 2
    assert not player.play(c.ClearBitmap(D, "b0"), observed=False)
    assert len(player.worlds) == 1
    assert not player.state.nodes[D].bitmaps


def test_neither_world_excuses_a_lost_write(mirror: Any) -> None:
    class Loses(mirror):  # type: ignore[misc]
        def perform(self, command: Command, hint: Hint) -> Performed:
            if isinstance(command, c.ClearBitmap):
                super().perform(c.ClearBitmap(D, "b1"), hint)
                return Performed(((c.DisableBitmap(D, "b0"), PERHAPS),))
            return super().perform(command, hint)  # type: ignore[no-any-return]

    player = Player(Loses())
    player.begin({D: 1 << 20})
    for name in ("b0", "b1"):
        assert not player.play(c.AddBitmap(D, name, GRANULE))
    assert not player.play(c.Write(D, 0, 1))
    findings = player.play(c.ClearBitmap(D, "b0"))
    assert [each.verdict for each in findings] == [Verdict.UNSAFE]
    assert findings[0].where == f"{D}/b1 bits"


def test_too_many_possibilities_end_the_scenario(mirror: Any) -> None:
    player = Player(forgetful(mirror, lambda _: True, writes))
    player.begin({D: 1 << 20})
    player.play(c.AddBitmap(D, "b0", GRANULE))
    found = [player.play(c.Write(D, n * GRANULE, 1), observed=False) for n in range(MOST_WORLDS.bit_length())]
    assert not any(found[:-1])
    assert found[-1][0].verdict is Verdict.BROKEN
    assert "indefinite" in found[-1][0].seen


def test_waste_ends_a_scenario_unless_it_is_tolerated(mirror: Any) -> None:
    steps = [c.AddBitmap(D, "b0", GRANULE), c.Write(D, 0, 1), c.Write(D, 3 * GRANULE, 1), c.ClearBitmap(D, "b0")]
    player = Player(mirror(added=1 << 5))
    player.begin({D: 1 << 20})
    assert [each.verdict for each in player.play_steps(steps)] == [Verdict.WASTEFUL]
    assert len(player.frames) == 2
    player = Player(mirror(added=1 << 5), tolerant=True)
    player.begin({D: 1 << 20})
    assert not player.play_steps(steps)
    tolerated = [str(each.extra) for each in player.tolerated_findings]
    assert tolerated == [str(1 << 5)], "once: it is taken for dirty then"


def test_waste_hides_no_lost_write(mirror: Any) -> None:
    steps = [c.AddBitmap(D, "b0", GRANULE), c.Write(D, 0, 1), c.Write(D, 3 * GRANULE, 1)]
    player = Player(mirror(added=1 << 5, lost=1 << 3), tolerant=True)
    player.begin({D: 1 << 20})
    findings = player.play_steps(steps)
    assert [each.verdict for each in findings] == [Verdict.UNSAFE]
    assert findings[0].missing == 1 << 3


def test_writes_in_a_row_are_performed_in_one_go(mirror: Any) -> None:
    class Batching(mirror):  # type: ignore[misc]
        batches = True
        asked: list[int] = []

        def perform_many(self, commands: Any, hints: Any) -> list[Performed]:
            self.asked.append(len(commands))
            assert len({each.fill for each in hints}) == len(hints)
            return super().perform_many(commands, hints)  # type: ignore[no-any-return]

    adapter = Batching(lost=1 << 2)
    player = Player(adapter, closely=False)
    player.begin({D: 1 << 20})
    steps: list[Any] = [c.AddBitmap(D, "b0", GRANULE), *(c.Write(D, n * GRANULE, 1) for n in range(5))]
    findings = player.play_steps(steps)
    assert adapter.asked == [4]
    assert [each.verdict for each in findings] == [Verdict.UNSAFE]
    assert [type(each.asked) for each in player.frames] == [type(each) for each in steps]


def test_a_count_of_all_granules_is_waste_that_need_not_be_read() -> None:
    """A bitmap cannot be read while I/O is held; that it is dirty all over is known from its count."""
    state = step(initial(BitSets(), {"d": 100 * 512}), c.AddBitmap("d", "b", 1024)).state
    for count, dirty in ((50, 100), (49, 0)):
        seen = Observation({("d", "b"): SeenBitmap(1024, True, False, count, None)}, {})
        after = with_waste(state, seen, lambda node, name: None)
        assert len(after.nodes["d"].bitmaps["b"].marks.dirty) == dirty
