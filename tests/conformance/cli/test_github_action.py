"""The GitHub action: its page says what it takes, its workflow can be pasted, and its script does what it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import waiting
import yaml
from cbtcheck.scenario.verdict import EXIT_CODES

ROOT = Path(__file__).parents[3]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = (ROOT / "docs/use/github-action.md").read_text()
CHECK, UPLOAD = ACTION["runs"]["steps"]


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading, by the name in the first column."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "| `" in line]
    return {row[0].strip("`"): row[1:] for row in rows}


def workflow() -> dict:
    found = re.search(r"<!-- workflow -->\n```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return yaml.safe_load(found[1])


def test_the_page_has_every_input_with_its_default_and_every_output() -> None:
    documented = {name: cells[0].strip("`") for name, cells in table("Inputs").items()}
    assert documented == {name: each["default"] for name, each in ACTION["inputs"].items()}
    assert list(table("Outputs")) == list(ACTION["outputs"])


def test_the_workflow_on_the_page_asks_for_what_there_is() -> None:
    (job,) = workflow()["jobs"].values()
    (step,) = [each for each in job["steps"] if each.get("id") == "cbtspec"]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    used = re.findall(r"steps\.cbtspec\.outputs\.([\w-]+)", PAGE)
    assert used
    assert set(used) <= ACTION["outputs"].keys()


def test_every_input_is_used_and_none_is_pasted_into_the_script() -> None:
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert "${{" not in CHECK["run"]
    assert set(re.findall(r"\$\{?(CBTSPEC\w*)", CHECK["run"])) == set(CHECK["env"])
    named = set(re.findall(r"steps\.check\.outputs\.([\w-]+)", text))
    assert named == set(re.findall(r'echo "([\w-]+)=', CHECK["run"]))


def test_reports_are_uploaded_whatever_came_of_the_run() -> None:
    assert UPLOAD["uses"].startswith("actions/upload-artifact@")
    assert "!cancelled()" in UPLOAD["if"]


# The script


@dataclass
class Ran:
    """What a step has left: its exit code, its outputs, and what it printed."""

    code: int
    outputs: dict[str, str]
    said: str


@pytest.fixture
def step(tmp_path: Path) -> Callable[..., Ran]:
    """Runs the script of the first step as the runner does, with a `run` that is given here."""
    action, work = tmp_path / "action", tmp_path / "work"
    action.mkdir()
    work.mkdir()

    def step(run: str, **inputs: str) -> Ran:
        (action / "run").write_text(run)
        given = {name: each["default"] for name, each in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        values = {name: _value(text, given, action) for name, text in CHECK["env"].items()}
        output, script = tmp_path / "output", tmp_path / "script.sh"
        output.write_text("")
        script.write_text(CHECK["run"])
        done = waiting.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)], cwd=work, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | values | {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": f"{tmp_path}/summary"},
        )  # fmt: skip
        outputs = dict(line.partition("=")[::2] for line in output.read_text().splitlines())
        return Ran(done.returncode, outputs, done.stdout)

    return step


def _value(text: str, given: dict[str, str], action: Path) -> str:
    name = re.fullmatch(r"\$\{\{ (?:inputs\.)?([\w.-]+) \}\}", text)
    assert name, text
    return str(action) if name[1] == "github.action_path" else given[name[1]]


SHOWS = "import json, sys\nprint(json.dumps(sys.argv[1:]))\n"
WRITES = """import json, sys
json.dump({"conformant": CONFORMANT}, open(sys.argv[sys.argv.index("--json") + 1], "w"))
sys.exit(CODE)
"""
REAL = f"""import os, sys
os.execv({sys.executable!r}, [{sys.executable!r}, "-m", "cbtcheck", *sys.argv[1:]])
"""


def writes(conformant: bool, code: int) -> str:
    return WRITES.replace("CONFORMANT", str(conformant)).replace("CODE", str(code))


def test_the_adapters_command_comes_last_and_whole(step, tmp_path: Path) -> None:
    ran = step(SHOWS, command="./my-adapter 'two words' --flag", seed="7", args="--time 60 --only 'write'")
    reports = tmp_path / "work/cbtspec-report"
    assert json.loads(ran.said) == [
        "check", "exec", "--profile", "quick", "--github", "--reports", str(reports),
        "--json", str(reports / "report.json"), "--html", str(reports / "report.html"),
        "--junit", str(reports / "junit.xml"), "--seed", "7", "--time", "60", "--only", "write",
        "--", "./my-adapter", "two words", "--flag",
    ]  # fmt: skip


def test_without_a_command_nothing_is_run(step) -> None:
    ran = step(SHOWS)
    assert (ran.code, ran.said.startswith("::error title=cbtspec::")) == (64, True)


def test_a_seed_is_no_command(step, tmp_path: Path) -> None:
    step(SHOWS, command="x", seed="$(touch broken); touch broken")
    assert not (tmp_path / "work/broken").exists()


@pytest.mark.parametrize(
    ("conformant", "code", "strict", "exits"),
    [(True, 0, "true", 0), (False, 6, "false", 0), (False, 6, "true", 6), (False, 5, "false", 5),
     (False, 2, "false", 2)],
)  # fmt: skip
def test_the_step_exits_as_the_suite_does_or_more_strictly(step, conformant, code, strict, exits) -> None:
    ran = step(writes(conformant, code), command="x", strict=strict)
    assert ran.code == exits
    assert ran.outputs["exit-code"] == str(code)
    assert ran.outputs["conformant"] == str(conformant).lower()
    assert ("failed once" in ran.said) is (code == 5)


def test_the_page_says_what_happens_at_each_exit_code() -> None:
    table = PAGE.split("## When the step fails")[1].split("\n## ")[0]
    said = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}
    others = {EXIT_CODES["commands"], EXIT_CODES["stuck"]}
    assert said == set(EXIT_CODES.values()) - others, "which `check` does not exit with"
    assert {"`-x`", "`--failed-first`"} <= set(re.findall(r"`[^`]+`", table))


def test_an_older_report_does_not_speak_for_a_run_that_wrote_none(step) -> None:
    assert step(writes(True, 0), command="x").outputs["conformant"] == "true"
    assert step("raise SystemExit(64)", command="x").outputs["conformant"] == "false"


def test_the_script_runs_the_suite(step, tmp_path: Path) -> None:
    ran = step(REAL, adapter="reference", args="--only clear-bitmap --examples 2", reports="out")
    assert ran.code == 0, ran.said
    assert ran.outputs["conformant"] == "false"  # not all that is claimed was asked for
    for name in ("report", "html", "junit"):
        assert Path(ran.outputs[name]).is_file()
        assert Path(ran.outputs[name]).parent == Path(ran.outputs["reports"]) == tmp_path / "work/out"
    assert "::warning title=cbtspec on cbtimpl" in ran.said
    assert (tmp_path / "summary").read_text(encoding="utf-8").startswith("## ⚠️ cbtspec: Agrees, incomplete")
