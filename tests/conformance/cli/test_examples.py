"""The examples, built with what is there, and judged: right ones are conformant, mistakes get their verdicts."""

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
from cbtcheck.adapters.exec import ExecAdapter
from cbtcheck.follow.play import Player
from cbtcheck.run.hunting import SHORTEST
from cbtcheck.scenario.capabilities import missing
from cbtcheck.scenario.scenario import Scenario, load
from cbtcheck.scenario.verdict import EXIT_CODES, Verdict, worst
from cbtcheck.workflows import workflows
from cbtmodel.commands import AddBitmap, ClearBitmap, StartBackup
from waiting import run

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
VECTORS = sorted(each for each in (ROOT / "conformance/vectors").glob("*.json") if "schema" not in each.name)
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"

Command = tuple[str, ...]

UNSAFE, DIVERGES = Verdict.UNSAFE, Verdict.DIVERGES

IN_C = {
    "failed-write-forgotten": UNSAFE,
    "discard-forgotten": UNSAFE,
    "tail-forgotten": UNSAFE,
    "rounds-inwards": UNSAFE,
    "frozen-records": UNSAFE,
    "no-copy-before-write": UNSAFE,
    "busy-unchecked": UNSAFE,
    "merge-replaces": UNSAFE,
    "merge-by-number": UNSAFE,
    "transaction-half-done": UNSAFE,
    "failure-drops": UNSAFE,
    "cancel-completes": UNSAFE,
    "start-without-drain": UNSAFE,
    "group-alone": UNSAFE,
    "error-ignored": UNSAFE,
    "wrong-kind": DIVERGES,
}
"""The worst that is to be seen of each mistake of the example in C."""

IN_JAVASCRIPT = {
    "rounds-inwards": UNSAFE,
    "tail-forgotten": UNSAFE,
    "zeroes-forgotten": UNSAFE,
    "frozen-records": UNSAFE,
    "failure-drops": UNSAFE,
    "left-forgotten": UNSAFE,
    "busy-unchecked": UNSAFE,
    "merge-replaces": UNSAFE,
    "transaction-half-done": UNSAFE,
    "name-unchecked": DIVERGES,
    "no-snapshot": UNSAFE,
}
"""The same for JavaScript."""


def tool(*names: str) -> str:
    """The path of the first of these programs. Without any the test is skipped, or fails if they are required."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    reason = f"{' or '.join(names)} is not on PATH"
    if os.environ.get("CBTSPEC_REQUIRE_TOOLCHAINS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def made(directory: Path, flags: str) -> Path:
    """The example in C, built with these flags in a directory of its own."""
    shutil.copytree(EXAMPLES / "c", directory, ignore=shutil.ignore_patterns("*.o", "adapter", "vectors"))
    command = [tool("make"), "-s", f"CC={tool('cc', 'gcc', 'clang')}", f"CFLAGS={flags}"]
    built = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    return directory


@pytest.fixture(scope="session")
def c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("c") / "built", "-O2")


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("c") / "sanitized", SANITIZED)


@pytest.fixture(scope="session")
def c_minimal(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    directory = tmp_path_factory.mktemp("c-minimal")

    def build(flags: str) -> Path:
        adapter = directory / f"adapter{abs(hash(flags))}"
        strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags.split()]
        source = EXAMPLES / "c-minimal/adapter.c"
        subprocess.run([tool("cc", "gcc", "clang"), *strict, "-o", adapter, source], check=True)
        return adapter

    return build


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Callable[[str], Command]:
    """How each example is started."""

    def command(name: str) -> Command:
        if name == "c":
            return (str(request.getfixturevalue("c") / "adapter"),)
        if name == "c-minimal":
            return (str(request.getfixturevalue("c_minimal")("-O2")),)
        if name == "javascript":
            return (tool("node", "nodejs"), str(EXAMPLES / "javascript/adapter.mjs"))
        return (sys.executable, str(EXAMPLES / "coarse/adapter.py"))

    return command


# The suite


def checked(reports: Path, command: Command, *more: str, examples: int = 10) -> tuple[int, dict]:
    """What `cbtspec check exec` exits with, and its report."""
    cbtspec = [sys.executable, "-c", "from cbtcheck.cli.command import main; main()"]
    options = ["check", "exec", "--examples", str(examples), "--format", "json", "--reports", str(reports), *more]
    ran = run([*cbtspec, *options, "--", *command], text=True)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


@pytest.mark.parametrize("name", ["c-minimal", "c", "javascript"])
def test_the_right_ones_are_conformant(name: str, example: Callable[[str], Command], tmp_path: Path) -> None:
    code, report = checked(tmp_path, example(name))
    assert (code, report["conformant"]) == (EXIT_CODES["conformant"], True)
    counted = [*report["commands"].values(), *report["properties"].values()]
    assert {each["verdict"] for each in counted} <= {"exact", "skipped"}


def test_the_coarse_one_is_wasteful_and_safe(example: Callable[[str], Command], tmp_path: Path) -> None:
    code, report = checked(tmp_path, example("coarse"), "--only", "write")
    assert (code, report["conformant"]) == (EXIT_CODES["wasteful"], False)
    assert (report["safety"], report["exactness"]) == ("exact", "wasteful")


# Mistakes


@functools.cache
def telling() -> tuple[Scenario, ...]:
    """The shortest scenarios for the suite's own seeded mistakes, what users do, and what is refused."""
    short = [load(each) for each in sorted(SHORTEST.glob("*.json"))]
    refused = (AddBitmap("d", "", 4096), AddBitmap("d", "b", 4096), AddBitmap("d", "b", 4096))
    busy = (*refused[1:2], StartBackup("j", "d", "incremental", "b", cluster=4096), ClearBitmap("d", "b"))
    return (*short, *workflows().values(), *(Scenario({"d": 32768}, each) for each in (refused, busy)))


