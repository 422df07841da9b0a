"""Thousands of schedules take no more memory than one."""

import weakref

import pytest
from cbtcheck.judging import campaign
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.schedule import Schedule


class Disks:
    """Megabytes that hang in a cycle."""

    def __init__(self) -> None:
        self.whole = self


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_schedule_leaves_is_gone_with_it(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    left = []

    def play(plan: Plan, schedule: Schedule) -> Outcome:
        left.append(weakref.ref(Disks()))
        if fails:
            raise OSError("no space left on device")
        return Outcome(schedule)

    monkeypatch.setattr(campaign, "play", play)
    schedule = Schedule("one", 0, [])
    plan = Plan("sh backup", "sh increment", "sh restore")
    if fails:
        with pytest.raises(OSError, match="no space"):
            campaign._one(plan, schedule)
    else:
        campaign._one(plan, schedule)
    assert left[0]() is None
