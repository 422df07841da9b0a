"""Hostile adapters: the right verdict and exit code, a message that names the mistake, and nothing is left.

How each misbehaves is in `hostile/`, what is to be said of it in `hostile/expected.py`.
"""

import multiprocessing.resource_tracker
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.cli import command
from cbtcheck.follow.play import Player
from cbtcheck.host.child import Limits
from cbtcheck.run import course
from cbtcheck.scenario.scenario import Scenario, save
from cbtcheck.scenario.verdict import Finding
from cbtmodel.commands import AddBitmap, CancelJob, Copy, DisableBitmap, StartBackup, Write
from click.testing import CliRunner
from waiting import eventually

FOLDER = Path(__file__).parents[1] / "hostile"
sys.path.insert(0, str(FOLDER))
from expected import EXPECTED  # noqa: E402
from page import page  # noqa: E402
from registry import HOSTILE  # noqa: E402

sys.path.remove(str(FOLDER))

multiprocessing.resource_tracker.ensure_running()  # Python's own; it lives as long as this process

DEADLINE = 1.0
"""Seconds, for those that are waited for."""

PATIENCE = 10.0
"""Seconds, for all others: a test that is slow is no failure."""

MIB = 1 << 20
MEMORY = 200 * MIB
K = 4096
GROWTH = 96 * MIB
"""The suite's own memory, while it deals with any of them: a line may have 16 MiB, and is held a few times over."""

SCENARIO = Scenario(
    {"disk0": 8 * K},
    (
        AddBitmap("disk0", "b0", K), Write("disk0", 0, 1), Write("disk0", K - 1, 2), Write("disk0", 10000, 9000),
        AddBitmap("disk0", "b0", K), StartBackup("j0", "disk0", "incremental", "b0", cluster=K),
        Write("disk0", 0, K), Copy("j0", 0, 8 * K), StartBackup("j1", "disk0", "incremental", "b0", cluster=K),
        Write("disk0", 5 * K, 1), CancelJob("j1"), Write("disk0", 7 * K, K), AddBitmap("disk0", "b1", K),
    ),
)  # fmt: skip
OTHER = Scenario({"disk0": 8 * K}, (AddBitmap("disk0", "b0", K), *(Write("disk0", each * K, K) for each in range(8))))


def in_memory(field: str) -> int:
    """Of this process, in bytes: `VmRSS` is what it has now, `VmHWM` the most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10
    raise AssertionError(field)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def marked(mark: str) -> list[str]:
    """The processes with this in their environment, but for this one."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if not each.name.isdigit() or int(each.name) == os.getpid():
                continue
            if mark in (each / "environ").read_text("latin"):
                found.append(f"{each.name} {(each / 'comm').read_text().strip()} {(each / 'stat').read_text()}")
        except OSError:
            continue
    return found


