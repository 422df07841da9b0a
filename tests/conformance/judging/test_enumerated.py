"""Which schedules there are, and that all writes have room and can be told apart."""

from pathlib import Path

import pytest
from cbtcheck.judging.enumerated import (
    PROFILES,
    after_failures,
    baseline,
    burst,
    chosen,
    drawn,
    faults,
    idle,
    labels,
    pairs,
    shape_of,
    windows,
)
from cbtcheck.judging.grouped import grouped
from cbtcheck.judging.instants import MOST_WRITES, Loss
from cbtcheck.judging.plan import GRANULE, LARGEST, SECTOR, SMALLEST, USUAL_SIZE, Plan, PlannedDisk
from cbtcheck.judging.play import Outcome
from cbtcheck.judging.schedule import Fault, Schedule, ScheduleProblem, Write, parsed, read_schedule, write_schedule
from cbtcheck.judging.verdicts import Judgement, Reason
from cbtcheck.judging.windows import losing

PLAN = Plan("b", "i", "r {out}")
POINTS = [
    "1/start", "1/before/blockdev-add/1", "1/reply/blockdev-add/1", "1/before/transaction/1", "1/reply/transaction/1",
    "1/copying/transaction/1", "1/event/BLOCK_JOB_COMPLETED/1", "2/start", "2/before/transaction/1",
    "2/reply/transaction/1", "2/copying/transaction/1",
]  # fmt: skip
TARGETS = ["1/before/blockdev-add/1"]


def test_every_window_has_a_schedule_with_a_write_of_each_kind() -> None:
    found = windows(PLAN, POINTS)
    assert [each.name for each in found] == [f"window {at}" for at in POINTS if at != "1/start"]
    for each, at in zip(found, POINTS[1:], strict=True):
        there = [write for write in each.writes if write.at == at]
        assert {write.op for write in there} == {"write", "zeroes", "discard"}
        assert any(write.offset % GRANULE and (write.offset + write.length) % GRANULE for write in there)
        assert any(write.offset + write.length == USUAL_SIZE for write in there)


@pytest.mark.parametrize("size", [SMALLEST, USUAL_SIZE, LARGEST])
def test_all_writes_are_within_the_disk_and_can_be_told_apart(size: int) -> None:
    plan = Plan("b", "i", "r", (PlannedDisk("a", size), PlannedDisk("b", size)), increments=8)
    writes = [*baseline(plan), *burst(plan, "1/start"), *burst(plan, "2/start", 1)]
    assert all(each.offset >= 0 and each.length > 0 and each.offset + each.length <= size for each in writes)
    assert not any(each.offset % SECTOR or each.length % SECTOR for each in writes)
    assert len(writes) <= MOST_WRITES


def test_the_writes_of_a_window_are_where_nothing_else_is_written_but_one() -> None:
    """Else a bitmap that lost the write would have its granule from another one."""
    others = {g for each in baseline(PLAN) if each.at != "1/start" for g in granules(each)}
    alone = [each for each in burst(PLAN, "x/start") if not others & granules(each)]
    assert len(alone) == len(burst(PLAN, "x/start")) - 1


def test_nothing_is_written_before_a_run_and_then_in_one_of_its_windows() -> None:
    found = idle(PLAN, POINTS)
    assert [each.name for each in found] == [
        "nothing written before run 2", "nothing written before run 2, then 2/before/transaction/1",
        "nothing written before run 2, then 2/reply/transaction/1",
        "nothing written before run 2, then 2/copying/transaction/1",
    ]  # fmt: skip
    for each in found:
        assert not [write for write in each.writes if write.at == "2/start"]
        assert [write for write in each.writes if write.at == "3/start"]
    assert [len({write.at for write in each.writes} - {write.at for write in baseline(PLAN)}) for each in found] == [
        0, 1, 1, 1,
    ]  # fmt: skip


def test_each_thing_that_a_tool_does_after_a_failure_is_gone_through_once() -> None:
    fault = Fault("2/reply/transaction/1", "KILL")
    failed = Schedule("fault KILL", 2, baseline(PLAN), (fault,))
    points = ["2a/start", "2a/before/blockdev-del/1", "2a/copying/transaction/1"]
    found = after_failures(PLAN, [(failed, points)])
    assert [each.name for each in found] == [
        "fault KILL, then 2a/before/blockdev-del/1", "fault KILL, then 2a/copying/transaction/1",
    ]  # fmt: skip
    assert all(each.faults == (fault,) for each in found)
    assert {write.at for write in found[1].writes} - {write.at for write in failed.writes} == {
        "2a/before/transaction/1"
    }, "what copies is held back"
    assert shape_of(points) == shape_of([each.replace("2a", "3a") for each in points])
    assert shape_of(points) != shape_of([each.replace("2a", "2b") for each in points])
    assert shape_of(points) != shape_of(points[:-1])


