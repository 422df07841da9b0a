"""What verify says beside the judgement, where the disk has not heeded a discard, as it need not."""

from dataclasses import replace
from pathlib import Path

import pytest
from cbtcheck.judging.checked import opinion
from cbtcheck.judging.conversation import Entry
from cbtcheck.judging.enumerated import GRANULE, baseline, burst
from cbtcheck.judging.plan import Plan, read_plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Schedule
from cbtcheck.judging.verdicts import Judgement

EXAMPLES = Path(__file__).parents[3] / "examples" / "judge"
COPYING = "1/copying/transaction/1"
pytestmark = pytest.mark.qemu


@pytest.fixture
def plan(binary: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("CBTSPEC_QEMU", binary)
    return read_plan(EXAMPLES / "right.toml")


def played(plan: Plan, operations: tuple[str, ...]) -> Outcome:
    writes = [each for each in burst(plan, COPYING) if each.op in operations]
    return play(plan, Schedule("of a test", plan.increments, (*baseline(plan), *writes)))


def with_a_discard(outcome: Outcome, plan: Plan, parts: tuple[tuple[int, int], ...]) -> Outcome:
    """The same run, in which the guest discards something, too, of which the disk heeds those parts."""
    write = next(each for each in burst(plan, COPYING) if each.op == "discard")
    last = max(number for number, each in enumerate(outcome.entries) if each.write and each.point == COPYING)
    discard = Entry("guest", "discard", "1", COPYING, write=write, parts=parts)
    return replace(outcome, entries=[*outcome.entries[: last + 1], discard, *outcome.entries[last + 1 :]])


def test_a_discard_that_was_not_heeded_and_is_not_marked_leaves_verify_without_an_opinion(plan: Plan) -> None:
    outcome = played(plan, ("write", "zeroes"))
    assert outcome.judgement is Judgement.SAFE, outcome.reasons
    assert opinion(outcome, plan.sizes()) == "agrees: the backups give the disk back"
    said = opinion(with_a_discard(outcome, plan, ()), plan.sizes())
    assert said == (
        "has no opinion: the backups give the disk back only if a write that may have been made was not made"
    )


def test_a_discard_that_was_heeded_and_is_not_marked_is_told_of(plan: Plan) -> None:
    outcome = played(plan, ("write", "zeroes"))
    where = next((each.offset, each.length) for each in burst(plan, COPYING) if each.op == "discard")
    assert opinion(with_a_discard(outcome, plan, (where,)), plan.sizes()).startswith("differs")
    assert where[1] == GRANULE
