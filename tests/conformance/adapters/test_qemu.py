"""A real qemu-storage-daemon under the suite: workflows, chosen interleavings, known defects, deaths and hangs."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cbtcheck.adapter import AdapterUnusable
from cbtcheck.adapters.qemu import daemon as daemon_module
from cbtcheck.adapters.qemu import stage
from cbtcheck.adapters.qemu.adapter import QemuAdapter
from cbtcheck.follow.play import Player
from cbtcheck.host.child.guard import processor_seconds
from cbtcheck.run.ledger.ledger import Entry, confirm, entries, not_for
from cbtcheck.scenario.scenario import Scenario, Step, save
from cbtcheck.scenario.verdict import EXIT_CODES, Finding, Verdict
from cbtcheck.workflows import workflows
from cbtmodel import commands as c
from cbtmodel.commands import Command
from waiting import finished

pytestmark = pytest.mark.qemu

CLUSTER = 65536
SIZE = 8 * CLUSTER
LISTED = list(entries())
WORKFLOWS = workflows()


@pytest.fixture(scope="module")
def shared(binary: str) -> Iterator[QemuAdapter]:
    adapter = QemuAdapter(binary)
    yield adapter
    adapter.close()


class Told:
    """Plays steps on QEMU one by one. No step may differ, and each must happen as asked, or as `happens` says."""

    def __init__(self, adapter: QemuAdapter, disks: dict[str, int] | None = None, block: int = 512) -> None:
        self.player = Player(adapter, block, self_check=True)
        self.player.begin(disks or {"d": SIZE, "e": SIZE})

    def does(self, asked: Step, *happens: Command) -> None:
        """The step happens, and what it makes happen, in this order; nothing else, and nothing is refused."""
        assert self.player.play(asked) == []
        trace = self.player.frames[-1].trace
        assert [command for command, _ in trace] == [*(happens or [asked])]
        assert {reply.refusal for _, reply in trace} == {""}

    def refused(self, asked: Command, kind: str, *before: Command) -> None:
        assert self.player.play(asked) == []
        trace = self.player.frames[-1].trace
        assert [command for command, _ in trace] == [*before, asked]
        assert trace[-1][1].refusal == kind

    def copies(self, job: str, *clusters: int) -> None:
        """The job copies these clusters, one after the other, wherever a scenario would like it to."""
        for number in clusters:
            copy = c.Copy(job, number * CLUSTER, CLUSTER)
            self.does(copy, copy)

    def ends(self) -> None:
        """Everything can end; the data of each job that completed have been compared with the disk."""
        assert self.player._finish() == []

    @property
    def jobs(self) -> dict[str, str]:
        """The phases of the jobs."""
        return {job_id: "paused" if job.paused else job.phase for job_id, job in self.player.state.jobs.items()}

    def dirty(self, name: str = "b", node: str = "d") -> set[int]:
        """The clusters that a bitmap has, or its successor beside it, as QEMU and the specification both say."""
        bitmap = self.player.state.nodes[node].bitmaps[name]
        marks = bitmap.marks.dirty if bitmap.successor is None else bitmap.successor.marks.dirty
        word = self.player.space.granules(marks, CLUSTER, SIZE)
        return {number for number in range(8) if word >> number & 1}


@pytest.fixture
def told(shared: QemuAdapter) -> Told:
    return Told(shared)


def byte(cluster: int, node: str = "d", **more: Any) -> c.Write:
    return c.Write(node, cluster * CLUSTER + 100, 1, **more)


ADD = c.AddBitmap("d", "b", CLUSTER)
INCREMENT = c.StartBackup("j", "d", "incremental", "b")


def begin_increment(told: Told, *dirty: int, job: c.StartBackup = INCREMENT) -> None:
    """A bitmap with these clusters, and an incremental backup with it."""
    told.does(ADD)
    for each in dirty:
        told.does(byte(each))
    told.does(job)


# What users do, and what is known


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_agrees_and_is_restored(shared: QemuAdapter, name: str) -> None:
    player = Player(shared, self_check=True)
    assert player.play_scenario(WORKFLOWS[name]) == []
    assert set(player.not_realised) <= {"Copy"}, "QEMU may have made a copy before it is asked for"
    assert player.compared >= 3


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.id)
def test_a_known_defect_still_fails_as_it_is_listed(shared: QemuAdapter, entry: Entry) -> None:
    if reason := not_for(entry, shared.version):
        pytest.skip(f"{shared.version}: {reason}")
    result = confirm(entry, Player(shared), shared.version)
    assert result.outcome in (("known", "quiet", "skipped") if entry.luck else ("known",)), result.detail


# Large disks


def test_an_increment_of_what_was_written_beyond_2_to_the_40_is_backed_up(shared: QemuAdapter) -> None:
    at, size = 1 << 40, (1 << 40) + 24 * CLUSTER + 1536
    commands = (
        ADD, c.Write("d", at - 1, 2), c.Write("d", size - 1, 1),
        INCREMENT, c.Copy("j", at - CLUSTER, CLUSTER), c.Copy("j", at, CLUSTER), c.Copy("j", size - 1536, 1536),
    )  # fmt: skip
    told = Told(shared, {"d": size}, block=CLUSTER)
    for command in commands:
        told.does(command, command)
    assert told.jobs == {}
    assert told.player.compared == 1, "the bytes, too"
    told.ends()


# A guest write, seen from a running backup


def test_a_write_to_the_cluster_that_is_being_copied_waits_for_it(told: Told) -> None:
    begin_increment(told, 1, 3, 5)
    told.does(c.BeginCopy("j", 1 * CLUSTER, CLUSTER))
    assert told.player.state.jobs["j"].copying
    told.does(byte(1))
    assert not told.player.state.jobs["j"].copying
    assert told.player.frames[-1].seen is not None
    assert told.player.frames[-1].seen.jobs["j"].copied == ((1 * CLUSTER, CLUSTER),)
    assert told.dirty() == {1}
    told.copies("j", 3, 5)
    assert told.jobs == {}
    assert told.dirty() == {1}
    told.ends()


def test_a_write_to_a_cluster_that_is_yet_to_be_copied_copies_it_first(told: Told) -> None:
    begin_increment(told, 1, 3, 5)
    told.does(byte(5))
    assert told.player.frames[-1].seen is not None
    assert told.player.frames[-1].seen.jobs["j"].copied == ((5 * CLUSTER, CLUSTER),)
    told.copies("j", 1, 3)
    assert told.jobs == {}
    told.ends()


def test_a_write_to_a_cluster_that_was_copied_already_copies_nothing(told: Told) -> None:
    begin_increment(told, 1, 3)
    told.copies("j", 1)
    told.does(byte(1))
    assert told.player.frames[-1].seen is not None
    assert told.player.frames[-1].seen.jobs["j"].copied == ((1 * CLUSTER, CLUSTER),)
    told.copies("j", 3)
    assert told.dirty() == {1}
    told.ends()


def test_a_write_outside_of_the_copy_copies_nothing(told: Told) -> None:
    begin_increment(told, 1, 3)
    told.does(byte(6))
    assert told.player.frames[-1].seen is not None
    assert told.player.frames[-1].seen.jobs["j"].copied == ()
    told.copies("j", 1, 3)
    assert told.dirty() == {6}
    told.ends()


def test_a_write_whose_copy_fails_is_refused_and_marks_nothing(told: Told) -> None:
    """Both ways that the copy can fail: failures alternate with the number of the step."""
    begin_increment(told, 1, 4, 6)
    told.refused(byte(6, result="copy failed"), "copy failed")
    told.refused(byte(6, result="copy failed"), "copy failed")
    assert told.dirty() == set()
    assert told.jobs == {"j": "running"}
    told.copies("j", 1, 4, 6)
    assert told.dirty() == set()
    told.ends()


def test_a_write_that_fails_at_the_disk_is_marked_all_the_same(told: Told) -> None:
    begin_increment(told, 1, 4, 6)
    told.does(byte(6, result="failed"))
    assert told.dirty() == {6}
    told.copies("j", 1, 4)
    assert told.dirty() == {6}
    told.ends()


@pytest.mark.parametrize("start", [INCREMENT, c.Transaction((INCREMENT,)), c.Transaction((c.ClearBitmap("d", "b"),))],
                         ids=["backup", "transaction", "clear"])  # fmt: skip
def test_what_drains_waits_for_a_write_in_flight(told: Told, start: Command) -> None:
    told.does(ADD)
    told.does(c.BeginWrite("d", "w", 2 * CLUSTER, 512))
    assert told.dirty() == set(), "it has not ended yet"
    told.does(start)
    assert not told.player.state.nodes["d"].writes, "it has ended"
    if told.jobs:
        told.copies("j", 2)
    assert told.dirty() == set()
    told.ends()


def test_a_command_that_does_not_drain_does_not_wait_for_a_write_in_flight(told: Told) -> None:
    told.does(ADD)
    told.does(c.BeginWrite("d", "w", 2 * CLUSTER, 512))
    told.does(c.ClearBitmap("d", "b"))
    told.does(c.EndWrite("d", "w"))
    assert told.dirty() == {2}
    told.ends()


def test_a_write_in_flight_that_fails_is_marked_when_it_ends(told: Told) -> None:
    told.does(ADD)
    told.does(c.BeginWrite("d", "w", 7 * CLUSTER, 512))
    assert told.dirty() == set()
    told.does(c.EndWrite("d", "w", "failed"))
    assert told.dirty() == {7}
    told.ends()


# I/O errors on the n-th copy


@pytest.mark.parametrize("number", [0, 1, 2], ids=["first", "second", "third"])
@pytest.mark.parametrize("side", ["read error", "write error"])
@pytest.mark.parametrize("policy", ["report", "stop", "ignore"])
def test_an_error_on_a_copy(told: Told, side: Any, policy: Any, number: int) -> None:
    job = c.StartBackup("j", "d", "incremental", "b", on_source_error=policy, on_target_error=policy)
    todo = [1, 3, 5]
    begin_increment(told, *todo, job=job)
    told.copies("j", *todo[:number])
    told.does(byte(7))
    told.does(c.Copy("j", todo[number] * CLUSTER, CLUSTER, side))
    if policy == "report":
        assert told.jobs == {}
        assert told.dirty() == {1, 3, 5, 7}, "nothing is lost"
    else:
        assert told.jobs == {"j": "paused" if policy == "stop" else "running"}
        if policy == "stop":
            told.does(c.ResumeJob("j"))
        told.copies("j", *todo[number:])
        assert told.jobs == {}
        assert told.dirty() == {7}
    told.ends()


# Pause and cancel


def test_a_pause_lets_the_copy_in_flight_end_first(told: Told) -> None:
    begin_increment(told, 1, 3, 5)
    told.does(c.BeginCopy("j", 1 * CLUSTER, CLUSTER))
    assert told.player.play(c.PauseJob("j")) == []
    trace = [command for command, _ in told.player.frames[-1].trace]
    assert trace[0] == c.EndCopy("j") or c.EndCopy("j") in trace
    assert c.PauseJob("j") in trace
    assert told.jobs == {"j": "paused"}
    assert told.player.state.jobs["j"].copying == told.player.space.empty
    told.does(c.ResumeJob("j"))
    assert told.jobs == {"j": "running"}
    told.ends()


def test_a_paused_job_still_copies_before_a_write(told: Told) -> None:
    begin_increment(told, 1, 3, 5, 7)
    assert told.player.play(c.PauseJob("j")) == []
    told.does(byte(7))
    assert told.player.frames[-1].seen is not None
    assert (7 * CLUSTER, CLUSTER) in (told.player.frames[-1].seen.jobs["j"].copied or ())
    told.ends()


def test_a_cancel_while_copying_keeps_all_that_was_dirty(told: Told) -> None:
    begin_increment(told, 1, 3, 5)
    told.copies("j", 1)
    told.does(c.BeginCopy("j", 3 * CLUSTER, CLUSTER))
    told.does(byte(7))
    assert told.player.play(c.CancelJob("j")) == []
    assert told.player.frames[-1].trace[-1][0] == c.CancelJob("j")
    assert told.jobs == {}
    assert told.dirty() == {1, 3, 5, 7}
    told.ends()


def test_a_cancel_while_paused_keeps_all_that_was_dirty(told: Told) -> None:
    begin_increment(told, 0, 1, 2, 3, 4, 5, 6)
    assert told.player.play(c.PauseJob("j")) == []
    assert told.jobs == {"j": "paused"}
    told.does(byte(7))
    assert told.player.play(c.CancelJob("j")) == []
    assert told.player.frames[-1].trace[-1][0] == c.CancelJob("j")
    assert told.jobs == {}
    assert told.dirty() == {0, 1, 2, 3, 4, 5, 6, 7}
    told.ends()


def grouped(told: Told, **more: Any) -> None:
    """A bitmap with one dirty cluster on each of two disks, and a grouped increment of both: jobs j and k."""
    told.does(ADD)
    told.does(c.AddBitmap("e", "b", CLUSTER))
    told.does(byte(1))
    told.does(byte(2, "e"))
    told.does(byte(3, "e"))
    both = (INCREMENT, c.StartBackup("k", "e", "incremental", "b", **more))
    told.does(c.Transaction(both, grouped=True))


def test_a_cancel_while_waiting_for_the_group_ends_the_group(told: Told) -> None:
    grouped(told)
    told.copies("j", 1)
    assert told.jobs == {"j": "waiting", "k": "running"}
    told.does(byte(6))
    assert told.player.play(c.CancelJob("j")) == []
    assert told.jobs == {}
    assert told.dirty() == {1, 6}
    assert told.dirty(node="e") == {2, 3}
    told.ends()


def test_a_cancel_while_pending_keeps_all_that_was_dirty(told: Told) -> None:
    begin_increment(told, 1, job=c.StartBackup("j", "d", "incremental", "b", auto_finalize=False))
    told.copies("j", 1)
    assert told.jobs == {"j": "pending"}
    told.does(byte(4))
    told.does(c.CancelJob("j"))
    assert told.jobs == {}
    assert told.dirty() == {1, 4}
    told.ends()


def test_a_finalized_job_gives_its_bitmap_to_the_successor(told: Told) -> None:
    begin_increment(told, 1, job=c.StartBackup("j", "d", "incremental", "b", auto_finalize=False))
    told.copies("j", 1)
    told.does(byte(4))
    told.does(c.FinalizeJob("j"))
    assert told.dirty() == {4}
    told.ends()


# Several jobs


def test_a_group_completes_together(told: Told) -> None:
    grouped(told)
    told.copies("j", 1)
    assert told.jobs == {"j": "waiting", "k": "running"}
    told.does(byte(5))
    told.copies("k", 2, 3)
    assert told.jobs == {}
    assert told.dirty() == {5}
    assert told.dirty(node="e") == set()
    told.ends()


@pytest.mark.parametrize("side", ["read error", "write error"])
def test_a_failure_of_one_fails_its_group(told: Told, side: Any) -> None:
    grouped(told)
    told.copies("j", 1)
    told.does(c.Copy("k", 2 * CLUSTER, CLUSTER, side))
    assert told.jobs == {}
    assert told.dirty() == {1}
    assert told.dirty(node="e") == {2, 3}
    told.ends()


def test_two_jobs_on_one_disk_with_different_bitmaps_know_nothing_of_each_other(told: Told) -> None:
    told.does(c.AddBitmap("d", "weekly", CLUSTER))
    for each in range(7):
        told.does(byte(each))
    told.does(ADD)
    told.does(byte(1))
    told.does(byte(6))
    both = (INCREMENT, c.StartBackup("k", "d", "incremental", "weekly"))
    told.does(c.Transaction(both))
    told.copies("k", 0)
    told.copies("j", 1)
    told.does(byte(7))
    assert told.dirty() == told.dirty("weekly") == {7}
    assert told.player.play(c.PauseJob("k")) == []  # since QEMU 8 the other one's end may wait for all that it copies
    assert told.player.play(c.Copy("j", 6 * CLUSTER, CLUSTER)) == []
    assert set(told.jobs) == {"k"}
    assert told.dirty() == {7}
    assert told.player.play(c.CancelJob("k")) == []
    assert told.jobs == {}
    assert told.dirty("weekly") == set(range(8))
    assert told.dirty() == {7}
    told.ends()


# Deaths and hangs


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where temporary files go, and the only process of ours that may be there is the test."""
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def adapter(binary: str, home: Path) -> Iterator[QemuAdapter]:
    """A daemon of one's own; afterwards nothing of it is left."""
    made = QemuAdapter(binary)
    assert [each.name[:7] for each in home.iterdir()] == ["cbtspec"]
    yield made
    pid = pid_of(made)
    made.close()
    made.close()
    assert not alive(pid)
    assert list(home.iterdir()) == []


