"""Tools that start QEMU themselves: the wrapper, and a judgement by way of it. libvirt is the deep example."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.judging.checked import opinion
from cbtcheck.judging.enumerated import baseline, burst, faults
from cbtcheck.judging.plan import Plan, PlannedDisk, PlanProblem, check, read_plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Fault, Schedule
from cbtcheck.judging.verdicts import Judgement
from cbtcheck.judging.wrapper import numbers, starts_a_guest
from click.testing import CliRunner

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
    again = faults(replace(hosted("right"), restart="x"), ["1/start", "2/start"], [])
    assert {each.faults[0].kind for each in again} == {"restart", "emulator-killed"}


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


def said(*words: str) -> tuple[int, str]:
    tool = f"sh {EXAMPLES}/right.sh monitor"
    commands = ["--backup", f"{tool} full", "--increment", f"{tool} increment"]
    commands += ["--restore", f"{tool} restore {{out}}"]
    done = CliRunner().invoke(main, ["judge", "--emulator", *commands, *words])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "it has to be told {emulator}"),
        (("--service", "{emulator}"), "disk disk0: the tool starts QEMU itself"),
        (("--service", "{emulator}", "--device", "disk1=/x"), "--device disk1=…: there is no such disk"),
        (("--service", "{emulator}", "--device", "disk0"), "expected NODE=PATH"),
        (("--service", "{emulator}", "--device", f"disk0={DEVICE}", "--qmp", "/x"), "says where its socket is"),
        (("--service", "{emulator}", "--device", f"disk0={DEVICE}", "--system"), "starts QEMU itself"),
        (("--service", "{emulator}", "--device", f"disk0={DEVICE}", "--restart", "x {qmp}"), "there is no {qmp}"),
    ],
)
def test_what_does_not_go_with_an_emulator_of_the_tools_own_is_said(words: tuple[str, ...], expected: str) -> None:
    assert said(*words)[0] == 64
    assert expected in said(*words)[1]


def test_devices_are_for_those_only() -> None:
    words = ["judge", "--backup", "b", "--increment", "i", "--restore", "r {out}", "--device", "disk0=/x"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "--device: only with --emulator" in done.output) == (64, True)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not on PATH")
def test_an_emulator_of_the_tools_own_is_judged_without_a_file() -> None:
    words = ("--service", SERVICE, "--setup", SETUP, "--device", f"disk0={DEVICE}", "--increments", "1")
    code, output = said(*words, "--only", "window 2/reply/transaction/1")
    assert (code, "SAFE" in output) == (6, True), output


FOR_EVER = f"while :; do {SERVICE.removeprefix('exec ')}; sleep 0.05; done"


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not on PATH")
@pytest.mark.parametrize(
    ("at", "fault"),
    [
        ("2/start", "restart"), ("2/start", "emulator-killed"), ("2/reply/transaction/1", "emulator-killed"),
        ("3/before/transaction/1", "closed"),
    ],
)  # fmt: skip
def test_a_qemu_that_the_tool_starts_once_more_may_be_ended(at: str, fault: str) -> None:
    plan = replace(hosted("right"), service=FOR_EVER, restart="true")
    outcome = judged(plan, at, fault)
    assert outcome.judgement in (Judgement.SAFE, Judgement.LOUD), outcome.reasons
    ran = [each.text for each in outcome.entries if each.text.startswith("run restart")]
    assert bool(ran) is (fault != "closed"), "nobody ends it there"
    wrong = replace(hosted("added-after-the-full"), service=FOR_EVER, restart="true")
    assert judged(wrong, "1/reply/blockdev-backup/1").judgement is Judgement.UNSAFE


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not on PATH")
def test_a_qemu_that_does_not_come_again_is_said_to_be_broken() -> None:
    plan = replace(hosted("right"), service=FOR_EVER, restart="echo no room >&2; exit 3")
    failing = (Fault("2/start", "emulator-killed"),)
    outcome = play(plan, Schedule("of a test", plan.increments, baseline(plan), failing))
    assert outcome.judgement is Judgement.BROKEN
    assert "could not be started again: exit code 3: no room" in outcome.reasons[0].text


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not on PATH")
def test_a_tool_whose_service_crashes_and_does_not_come_again_is_stuck() -> None:
    plan = replace(hosted("right"), service=f"{SERVICE.removeprefix('exec ')}; echo oh; exit 3", restart="false")
    failing = (Fault("2/start", "emulator-killed"),)
    outcome = play(plan, Schedule("of a test", plan.increments, baseline(plan), failing))
    assert outcome.judgement is Judgement.STUCK
    said = outcome.reasons[0].text
    assert said.startswith("the tool's service has ended, exit code 3: ")
    assert "oh; it could not be started again" in said


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
