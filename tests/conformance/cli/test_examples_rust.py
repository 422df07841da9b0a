"""The example in Rust, which was written from the protocol's page alone: conformant, and each mistake is found."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import waiting
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.follow.play import Player, verdict_of
from cbtcheck.run import course, plan
from cbtcheck.run.hunting import SHORTEST
from cbtcheck.run.options import Options
from cbtcheck.run.profiles import Profile
from cbtcheck.run.report import Report
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.scenario import Scenario, Step, load
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict, worst
from cbtcheck.workflows import workflows
from cbtmodel import commands as c

EXAMPLE = Path(__file__).parents[3] / "examples/rust"
KINDS = ["adapter", "suite"]

UNSAFE, DIVERGES, WASTEFUL, BROKEN = Verdict.UNSAFE, Verdict.DIVERGES, Verdict.WASTEFUL, Verdict.BROKEN

MISTAKES = {
    "lost-write-during-job": UNSAFE,
    "lost-once": UNSAFE,
    "last-granule-missed": UNSAFE,
    "tail-forgotten": UNSAFE,
    "zeroes-forgotten": UNSAFE,
    "discard-forgotten": UNSAFE,
    "failed-write-forgotten": UNSAFE,
    "recorded-by-yesterdays": UNSAFE,
    "abdicates-on-failure": UNSAFE,
    "forgets-successor": UNSAFE,
    "always-forgets-left": UNSAFE,
    "never-forgets": UNSAFE,
    "deaf-after-job": UNSAFE,
    "cancel-completes": UNSAFE,
    "no-copy-before-write": UNSAFE,
    "paused-saves-nothing": UNSAFE,
    "saves-again": UNSAFE,
    "saves-one-cluster": UNSAFE,
    "writes-unsaved": UNSAFE,
    "target-error-succeeds": UNSAFE,
    "work-list-inwards": UNSAFE,
    "start-without-drain": UNSAFE,
    "group-fails-alone": UNSAFE,
    "merge-replaces": UNSAFE,
    "merge-by-number": UNSAFE,
    "busy-cleared": UNSAFE,
    "busy-removed": UNSAFE,
    "busy-backed-up": UNSAFE,
    "clears-others": UNSAFE,
    "clears-namesakes": UNSAFE,
    "disables-others": UNSAFE,
    "source-emptied": UNSAFE,
    "success-clears-others": UNSAFE,
    "clear-disables": UNSAFE,
    "exists-unchecked": UNSAFE,
    "not-undone": UNSAFE,
    "reads-present": UNSAFE,
    "finalizes-itself": UNSAFE,
    "stop-goes-on": DIVERGES,
    "resume-idles": DIVERGES,
    "ends-in-silence": DIVERGES,
    "removed-is-free": UNSAFE,
    "sizes-unchecked": DIVERGES,
    "long-names": DIVERGES,
    "wrong-kind": DIVERGES,
    "wasteful-once": WASTEFUL,
    "neighbour-marked": WASTEFUL,
    "recorded-on-all-disks": WASTEFUL,
    "disabled-records": WASTEFUL,
    "ignored-recorded": WASTEFUL,
    "success-keeps-all": WASTEFUL,
    "copies-everything": DIVERGES,
    "panics-on-merge": BROKEN,
}
"""The worst that is to be seen of each mistake."""

ONLY_IN_JOBS = {
    "cancel-completes", "no-copy-before-write", "paused-saves-nothing", "saves-again", "saves-one-cluster",
    "writes-unsaved", "target-error-succeeds", "work-list-inwards", "group-fails-alone", "success-clears-others",
    "finalizes-itself", "stop-goes-on", "resume-idles", "ends-in-silence", "copies-everything",
}  # fmt: skip
"""What cannot go wrong where the suite makes the copies."""

ONLY_IN_TRACKERS = {"reads-present"}
"""What cannot go wrong where it does not."""


def tool(name: str) -> str:
    """The path of a program that works. Without it the test is skipped, or fails if toolchains are required.

    A cargo may be there and be none: rustup's is a proxy, which looks for a toolchain in the home directory.
    """
    found, why = shutil.which(name), f"{name} is not on PATH"
    if found is not None:
        said = subprocess.run([found, "--version"], capture_output=True, text=True)
        if said.returncode == 0:
            return found
        why = f"{name} --version fails: {' '.join(said.stderr.split())[:200]}"
    if os.environ.get("CBTSPEC_REQUIRE_TOOLCHAINS") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example, built outside of the tree; for all of pytest-xdist's processes once: cargo locks its target."""
    base = tmp_path_factory.getbasetemp()
    target = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rust"
    options = ["--release", "--offline", "--locked", "--target-dir", str(target)]
    command = [tool("cargo"), "build", "--quiet", *options]
    built = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    return str(target / "release/cbt-in-memory")


