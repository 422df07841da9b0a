"""What is claimed decides what is asked for: capabilities of commands, sizes, and states."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import FEATURES, FEATURES_OF_VERSION_1, Capabilities
from cbtcheck.scenario import capabilities as claims
from cbtcheck.scenario.scenario import Restore, Scenario
from cbtcheck.search.machine import draw_scenarios
from cbtcheck.sets.bitsets import BitSets
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.node import initial
from cbtmodel.step import step

PAGE = Path(__file__).parents[3] / "docs/use/adapter-protocol.md"
ALL = Capabilities(claims.COMMANDS, (4096,), (4096,), disks=({"disk0": 32768},))
CORE = replace(
    ALL, commands=claims.expanded(["core"]) & claims.COMMANDS, features=claims.expanded(["core"]) & FEATURES
)


def test_the_page_has_every_profile_and_every_feature() -> None:
    rows = dict(re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE))
    for profile, words in claims.PROFILES.items():
        said = set(re.findall(r"`([a-z-]+)`", rows[f"`{profile}`"]))
        if profile == "full":
            assert said == {"refusals", "content"}
        else:
            assert said == set(words)
    features = {word for row in rows for word in re.findall(r"`([a-z-]+)`", row)}
    assert features >= FEATURES


def test_full_is_all_but_what_belongs_to_the_other_kind_of_backup() -> None:
    assert claims.expanded(["full"]) == claims.COMMANDS | FEATURES_OF_VERSION_1 - {"read"}
    with pytest.raises(LookupError, match="unknown capability 'ful'"):
        claims.expanded(["ful"])


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (c.RemoveBitmap("d", "b"), "remove-bitmap"),
        (c.AddBitmap("d", "b", 4096, False), "disabled"),
        (c.Write("d", 0, 1, "zeroes"), "zeroes"),
        (c.Write("d", 0, 1, "discard", "ignored"), "discard"),
        (c.Write("d", 0, 1, "write", "failed"), "failed-write"),
        (c.Write("d", 0, 1, "write", "copy failed"), "failed-copy"),
        (c.StartBackup("j", "d", "bitmap", "b", "never"), "never"),
        (c.StartBackup("j", "d", "full", auto_finalize=False), "manual-finalize"),
        (c.StartBackup("j", "d", "full", on_target_error="stop"), "error-policies"),
        (c.Copy("j", 0, 1, "read error"), "failed-copy"),
        (c.Transaction((c.ClearBitmap("d", "b"),)), "transaction"),
        (c.Write("d", 0, 1), ""),
        (c.AddBitmap("d", "b", 4096), ""),
        (c.StartBackup("j", "d", "incremental", "b"), ""),
    ],
    ids=str,
)
def test_what_core_does_not_cover(command: Any, word: str) -> None:
    assert claims.not_claimed(command, CORE) == word
    assert claims.not_claimed(command, ALL) == ""


def test_an_action_needs_what_it_needs_by_itself() -> None:
    some = replace(ALL, commands=ALL.commands - {"clear-bitmap"})
    assert claims.not_claimed(c.Transaction((c.ClearBitmap("d", "b"),)), some) == "clear-bitmap"


def test_sizes_that_are_not_claimed() -> None:
    some = replace(ALL, smallest_granularity=4096, largest_granularity=65536, any_cluster=False)
    assert claims.wrong_size(c.AddBitmap("d", "b", 512), some) == "a granularity of 512"
    assert claims.wrong_size(c.AddBitmap("d", "b", 1000), some) == "", "malformed for everybody"
    assert claims.wrong_size(c.StartBackup("j", "d", "full", cluster=8192), some) == "clusters of 8192"


def test_without_refusals_nothing_invalid_is_asked_for_but_the_rest_is() -> None:
    state = initial(BitSets(), {"disk0": 32768})
    beyond = c.Write("disk0", 32768, 1)
    assert claims.missing(state, beyond, CORE) == "refusals"
    assert claims.missing(state, beyond, ALL) == ""
    assert claims.missing(state, c.StartBackup("j0", "disk0", "incremental", "nobody"), CORE) == ""


def test_a_job_too_many() -> None:
    some = replace(ALL, max_jobs=1)
    state = step(initial(BitSets(), {"disk0": 32768}), c.StartBackup("j0", "disk0", "full")).state
    assert claims.missing(state, c.StartBackup("j1", "disk0", "full"), some) == "2 jobs"


def test_drawn_scenarios_ask_for_nothing_that_is_not_claimed() -> None:
    drawn: list[Scenario] = []
    draw_scenarios(CORE, drawn.append, seed=1, examples=60, steps=14)
    assert sum(len(each.commands) for each in drawn) > 100
    assert not [each for each in drawn if claims.missing_for(each, CORE)]


def test_a_workflow_is_played_whole_or_not_at_all() -> None:
    missing = {name: claims.missing_for(each, CORE) for name, each in workflows().items()}
    assert missing["1-full-while-nothing-writes"] == ""
    assert missing["8-checkpoints"] != ""
    with_restore = Scenario({"disk0": 32768}, (Restore(("j0",)),))
    assert claims.missing_for(with_restore, CORE) == ""
