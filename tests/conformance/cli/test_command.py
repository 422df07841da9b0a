"""The command `cbtspec`: exit codes, one clear line for each mistake, nothing left behind. The run is faked."""

import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cbtcheck import adapters
from cbtcheck.adapter import FEATURES, AdapterUnusable
from cbtcheck.cli import command
from cbtcheck.host.progress import ProgressLine
from cbtcheck.run import course, wanted
from cbtcheck.run.report import CommandCount, Failure, LedgerResult, PropertyCount, Report
from cbtcheck.run.tally import PROPERTIES
from cbtcheck.scenario.capabilities import COMMANDS
from cbtcheck.scenario.rules import PROPERTIES as RULES
from cbtcheck.scenario.scenario import Scenario, save
from cbtcheck.scenario.verdict import EXIT_CODES, Finding, Verdict
from cbtmodel.commands import AddBitmap, Write
from click.testing import CliRunner
from rich.console import Console
from waiting import finished

SCENARIO = Scenario({"disk0": 1 << 20}, (AddBitmap("disk0", "b0", 65536), Write("disk0", 65536, 4096)))


class Fake:
    """What the command calls, and what it was called with."""

    def __init__(self, mirror, play) -> None:
        self.mirror, self.play = mirror, play
        self.report = Report("0.1.0", "reference", "mirror 1.0", "quick", 1, Counter(drawn=5), steps=9, compared=1)
        once = CommandCount(accepted=1, refused=Counter(invalid=1), features=Counter(FEATURES))
        self.report.commands = dict.fromkeys(COMMANDS, once)
        self.report.properties = dict.fromkeys(PROPERTIES, PropertyCount(checked=1))
        self.options = None
        self.closed = 0
        self.lost = 0
        self.asked = None
        self.raises = None

    def open_adapter(self, name: str, *, daemon: str | None = None, mistake: str | None = None, alignment: int = 1):
        self.alignment = alignment
        self.asked = (name, daemon, mistake)
        if mistake == "nonsense":
            raise LookupError("unknown mistake 'nonsense' (known: drop-successor)")
        if daemon == "/nowhere":
            raise AdapterUnusable("/nowhere: no such file: install qemu-storage-daemon, or name it")
        adapter = self.mirror(lost=self.lost)
        adapter.close = self.close
        return adapter

    def close(self) -> None:
        self.closed += 1

    def run(self, open_adapter, options, progress) -> Report:
        self.options = options
        open_adapter()
        progress("drawn", 5, 5)
        if self.raises is not None:
            raise self.raises
        return self.report

    def replay(self, adapter, scenario: Scenario):
        player = self.play(scenario.commands, scenario.disks, adapter)
        return player.frames, [finding for frame in player.frames for finding in frame.findings]


@pytest.fixture
def fake(monkeypatch, mirror, play, tmp_path) -> Fake:
    made = Fake(mirror, play)
    monkeypatch.setattr(adapters, "open_adapter", made.open_adapter)
    monkeypatch.setattr(course, "run", made.run)
    monkeypatch.setattr(course, "replay", made.replay)
    monkeypatch.setattr(wanted, "names_for_only", lambda: ["NO-LOST-WRITE", "add-bitmap"])
    monkeypatch.chdir(tmp_path)
    return made


def cbtspec(*words: object):
    return CliRunner().invoke(command.main, [str(word) for word in words], prog_name="cbtspec")


def complaint(result) -> str:
    """The one line on stderr of a call that was refused."""
    assert result.exit_code == 64
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("cbtspec: ")
    return line


def failed(verdict: Verdict) -> Failure:
    return Failure("drawn", SCENARIO, [], [Finding(verdict, "", "somewhere", "this", "that")])


