"""Tools that start QEMU themselves: the wrapper, and a judgement by way of it. libvirt is the deep example."""

import os
import shutil
from pathlib import Path

import pytest
from cbtcheck.judging.checked import opinion
from cbtcheck.judging.enumerated import baseline, burst, faults
from cbtcheck.judging.plan import Plan, PlannedDisk, PlanProblem, check, read_plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Fault, Schedule
from cbtcheck.judging.verdicts import Judgement
from cbtcheck.judging.wrapper import numbers, starts_a_guest

EXAMPLES = Path(__file__).parents[3] / "examples" / "judge"
LIBVIRT = sorted((EXAMPLES / "libvirt").glob("*.toml"))
DEVICE = "/machine/peripheral/vda/virtio-backend"
SERVICE = (
    "exec {emulator} -S -nodefaults -display none -accel tcg -machine q35 "
    "-blockdev node-name=disk0,driver=qcow2,discard=unmap,file.driver=file,file.filename={disk.disk0} "
    "-device virtio-blk-pci,id=vda,drive=disk0 -qmp unix:monitor,server=on,wait=off"
)
SETUP = "for _ in $(seq 600); do [ -S monitor ] && exit; sleep 0.05; done; exit 1"


def hosted(script: str) -> Plan:
    tool = f"sh {EXAMPLES}/{script}.sh monitor"
    disk = PlannedDisk("disk0", served=False, device=DEVICE)
    commands = f"{tool} full", f"{tool} increment", f"{tool} restore {{out}}"
    return Plan(*commands, (disk,), kind="tool", service=SERVICE, setup=SETUP)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-S -machine none,accel=kvm:tcg -qmp unix:/x,server=on,wait=off", False),
        ("-M none -qmp unix:/x", False),
        ("-version", False),
        ("-machine q35 -display none", False),
        ("-machine q35 -qmp unix:/x", True),
        ("-machine pc-q35-7.2 -chardev socket,id=m,fd=31,server=on -mon chardev=m,id=monitor,mode=control", True),
    ],
)
def test_a_call_that_starts_a_guest_is_told_from_one_that_asks(words: str, expected: bool) -> None:
    assert starts_a_guest(words.split()) is expected


def test_the_sockets_that_are_handed_on_are_those_of_character_devices() -> None:
    words = ["-chardev", "socket,id=a,fd=31,server=on", "-netdev", "tap,fd=12", "-chardev", "socket,id=b,path=/x"]
    assert numbers(words) == [31]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"service": "", "setup": "true"}, "it has to be told {emulator}"),
        ({"disks": (PlannedDisk("disk0", device=DEVICE),)}, 'needs storage = "file"'),
        ({"disks": (PlannedDisk("disk0", served=False),)}, "path of its device"),
        ({"backup": "b {qmp}"}, "there is no {qmp}"),
    ],
)
def test_what_is_missing_is_told(changes: dict[str, object], said: str) -> None:
    plan = hosted("right")
    with pytest.raises(PlanProblem) as problem:
        check(Plan(**{each: getattr(plan, each) for each in plan.__dataclass_fields__} | changes))  # type: ignore[arg-type]
    assert said in str(problem.value)


def test_nothing_ends_a_qemu_that_the_tool_would_have_to_start_again() -> None:
    kinds = {each.faults[0].kind for each in faults(hosted("right"), ["1/start", "1/before/x/1", "2/start"], [])}
    assert kinds == {"error", "KILL", "TERM"}


def judged(plan: Plan, at: str, fault: str | None = None) -> Outcome:
    failing = () if fault is None else (Fault(at, fault),)  # type: ignore[arg-type]
    outcome = play(plan, Schedule("of a test", plan.increments, (*baseline(plan), *burst(plan, at)), failing))
    assert not outcome.missed
    return outcome


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not on PATH")
def test_a_qemu_that_the_tool_starts_is_judged_by_way_of_the_wrapper() -> None:
    right, wrong = hosted("right"), hosted("cleared-after-the-increment")
    outcome = judged(right, "2/reply/transaction/1")
    assert outcome.judgement is Judgement.SAFE, outcome.reasons
    assert opinion(outcome, right.sizes()).startswith("agrees")
    assert judged(right, "3/before/transaction/1", "KILL").judgement is Judgement.LOUD
    assert judged(wrong, "2/before/block-dirty-bitmap-clear/1").judgement is Judgement.UNSAFE


@pytest.mark.qemu
@pytest.mark.skipif(
    os.environ.get("CBTSPEC_JUDGE") != "1" or os.geteuid() != 0 or shutil.which("libvirtd") is None,
    reason="CBTSPEC_JUDGE=1 has it run, as root, with libvirtd",
)
@pytest.mark.parametrize("path", LIBVIRT, ids=lambda path: path.stem)
@pytest.mark.parametrize(("at", "fault"), [("2/reply/transaction/1", None), ("3/before/transaction/1", "error")])
def test_libvirt_is_safe_there(path: Path, at: str, fault: str | None) -> None:
    plan = read_plan(path)
    outcome = judged(plan, at, fault)
    assert outcome.judgement is (Judgement.SAFE if fault is None else Judgement.LOUD), outcome.reasons


def test_the_examples_with_libvirt_can_be_read() -> None:
    assert [each.stem for each in LIBVIRT] == ["pull", "push"]
    for each in LIBVIRT:
        read_plan(each)
