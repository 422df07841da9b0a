"""Tools that speak to QEMU as few do, or behave badly, on a real QEMU."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from cbtcheck.judging.enumerated import baseline
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Fault, Schedule
from cbtcheck.judging.verdicts import Judgement

RIGHT = Path(__file__).parents[3] / "examples" / "judge" / "right.sh"
pytestmark = pytest.mark.qemu

RUDE = """
import json, socket, sys

def connected():
    it = socket.socket(socket.AF_UNIX)
    it.connect(sys.argv[1])
    return it, it.makefile("rb")

def answer(stream):
    while "event" in (found := json.loads(stream.readline())) or "QMP" in found:
        pass
    return found

first, stream = connected()
second, waiting = connected()  # QEMU serves it when the first is closed
second.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-version", "id": "second"}')
first.sendall(b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}')
assert "return" in answer(stream)
for id in (None, True, 1, 1.5, "x", [1, [2]], {"a": None}, "\\u00e4"):
    first.sendall(b"  \\n" + json.dumps({"execute": "query-version", "id": id}).encode())
    found = answer(stream)
    assert found["id"] == id and "return" in found, found
first.sendall(json.dumps({"exec-oob": "query-version", "id": "urgent"}).encode())
assert answer(stream)["id"] == "urgent"
first.sendall(b'{"execute": "no-such-command"}' + b'{"execute": 7}' + b'[1]')
assert all("error" in answer(stream) for _ in range(3))
first.shutdown(socket.SHUT_RDWR)
assert "return" in answer(waiting)
assert answer(waiting)["id"] == "second"
"""


def judged(binary: str, before: str, *faults: Fault, deadline: float = 60) -> Outcome:
    right = f"{before}sh {RIGHT} {{qmp}}"
    commands = f"{right} full", f"{right} increment", f"sh {RIGHT} {{qmp}} restore {{out}}"
    plan = Plan(*commands, binary=binary, increments=1, deadline=deadline)
    return play(plan, Schedule("of a test", 1, baseline(plan), faults))


def test_a_tool_that_uses_all_of_the_protocol_is_passed_on(binary: str, tmp_path: Path) -> None:
    script = tmp_path / "rude.py"
    script.write_text(RUDE)
    outcome = judged(binary, f"{sys.executable} {script} {{qmp}} && ")
    assert outcome.judgement is Judgement.SAFE, outcome.entries[-3:]


def test_a_tool_that_hangs_after_a_failure_is_stuck(binary: str) -> None:
    outcome = judged(binary, "trap 'sleep 1000' EXIT; ", Fault("1/before/transaction/1", "error"), deadline=3)
    assert outcome.judgement is Judgement.STUCK
    assert any("did not end within" in each.text for each in outcome.reasons)


def test_a_tool_that_fails_for_good_after_a_failure_is_stuck(binary: str) -> None:
    before = "[ ! -e failed ] || exit 5; touch failed; trap '[ $? != 0 ] || rm failed' EXIT; "
    outcome = judged(binary, before, Fault("2/before/transaction/1", "error"))
    assert outcome.judgement is Judgement.STUCK, outcome.reasons
    assert "with a full backup, too" in outcome.reasons[0].text
    assert outcome.loud == ["2", "2a", "2b"]


def test_a_job_that_is_left_is_told(binary: str) -> None:
    add = {"execute": "blockdev-add", "arguments": {"driver": "null-co", "size": 1613824, "node-name": "nowhere"}}
    job = {"device": "disk0", "target": "nowhere", "job-id": "left", "sync": "full", "speed": 1}
    words = [json.dumps(each) for each in (add, {"execute": "blockdev-backup", "arguments": job})]
    left = f"{sys.executable} {RIGHT.with_name('qmp.py')} {{qmp}} {shlex.join(words)}"
    right = f"sh {RIGHT} {{qmp}}"
    increment = f"{right} increment && {left}"
    plan = Plan(f"{right} full", increment, f"{right} restore {{out}}", binary=binary, increments=1)
    outcome = play(plan, Schedule("of a test", 1, baseline(plan)))
    assert outcome.judgement is Judgement.STUCK, outcome.reasons
    assert outcome.reasons[0].text == "the job left is left, running"
