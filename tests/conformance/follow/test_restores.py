"""What a restore is compared with, where an environment lets something else happen than was asked for."""

from __future__ import annotations

from dataclasses import replace

from cbtcheck.adapter import Hint, Performed
from cbtcheck.adapters.reference import ReferenceAdapter
from cbtcheck.content import Content, filled_with
from cbtcheck.follow.play import Player
from cbtcheck.scenario.scenario import Command, Restore, Scenario
from cbtmodel import commands as c

K64 = 65536
TOLD = Scenario(
    {"d": 2 * K64},
    (
        c.AddBitmap("d", "b", K64), c.StartBackup("j1", "d", "full"), c.Copy("j1", 0, K64), c.Copy("j1", K64, K64),
        c.Write("d", 0, 1), c.StartBackup("j2", "d", "incremental", "b"), c.Copy("j2", 0, K64, "write error"),
        c.Write("d", K64, 1), c.StartBackup("j3", "d", "incremental", "b"), c.Copy("j3", 0, K64),
        c.Copy("j3", K64, K64), Restore(("j1", "j3")),
    ),
)  # fmt: skip


class NoCopyFails(ReferenceAdapter):
    """Where a copy is to fail, it has succeeded already; `loses`: and what the target of j3 has is lost later."""

    loses = False

    def perform(self, command: Command, hint: Hint) -> Performed:
        return super().perform(replace(command, result="ok") if isinstance(command, c.Copy) else command, hint)

    def target(self, job: str) -> Content | None:
        return filled_with(0, 2 * K64) if job == "j3" and self.loses else super().target(job)


def test_a_chain_that_names_all_that_succeeded_is_compared() -> None:
    player = Player(ReferenceAdapter())
    assert player.play_scenario(TOLD) == []
    assert not player.not_realised


def test_a_chain_without_a_backup_that_was_to_fail_and_succeeded_is_not_the_disk() -> None:
    player = Player(NoCopyFails())
    assert player.play_scenario(TOLD) == []
    assert player.not_realised["Restore"] == 1


def test_with_it_the_chain_is_the_disk() -> None:
    whole = replace(TOLD, commands=(*TOLD.commands[:-1], Restore(("j1", "j2", "j3"))))
    player = Player(NoCopyFails())
    assert player.play_scenario(whole) == []
    assert not player.not_realised["Restore"]


def test_what_was_copied_must_be_right_whatever_happened() -> None:
    adapter = NoCopyFails()
    adapter.loses = True
    [found] = Player(adapter).play_scenario(TOLD)[:1]
    assert "POINT-IN-TIME" in str(found)