def test_by_default_the_reference_is_checked_with_the_pinned_seed(fake: Fake) -> None:
    result = cbtspec("check")
    assert result.exit_code == 0
    assert fake.asked == ("reference", None, None)
    assert (fake.options.profile, fake.options.seed, fake.options.only) == ("quick", 20160121, None)
    last = result.stdout.splitlines()[-1]
    assert last == "CONFORMANT for profile quick and all capabilities: 5 scenarios, 9 steps."
    assert fake.closed == 1
    assert not Path("reports").exists()


def test_deep_draws_a_fresh_seed_unless_one_is_given(fake: Fake) -> None:
    seeds = set()
    for _ in range(3):
        cbtspec("check", "--profile", "deep")
        seeds.add(fake.options.seed)
    assert len(seeds) > 1
    cbtspec("check", "--profile", "deep", "--seed", 7)
    assert fake.options.seed == 7


def test_a_name_may_be_in_any_case(fake: Fake) -> None:
    cbtspec("check", "--only", "no-lost-WRITE")
    assert fake.options.only == "NO-LOST-WRITE"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.WASTEFUL, 1), (Verdict.DIVERGES, 2), (Verdict.UNSAFE, 2), (Verdict.BROKEN, 3), (Verdict.EXACT, 2)],
)
def test_the_exit_code_is_that_of_the_worst_verdict(fake: Fake, verdict: Verdict, code: int) -> None:
    fake.report.failures = [failed(verdict)]
    assert cbtspec("check").exit_code == code


def test_a_ledger_that_is_not_true_has_its_own_exit_code(fake: Fake) -> None:
    fake.report.ledger = [LedgerResult("x", "y", "gone", "", Verdict.EXACT)]
    assert cbtspec("check").exit_code == 4


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [("only", "copy", "only what --only copy names was played"), ("stopped", "ended early", "ended early"),
     ("compared", 0, "claimed, and never exercised: restored data")],
)  # fmt: skip
def test_what_was_not_played_whole_agrees_incomplete(fake: Fake, member: str, value: object, said: str) -> None:
    setattr(fake.report, member, value)
    result = cbtspec("check", "--json", "report.json")
    assert result.exit_code == EXIT_CODES["incomplete"] == 6
    assert result.stdout.splitlines()[-1] == f"AGREES, INCOMPLETE (not conformant): {said}."
    report = json.loads(Path("report.json").read_text())
    assert (report["conformant"], report["agrees"], report["exit_code"]) == (False, True, 6)


def test_what_is_not_repeatable_has_its_own_exit_code_if_nothing_worse_happened(fake: Fake) -> None:
    fake.report.not_repeatable = [failed(Verdict.UNSAFE)]
    result = cbtspec("check")
    assert result.exit_code == EXIT_CODES["not repeatable"] == 5
    assert result.stdout.splitlines()[-1].startswith("NOT REPEATABLE: 1 not repeatable")
    fake.report.failures = [failed(Verdict.WASTEFUL)]
    assert cbtspec("check").exit_code == EXIT_CODES["wasteful"]


def test_an_interrupted_run_prints_what_it_found(fake: Fake) -> None:
    fake.report.interrupted = True
    result = cbtspec("check")
    assert result.exit_code == 130
    assert "AGREES, INCOMPLETE (not conformant): interrupted" in result.stdout


def test_interrupted_anywhere_adapters_are_closed(fake: Fake) -> None:
    fake.raises = KeyboardInterrupt()
    result = cbtspec("check")
    assert (result.exit_code, fake.closed) == (130, 1)
    assert result.stderr.split("\n") == ["", "cbtspec: interrupted", ""]  # the first ends the line of the ^C


def test_in_a_log_there_is_a_plain_line_at_most_every_half_minute() -> None:
    out, now = io.StringIO(), [0.0]
    with ProgressLine(Console(file=out), lambda: now[0]) as progress:
        for second in range(91):
            now[0] = second
            progress("drawn", second * 100, 0 if second == 30 else 10000)
    assert out.getvalue().splitlines() == ["drawn 3,000", "drawn 6,000 of 10,000", "drawn 9,000 of 10,000"]


