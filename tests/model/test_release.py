"""There is always a way on, as long as it is said to be; and who goes a step on it for ever gets nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from cbtmodel import step
from cbtmodel.commands import AddBitmap, BeginCopy, Copy, FinalizeJob, PauseJob, StartBackup, Transaction, Write
from cbtmodel.release import distance, next_step_to_completion

G = 4096


def start(job: str = "j", **more: Any) -> StartBackup:
    return StartBackup(job, "d", "full", cluster=G, **more)


def steps_to_the_end(state: Any, job: str) -> int:
    """How many commands it takes on the way that is shown, each as near to the end as it says."""
    number = 0
    while job in state.jobs:
        assert number < 20
        far = distance(state, job)
        done = step(state, next_step_to_completion(state, job)[1])
        assert done.refusal is None
        state, number = done.state, number + 1
        assert distance(state, job) == far - 1
    return number


@pytest.mark.parametrize(
    ("commands", "far"),
    [
        ((start(),), 1),
        ((start(auto_finalize=False),), 2),
        ((start(), PauseJob("j")), 2),
        ((start(), BeginCopy("j", 0, G), PauseJob("j")), 3),
        ((start(), BeginCopy("j", 0, 8 * G)), 1),
        ((start(auto_finalize=False), Copy("j", 0, 8 * G)), 1),
        ((start(), PauseJob("j"), Write("d", 0, 8 * G)), 1),
        ((Transaction((start(), start("k", auto_finalize=False)), True), BeginCopy("k", 0, G), PauseJob("k")), 5),
    ],
    ids=str,
)
def test_the_way_is_as_long_as_it_is_said_to_be(commands: tuple[Any, ...], far: int, story: Any) -> None:
    story.do(AddBitmap("d", "b", G), *commands)
    assert distance(story.state, "j") == far == steps_to_the_end(story.state, "j")


def test_who_retries_for_ever_stays_where_he_is(story: Any) -> None:
    story.do(start(on_source_error="ignore"))
    for _ in range(5):
        story.do(Copy("j", 0, G, "read error"))
        assert distance(story.state, "j") == 1
    story.do(Copy("j", 0, 8 * G))
    assert story.ended == [("j", "completed")]


def test_with_stop_each_failure_needs_a_resume(story: Any) -> None:
    story.do(start(on_target_error="stop", auto_finalize=False))
    assert distance(story.state, "j") == 2
    story.do(Copy("j", 0, G, "write error"))
    assert distance(story.state, "j") == 3
    story.do(next_step_to_completion(story.state, "j")[1], Copy("j", 0, 8 * G))
    assert next_step_to_completion(story.state, "j") == ("j", FinalizeJob("j"))
    assert distance(story.state, "nobody") == 0