def test_the_table_above_has_every_mistake(program: str) -> None:
    listed = subprocess.run([program, "--mistakes"], capture_output=True, text=True, check=True).stdout
    assert [tuple(each.split()[:2]) for each in listed.splitlines()] == [
        (name, verdict.value) for name, verdict in MISTAKES.items()
    ]
    asked = subprocess.run([program, "--mistake", "none"], capture_output=True, text=True)
    assert (asked.returncode, asked.stdout) == (64, "")


# The right one


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_conformant(kind: str, program: str, tmp_path: Path) -> None:
    cbtspec = [sys.executable, "-c", "from cbtcheck.cli.command import main; main()"]
    options = ["check", "exec", "--examples", "10", "--format", "json", "--reports", str(tmp_path)]
    command = [*cbtspec, *options, "--", program, "--copies", kind]
    ran = waiting.run(command, text=True)
    assert ran.returncode == EXIT_CODES["conformant"], ran.stderr
    report = json.loads(ran.stdout)
    assert (report["conformant"], report["safety"], report["exactness"]) == (True, "exact", "exact")
    rows = (*report["commands"].values(), *report["properties"].values())
    assert {each["verdict"] for each in rows} <= {"exact", "skipped"}


# Mistakes


def node(disks: dict[str, int], *steps: Step) -> Scenario:
    return Scenario(disks, steps)


def more() -> Iterator[Scenario]:
    """What else tells: commands that are wrong about others than they name, and what is told at once."""
    two = {"d": 32768, "e": 32768}
    bitmaps = [c.AddBitmap(node, name, 4096) for node in two for name in ("b0", "b1", "b2")]
    dirty = [*bitmaps, c.Write("d", 0, 1), c.Write("e", 0, 1)]
    backup = c.StartBackup("j", "d", "incremental", "b0", cluster=4096)
    full = c.StartBackup("j", "d", "full", cluster=4096)
    merge = c.MergeBitmaps("d", "b0", (c.Source("d", "b1"),))
    for one in (c.ClearBitmap, c.RemoveBitmap, c.EnableBitmap, c.DisableBitmap):
        yield node(two, *dirty, one("d", "b0"))
        yield node(two, *dirty, backup, one("d", "b0"))
        yield node(two, *dirty, backup, one("d", "b1"))
    yield node(two, *dirty, merge)
    yield node(two, *dirty, backup, c.Write("d", 4096, 1), c.Copy("j", 0, 4096))
    yield node(two, *dirty, backup, c.Write("d", 4096, 1), c.CancelJob("j"))
    yield node(two, *dirty, c.AddBitmap("d", "b0", 4096))
    yield node(two, *dirty, c.Transaction((c.RemoveBitmap("d", "b0"), c.AddBitmap("d", "b0", 4096))))
    yield node({"d": 32768, "e": 65536}, *dirty, c.MergeBitmaps("d", "b0", (c.Source("e", "b0"),)))
    yield node(two, c.AddBitmap("d", "n" * 1024, 4096))
    yield node(two, *bitmaps, c.Write("d", 0, 1, "discard", "ignored"))
    yield node(two, full, c.PauseJob("j"), c.Write("d", 0, 1))
    yield node(two, full, c.Write("d", 4095, 2))
    yield node(two, full, c.Write("d", 0, 1, "write", "copy failed"), c.Copy("j", 0, 32768))
    yield node(two, full, c.PauseJob("j"), c.Write("d", 0, 32768), c.ResumeJob("j"))
    stops = c.StartBackup("j", "d", "full", cluster=4096, on_target_error="stop")
    yield node(two, stops, c.Copy("j", 0, 4096, "write error"))


@functools.cache
def telling() -> tuple[Scenario, ...]:
    """Also the shortest scenarios for the suite's own seeded mistakes, and what users do."""
    return (*(load(each) for each in sorted(SHORTEST.glob("*.json"))), *workflows().values(), *more())