def test_in_a_terminal_there_is_a_bar_with_the_time_to_go() -> None:
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    with ProgressLine(console, lambda: now[0]) as progress:
        for second in range(11):
            now[0] = second
            progress("drawn [b]", second * 100, 4000)
        assert progress.bar is not None
        progress.bar.refresh()
        shown = out.getvalue().splitlines()[-1]
        assert "drawn [b] 1,000 of 4,000 ━" in shown
        assert shown.rstrip().endswith("0:00:30")
        progress("tour", 1, 0)
        progress.bar.refresh()
        assert "drawn" not in out.getvalue().splitlines()[-1]


def test_nothing_run_is_not_conformant(fake: Fake) -> None:
    fake.report.steps, fake.report.phases = 0, Counter()
    result = cbtspec("check")
    assert result.exit_code == 64
    assert result.stdout.splitlines()[-1] == "NO RESULT: nothing was run."


def test_json_is_all_that_is_on_stdout(fake: Fake) -> None:
    fake.report.failures = [failed(Verdict.UNSAFE)]
    result = cbtspec("check", "--format", "json", "--junit", "junit.xml")
    assert json.loads(result.stdout)["verdict"] == "unsafe"
    assert Path("junit.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize("where", ["failures", "not_repeatable"])
def test_what_could_not_be_saved_is_said_in_json_and_on_stderr(fake: Fake, where: str) -> None:
    unsaved = failed(Verdict.UNSAFE)
    unsaved.not_saved = "reports cannot be written: disk full"
    setattr(fake.report, where, [unsaved])
    result = cbtspec("check", "-x", "--format", "json")
    (told,) = json.loads(result.stdout)[where]
    assert (told["saved"], told["not_saved"]) == (None, "reports cannot be written: disk full")
    assert "--reports: reports cannot be written: disk full" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "nonsense"], "There is no adapter 'nonsense' (known: reference, qemu, exec)"),
        (["check", "--nonsense"], "No such option"),
        (["nonsense"], "No such command 'nonsense'"),
        (["check", "--examples", "1", "--time", "1"], "exclude each other"),
        (["check", "--examples", "0"], "--examples"),
        (["check", "--only", "nonsense"], "(known: NO-LOST-WRITE, add-bitmap)"),
        (["check", "--only", "ad-bitmaps"], "or event 'ad-bitmaps'. Did you mean add-bitmap?"),
        (["check", "--mistake", "nonsense"], "unknown mistake 'nonsense' (known: drop-successor)"),
        (["check", "qemu", "--mistake", "drop-successor"], "for the adapter 'reference' only"),
        (["check", "qemu", "--qemu-storage-daemon", "/nowhere"], "install qemu-storage-daemon"),
        (["check", "--qemu-storage-daemon", "/nowhere"], "for the adapter 'qemu' only"),
        (["check", "--junit", "none/junit.xml"], "--junit: none/junit.xml cannot be written"),
        (["check", "--junit", "."], "cannot be written"),
        (["check", "--reports", "file/reports"], "--reports: file/reports cannot be written"),
        (["check", "--reports", "file"], "--reports: file cannot be written"),
        (["replay"], "Missing argument 'FILE'"),
        (["replay", "none.json"], "none.json: cannot be read"),
        (["replay", "corrupt.json"], "corrupt.json: not JSON"),
        (["replay", "newer.json"], "upgrade cbtspec"),
        (["replay", "good.json", "--adapter", "nonsense"], "(known: reference, qemu, exec)"),
    ],
)
def test_a_mistake_of_the_caller_is_one_line(fake: Fake, words: list[str], said: str) -> None:
    Path("file").touch()
    Path("corrupt.json").write_bytes(b"\xff{")
    Path("newer.json").write_text('{"format": "cbtspec-scenario", "version": 2}')
    save(SCENARIO, Path("good.json"))
    assert said in complaint(cbtspec(*words))
    assert fake.options is None or "nonsense" in words or "/nowhere" in words
    assert sorted(each.name for each in Path().iterdir()) == ["corrupt.json", "file", "good.json", "newer.json"]