def descriptors() -> list[str]:
    found = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.append(os.readlink(each))
        except OSError:
            continue  # the one of this very directory
    return sorted(found)


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No process, no file descriptor, no temporary file, and no memory to speak of."""
    mark = f"hostile-{uuid.uuid4()}"
    places = [tmp_path / each for each in ("temporary", "state", "here")]
    for each in places:
        each.mkdir()
    for name, value in {
        "HOSTILE_MARK": mark, "HOSTILE_STATE": str(places[1]), "TMPDIR": str(places[0]),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(places[2])
    open_before = descriptors()
    forget_peak()
    memory_before = in_memory("VmRSS")
    yield
    grown = in_memory("VmHWM") - memory_before
    assert marked(mark) == []
    assert descriptors() == open_before
    assert list(places[0].iterdir()) == []
    assert grown < GROWTH, f"{grown / MIB:.0f} MiB more than before"


def program(name: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(FOLDER), name]


def cbtspec(*words: str, of: str):
    options = ["--adapter", "exec"] if words[0] == "replay" else []
    deadline = DEADLINE if EXPECTED[of].waits else PATIENCE
    limits = ["--deadline", str(deadline), "--memory", f"{MEMORY >> 20}M"]
    return CliRunner().invoke(command.main, [*words, *options, *limits, "--", *program(of)], prog_name="cbtspec")


@pytest.fixture
def adapter(request: pytest.FixtureRequest) -> Iterator[ExecAdapter]:
    opened = ExecAdapter(program(request.param), Limits(message=DEADLINE, start=5.0, memory=MEMORY))
    yield opened
    opened.close()


def opened_on(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("adapter", [name], indirect=True, ids=[name])


def said(findings: list[Finding]) -> str:
    return " / ".join(map(str, findings))


def test_of_every_one_is_said_what_is_expected() -> None:
    assert HOSTILE.keys() == EXPECTED.keys()
    assert len(HOSTILE) > 80


@pytest.mark.parametrize("name", [name for name, each in EXPECTED.items() if not each.when])
def test_the_command_line_gives_the_right_verdict(name: str, tmp_path: Path) -> None:
    save(SCENARIO, tmp_path / "scenario.json")
    result = cbtspec("replay", str(tmp_path / "scenario.json"), of=name)
    expected = EXPECTED[name]
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == expected.code, result.output
    text = " ".join(result.output.split())
    assert (expected.verdict if expected.verdict != "agrees" else "agrees at every step") in text
    assert expected.words in text
    assert expected.waits or " s (--deadline)" not in text


# What shows later


@opened_on("answers-late-once")
def test_a_late_answer_is_not_taken_for_another_one(adapter: ExecAdapter, tmp_path: Path) -> None:
    _, late = course.replay(adapter, SCENARIO)
    assert late[0].verdict.value == "broken"
    (tmp_path / "state" / "deadline-has-passed").touch()  # whoever is still there answers now
    assert course.replay(adapter, SCENARIO)[1] == []
    assert course.replay(adapter, OTHER)[1] == []


@opened_on("dies-in-the-middle")
def test_each_scenario_has_a_program_that_lives(adapter: ExecAdapter) -> None:
    for _ in range(3):
        frames, findings = course.replay(adapter, SCENARIO)
        assert (len(frames), findings[0].verdict.value) == (4, "broken")


@opened_on("changes-its-mind")
def test_started_again_it_must_be_the_same(adapter: ExecAdapter) -> None:
    course.replay(adapter, SCENARIO)
    findings = course.replay(adapter, SCENARIO)[1]
    assert EXPECTED["changes-its-mind"].words in said(findings)
    assert findings[0].verdict.value == "broken"


@opened_on("throws-dice")
def test_sooner_or_later_chance_is_against_it(adapter: ExecAdapter) -> None:
    findings = [each for _ in range(40) for each in course.replay(adapter, SCENARIO)[1]]
    assert {each.verdict.value for each in findings} == {"unsafe"}
    assert EXPECTED["throws-dice"].words in said(findings)


@opened_on("works-once")
def test_the_second_scenario_counts_too(adapter: ExecAdapter) -> None:
    assert course.replay(adapter, SCENARIO)[1] == []
    findings = course.replay(adapter, SCENARIO)[1]
    assert EXPECTED["works-once"].words in said(findings)
    assert findings[0].verdict.value == "diverges"


@opened_on("claims-too-much")
def test_what_is_claimed_is_asked_for(adapter: ExecAdapter) -> None:
    asked = (AddBitmap("disk0", "b0", K), DisableBitmap("disk0", "b0"))
    findings = course.replay(adapter, Scenario({"disk0": 8 * K}, asked))[1]
    assert "unsupported" in said(findings)
    assert findings[0].verdict.value == "diverges"


@opened_on("out-of-order")
def test_replies_to_a_batch_come_in_order(adapter: ExecAdapter) -> None:
    findings = Player(adapter, closely=False).play_scenario(OTHER)
    assert EXPECTED["out-of-order"].words in said(findings)
    assert findings[0].verdict.value == "broken"


def test_replies_of_an_earlier_run_are_of_no_use_in_another() -> None:
    limits = Limits(message=DEADLINE, start=5.0)
    recording = ExecAdapter(program("records"), limits)
    assert course.replay(recording, SCENARIO)[1] == []
    recording.close()
    replaying = ExecAdapter(program("replays"), limits)
    assert replaying.version.startswith("Records")
    assert course.replay(replaying, OTHER)[1] != []
    replaying.close()
    replaying = ExecAdapter(program("replays"), limits)
    assert course.replay(replaying, SCENARIO)[1] == []  # the same scenarios again: that cannot be told, by anyone
    replaying.close()


def test_a_program_that_breaks_is_not_started_for_ever() -> None:
    adapter = ExecAdapter(program("goes-silent"), Limits(message=0.1, start=5.0))
    played = 0
    while not adapter.exhausted and played < 20:
        course.replay(adapter, SCENARIO)
        played += 1
    assert played == 3
    adapter.close()


# The whole command line


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("never-answers", 3, "no answer within 1 s"),
        ("loses-writes-during-a-backup", 2, "NOT CONFORMANT"),
        ("nothing-can-be-made-to-happen", 6, "could not be made to happen"),
    ],
)
def test_a_whole_check(name: str, code: int | None, words: str) -> None:
    result = cbtspec("check", "exec", "--examples", "5", "--only", "add-bitmap", of=name)
    assert code is None or result.exit_code == code
    assert words in result.output
    assert "\nCONFORMANT" not in result.output


def test_a_program_that_is_not_there() -> None:
    words = ["check", "exec", "--", "./no-such-adapter"]
    result = CliRunner().invoke(command.main, words, prog_name="cbtspec")
    assert result.exit_code == 64
    assert "there is no such program" in result.stderr


# The tests themselves


def test_what_is_left_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTILE_MARK", "hostile-left")
    pid = os.posix_spawnp("sleep", ["sleep", "600"], os.environ)
    try:
        eventually(lambda: marked("hostile-left"), "that it is another program than ours")
        assert [each.split()[0] for each in marked("hostile-left")] == [str(pid)]
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    before = descriptors()
    with (tmp_path / "file").open("w"):
        assert descriptors() != before
    at_first = in_memory("VmRSS")
    filled = b"x" * (2 * GROWTH)
    assert in_memory("VmHWM") - at_first > GROWTH
    del filled
    forget_peak()


def test_the_page_is_made_of_this() -> None:
    assert (Path(__file__).parents[3] / "docs/use/hostile-adapters.md").read_text() == page()
