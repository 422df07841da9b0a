"""Whatever stands on the command line: a documented exit code, one line on stderr, no traceback.

Words are drawn: options of every command with values of every kind, right, wrong and absurd, and paths to whatever
there may be. What would take long is replaced; options, files, and what becomes of them are not.
With CBTSPEC_NIGHT=1 thirty times as many are drawn, and others each time.
"""

import os
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cbtcheck.cli import command
from cbtcheck.cli.command import SUBCOMMANDS
from cbtcheck.host.lacking import lacking, not_written
from cbtcheck.judging.campaign import CannotJudge
from cbtcheck.run.report import Report
from cbtcheck.scenario.verdict import EXIT_CODES
from cbtproofs.explorer.exploration import explore_scope
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
DEEP = os.environ.get("CBTSPEC_NIGHT") == "1"
DRAWN = 200 * (30 if DEEP else 1)

WORDS = [
    "", " ", "-", "--", "-1", "0", "1", "2", "3", "007", "1.5", "1e309", "1e-320", "nan", "NaN", "inf", "-inf",
    "0x10", "1_000", "9" * 40, "9" * 5000, "512", "4096", "1M", "0M", "64T", "999999999999999T", "1\u0663", "\u00bd",
    "True", "none", "null", "{}", "%s", "%(prog)s", "$HOME", "*", "a=b", "drive0=64M", "drive0=0", "=1",
    "\u00fc\u4e2d\U0001f600", "\udcff\udcfe", "a\nb", "a\x1b[2Jb", "a\x7f\u202eb", "x" * 300, "tcp://127.0.0.1:1",
    "quick", "json", "qemu", "exec", "reference", "LOCAL", "NO-LOST-WRITE", "no-lost-wrte", "write", "true",
    "drop-successor", "/bin/false", "recorded",
]  # fmt: skip
PLACES = [
    "scenario.json", "trace.jsonl", "empty", "binary", "text", "folder", "folder/new", "new", "new/new", "dangling",
    "loop", "text/below", "socket", "locked/new", "y" * 300, "z/" * 3000, "/dev/null", "/dev/full", "/", ".", "..",
    "/proc/self/mem", "/proc/version", "/nowhere/at/all", "link", "n\udcffme", "n\x1bme",
]  # fmt: skip


def commands() -> dict[str, click.Command]:
    """All but `oracle`, which reads a file descriptor."""
    context = click.Context(command.main)
    found = {each: command.main.get_command(context, each) for each in SUBCOMMANDS if each != "oracle"}
    return {name: each for name, each in found.items() if each is not None}


COMMANDS = commands()


def words_for(parameter: click.Parameter) -> st.SearchStrategy[list[str]]:
    """An option or an argument, with a value that may be right."""
    kind = parameter.type
    values = [st.sampled_from(WORDS), st.sampled_from(PLACES)]
    if isinstance(kind, click.Choice):
        values.append(st.sampled_from([str(each) for each in kind.choices]))
    if isinstance(kind, click.Path):
        values.append(st.sampled_from(PLACES))
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        values.append(st.integers(-2, 5).map(str))
    value = st.one_of(values)
    if not isinstance(parameter, click.Option):
        return value.map(lambda each: [each])
    name = st.sampled_from([*parameter.opts, *parameter.secondary_opts])
    if parameter.is_flag:
        return name.map(lambda each: [each])
    return st.one_of(
        st.tuples(name, value).map(list), st.tuples(name, value).map(lambda each: [f"{each[0]}={each[1]}"]),
        name.map(lambda each: [each]),
    )  # fmt: skip


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command line."""
    name = draw(st.sampled_from([*COMMANDS]))
    arguments = [each for each in COMMANDS[name].params if isinstance(each, click.Argument)]
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]
    groups = [draw(words_for(each)) for each in arguments if draw(st.integers(0, 9))]
    groups += [draw(words_for(each)) for each in draw(st.lists(st.sampled_from(options), max_size=4))]
    groups += draw(st.lists(st.sampled_from(WORDS).map(lambda each: [each]), max_size=1))
    return [name, *(word for group in draw(st.permutations(groups)) for word in group)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with whatever may be there. `locked` may not be written to, but by root."""
    at = tmp_path_factory.mktemp("places")
    (at / "scenario.json").write_bytes((ROOT / "conformance/cbtcheck/workflows/3-chain.json").read_bytes())
    (at / "trace.jsonl").write_bytes((ROOT / "tests/conformance/trace/traces/everything.jsonl").read_bytes())
    (at / "empty").touch()
    (at / "binary").write_bytes(bytes(range(256)) * 16)
    (at / "text").write_text("no JSON\n")
    (at / "folder").mkdir()
    (at / "locked").mkdir(mode=0o500)
    (at / "dangling").symlink_to("nowhere")
    (at / "loop").symlink_to("loop")
    (at / "link").symlink_to("scenario.json")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(at)
        listening.bind("socket")
        yield at


@pytest.fixture
def quick(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take long takes no time, or is refused."""
    for name, value in REPLACED.items():
        monkeypatch.setattr(name, value)
    monkeypatch.chdir(places)


def nothing(*_: object, **__: object) -> int:
    return 0


async def no_history(*_: object) -> None:
    """Nothing is played."""


async def listens(*_: object) -> None:
    """Somebody ends the tap."""
    raise KeyboardInterrupt


def tell(*_: object) -> None:
    """How far it is."""


REPORT = Report("0.1.0", "reference", "1.0", "quick", 1, Counter(drawn=5), steps=9, compared=1)

def cannot_judge(*_: object, **__: object) -> None:
    raise CannotJudge("the tool fails though nothing happens to it")


REPLACED: dict[str, object] = {
    "cbtcheck.cli.checking._run": lambda *_: REPORT,
    "cbtcheck.cli.proving.prove": nothing,
    "cbtcheck.cli.contracts_checked.check": nothing,
    "cbtcheck.cli.refined.walk": nothing,
    "cbtcheck.cli.explore.explore_scope": lambda scope, limit, _: explore_scope(scope, min(limit, 9), tell),
    "cbtcheck.cli.explore.explore_symmetric": lambda scope, limit, _: explore_scope(scope, 9, tell),
    "cbtcheck.cli.tour.tour": lambda scope: (),
    "cbtcheck.cli.tap.Tap.listen": listens,
    "cbtcheck.judging.campaign.judge": cannot_judge,
    "cbtcheck.judging.play.play": cannot_judge,
    "cbtcheck.cli.crash._run": no_history,
    "cbtcheck.vectors.folder.archive": lambda: b"packed",
    "cbtcheck.vectors.folder.write": lambda place: [],
    "cbtcheck.vectors.folder.first_difference": lambda place: "",
}


def as_documented(result: Result) -> None:
    """What is asserted of every line."""
    assert "Traceback" not in result.output
    if not isinstance(result.exception, SystemExit | None):
        assert lacking(result.exception) or not_written(result.exception), result.exc_info
        return
    assert result.exit_code in EXIT_CODES.values()
    said = result.stderr.splitlines()
    assert all(each.isprintable() for each in said), said
    if result.exit_code in (EXIT_CODES["usage"], EXIT_CODES["output"]) and not result.stderr.startswith("Usage: "):
        assert said or result.stdout  # a report says it itself, if nothing could be judged
        assert said == [each for each in said[:1] if each.startswith("cbtspec: ") and len(each) < 12_000]


@given(lines())
@settings(max_examples=DRAWN, deadline=None, derandomize=not DEEP,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
def test_whatever_stands_there(quick: None, words: list[str]) -> None:
    as_documented(CliRunner().invoke(command.main, words, prog_name="cbtspec"))