def worst_of(*command: str) -> Verdict:
    """The worst that is seen in scenarios that tell, until a write is lost."""
    adapter = ExecAdapter(command)
    capabilities = adapter.capabilities
    player = Player(adapter, turn_away=lambda state, each: bool(missing(state, each, capabilities)))
    found = Verdict.EXACT
    try:
        for scenario in telling():
            found = worst([found, *(each.verdict for each in player.play_scenario(scenario))])
            if not found.safe:
                break
    finally:
        adapter.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_mistake_it_is_exact(kind: str, program: str) -> None:
    assert worst_of(program, "--copies", kind) is Verdict.EXACT


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_their_verdict(mistake: str, program: str) -> None:
    kinds = {"adapter": mistake not in ONLY_IN_TRACKERS, "suite": mistake not in ONLY_IN_JOBS}
    for kind, visible in kinds.items():
        expected = MISTAKES[mistake] if visible else Verdict.EXACT
        assert (kind, worst_of(program, "--copies", kind, "--mistake", mistake)) == (kind, expected)


# What the mistakes have shown of the suite


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A run of these scenarios as workflows, and of nothing else."""

    def of(command: tuple[str, ...], **scenarios: Scenario) -> Report:
        monkeypatch.setattr(plan, "tour", lambda _: ())
        monkeypatch.setattr(plan, "workflows", lambda: scenarios)
        monkeypatch.setattr(plan, "traps", lambda _: {}, raising=False)
        monkeypatch.setattr(plan, "families", lambda: ())
        monkeypatch.setattr(plan, "restarts", lambda *_: {})
        monkeypatch.setattr(plan, "tour_of_images", lambda *_: ())
        monkeypatch.setattr(Profile, "lengths", lambda _: [])
        options = Options("quick", 5, examples=0, seconds=None, only=None, reports=tmp_path)
        return course.run(lambda: ExecAdapter(command), options, lambda *_: None)

    return of


@pytest.mark.parametrize(("mistake", "verdict"), [("wasteful-once", WASTEFUL), ("lost-once", UNSAFE)])
def test_what_was_seen_once_is_not_repeatable_and_shown_as_it_was(
    mistake: str, verdict: Verdict, program: str, run: Callable[..., Report]
) -> None:
    """The program makes the mistake at its first chance only, so that no replay finds it again."""
    writes = [c.Write("d", offset, 1) for offset in range(0, 12 * 8192, 8192)]
    report = run((program, "--mistake", mistake), once=node({"d": 131072}, c.AddBitmap("d", "b", 4096), *writes))
    assert (report.verdict, report.conformant) == (Verdict.NOT_REPEATABLE, False)
    assert [verdict_of(each.findings) for each in report.not_repeatable] == [verdict]
    assert report.failures == []


def test_a_backup_that_ends_late_behind_waste_is_no_other_fault(program: str, run: Callable[..., Report]) -> None:
    named = "6-several-disks"
    report = run((program, "--mistake", "recorded-on-all-disks"), **{named: workflows()[named]})
    assert report.verdict is WASTEFUL


def test_writes_in_one_go_are_looked_at_together(program: str, tmp_path: Path) -> None:
    adapter = ExecAdapter((program,))
    try:
        jobs = [c.StartBackup("j1", "d", "full"), c.StartBackup("j0", "d", "full", cluster=512)]
        writes = [c.Write("d", 0, 4096), c.Write("d", 5120, 512), c.Copy("j0", 0, 32768)]
        assert Player(adapter, closely=False).play_scenario(node({"d": 32768}, *jobs, *writes)) == []
    finally:
        adapter.close()


# Robust


LATE = '{"seq":1,"do":"hello","protocol":1,"suite":"test"}\n'


NO_REQUESTS = {
    "empty": "", "cut": "{", "nothing": "{}", "no-verb": '{"seq":1}', "deep": "[" * 1_000_000,
    "surrogate": '{"seq":1,"do":"\ud800"}', "nul": "\0", "fraction": "1e9",
}  # fmt: skip


@pytest.mark.parametrize("line", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_ends_it_with_one_line(line: str, program: str) -> None:
    asked = f"{LATE}{line}\n".encode(errors="surrogatepass")
    ran = waiting.run([program], asked)
    assert (ran.returncode, ran.stdout.count(b"\n"), ran.stderr.count(b"\n")) == (1, 1, 1)


def test_it_ends_when_its_input_does(program: str) -> None:
    ran = waiting.run([program], LATE, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_example_says_what_it_is() -> None:
    page = (EXAMPLE / "README.md").read_text()
    assert 15 <= len(page.splitlines()) <= 40
    assert "cbtspec smoke exec -- " in page
    assert "cbtspec check exec -- " in page