def pid_of(adapter: QemuAdapter) -> int:
    return adapter._session.daemon.pid if adapter._session is not None else 0


def alive(pid: int) -> bool:
    """Whether there is such a process, be it a stopped one or a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pid != 0


class Meddling(Player):
    """Before the step of that number, a signal is sent to the daemon."""

    def __init__(self, adapter: QemuAdapter, number: int, at: int) -> None:
        super().__init__(adapter)
        self.daemon, self.number, self.at = adapter, number, at
        self.victim = 0

    def play(self, asked: Step, observed: bool = True) -> list[Finding]:
        if len(self.frames) == self.at and not self.victim:
            self.victim = pid_of(self.daemon)
            os.kill(self.victim, self.number)
        return super().play(asked, observed)


HISTORY = Scenario(
    {"d": SIZE},
    (ADD, byte(1), INCREMENT, byte(2), c.BeginCopy("j", CLUSTER, CLUSTER), c.Transaction(()), c.CancelJob("j")),
)


@pytest.mark.parametrize("at", range(len(HISTORY.commands)))
def test_a_daemon_that_is_killed_is_a_verdict_and_the_next_scenario_runs_on_a_new_one(
    adapter: QemuAdapter, at: int
) -> None:
    player = Meddling(adapter, signal.SIGKILL, at)
    (finding,) = player.play_scenario(HISTORY)
    assert finding.verdict is Verdict.BROKEN
    assert "died" in finding.seen or "crash" in finding.seen
    assert not alive(player.victim)
    assert Player(adapter).play_scenario(HISTORY) == []
    assert adapter.daemons_started == 2


def test_a_daemon_that_dies_between_two_scenarios_is_replaced(adapter: QemuAdapter) -> None:
    player = Player(adapter)
    assert player.play_scenario(HISTORY) == []
    killed = pid_of(adapter)
    os.kill(killed, signal.SIGKILL)
    while alive(killed):
        time.sleep(0.01)
    player.play_scenario(HISTORY)
    assert player.play_scenario(HISTORY) == []
    assert adapter.daemons_started == 2


@pytest.mark.parametrize("at", [0, 1, 4, 5])
def test_a_daemon_that_stands_still_is_a_hang_and_is_killed(
    adapter: QemuAdapter, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(stage, "UNREST", 0.5)
    player = Meddling(adapter, signal.SIGSTOP, at)
    (finding,) = player.play_scenario(HISTORY)
    assert finding.verdict is Verdict.BROKEN
    assert "hang" in finding.seen
    assert not alive(player.victim)
    assert Player(adapter).play_scenario(HISTORY) == []
    assert adapter.daemons_started == 2


def test_close_leaves_nothing_in_the_middle_of_a_scenario(binary: str, home: Path) -> None:
    adapter = QemuAdapter(binary)
    told = Told(adapter)
    begin_increment(told, 1, 2)
    told.does(c.BeginWrite("d", "w", 5 * CLUSTER, 512))
    pid = pid_of(adapter)
    adapter.close()
    assert not alive(pid)
    assert list(home.iterdir()) == []


def test_an_adapter_that_cannot_be_started_leaves_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterUnusable):
        QemuAdapter(fake_daemon(tmp_path, "exit 3"))
    assert list(home.iterdir()) == []


def test_a_daemon_that_says_nothing_is_given_up(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "_GREETING", 0.5)
    silent = fake_daemon(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(AdapterUnusable, match="cannot be used: no answer for 0 s; is it a qemu-storage-daemon"):
        QemuAdapter(silent)
    assert not alive(int((tmp_path / "pid").read_text()))
    assert list(home.iterdir()) == []


# The command


def fake_daemon(directory: Path, body: str) -> str:
    path = directory / "fake-daemon"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def cbtspec(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the command in a directory of its own, with its temporary files in `t`."""
    (tmp_path / "t").mkdir()

    def start(*words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", "from cbtcheck.cli.command import main; main()", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=os.environ | {"TMPDIR": str(tmp_path / "t")},
        )  # fmt: skip

    return start


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = finished(process, seconds=600)
    return process.returncode, out, err


