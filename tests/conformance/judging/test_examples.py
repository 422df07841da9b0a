"""The examples of `examples/judge`: the right ones are safe, and each wrong one is found, in its window."""

import os
import re
import shutil
from pathlib import Path

import pytest
from cbtcheck.judging.campaign import judge
from cbtcheck.judging.checked import opinion
from cbtcheck.judging.enumerated import PROFILES, baseline, burst
from cbtcheck.judging.grouped import main_reason
from cbtcheck.judging.plan import Plan, read_plan
from cbtcheck.judging.play import play
from cbtcheck.judging.schedule import Fault, Schedule
from cbtcheck.judging.verdicts import Judgement
from cbtcheck.judging.windows import without_runs
from msgspec.structs import replace

EXAMPLES = Path(__file__).parents[3] / "examples" / "judge"
NAMES = sorted(each.stem for each in EXAMPLES.glob("*.toml"))
PAGE = Path(__file__).parents[3] / "docs" / "use" / "judge.md"
RIGHT = ("drive", "pull", "right", "two-disks")
NEEDED = {
    "pull": ("qemu-system-x86_64", "qemu-img", "qemu-io"),
    "drive": ("qemu-system-x86_64", "qemu-img"),
    "done-before-it-is-closed": ("qemu-img",),
}
FULL, INCREMENT = "1/reply/blockdev-backup/1", "2/reply/blockdev-backup/1"
CLEARED = "2/before/block-dirty-bitmap-clear/1"
BETWEEN_DISKS = "1/before/transaction/2"
CLOSED = "2/before/blockdev-del/1"
LATE = "2/before/blockdev-add/1"

BEGINS_ANEW = "2/before/transaction/1"
ADDS_LATE = "2a/before/transaction/2"

WRONG = {
    "added-after-the-full": (FULL, None, ("blockdev-backup", "job-dismiss")),
    "cleared-after-the-increment": (CLEARED, None, ("blockdev-del", "block-dirty-bitmap-clear")),
    "checkpoint-outside-the-transaction": (INCREMENT, None, ("blockdev-backup", "block-dirty-bitmap-add")),
    "target-reused": (LATE, "target-EIO", None),
    "increments-on-a-failed-full": ("1/before/blockdev-add/1", "target-EIO", None),
    "two-disks-two-instants": (BETWEEN_DISKS, None, ("transaction", "transaction")),
    "done-before-it-is-closed": (CLOSED, "emulator-killed", None),
    "nothing-changed": (BEGINS_ANEW, None, ("block-dirty-bitmap-remove", "transaction")),
    "full-after-a-failure": (ADDS_LATE, None, ("job-dismiss", "transaction")),
}
"""The point of the guest's writes, what fails there, and the commands around the write that is lost first."""

VERIFY = {
    "target-reused": "differs",  # QEMU is told of one backup after the other, and not that they share a file
    "increments-on-a-failed-full": "has no opinion",  # no backup has completed
    "two-disks-two-instants": "differs",  # each disk gives its own instant back
    "done-before-it-is-closed": "differs",  # the job has completed
}
"""Where `verify` does not come to the same judgement from the recording."""

DEPENDS = "has no opinion: the backups give the disk back only if"
"""Where QEMU has not heeded a discard, which it need not; then the recording cannot tell (`test_checked.py`)."""

UNTOLD = "has no opinion: no backup is complete in the recording, or the recording does not tell"
"""Of a tool that is killed a reply is in no recording: what it was is not known, and neither what stands on it."""


