"""Tools that are right, and unlike the examples: they were called wrong once."""

import shutil
from pathlib import Path

import pytest
from cbtcheck.judging.enumerated import baseline, burst
from cbtcheck.judging.plan import Plan
from cbtcheck.judging.play import Outcome, play
from cbtcheck.judging.schedule import Fault, Schedule
from cbtcheck.judging.verdicts import Judgement

QMP = Path(__file__).parents[3] / "examples" / "judge" / "qmp.py"

BEGIN = f"""\
set -e
qmp() {{ python3 {QMP} "$@"; }}
[ "$2" != restore ] || exec cp last/disk "$3"
last=$(readlink last || true) new=b$(date +%s%N) mode=never
target() {{ echo '{{"execute":"blockdev-add","arguments":{{"node-name":"target","driver":"raw","file":{{"driver":"file","filename":"'$PWD/$new'/disk"}}}}}}'; }}
add() {{ echo '"block-dirty-bitmap-add","'$1'":{{"node":"disk0","name":"'$2'","persistent":true}}'; }}
backup() {{ echo '"blockdev-backup","'$1'":{{"device":"disk0","target":"target","job-id":"j","auto-dismiss":false,'$2'}}'; }}
full='"sync":"full"'
closed='{{"execute":"blockdev-del","arguments":{{"node-name":"target"}}}}'
mkdir $new
"""  # noqa: E501

LATE = """
qmp $1 tidy= "room=disk0:$new/disk" "$(target)" STOP '{"execute":'"$(backup arguments "$full")"'}' \
    '{"execute":'"$(add arguments $new)"'}' CONT wait=j "$closed"
ln -sfn $new next && mv -T next last
"""
"""A full backup, and a bitmap that is added when it has begun."""

INCREMENTS = """
[ $2 = full ] || { cp last/disk $new/disk; full='"sync":"bitmap","bitmap-mode":"never","bitmap":"'$last'"'; }
qmp $1 tidy=$last "room=disk0:$new/disk" "$(target)" '{"execute":"transaction","arguments":{"actions":[
    {"type":'"$(add data $new)"'},{"type":'"$(backup data "$full")"'}]}}' wait=j "$closed"
ln -sfn $new next && mv -T next last
[ -z "$last" ] || qmp $1 '{"execute":"block-dirty-bitmap-remove","arguments":{"node":"disk0","name":"'$last'"}}'
"""

DIFFERENTIALS = """
if [ $2 = full ]; then
    qmp $1 tidy= "room=disk0:$new/disk" "$(target)" '{"execute":"transaction","arguments":{"actions":[
        {"type":'"$(add data b)"'},{"type":'"$(backup data "$full")"'}]}}' wait=j "$closed"
    cp -r $new full
else
    cp full/disk $new/disk
    qmp $1 tidy=b "room=disk0:$new/disk" "$(target)" \
        '{"execute":'"$(backup arguments '"sync":"bitmap","bitmap-mode":"never","bitmap":"b"')"'}' wait=j "$closed"
fi
ln -sfn $new next && mv -T next last
"""

pytestmark = pytest.mark.qemu


def plan_of(folder: Path, text: str, kind: str = "storage-daemon", increments: int = 2) -> Plan:
    script = folder / "tool.sh"
    script.write_text(text)
    said = [f"sh {script} {{qmp}} {what}" for what in ("full", "increment", "restore {out}")]
    return Plan(*said, kind=kind, increments=increments)  # type: ignore[arg-type]


def played(plan: Plan, at: str = "", *faults: Fault) -> Outcome:
    writes = (*baseline(plan), *(burst(plan, at) if at else ()))
    return play(plan, Schedule("of a test", plan.increments, writes, faults))


@pytest.fixture
def system() -> None:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64: not on PATH")


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("stops", [True, False])
def test_a_guest_that_is_stopped_writes_when_it_goes_on(tmp_path: Path, stops: bool) -> None:
    full = LATE
    for name in ("stop", "cont"):
        full = full.replace(name.upper(), f"""'{{"execute":"{name}"}}'""" if stops else "")
    plan = plan_of(tmp_path, f"{BEGIN}if [ $2 = full ]; then {full}\nelse {INCREMENTS}\nfi", "system", increments=1)
    outcome = played(plan, "1/reply/blockdev-backup/1")
    assert outcome.judgement is (Judgement.SAFE if stops else Judgement.UNSAFE), outcome.reasons
    assert not outcome.missed
    said = [each.text for each in outcome.entries]
    first = next(at for at, each in enumerate(outcome.entries) if each.write and each.point.startswith("1/reply"))
    assert ("cont" in said[:first]) is stops


def test_what_a_run_that_failed_has_published_may_be_restored_after_one_more(tmp_path: Path) -> None:
    only_full = "trap 'test $? = 0 || touch failed' EXIT\n[ $2 != full ] || rm -f failed\n[ ! -e failed ] || exit 1\n"
    begin = BEGIN.replace("last=$(", f"{only_full}last=$(", 1)
    plan = plan_of(tmp_path, begin + INCREMENTS)
    outcome = played(plan, "2/reply/transaction/1", Fault("2/before/block-dirty-bitmap-remove/1", "error"))
    assert outcome.judgement is Judgement.LOUD, outcome.reasons
    assert outcome.loud == ["2", "2a"]


def test_a_differential_is_not_wasteful(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, BEGIN + DIFFERENTIALS, increments=5)
    outcome = played(plan)
    assert outcome.judgement is Judgement.SAFE, outcome.reasons


@pytest.mark.parametrize(("restore", "said"), [
    ("mkfifo {out}", "no regular file"), ("truncate -s 200G {out}", "has 214748364800 bytes"),
    ("ln -s /dev/zero {out}", "no regular file"), ("mkdir {out}", "no regular file"),
    ("head -c 1000 last/disk > {out}", "has 1000 bytes"),
])  # fmt: skip
def test_what_is_no_image_is_not_read(tmp_path: Path, restore: str, said: str) -> None:
    plan = plan_of(tmp_path, BEGIN + INCREMENTS)
    outcome = played(Plan(plan.backup, plan.increment, restore, increments=1))
    assert outcome.judgement is Judgement.UNSAFE
    assert said in outcome.reasons[0].text