def test_a_short_drawn_run_agrees_and_says_what_is_known(
    binary: str, cbtspec: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    short = ("--examples", "60", "--only", "cancel-job")
    code, out, err = ended(cbtspec("check", "qemu", *short, "--seed", "7", "--format", "json"))
    report = json.loads(out)
    assert [each["findings"] for each in report["failures"]] == []
    assert code == EXIT_CODES["incomplete"], err
    assert report["conformant"] is False, "only a part of the profile was played"
    assert report["verdict"] == ("known" if any(e["outcome"] == "known" for e in report["ledger"]) else "exact")
    outcomes = {each["id"]: each["outcome"] for each in report["ledger"]}
    assert outcomes.keys() == {entry.id for entry in LISTED}
    for entry in LISTED:
        expected = {"skipped"} if not_for(entry, report["implementation"]) else {"known", "quiet"}
        assert outcomes[entry.id] in expected
    assert report["commands"]["start-backup"]["accepted"] > 0
    assert list((tmp_path / "t").iterdir()) == []


def test_ctrl_c_ends_it_with_nothing_left(
    binary: str, cbtspec: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = cbtspec("check", "qemu", "--examples", "100000")
    while not (daemons := [each for each in daemons_below(process.pid) if has_worked(each)]):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)
    assert code == EXIT_CODES["interrupted"]
    assert "scenarios" in out, "what was found until then is printed"
    assert daemons
    assert not any(map(alive, daemons))
    assert list((tmp_path / "t").iterdir()) == []


def has_worked(daemon: int) -> bool:
    """Whether it has done more than to start: scenarios are being played."""
    return processor_seconds(daemon) > 0.3


def daemons_below(parent: int) -> list[int]:
    """The children of a process that are daemons."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    if not path.exists():
        pytest.skip("the system does not tell the children of a process")
    children = [int(each) for each in path.read_text().split()]
    return [each for each in children if b"qemu-storage-daemon" in Path(f"/proc/{each}/cmdline").read_bytes()]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (None, "is not an executable file: give the path of a qemu-storage-daemon"),
        ("exit 3", "cannot be used: the daemon died with exit status 3"),
        ("echo QEMU 0.9", "cannot be used: the daemon died with exit status 0"),
    ],
    ids=["missing", "not QEMU", "says a version"],
)
@pytest.mark.parametrize("words", [("check", "qemu"), ("replay", "FILE", "--adapter", "qemu")], ids=lambda it: it[0])
def test_a_daemon_that_cannot_be_used_is_one_clear_line(
    cbtspec: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, body: str | None, complaint: str,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    save(HISTORY, tmp_path / "scenario.json")
    daemon = str(tmp_path / "nothing") if body is None else fake_daemon(tmp_path, body)
    made = [word.replace("FILE", "scenario.json") for word in words]
    code, out, err = ended(cbtspec(*made, "--qemu-storage-daemon", daemon))
    assert (code, out) == (EXIT_CODES["usage"], "")
    (line,) = err.splitlines()
    assert line.startswith((f"cbtspec: {daemon} ", f"cbtspec: '{daemon}' "))
    assert complaint in line
    assert list((tmp_path / "t").iterdir()) == []
    assert not (tmp_path / "reports").exists()


def test_a_daemon_that_is_too_old_is_one_clear_line(
    cbtspec: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """It speaks QMP as QEMU 5.2 does, over the socket that it inherits."""
    speaks = (
        "import socket, sys; fd = int(sys.argv[2].split('fd=')[1]); s = socket.socket(fileno=fd)\n"
        "v = '{\"qemu\": {\"major\": 5, \"minor\": 2, \"micro\": 0}, \"package\": \"\"}'\n"
        "s.sendall(b'{\"QMP\": {\"version\": ' + v.encode() + b', \"capabilities\": []}}\\r\\n')\n"
        "while line := s.recv(4096):\n"
        "    s.sendall((b'{\"return\": ' + (v.encode() if b'query-version' in line else b'{}') + b'}\\r\\n'))\n"
    )
    (tmp_path / "old.py").write_text(speaks)
    daemon = fake_daemon(tmp_path, f'exec {sys.executable} {tmp_path}/old.py "$@"')
    code, out, err = ended(cbtspec("check", "qemu", "--qemu-storage-daemon", daemon))
    assert (code, out) == (EXIT_CODES["usage"], "")
    (line,) = err.splitlines()
    assert line.endswith("cannot be used: QEMU 5.2.0 is too old: install QEMU 6.0 or newer")
    assert list((tmp_path / "t").iterdir()) == []