@pytest.fixture
def plan(request: pytest.FixtureRequest, binary: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("CBTSPEC_QEMU", binary)
    return read_plan(EXAMPLES / f"{request.param}.toml")


def schedule(plan: Plan, at: str, fault: str | None) -> Schedule:
    faults = () if fault is None else (Fault(at, fault),)  # type: ignore[arg-type]
    written = at if fault is None else at.replace("/copying/", "/before/")
    return Schedule("of a test", plan.increments, (*baseline(plan), *burst(plan, written)), faults)


def nothing_written(plan: Plan, at: str, fault: str | None) -> Schedule:
    """The guest is idle before the second run."""
    usual = schedule(plan, at, fault)
    return replace(usual, writes=tuple(each for each in usual.writes if each.at != "2/start"))


def killed_before(plan: Plan, at: str, fault: str | None) -> Schedule:
    """QEMU is killed in the second run, which is run again."""
    return replace(schedule(plan, at, fault), faults=(Fault("2/before/transaction/1", "emulator-killed"),))


OF_ITS_OWN = {"nothing-changed": nothing_written, "full-after-a-failure": killed_before}


def test_each_example_has_a_test_and_is_on_the_page() -> None:
    assert sorted([*RIGHT, *WRONG]) == NAMES
    listed = re.findall(r"^\| `([\w-]+)` \|.*\| (\w+) \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(listed) == dict.fromkeys(RIGHT, "safe") | dict.fromkeys(WRONG, "unsafe")


def needs(name: str) -> None:
    missing = [each for each in NEEDED.get(name, ()) if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not on PATH")


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("at", "fault"),
    [
        ("1/copying/transaction/1", None), ("2/before/transaction/1", "target-EIO"),
        ("3/before/transaction/1", "target-ENOSPC"), ("2/copying/transaction/1", "cancel"),
    ],
)  # fmt: skip
def test_a_tool_whose_targets_qemu_makes_is_safe_there(at: str, fault: str | None) -> None:
    needs("drive")
    plan = read_plan(EXAMPLES / "drive.toml")
    outcome = play(plan, schedule(plan, at, fault))
    assert outcome.judgement is (Judgement.SAFE if fault is None else Judgement.LOUD), outcome.reasons
    assert not outcome.missed
    assert {f"{run}/before/transaction/1" for run in (1, 2, 3)} <= set(outcome.targets)
    assert opinion(outcome, plan.sizes()).startswith(("agrees", DEPENDS))


@pytest.mark.qemu
@pytest.mark.parametrize(("at", "fault"), [("2/reply/transaction/1", None), ("3/before/block-export-add/1", "error")])
def test_a_tool_that_pulls_is_safe_there(at: str, fault: str | None) -> None:
    needs("pull")
    plan = read_plan(EXAMPLES / "pull.toml")
    outcome = play(plan, schedule(plan, at, fault))
    assert outcome.judgement is (Judgement.SAFE if fault is None else Judgement.LOUD), outcome.reasons
    assert not outcome.missed
    assert opinion(outcome, plan.sizes()).startswith("has no opinion")


@pytest.mark.qemu
@pytest.mark.parametrize(("plan", "name"), [(each, each) for each in WRONG], indirect=["plan"], ids=list(WRONG))
def test_a_wrong_tool_is_found_in_its_window(plan: Plan, name: str) -> None:
    needs(name)
    at, fault, between = WRONG[name]
    outcome = play(plan, OF_ITS_OWN.get(name, schedule)(plan, at, fault))
    assert outcome.judgement is Judgement.UNSAFE, outcome.reasons
    assert not outcome.missed
    reason = main_reason(outcome)
    assert reason is not None
    assert reason.losses
    if between is not None:
        assert reason.window == at
        assert without_runs(reason.between) == between
    assert opinion(outcome, plan.sizes()).startswith(VERIFY.get(name, "agrees"))


@pytest.mark.qemu
@pytest.mark.parametrize("plan", ["right"], indirect=True)
@pytest.mark.parametrize(
    ("at", "fault"),
    [
        ("1/copying/transaction/1", None),
        ("2/before/transaction/1", None),
        ("2/reply/transaction/1", None),
        ("2/before/blockdev-add/1", "target-EIO"),
        ("2/copying/transaction/1", "cancel"),
        ("2/copying/transaction/1", "source-EIO"),
        ("2/reply/transaction/1", "KILL"),
        ("3/before/transaction/1", "emulator-killed"),
    ],
)
def test_a_right_tool_is_safe_there(plan: Plan, at: str, fault: str | None) -> None:
    outcome = play(plan, schedule(plan, at, fault))
    assert outcome.judgement is (Judgement.SAFE if fault is None else Judgement.LOUD), outcome.reasons
    assert not outcome.missed
    assert outcome.restored >= 3
    assert opinion(outcome, plan.sizes()).startswith(("agrees", DEPENDS, UNTOLD))


@pytest.mark.qemu
@pytest.mark.parametrize("plan", ["right", "two-disks"], indirect=True)
@pytest.mark.parametrize("event", ["created", "running", "paused"])
def test_a_qemu_that_starts_again_is_not_kept_waiting_for_a_copy(plan: Plan, event: str) -> None:
    """A write is due while it copies; it was killed before that, and the next QEMU reads when it opens the disks."""
    copying = "2/copying/transaction/1"
    killed = Fault(f"2/event/JOB_STATUS_CHANGE:{event}/1", "emulator-killed")
    writes = (*baseline(plan), *burst(plan, copying))
    outcome = play(plan, Schedule("of a test", plan.increments, writes, (killed,)))
    assert outcome.judgement is Judgement.LOUD, outcome.reasons
    assert copying in outcome.missed


@pytest.mark.qemu
@pytest.mark.parametrize("plan", ["two-disks"], indirect=True)
@pytest.mark.parametrize(
    ("at", "fault"),
    [
        ("1/reply/transaction/1", None), ("2/before/blockdev-add/2", "target-EIO"),
        ("1/before/blockdev-add/1", "error"),  # there is nothing to restore then, and the restore says so
    ],
)
def test_a_right_tool_with_two_disks_is_safe_there(plan: Plan, at: str, fault: str | None) -> None:
    outcome = play(plan, schedule(plan, at, fault))
    assert outcome.judgement is (Judgement.SAFE if fault is None else Judgement.LOUD), outcome.reasons
    assert not outcome.missed


@pytest.mark.qemu
@pytest.mark.parametrize("plan", ["right"], indirect=True)
def test_a_tool_that_is_right_in_one_window_is_not_taken_for_right_everywhere(plan: Plan) -> None:
    """The seeded mistake of this test: the same schedule without its write finds nothing in a wrong tool."""
    wrong = read_plan(EXAMPLES / "added-after-the-full.toml")
    with_write = schedule(wrong, FULL, None)
    without = replace(with_write, writes=baseline(wrong))
    assert play(wrong, without).judgement is Judgement.SAFE
    assert play(plan, replace(with_write, writes=(*baseline(plan), *burst(plan, FULL)))).judgement is Judgement.SAFE


@pytest.mark.qemu
@pytest.mark.skipif(os.environ.get("CBTSPEC_JUDGE") != "1", reason="many minutes; CBTSPEC_JUDGE=1 has it run")
@pytest.mark.parametrize(("plan", "name"), [(each, each) for each in NAMES], indirect=["plan"], ids=NAMES)
def test_all_windows_and_some_faults(plan: Plan, name: str) -> None:
    needs(name)
    profile, only = ("ci", "emulator-killed at 2/") if name == "done-before-it-is-closed" else ("quick", "")
    result = judge(plan, PROFILES[profile], 20160121, 2, only=only)  # some sixty faults do not find that one
    if name == "pull":  # where its scratch fails, QEMU fails the guest's write, and no restore is wrong
        assert {each.outcome.judgement for each in result.shown} == {Judgement.BROKEN}
        assert {kind for each in result.shown for kind in each.faults} == {"target-EIO", "target-ENOSPC"}
        return
    assert result.judgement is (Judgement.SAFE if name in RIGHT else Judgement.UNSAFE), result.shown
