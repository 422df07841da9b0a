"""Nobody who chooses from commands has forgotten one."""

from __future__ import annotations

import typing
from collections.abc import Iterable

import pytest
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import KINDS
from cbtcheck.search.draw import CROWD, GUEST, JOB, OPERATOR
from cbtcheck.search.tour import reachable
from cbtcheck.vectors.malformed import malformed_commands
from cbtcheck.vectors.refusals import tried
from cbtmodel import commands as c
from cbtmodel.alphabet import SAMPLES
from cbtproofs.explorer.scopes import standard
from cbtproofs.inductive.stage import PLAYS
from cbtproofs.refinement.worlds import worlds

ALPHABETS: dict[str, Iterable[type]] = {
    "drawn": [each.kind for each in (*OPERATOR, *GUEST, *JOB)],
    "drawn in a crowd": [each.kind for each in (*CROWD, *GUEST, *JOB)],
    "the tour": [type(each) for world in reachable.worlds("quick") for each in world.alphabet],
    "vectors of refusals": [type(each) for each in tried({"d": 2, "e": 2})],
    "vectors of malformed commands": [type(each) for _, each in malformed_commands()],
    "the explorer": [type(each) for scope, _ in standard() for each in scope.commands],
    "refinement": [type(each) for world in worlds("quick") for each in world.commands],
    "the provers": [type(each) for commands in PLAYS.values() for each in commands],
}


@pytest.mark.parametrize("who", ALPHABETS)
def test_an_alphabet_has_every_command(who: str) -> None:
    assert set(typing.get_args(c.Command)) <= set(ALPHABETS[who])


def test_every_command_has_its_name_in_a_scenario() -> None:
    assert {*typing.get_args(c.Command), c.Abort} <= set(KINDS.values())


@pytest.mark.parametrize("command", [command for _, command in SAMPLES], ids=lambda each: type(each).__name__)
def test_every_command_can_be_described(command: c.Command) -> None:
    assert not describe(command).startswith("unknown")
