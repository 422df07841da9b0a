"""What GitHub is told: annotations that say just what is meant, and a summary in which nothing is markup."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbtcheck.cli.command import main
from cbtcheck.report import github
from cbtcheck.report.github import annotation, marked, summary, workflow_commands
from cbtcheck.run import course
from cbtcheck.run.report import Failure, LedgerResult, Report
from cbtcheck.scenario.verdict import Finding, Verdict
from click.testing import CliRunner, Result

EVIL = "bad\r\n::error::100%, <b>|`*_[x](http://y)"
COMMAND = re.compile(r"::(\w+) title=([^:,\r\n]*)::([^\r\n]*)")


def unescaped(text: str) -> str:
    """As the runner does it."""
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def told(report: Report) -> Iterator[tuple[str, str, str]]:
    """The annotations as the runner reads them: level, title, message."""
    for line in workflow_commands(report, "--mistake m"):
        found = COMMAND.fullmatch(line)
        assert found, line
        yield found[1], unescaped(found[2]), unescaped(found[3])


def test_an_annotation_comes_through_as_it_was_meant() -> None:
    line = annotation("error", EVIL, EVIL)
    found = COMMAND.fullmatch(line)
    assert found
    assert (unescaped(found[2]), unescaped(found[3])) == (EVIL, EVIL)
    assert line.startswith("::error title=bad%0D%0A%3A%3Aerror%3A%3A100%25%2C <b>")
    assert "::bad%0D%0A::error::100%25, <b>" in line


def test_a_failure_is_an_error_with_its_picture_and_the_line_to_paste(failing: Report) -> None:
    failures = [each for each in told(failing) if each[0] == "error"]
    (level, title, message), closing = failures
    assert (level, title) == ("error", "cbtspec: unsafe NO-LOST-WRITE")
    assert "expected at least granules 1" in message
    assert "✗" in message
    assert message.endswith("cbtspec replay 'reports/lost write.json' --adapter reference --mistake m")
    assert closing[2] == "NOT CONFORMANT: 1 failure, the worst unsafe."
    known = next(each for each in told(failing) if "known" in each[1])
    assert known == ("warning", "cbtspec: known failures in the ledger", "merge-loses: A merge loses bits")


def test_what_is_only_wasteful_is_a_warning(agreeing: Report, failing: Report) -> None:
    wasteful = Finding(Verdict.WASTEFUL, "EXACT", "disk0/b0 bits", "at most none", "granules 1")
    failing.failures = [Failure("drawn", failing.failures[0].scenario, [], [wasteful])]
    assert next((level, title) for level, title, _ in told(failing)) == ("warning", "cbtspec: wasteful EXACT")


def test_a_ledger_that_is_not_true_is_an_error(agreeing: Report) -> None:
    agreeing.ledger = [LedgerResult("QEMU-1", "A title", "gone", "a detail", Verdict.EXACT)]
    assert ("error", "cbtspec ledger: QEMU-1 does not fail any more", "A title: a detail") in list(told(agreeing))


def test_what_is_claimed_and_was_not_run_is_a_warning_and_the_rest_a_notice(agreeing: Report) -> None:
    levels = {title: (level, message) for level, title, message in told(agreeing)}
    level, message = levels["cbtspec: claimed, and never exercised: 16 commands, 7 properties, 10 capabilities"]
    assert level == "warning"
    assert "command merge-bitmaps: claimed, and never exercised" in message.splitlines()
    level, message = levels["cbtspec: not verified"]
    assert level == "notice"
    assert "capability discard: the adapter has no discard" in message.splitlines()
    assert levels["cbtspec on reference implementation 0.1.0"][0] == "warning"


def test_nothing_run_is_an_error(nothing: Report) -> None:
    assert [level for level, _, message in told(nothing) if "nothing was run" in message] == ["error"]


# The summary


def test_a_summary_has_the_verdict_the_picture_and_the_tables(failing: Report) -> None:
    text = summary(failing)
    assert text.startswith("## ❌ cbtspec: Not conformant\n")
    assert " ✗  unsafe: a write is lost" in text
    assert "| NO\\-LOST\\-WRITE | 40,000 | unsafe |" in text
    assert text.count("<details>") == text.count("</details>") == 4


def test_nothing_in_a_summary_is_markup(failing: Report) -> None:
    failing.implementation = EVIL
    failing.failures[0].findings.append(Finding(Verdict.BROKEN, "", "reset", "fresh disks", f"```\n{EVIL}"))
    text = summary(failing)
    said = marked(EVIL)
    assert said in text
    assert "\n" not in said
    assert "<b>" not in re.sub(r"\\.", "", text)
    assert "](http" not in text
    assert "\n::" not in text
    for line in (line for line in text.splitlines() if line.startswith("| ")):
        assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5)


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert github.block_of_code("a ```` b").startswith("`````text\n")


def test_a_summary_is_no_larger_than_github_takes(failing: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "LARGEST_SUMMARY", 3000)
    text = summary(failing)
    assert len(text.encode()) < 3200
    assert "The rest is left out" in text


# The command


@pytest.fixture
def check(failing: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`cbtspec check` with these arguments, in an empty directory; the run is faked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(course, "run", lambda *_: failing)

    def check(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(main, ["check", *arguments], env=variables)

    return check


def test_nothing_is_told_that_was_not_asked_for(check, tmp_path: Path) -> None:
    result = check(GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert result.exit_code == 2
    assert "::" not in result.output
    assert not [*tmp_path.iterdir()]


def test_the_report_is_fenced_off_and_annotations_follow(check, failing: Report, tmp_path: Path) -> None:
    failing.failures[0].findings.append(Finding(Verdict.BROKEN, "", "reset", "fresh disks", "x\n::add-mask::disk0"))
    (tmp_path / "summary.md").write_text("before\n")
    lines = check("--github", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md")).stdout.splitlines()
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0])
    assert token
    end = lines.index(f"::{token[1]}::")
    assert next(number for number, line in enumerate(lines) if "::add-mask" in line) < end
    assert not any(line.lstrip().startswith("::add-mask") for line in lines)
    assert lines[end - 1].startswith("NOT CONFORMANT")
    assert len(lines[end + 1 :]) > 2
    assert all(COMMAND.fullmatch(line) for line in lines[end + 1 :])
    assert (tmp_path / "summary.md").read_text().startswith("before\n## ❌ cbtspec")


def test_json_on_stdout_stays_json(check) -> None:
    result = check("--github", "--format", "json")
    assert "::" not in re.sub(r'"[^"]*"', "", result.stdout)
    assert result.stderr.startswith("::error title=")


def test_all_forms_are_written(check, tmp_path: Path) -> None:
    names = {"--json": "r.json", "--html": "r.html", "--junit": "r.xml"}
    result = check(*(each for pair in names.items() for each in pair))
    assert result.exit_code == 2
    assert {path.name for path in tmp_path.iterdir()} == set(names.values())


@pytest.mark.parametrize("option", ["--json", "--html", "--junit", "--github"])
def test_what_cannot_be_written_is_said_before_anything_runs(check, option: str, monkeypatch) -> None:
    monkeypatch.setattr(course, "run", lambda *_: pytest.fail("it ran"))
    where = "/nowhere/at/all"
    given = [option] if option == "--github" else [option, where]
    result = check(*given, GITHUB_STEP_SUMMARY=where)
    assert result.exit_code == 64
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cbtspec: {option}: ")
    assert "cannot be written: No such file or directory" in line


def test_one_that_cannot_be_written_in_the_end_does_not_lose_the_others(check, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cbtcheck.report.exported.write_json", full)
    result = check("--json", "r.json", "--html", "r.html")
    assert result.exit_code == 2  # what was found weighs more
    assert result.stderr.splitlines() == ["cbtspec: --json: r.json cannot be written: No space left on device"]
    assert (tmp_path / "r.html").exists()
