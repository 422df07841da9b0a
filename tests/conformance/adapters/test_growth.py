"""The protocol can grow: an adapter of version 1 under a suite that knows more, and one that says more itself.

The suite that knows more is this one on a copy of the specification in which `AddBitmap` has a member more (`note`,
claimed by `notes`) and there is a command more (`touch-bitmap`, which changes nothing). It runs in a process of its
own; nothing but the specification and the list of features is changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cbtmodel
import pytest
from cbtcheck.adapter import AdapterBroken
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.follow.play import Player
from cbtcheck.scenario.scenario import KINDS, later_members
from cbtmodel import commands as c

HERE = Path(__file__).parent
OLD = HERE / "frozen" / "of_version_1.py"

TOUCH = """
@dataclass(frozen=True, slots=True)
class TouchBitmap:
    '''Nothing.'''

    node: str
    name: str


"""
TOUCHED = """
        case TouchBitmap(node_name, name):
            node.find_free_bitmap(state, node_name, name)
            return state
"""
NOTE = "    note: str = field(default='', metadata={'claimed as': 'notes'})\n"

LAST = "    granularity: Granularity\n    enabled: bool = True\n"
ADDING = "        case AddBitmap(node_name, name, granularity, enabled):"
CLEARED = '((ADDED,), c.ClearBitmap("d", "a"))'
ROW = "    c.ClearBitmap: Traits("

GROWN = {
    "commands.py": [
        ("from dataclasses import dataclass", "from dataclasses import field, dataclass"),
        (LAST, LAST + NOTE),
        ("OnBitmap = RemoveBitmap |", TOUCH + "OnBitmap = TouchBitmap | RemoveBitmap |"),
    ],
    "traits.py": [(ROW, '    c.TouchBitmap: Traits("operator", "a bitmap"),\n' + ROW)],
    "step.py": [("c.AddBitmap() | c.RemoveBitmap()", "c.TouchBitmap() | c.AddBitmap() | c.RemoveBitmap()")],
    "transaction.py": [(ADDING, TOUCHED + ADDING), ("    AddBitmap,\n", "    AddBitmap,\n    TouchBitmap,\n")],
    "alphabet.py": [(CLEARED + ",", f"{CLEARED}, {CLEARED.replace('Clear', 'Touch')},")],
}
"""What is replaced in which file of the specification."""

NEWER = """
import sys
from cbtcheck import adapter
adapter.FEATURES |= {"notes"}
from cbtcheck.cli.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the specification that has grown."""
    folder = tmp_path_factory.mktemp("grown")
    (folder / "cbtmodel").mkdir()
    for file in Path(cbtmodel.__file__).parent.glob("*.py"):
        text = file.read_text()
        for before, after in GROWN.get(file.name, []):
            assert text.count(before) == 1, f"{file.name} has changed: {before!r}"
            text = text.replace(before, after)
        (folder / "cbtmodel" / file.name).write_text(text)
    return folder


def python(folder: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )


def checked(folder: Path, adapter: Path) -> tuple[int, dict[str, object], str]:
    """The exit code, the report and what was printed of a short run of the suite that knows more."""
    report = folder / "report.json"
    came = python(folder, NEWER, "check", "exec", "--only", "add-bitmap", "--examples", "60", "--json", str(report),
                  "--", sys.executable, str(adapter))  # fmt: skip
    return came.returncode, json.loads(report.read_text()), came.stdout + came.stderr


def test_an_adapter_of_today_is_sent_nothing_that_came_later(newer: Path) -> None:
    """It would exit at the first request that has a member, or is a command, that it does not know."""
    code, report, printed = checked(newer, OLD)
    assert (code, report["verdict"], report["failures"]) == (6, "exact", []), printed  # it is but a part: --only
    assert report["commands"]["add-bitmap"]["accepted"] > 100  # type: ignore[index]
    assert not {"touch-bitmap", "notes"} & set(report["claimed"])  # type: ignore[call-overload]
    assert "touch-bitmap" in report["commands"]  # type: ignore[operator]


SENT = """
from cbtcheck import adapter
adapter.FEATURES |= {"notes"}
from cbtcheck.adapters.protocol import lines
from cbtcheck.scenario.capabilities import needs
from cbtmodel import commands as c
plain, noted = c.AddBitmap("d", "b", 512), c.AddBitmap("d", "b", 512, note="x")
for command in (plain, noted, c.Transaction((noted,))):
    for claimed in ((), ("notes",)):
        print(sorted(needs(command)), lines.command_line(1, command, 0, claimed).decode(), end="")