def granules(write: Write) -> set[int]:
    return set(range(write.offset // GRANULE, (write.offset + write.length - 1) // GRANULE + 1))


def test_every_kind_of_fault_is_where_it_can_be() -> None:
    found = {(each.faults[0].kind, each.faults[0].at) for each in faults(PLAN, POINTS, TARGETS)}
    assert ("target-EIO", TARGETS[0]) in found
    assert ("target-EIO", POINTS[3]) not in found
    assert {kind for kind, at in found if at == "1/copying/transaction/1"} == {"cancel", "slow", "source-EIO"}
    assert {kind for kind, at in found if at == "2/start"} == {"restart", "emulator-killed"}
    assert not [kind for kind, at in found if at == "1/start"]


def test_a_disk_that_is_a_file_is_not_held_back() -> None:
    plan = Plan("b", "i", "r", (PlannedDisk("a", served=False),))
    assert not {"slow", "source-EIO"} & {each.faults[0].kind for each in faults(plan, POINTS, TARGETS)}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_what_is_chosen_is_told_with_its_bounds_and_is_the_same_again(profile) -> None:  # type: ignore[no-untyped-def]
    found = chosen(PLAN, POINTS, TARGETS, profile, 7)
    assert found == chosen(PLAN, POINTS, TARGETS, profile, 7)
    assert len(found.schedules) == sum(some for _, some, _ in found.bounds)
    names = [each.name for each in found.schedules]
    assert len(set(names)) == len(names)
    of = {name: (some, whole) for name, some, whole in found.bounds}
    assert of["windows"] == (len(POINTS) - 1, len(POINTS) - 1)
    assert of["pairs of windows"][1] == len(list(pairs(PLAN, POINTS)))


def test_what_is_drawn_depends_on_the_seed_and_nothing_else() -> None:
    assert drawn(PLAN, POINTS, TARGETS, 1, 5) == drawn(PLAN, POINTS, TARGETS, 1, 5)
    assert drawn(PLAN, POINTS, TARGETS, 1, 5) != drawn(PLAN, POINTS, TARGETS, 2, 5)
    assert drawn(PLAN, POINTS, TARGETS, 1, 2).faults


def test_the_runs_that_there_may_be() -> None:
    assert labels(1) == ["1", "1a", "2", "2a", "2b"]


def test_a_schedule_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    for each in (windows(PLAN, POINTS)[0], faults(PLAN, POINTS, TARGETS)[0]):
        write_schedule(each, path)
        assert read_schedule(path) == each


@pytest.mark.parametrize("text", ["", "[]", '{"name": "x", "faults": [{"at": "nowhere", "kind": "KILL"}]}',
                                  '{"name": "x", "faults": [{"at": "1/start", "kind": "flood"}]}',
                                  '{"name": "x", "format": 2}'])  # fmt: skip
def test_a_file_that_is_no_schedule_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(ScheduleProblem, match=r"it\.json"):
        read_schedule(path)


def test_a_point_is_parsed_as_it_is_written() -> None:
    for each in POINTS:
        assert str(parsed(each)) == each


def lost(at: str, fault: str | None = None) -> Outcome:
    failing = () if fault is None else (Fault(at, fault),)  # type: ignore[arg-type]
    reason = Reason(Judgement.UNSAFE, "wrong", "2", (Loss("disk0", 0, 512, 1, 2),), at)
    return Outcome(Schedule(f"window {at}", faults=failing), [reason])


def test_windows_that_follow_each_other_are_one_named_after_commands() -> None:
    found = losing(POINTS, POINTS[4:7])
    assert found == dict.fromkeys(POINTS[4:7], ("transaction of run 1", "transaction of run 2"))
    assert losing(POINTS, [POINTS[3]]) == {POINTS[3]: ("blockdev-add of run 1", "transaction of run 1")}


def test_failures_are_grouped_by_window_with_those_that_had_a_fault() -> None:
    shown = grouped(POINTS, [lost(POINTS[5], "KILL"), lost(POINTS[4]), lost(POINTS[5]), lost(POINTS[1], "KILL")])
    assert [(each.schedules, dict(each.faults)) for each in shown] == [(3, {"": 2, "KILL": 1}), (1, {"KILL": 1})]
    assert shown[0].between == ("transaction of run 1", "transaction of run 2")