@pytest.fixture
def worst_of() -> Iterator[Callable[[Command], Verdict]]:
    """The worst that the suite sees of a program in scenarios that tell."""
    opened: list[ExecAdapter] = []

    def play(command: Command) -> Verdict:
        adapter = ExecAdapter(command)
        opened.append(adapter)
        capabilities = adapter.capabilities
        player = Player(adapter, turn_away=lambda state, each: bool(missing(state, each, capabilities)))
        found = []
        for scenario in telling():
            if len(scenario.disks) <= capabilities.max_disks:
                found += [each.verdict for each in player.play_scenario(scenario)]
        return worst(found)

    yield play
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", ["c", "javascript"])
def test_without_a_mistake_they_are_exact(
    name: str, example: Callable[[str], Command], worst_of: Callable[[Command], Verdict]
) -> None:
    assert worst_of(example(name)) is Verdict.EXACT


@pytest.mark.parametrize("mistake", IN_C)
def test_mistakes_in_c_get_their_verdict(
    mistake: str, example: Callable[[str], Command], worst_of: Callable[[Command], Verdict]
) -> None:
    assert worst_of((*example("c"), "--mistake", mistake)) is IN_C[mistake]


@pytest.mark.parametrize("mistake", IN_JAVASCRIPT)
def test_mistakes_in_javascript_get_their_verdict(
    mistake: str, example: Callable[[str], Command], worst_of: Callable[[Command], Verdict]
) -> None:
    assert worst_of((*example("javascript"), "--mistake", mistake)) is IN_JAVASCRIPT[mistake]


# The vectors alone


