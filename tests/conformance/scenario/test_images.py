"""Scenarios with images as JSON, in words, and what of them is claimed."""

from __future__ import annotations

from typing import Any

import pytest
from cbtcheck.adapter import PERSISTENCE
from cbtcheck.adapters import capabilities_of
from cbtcheck.scenario.capabilities import PROFILES, missing_for, needs
from cbtcheck.scenario.describe import describe
from cbtcheck.scenario.scenario import ScenarioError, command_in_full, from_data, to_data
from cbtmodel import commands as c
from cbtmodel.image import Close, Crash, Open, Persist, Reopen, WrittenByOthers

ADD = {"do": "add-bitmap", "node": "d", "name": "b", "granularity": 4096, "persistent": True}
STEPS = [
    (ADD, Persist(c.AddBitmap("d", "b", 4096)), "add bitmap d/b (4K), to be stored"),
    ({"do": "close", "node": "d"}, Close("d"), "close d"),
    ({"do": "open", "node": "d"}, Open("d"), "open d"),
    ({"do": "open", "node": "d", "writable": False}, Open("d", writable=False), "open d for reading only"),
    ({"do": "reopen", "node": "d", "writable": False}, Reopen("d", False), "reopen d for reading only"),
    ({"do": "reopen", "node": "d", "writable": True}, Reopen("d", True), "reopen d for writing"),
    ({"do": "written-by-others", "node": "d"}, WrittenByOthers("d"), "d is written to by others"),
    ({"do": "crash"}, Crash(), "crash"),
]


def told(*listed: Any, **more: Any) -> dict[str, Any]:
    return {"format": "cbtspec-scenario", "version": 1, "disks": {"d": 32768}, "commands": list(listed), **more}


@pytest.mark.parametrize(("data", "step", "words"), STEPS)
def test_a_step_is_read_written_and_described(data: dict[str, Any], step: Any, words: str) -> None:
    scenario = from_data(told(data, images=True))
    assert scenario.commands == (step,)
    assert to_data(scenario)["commands"] == [data]
    assert describe(step) == words
    assert PERSISTENCE in needs(step)
    assert "fails" not in command_in_full(step, 1)


def test_scenarios_without_images_are_as_they_were() -> None:
    scenario = from_data(told({**ADD, "persistent": False}))
    assert scenario.commands == (c.AddBitmap("d", "b", 4096),)
    assert "images" not in to_data(scenario)
    assert not missing_for(scenario, capabilities_of("reference"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (told({"do": "close", "node": "d"}),
         'scenario: command 1: \'close\' needs disks that lie in images: say "images": true beside "disks"'),
        (told(ADD), 'scenario: command 1: \'persistent\' needs disks that lie in images: say "images": true beside '
                    '"disks"'),
        (told(images=1), "scenario: 'images' must be true or false"),
        (told({**ADD, "persistent": "yes"}, images=True),
         "scenario: command 1: 'add-bitmap': 'persistent' must be true or false"),
        (told({"do": "close", "node": "d", "fails": True}, images=True),
         "scenario: command 1: 'close' has no 'fails'"),
        (told({"do": "close"}, images=True),
         "scenario: command 1: 'close': Object missing required field `node`"),
        (told({"do": "transaction", "actions": [ADD]}, images=True),
         "scenario: command 1, action 1: what is to be stored is added by a command of its own, "
         "not in a transaction"),
        (told({"do": "transaction", "actions": [{"do": "crash"}]}, images=True),
         "scenario: command 1, action 1: 'crash' is no action of a transaction"),
    ],
)  # fmt: skip
def test_bad_ones_are_refused(data: dict[str, Any], why: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        from_data(data)
    assert str(refused.value) == why


def test_no_profile_promises_them() -> None:
    assert all(PERSISTENCE not in words for words in PROFILES.values())