"""


def test_who_claims_a_later_member_is_sent_it(newer: Path) -> None:
    came = python(newer, SENT)
    assert came.returncode == 0, came.stderr
    old = '{"do":"add-bitmap","node":"d","name":"b","granularity":512,"enabled":true}'
    for seq, (needs, line) in enumerate(each.split("] ") for each in came.stdout.splitlines()):
        said = json.loads(line)
        action = said["actions"][0] if said["do"] == "transaction" else said
        assert ("note" in action) == (seq % 2 == 1), line
        assert ("'notes'" in needs) == (seq >= 2)
        action.pop("note", None)
        action.pop("seq", None)
        assert action == json.loads(old)


MORE = """
import json, runpy, sys
real = json.dumps
def dumps(reply):
    for each in (*reply.get("bitmaps", ()), *reply.get("ended", ())):
        each["persistent"] = False
    return real({**reply, "took": 12, "of": [{"later": None}]})
json.dumps = dumps
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_an_adapter_may_say_more_than_the_suite_knows() -> None:
    """In every reply, also in the objects within: it is played as if they were not there."""
    with_more = ExecAdapter((sys.executable, "-c", MORE, str(OLD)))
    try:
        player = Player(with_more)
        player.begin({"disk0": 32768})
        commands = (
            c.AddBitmap("disk0", "b0", 4096), c.Write("disk0", 0, 1),
            c.StartBackup("j0", "disk0", "incremental", "b0", cluster=4096), c.Write("disk0", 8192, 1),
            c.Copy("j0", 0, 4096),
        )  # fmt: skip
        for command in commands:
            assert player.play(command) == []
        assert player.frames[-1].trace
    finally:
        with_more.close()


def test_what_is_known_is_judged_beside_it() -> None:
    """A loss is found though the reply that shows it has members that are not known."""
    losing = MORE.replace('each["persistent"] = False', 'each["persistent"] = False; each["dirty"] = []')
    adapter = ExecAdapter((sys.executable, "-c", losing, str(OLD)))
    try:
        player = Player(adapter)
        player.begin({"disk0": 32768})
        assert player.play(c.AddBitmap("disk0", "b0", 4096)) == []
        assert [each.verdict.value for each in player.play(c.Write("disk0", 0, 1))] == ["unsafe"]
    finally:
        adapter.close()


def test_the_frozen_adapter_does_exit_at_what_it_does_not_know() -> None:
    """Else the tests above would show nothing."""
    adapter = ExecAdapter((sys.executable, str(OLD)))
    try:
        adapter.reset({"disk0": 32768})
        with pytest.raises(AdapterBroken, match="exited with code 1"):
            adapter.talk.command(c.ClearBitmap("disk0", "b0"), 0)
    finally:
        adapter.close()


VERSION_1 = {
    "add-bitmap": "node name granularity enabled", "remove-bitmap": "node name", "clear-bitmap": "node name",
    "enable-bitmap": "node name", "disable-bitmap": "node name", "merge-bitmaps": "node target sources",
    "write": "node offset length kind result", "begin-write": "node write offset length kind result",
    "end-write": "node write result", "copy": "job offset length result", "begin-copy": "job offset length",
    "end-copy": "job result", "pause-job": "job", "resume-job": "job", "finalize-job": "job", "cancel-job": "job",
    "start-backup": "job node sync bitmap bitmap_mode cluster auto_finalize on_source_error on_target_error",
    "transaction": "actions grouped",
}  # fmt: skip


@pytest.mark.parametrize("name", VERSION_1)
def test_a_member_that_came_after_version_1_says_what_claims_it(name: str) -> None:
    """Without that, it would be sent to everybody."""
    kind = KINDS[name]
    later = later_members(kind)
    assert [each for each in kind.__match_args__ if each not in later] == VERSION_1[name].split()