def played(*command: str) -> tuple[int, str]:
    """The exit code of a runner of all vectors, and the last line that it prints."""
    ran = subprocess.run([*command, *map(str, VECTORS)], capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.returncode, ran.stdout.splitlines()[-1]


def test_the_vectors_are_played_in_c(sanitized: Path) -> None:
    vectors = [each for file in VECTORS for each in json.loads(file.read_bytes())["vectors"]]
    skipped = sum("persistence" in each["needs"] for each in vectors)
    total = len(vectors) - skipped
    summary = f"{total} vectors played: {total} as they should be, 0 not; {skipped} skipped"
    assert played(str(sanitized / "vectors")) == (0, summary)


def test_the_vectors_are_played_in_javascript() -> None:
    code, summary = played(tool("node", "nodejs"), str(EXAMPLES / "javascript/vectors.mjs"))
    assert code == 0
    assert int(summary.split()[0]) > 300
    assert " 0 not;" in summary


@pytest.mark.parametrize("mistake", IN_C)
def test_the_vectors_find_each_mistake_in_c(mistake: str, c: Path) -> None:
    code, summary = played(str(c / "vectors"), "--mistake", mistake)
    assert code == 2
    assert " 0 not;" not in summary


@pytest.mark.parametrize("mistake", IN_JAVASCRIPT)
def test_the_vectors_find_each_mistake_in_javascript(mistake: str) -> None:
    runner = EXAMPLES / "javascript/vectors.mjs"
    code, summary = played(tool("node", "nodejs"), str(runner), "--mistake", mistake)
    assert code == 2
    assert " 0 not;" not in summary


def test_the_tables_above_have_every_mistake(c: Path) -> None:
    usage = subprocess.run([c / "adapter", "--mistake", "none"], capture_output=True, text=True)
    assert usage.returncode == 64
    assert usage.stderr.rsplit(":", 1)[1].split() == list(IN_C)
    command = [tool("node", "nodejs"), EXAMPLES / "javascript/adapter.mjs", "--mistake", "none"]
    usage = subprocess.run(command, capture_output=True, text=True)
    assert usage.returncode == 64
    assert usage.stderr.rsplit(":", 1)[1].split() == list(IN_JAVASCRIPT)


# Robust


def conversation(needs: set[str], long: str = "") -> str:
    """All vectors that need no more than this, as requests in a row; everything is observed after each step."""
    requests: list[dict] = [{"do": "hello", "protocol": 1, "suite": "test"}]
    for file in VECTORS:
        for vector in json.loads(file.read_bytes())["vectors"]:
            if needs and not {each for each in vector["needs"] if ":" not in each} <= needs:
                continue
            requests.append({"do": "reset", "block": 512, "disks": vector["disks"]})
            for step in vector["steps"]:
                requests += [step["command"], {"do": "observe", "what": "state"}]
    for name in (long, '"node":"\\', "\u0000", "é\U0001f4be"):
        requests.append({"do": "add-bitmap", "node": "d", "name": name, "granularity": 4096, "enabled": True})
        requests.append({"do": "observe", "what": "state"})
    requests += [{"do": "dance"}, {"do": "bye"}]
    lines = [json.dumps({"seq": n, **r}, separators=(",", ":")) for n, r in enumerate(requests, 1)]
    return "".join(f"{each}\n" for each in lines)


@pytest.mark.parametrize("name", ["c", "c-minimal"])
def test_sanitizers_have_nothing_to_say(name: str, request: pytest.FixtureRequest) -> None:
    adapter, needs = request.getfixturevalue("sanitized") / "adapter", set()
    if name == "c-minimal":
        adapter = request.getfixturevalue("c_minimal")(SANITIZED)
        needs = {"add-bitmap", "write", "start-backup", "tails"}
    asked = conversation(needs, "n" * 100_000)
    ran = subprocess.run([adapter], input=asked, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    replies = [json.loads(each) for each in ran.stdout.splitlines()]
    assert [each["seq"] for each in replies] == list(range(1, asked.count("\n") + 1))
    assert "error" in replies[-2]  # dance


def test_it_ends_when_its_input_does(example: Callable[[str], Command]) -> None:
    for name in ("c", "c-minimal", "javascript", "coarse"):
        asked = '{"seq":1,"do":"hello","protocol":1,"suite":"test"}\n'
        ran = run(example(name), asked, text=True)
        assert (name, ran.returncode, ran.stderr) == (name, 0, "")
        assert json.loads(ran.stdout)["protocol"] == 1


def test_the_minimal_adapter_is_short() -> None:
    assert len((EXAMPLES / "c-minimal/adapter.c").read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", ["c-minimal", "c", "javascript", "coarse"])
def test_each_example_says_what_it_is(name: str) -> None:
    page = (EXAMPLES / name / "README.md").read_text()
    assert 15 <= len(page.splitlines()) <= 30
    assert "cbtspec smoke exec -- " in page
    assert "cbtspec check exec -- " in page