def test_without_a_command_it_helps() -> None:
    result = cbtspec()
    assert result.exit_code == 64
    assert "Exit codes:" in result.stderr


def test_help_and_version() -> None:
    for words in (["--help"], ["check", "--help"], ["replay", "--help"]):
        result = cbtspec(*words)
        assert result.exit_code == 0
        assert "  130  interrupted by Ctrl-C" in result.stdout
    assert cbtspec("--version").stdout.startswith("cbtspec ")


def test_replay_shows_the_picture_of_what_agrees(fake: Fake) -> None:
    save(SCENARIO, Path("good.json"))
    result = cbtspec("replay", "good.json")
    assert result.exit_code == 0
    assert " 2  write disk0 64K+4K" in result.stdout
    assert result.stdout.splitlines()[-1] == "agrees at every step"
    assert fake.closed == 1


def test_replay_shows_what_differs(fake: Fake) -> None:
    save(SCENARIO, Path("good.json"))
    fake.lost = 2
    result = cbtspec("replay", "good.json")
    assert result.exit_code == 2
    assert "·✗··" in result.stdout
    differs, broken_rule = result.stdout.splitlines()[-2:]
    assert differs.startswith("unsafe [NO-LOST-WRITE] disk0/b0 bits")
    assert broken_rule == f"Rule: {RULES['NO-LOST-WRITE']}"


def test_a_log_in_ascii_is_no_crash(fake: Fake) -> None:
    save(SCENARIO, Path("good.json"))
    result = CliRunner(charset="ascii").invoke(command.main, ["replay", "good.json"])
    assert result.exit_code == 0


DRIVER = """
import runpy, signal, sys
sys.argv[0] = "cbtspec"
from unittest.mock import MagicMock
from cbtcheck import adapters
from cbtcheck.cli import command
from cbtcheck.run import course
def run(open_adapter, options, progress):
    open_adapter()
    print("running", file=sys.stderr, flush=True)
    signal.pause()
adapters.open_adapter = lambda *names, **more: MagicMock(close=lambda: print("closed", file=sys.stderr))
course.run = run
command.main()
"""


def as_process(*words: str, cwd: Path) -> "subprocess.Popen[str]":
    parts = ("model", "impl", "wire", "conformance", "proofs")
    path = os.pathsep.join(str(Path(__file__).parents[3] / each) for each in parts)
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
        # What a shell puts in the background ignores Ctrl-C, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def test_as_a_process_usage_errors_exit_64(tmp_path: Path) -> None:
    process = as_process("check", "--nonsense", cwd=tmp_path)
    out, err = finished(process)
    assert (process.returncode, out, len(err.splitlines())) == (64, "", 1)


def test_as_a_process_a_reader_that_has_seen_enough_is_no_verdict(tmp_path: Path) -> None:
    process = as_process("tour", "--scope", "ci", cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    finished(process)
    assert process.returncode == 64


def test_as_a_process_ctrl_c_closes_and_exits_130(tmp_path: Path) -> None:
    process = as_process("check", cwd=tmp_path)
    assert process.stderr is not None
    assert process.stderr.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, err = finished(process)
    assert (process.returncode, err.splitlines()) == (130, ["closed", "", "cbtspec: interrupted"])
    assert not (tmp_path / "reports").exists()


def test_restarts_are_not_drawn_for_a_time(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "names_for_only", lambda: ["write", "crash"])
    said = complaint(cbtspec("check", "--only", "crash", "--time", "9"))
    assert "--time does not go with --only crash: restarts are not drawn for a time; say --examples" in said
    assert cbtspec("check", "--only", "write", "--time", "9").exit_code == 0
    assert cbtspec("check", "--only", "crash", "--examples", "9").exit_code == 0
